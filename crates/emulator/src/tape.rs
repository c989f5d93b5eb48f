//! A recording of whole exchanges, bodies included, for tests that hold every request and answer against the vendors'
//! documents. It is off until it is switched on, and never holds a credential or anything of the sign-in surface.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

use crate::state::Surface;

/// One request with its answer, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Where.
    pub surface: Surface,
    /// HTTP method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query as sent.
    pub query: String,
    /// Request headers by lower-case name, without those that carry a secret.
    pub headers: BTreeMap<String, String>,
    /// Request body; empty for reads.
    pub body: Bytes,
    /// Status of the answer.
    pub status: u16,
    /// `Content-Type` of the answer.
    pub content_type: Option<String>,
    /// Body of the answer.
    pub answer: Bytes,
}

/// The recording.
#[derive(Debug, Default)]
pub struct Tape {
    on: AtomicBool,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Tape {
    /// Records from now on. Answers are read whole before they are sent, so faults that stall or break an answer do not
    /// go together with it.
    pub fn start(&self) {
        self.on.store(true, Ordering::Release);
    }

    /// What was recorded since the last call, in the order of the answers.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub(crate) fn push(&self, exchange: Exchange) {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }
}
