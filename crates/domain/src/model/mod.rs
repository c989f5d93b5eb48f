//! The things that are kept in step: ids, addresses, and the snapshots of the directory and of the site.

mod address;
mod assignments;
mod attributes;
mod closure;
mod directory;
mod ids;
mod leaving;
mod one_person;
mod profile;
mod site;

pub(crate) use address::folded_name;
pub use address::{EmailAddress, InvalidEmail, same_name};
pub use assignments::Assignments;
pub use attributes::{AttributeValue, Attributes, FURTHER_PROPERTIES, further_attribute, property_of};
pub use closure::{
    AbsenceProof, Closure, CompleteClosure, CompleteEntitlement, CompleteScope, Evidence, Nesting, Through,
};
pub use directory::{
    AccountState, Coverage, DirectoryChanges, DirectoryGroup, DirectoryReading, DirectorySnapshot,
    DirectoryUser, Gone, GroupIx, MemberRef, Peopled, Subject, Unread, UserIx, UserKind,
};
pub use ids::{AccountId, ApplicationId, DirectoryGroupId, DirectoryUserId, InvalidId, RunId, SiteGroupId};
pub use leaving::{Lead, LeaverProof, Leaving};
pub use one_person::{
    Ground, GroupSeen, KnownGroup, PersonFound, PersonKey, PersonReading, Presence, snapshot_of_one,
};
pub use profile::{Profile, ProfileField, ProfileStanding};
pub use site::{
    Account, AccountActivity, AccountKind, Finding, GroupStanding, Product, ProductKey, RenameBy, Seats,
    SiteChanges, SiteGroup, SiteMembers, SitePicture, SiteSnapshot, SiteStanding, group_name_key,
    is_administrative_name,
};
