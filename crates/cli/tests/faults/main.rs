//! The real binary against clouds that fail, by the numbered faults of the quality list. In each: no membership that
//! the directory still has is taken away, nothing that Entrain does not own is touched, no request goes to another
//! host, no secret shows, and a run without faults afterwards ends in exactly the state that the directory asks for.

#![expect(clippy::unwrap_used, reason = "test code")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod audit_log;
mod batch;
mod crash;
mod deletion;
mod first_sync;
mod full_disk;
mod hooks;
mod outages;
mod quota;
mod replicas;
mod rolling;
mod seats;
mod slow_link;
mod soak;
mod storage;
mod throttling;
mod town;
mod trust;
mod writes;
