//! Tests of the emulator's core from outside: worlds, starting and stopping, the control interface.

mod control;
mod generator;
mod serving;
mod world_file;
