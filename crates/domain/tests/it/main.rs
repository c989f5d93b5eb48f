//! The planner and its second opinion over small worlds.

#![expect(clippy::unwrap_used, reason = "a test world that cannot be built is a failed test")]

mod attributes;
mod audience;
mod drift;
mod explain;
mod explain_groups;
mod explain_people;
mod focus;
mod groups;
mod guards;
mod identity;
mod ladder;
mod ladder_told;
mod links;
mod mapped_groups;
mod marks;
mod mended;
mod newcomers;
mod organization;
mod planner;
mod properties;
mod seat_books;
mod seats;
mod second_opinion;
mod support;
mod undo;
mod undo_attributes;
mod words;
