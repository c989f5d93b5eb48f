//! The site client against answers that Jira gives, and against answers that nobody should believe.

mod reads;
mod script;
mod standing;
mod writes;
