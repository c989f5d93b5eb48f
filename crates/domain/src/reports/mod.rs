//! What the read-only reports say, as pure computations: who still has an account and should not, who belongs to whom,
//! which seats and which credentials are left. Rows are flat; the same columns go to text, CSV and JSON.

mod credentials;
mod members;
mod people;
mod roster;
mod seats;

pub use credentials::{Credential, CredentialRow, CredentialState, Expiry, WARN_DAYS, credentials};
pub use members::{MemberRow, PastMembership, members_at};
pub use people::{Holdings, InScope, LeaverRow, SiteEntry, UnlinkedKind, UnlinkedRow, leavers, unlinked};
pub use roster::{InDirectory, Roster};
pub use seats::{SeatRow, seats};
