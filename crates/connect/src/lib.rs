//! The outside world over HTTP: Entra ID and Microsoft Graph on one side, Jira Cloud and its organization on the other.
//!
//! | module | holds |
//! |---|---|
//! | [`http`] | the one client: same-origin rule, limits, retry, budgets, metering, redaction |
//! | [`entra`] | tokens, and the reading of the directory by the fewest requests |
//! | [`alerts`] | letters to people: e-mail, webhooks, Slack, Teams |
//! | [`atlassian`] | the site: Jira, organization, user management |
//!
//! Nothing here knows the engine: the binary puts a thin adapter between a client and the engine's port.

pub mod alerts;
pub mod atlassian;
pub mod entra;
mod error;
pub mod http;

pub use error::{Context, Error};
