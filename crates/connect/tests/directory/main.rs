//! Reading the directory from a small Graph that obeys its documentation, or breaks it on purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails, wherever that is")]

mod cost;
mod graph;
mod hostile;
mod hostile_ids;
mod person;
#[path = "../shared/pieces.rs"]
mod pieces;
mod scope;
mod signin;
mod subscriptions;
