//! The directory as it was read: users, groups, direct members, and how much of it the read covers.
//!
//! Memberships are integers in sorted vectors, not strings in maps, so that time and memory grow with the number of
//! memberships and nothing is ever groups × users. A [`DirectoryReading`] is filled from a listing or from a stored
//! mirror, takes delta entries in any order of objects, and becomes an immutable [`DirectorySnapshot`].

mod reading;
mod snapshot;

use std::sync::Arc;

use super::address::EmailAddress;
use super::attributes::Attributes;
use super::ids::{DirectoryGroupId, DirectoryUserId};

pub use reading::{DirectoryChanges, DirectoryReading};
pub use snapshot::{DirectorySnapshot, Peopled, Subject};

/// Whether an account may sign in (`accountEnabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AccountState {
    /// `accountEnabled: true`
    Enabled,
    /// `accountEnabled: false`
    Disabled,
    /// Absent or null. Read as neither: such a person is neither added nor taken out.
    Unknown,
}

/// Member or guest (`userType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum UserKind {
    /// `Member`, or null on very old accounts.
    Member,
    /// `Guest`
    Guest,
}

/// A user of the directory, with the attributes that Entrain reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Object id.
    pub id: DirectoryUserId,
    /// `displayName`
    pub display_name: Option<Arc<str>>,
    /// `mail`; may be absent, may change, is not unique by contract.
    pub mail: Option<Arc<str>>,
    /// `userPrincipalName`; guests look like `alias_domain#EXT#@tenant`.
    pub user_principal_name: Option<Arc<str>>,
    /// First of `otherMails`: a guest's real address when `mail` is null.
    pub other_mail: Option<Arc<str>>,
    /// `accountEnabled`
    pub account: AccountState,
    /// `userType`
    pub kind: UserKind,
    /// What else the rules ask for.
    pub attributes: Attributes,
}

impl DirectoryUser {
    /// The address under which the person is looked for and invited: `mail`; without it the UPN of a member, the first
    /// of a guest's `otherMails` (microsoft-graph.md 3.3).
    pub fn address(&self) -> Option<EmailAddress> {
        let parse = |text: &Option<Arc<str>>| text.as_ref().and_then(|t| EmailAddress::parse_shared(t).ok());
        parse(&self.mail).or_else(|| match self.kind {
            UserKind::Member => parse(&self.user_principal_name),
            UserKind::Guest => parse(&self.other_mail),
        })
    }

    /// The name a person reads: display name, else address, else id.
    pub fn label(&self) -> &str {
        self.named().map_or_else(|| self.id.as_str(), |text| &**text)
    }

    /// The same, without a copy where there is none to make.
    pub(crate) fn shared_label(&self) -> Arc<str> {
        self.named().map_or_else(|| Arc::from(self.id.as_str()), Arc::clone)
    }

    fn named(&self) -> Option<&Arc<str>> {
        let texts = [&self.display_name, &self.mail, &self.user_principal_name];
        texts.into_iter().flatten().find(|text| !text.trim().is_empty())
    }
}

/// A member as the directory names it. Devices, contacts and service principals have no place on a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberRef {
    /// `#microsoft.graph.user`
    User(DirectoryUserId),
    /// `#microsoft.graph.group`
    Group(DirectoryGroupId),
    /// Anything else.
    Other,
}

/// How an object left (`@removed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// `changed`: in the recycle bin for 30 days; memberships are kept and come back silently.
    SoftDeleted,
    /// `deleted`: for good.
    Deleted,
}

/// Why something was not read; an object whose read failed is left alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unread {
    /// What happened, in a sentence.
    pub reason: Arc<str>,
    /// What to do about it.
    pub remedy: Arc<str>,
}

/// Whether a listing was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every page was read.
    Complete,
    /// Something is missing: absence from the listing means nothing.
    Partial(Unread),
}

/// Index of a user within one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserIx(pub(super) u32);

impl UserIx {
    /// The first so many indexes of a snapshot.
    pub(crate) fn first(users: usize) -> impl Iterator<Item = Self> {
        (0..users as u32).map(Self)
    }

    /// The index as a position.
    pub(crate) fn position(self) -> usize {
        self.0 as usize
    }
}

/// Index of a group within one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupIx(pub(super) u32);

#[derive(Debug, Clone)]
pub(super) enum UserSlot {
    /// Listed.
    Live(DirectoryUser),
    /// Named as a member, never listed.
    Unseen(DirectoryUserId),
    /// Said to be gone; memberships are kept so that a return needs no event of its own.
    Gone(DirectoryUserId, Gone),
}

impl UserSlot {
    pub(super) fn id(&self) -> &DirectoryUserId {
        match self {
            Self::Live(user) => &user.id,
            Self::Unseen(id) | Self::Gone(id, _) => id,
        }
    }
}

/// A group of the directory with its direct members.
#[derive(Debug, Clone)]
pub struct DirectoryGroup {
    /// Object id.
    pub id: DirectoryGroupId,
    /// `displayName`, not unique.
    pub display_name: Arc<str>,
    pub(super) presence: GroupPresence,
    pub(super) members: DirectMembers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupPresence {
    Listed,
    Unseen,
    Gone,
}

#[derive(Debug, Clone)]
pub(super) enum DirectMembers {
    /// Not asked for: the scope does not reach it.
    NotRead,
    Known {
        users: Vec<UserIx>,
        groups: Vec<GroupIx>,
    },
    Failed(Unread),
}

impl DirectoryGroup {
    /// Direct users and groups, when the members were read.
    pub fn direct(&self) -> Option<(&[UserIx], &[GroupIx])> {
        match &self.members {
            DirectMembers::Known { users, groups } => Some((users, groups)),
            DirectMembers::NotRead | DirectMembers::Failed(_) => None,
        }
    }
}
