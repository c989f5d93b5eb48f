//! The pure heart of Entrain: what a directory and a site are, what the rules ask for, and which steps lead
//! from the one to the other.
//!
//! Nothing in this crate waits, reads a clock, draws a random number or talks to anybody. Everything it needs is
//! handed in, so that one function serves a scheduled run, a single person at sign-in, a what-if and a test.
//!
//! | module | holds |
//! |---|---|
//! | [`alerts`] | what people must be told, and the letters that tell it |
//! | [`model`] | ids, users, groups and the snapshots of both sides, complete or not by type |
//! | [`policy`] | the rules of a connection: scope, naming, matching, limits, protection |
//! | [`memory`] | what Entrain remembers between runs: links and ledger |
//! | [`notification`] | what is watched in the directory, and what people are told when notifications do not come |
//! | [`plan`] | desired state, diff, ordered steps with their reasons, guards |
//! | [`reports`] | what the read-only reports say: leavers, unlinked, seats, credentials |
//! | [`run`] | phases, journal entries and the report of a run |
//! | [`accounts`] | people who sign in to the console, and their sessions |
//! | [`service`] | roles, and whether the service may write by itself |
//! | [`verify`] | a second opinion on every plan, sharing no code with the planner |
//! | [`failure`] | what went wrong, to which object, and what to do now |

pub mod accounts;
pub mod alerts;
pub mod failure;
pub mod memory;
pub mod model;
pub mod notification;
pub mod plan;
pub mod policy;
pub mod reports;
pub mod run;
pub mod service;
pub mod verify;
pub mod why;

pub use failure::{Failure, FailureClass, FailureCode};
