//! The store on both databases.

#[path = "../support/mod.rs"]
mod support;

mod claims;
mod connections;
mod memory;
mod mirror;
mod opening;
mod runs;
