//! Doors: addresses at which others knock. Nothing is open to them but to knock; what they say is checked first.

pub(crate) mod notifications;
