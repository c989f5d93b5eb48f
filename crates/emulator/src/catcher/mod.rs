//! Catches what is sent to people: e-mail, and posts to web addresses. Nothing leaves the machine; the control interface
//! shows what arrived.

pub mod hooks;
pub mod smtp;
mod tls;

pub use tls::authority_pem;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// So many of each kind are kept; the oldest go first.
const KEPT: usize = 1000;

/// An e-mail that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// When.
    pub at: Timestamp,
    /// Whether it came under TLS.
    pub tls: bool,
    /// Who signed in, if somebody did.
    pub user: Option<String>,
    /// Sender of the envelope.
    pub from: String,
    /// Addressees of the envelope.
    pub to: Vec<String>,
    /// The message as it came, headers and all.
    pub data: String,
}

/// A post that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// When.
    pub at: Timestamp,
    /// Path and query below the address of the catcher.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, as text.
    pub body: String,
    /// The status it was answered with.
    pub status: u16,
}

/// Everything that arrived.
#[derive(Debug, Default)]
pub struct Catcher {
    mails: Mutex<VecDeque<Mail>>,
    hooks: Mutex<VecDeque<Hook>>,
    in_clear: Mutex<VecDeque<String>>,
}

fn locked<T>(list: &Mutex<VecDeque<T>>) -> MutexGuard<'_, VecDeque<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(list: &Mutex<VecDeque<T>>, one: T) {
    let mut list = locked(list);
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(one);
}

impl Catcher {
    /// E-mails, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        locked(&self.mails).iter().cloned().collect()
    }

    /// Posts, the oldest first.
    pub fn hooks(&self) -> Vec<Hook> {
        locked(&self.hooks).iter().cloned().collect()
    }

    /// What was said to the mail server without TLS, messages left out; the oldest first.
    pub fn said_in_clear(&self) -> Vec<String> {
        locked(&self.in_clear).iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        locked(&self.in_clear).clear();
        locked(&self.mails).clear();
        locked(&self.hooks).clear();
    }

    pub(crate) fn mail(&self, mail: Mail) {
        keep(&self.mails, mail);
    }

    pub(crate) fn in_clear(&self, line: String) {
        keep(&self.in_clear, line);
    }

    pub(crate) fn hook(&self, hook: Hook) {
        keep(&self.hooks, hook);
    }
}
