//! What somebody has ticked so far in a held plan, to approve a part of it. It is kept on the server, so that it outlasts
//! the page, and is theirs alone.

use entrain_domain::model::RunId;

use crate::service::Answer;

/// What keeping it needs.
pub trait Ticks: Send + Sync {
    /// What an account has ticked in the plan of a run, as JSON.
    fn ticks<'a>(&'a self, run: &'a RunId, account: &'a str) -> Answer<'a, Option<String>>;
    /// Keeps it; nothing throws it away.
    fn keep_ticks<'a>(&'a self, run: &'a RunId, account: &'a str, ticks: Option<String>) -> Answer<'a, ()>;
}
