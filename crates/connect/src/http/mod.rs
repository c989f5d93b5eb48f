//! The one HTTP client: every request to Entra ID, Graph, Jira and the organization API passes through here.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;

/// Which side a request counts for, and whose rules its limits and errors follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Entra sign-in and Microsoft Graph.
    Directory,
    /// Jira.
    Site,
    /// Organization and user management.
    Organization,
}

/// Whether a request may be sent again when its outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reads, and writes that end in the same state however often they are made.
    Safe,
    /// Writes that would show twice (an invitation, a group): a lost answer is reported as unclear.
    Never,
}

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// What the limits of the other side are counted by, such as `/rest/api/3/group/user`.
    pub endpoint: &'static str,
    /// Path and query below the base address, percent-encoded, or an absolute link that the other side handed out
    /// (checked against the origin of the base address before anything is sent).
    pub target: String,
    /// JSON body.
    pub body: Option<serde_json::Value>,
    /// Extra headers, such as `ConsistencyLevel`.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// The object it is about, for messages.
    pub object: String,
}

/// An answer, whole: any status that is not retried or retried in vain comes here for the API's own reading.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decoded, within the size limit.
    pub body: Bytes,
    /// Requests it took.
    pub attempts: u32,
}
