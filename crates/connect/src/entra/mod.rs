//! Entra ID and Microsoft Graph: tokens, and the reading of the directory by the fewest requests.

mod assignments;
mod catch_up;
mod check;
mod credential;
mod graph;
mod members;
mod narrow;
pub mod oidc;
mod options;
mod paging;
mod people;
mod person;
mod read;
mod sessions;
mod signin;
mod subscriptions;
mod token;
mod wire;

pub use catch_up::Changes;
pub use check::{PermissionFinding, PermissionVerdict};
pub use credential::Credential;
pub use options::{Cloud, EntraOptions};
pub use read::{CaughtUp, DirectoryRead, Entra, Links, Since};
pub use sessions::Sessions;
pub use subscriptions::SubscriptionOrder;
