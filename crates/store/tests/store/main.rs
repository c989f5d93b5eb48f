//! The store on both databases.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests: a helper that fails fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod alerts;
mod backup;
mod claims;
mod clocks;
mod connections;
mod drafts;
mod memory;
mod migrations;
mod mirror;
mod notifications;
mod opening;
mod persons;
mod replicas;
mod rotate;
mod runs;
mod service;
mod upkeep;
