//! An emulator of Entra sign-in, Microsoft Graph, Jira Cloud and the Atlassian organization API over one in-memory
//! world. It imitates the vendors' documents, quirks and limits included, and knows nothing of Entrain.
//!
//! [`start`] binds one listener per cloud surface plus a control listener and returns an [`Emulator`], which knows the
//! addresses and credentials and stops when it is dropped.

pub mod atlassian;
pub mod catcher;
pub mod control;
pub mod entra;
pub mod faults;
pub mod graph;
mod layers;
pub mod limits;
pub mod log;
pub mod serve;
pub mod settings;
pub mod state;
pub mod tape;
pub mod world;

pub use serve::{Description, Emulator, Error, Options, WorldSource, start};
pub use settings::Settings;
pub use state::{EmulatorClock, Shared, State, Surface, Urls};
