//! The site client against answers that Jira gives, and against answers that nobody should believe.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it set it up")]

mod departures;
mod reads;
mod script;
mod standing;
mod writes;
