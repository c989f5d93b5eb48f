//! What whoever looks after the service asks of what stands behind it, for the pages of the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::service::Answer;

/// When accounts signed in last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIns {
    /// By the name of the account.
    pub at: BTreeMap<String, Timestamp>,
    /// What was before this moment was not looked at; nothing where everything was.
    pub since: Option<Timestamp>,
}

/// What the settings need from behind the service.
pub trait Upkeep: Send + Sync {
    /// When accounts signed in last.
    fn sign_ins(&self) -> Answer<'_, SignIns>;
}
