//! Tests of the emulator's core from outside: worlds, starting and stopping, the control interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail a test by it")]

mod control;
mod generator;
mod notifications;
mod serving;
mod world_file;
