//! Tells people what they must know: once at once, again until somebody has acknowledged it, again when it gets worse,
//! and once when it is over; never as a storm.
//!
//! [`Book`] is the whole of it as pure state: what is open, who was told, what waits to be sent. [`look_after`] moves it
//! between a store and the channels. Several servers may look after one book: each change is put back only if nobody else
//! has changed the book meanwhile, and a letter is sent by the one that took it.

mod book;
mod keeper;

pub use book::{
    Acknowledged, Alert, Book, Channel, Course, Failing, REST, Refused, Settings, Undelivered, Whose,
};
pub use keeper::{Books, Courier, Delivered, Looked, acknowledge, look_after, test_letter};
