//! What Entrain remembers of a connection between runs: links and ledger.
//!
//! A link is the durable pair of a directory object and a site object; identity is the object id, whatever becomes of
//! names and addresses. The ledger says what Entrain created, adopted or granted, and may therefore take away again;
//! whatever is not in it belongs to somebody else.

mod anchor;
mod ladder;
mod marks;
mod queue;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

pub use anchor::{Anchor, NamedGroup};
pub use ladder::{FormerGroup, Hand, OnLadder, Passed, WayBack};
pub use marks::{Mark, MarkKind};

use crate::model::{AccountId, DirectoryGroupId, DirectoryUserId, ProductKey, Profile, SiteGroupId};
use crate::plan::StepId;
use crate::policy::{Measure, PropertyValues};

/// How something on the site came to be Entrain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Entrain made it.
    Created,
    /// It was there, and adopting it was an explicit act or a setting.
    Adopted,
    /// It was there and agreed with the directory.
    Found,
}

impl Origin {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
            Self::Found => "found",
        }
    }
    /// The origin stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Created, Self::Adopted, Self::Found].into_iter().find(|o| o.as_str() == word)
    }
}

/// A directory user and an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLink {
    /// The directory user.
    pub user: DirectoryUserId,
    /// The account.
    pub account: AccountId,
    /// The address under which they were matched, or the person was invited.
    pub address: Option<Arc<str>>,
    /// Whether Entrain invited the person.
    pub origin: Origin,
}

/// What a site group stands for, and the site group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLink {
    /// The directory group, or the name that the document gives.
    pub anchor: Anchor,
    /// The site group.
    pub group: SiteGroupId,
    /// The name on the site when last seen.
    pub name: Arc<str>,
    /// Whether Entrain made the group.
    pub origin: Origin,
}

/// Names of groups, from the one in scope down to the one that holds the person.
pub type MemberPath = Arc<[Arc<str>]>;

/// A change of memory: what a step, or an observation, makes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryChange {
    /// A person and an account belong together.
    LinkUser(UserLink),
    /// A directory group, or a name of the document, and a site group belong together.
    LinkGroup(GroupLink),
    /// Attributes of an account were written, or found to be as they should.
    ApplyAttributes {
        /// The account.
        account: AccountId,
        /// What it has from now on.
        values: AppliedValues,
    },
    /// A membership enters the ledger.
    OwnMembership {
        /// The site group.
        group: SiteGroupId,
        /// The account.
        account: AccountId,
        /// How it came to be.
        origin: Origin,
        /// Through which groups the person was reached then, where that is known: for the history, not for the ledger.
        path: Option<MemberPath>,
    },
    /// Something is to be remembered of a step.
    MarkStep {
        /// The step.
        step: StepId,
        /// What.
        mark: Mark,
    },
    /// Something need not be remembered of a step any more.
    UnmarkStep {
        /// The step.
        step: StepId,
        /// What.
        mark: MarkKind,
    },
    /// A site group stands for nothing of the directory any more.
    UnlinkGroup {
        /// The site group.
        group: SiteGroupId,
    },
    /// A membership leaves the ledger.
    DisownMembership {
        /// The site group.
        group: SiteGroupId,
        /// The account.
        account: AccountId,
    },
    /// Somebody has left, or has left in another way than was known. Rungs that are behind them stay so.
    EnterLadder(Box<OnLadder>),
    /// A rung is behind somebody.
    PassRung {
        /// The directory user.
        user: DirectoryUserId,
        /// The rung.
        measure: Measure,
        /// By whose hand.
        hand: Hand,
        /// When.
        at: Timestamp,
    },
    /// A rung was taken back.
    StepBack {
        /// The directory user.
        user: DirectoryUserId,
        /// The rung.
        measure: Measure,
    },
    /// Somebody is back, or gone for good.
    LeaveLadder {
        /// The directory user.
        user: DirectoryUserId,
    },
    /// Somebody waits for a seat. Who waits already keeps the place.
    AwaitSeat {
        /// The product.
        product: ProductKey,
        /// The directory user.
        user: DirectoryUserId,
        /// Since when.
        since: Timestamp,
    },
    /// Somebody has the seat, or needs none any more.
    LeaveQueue {
        /// The product.
        product: ProductKey,
        /// The directory user.
        user: DirectoryUserId,
    },
}

/// Attributes as they were last written to an account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum AppliedValues {
    /// Fields of its profile.
    Profile {
        /// Values.
        values: Profile,
    },
    /// A property of it.
    Property {
        /// Key.
        key: String,
        /// Values.
        values: PropertyValues,
    },
}

/// What was last written to one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Applied {
    profile: Option<Profile>,
    properties: BTreeMap<String, PropertyValues>,
}

/// How much the whole memory holds, where only the part about one person was read: limits count against the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// Linked people.
    pub users: usize,
    /// Memberships of the ledger.
    pub memberships: usize,
    /// Accounts that have any of them.
    pub holders: usize,
    /// Memberships of single groups.
    pub of_groups: HashMap<SiteGroupId, usize>,
}

/// Links and ledger of one connection.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    whole: Option<Size>,
    users: HashMap<DirectoryUserId, UserLink>,
    accounts: HashMap<AccountId, DirectoryUserId>,
    groups: HashMap<Anchor, GroupLink>,
    site_groups: HashMap<SiteGroupId, Anchor>,
    memberships: HashMap<SiteGroupId, BTreeMap<AccountId, Origin>>,
    applied: HashMap<AccountId, Applied>,
    marks: BTreeMap<(StepId, MarkKind), Mark>,
    ladder: ladder::Ladder,
    queue: queue::Queue,
}

impl Memory {
    /// Nothing remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on is a part of a memory of this size.
    pub fn part_of(&mut self, whole: Size) {
        self.whole = Some(whole);
    }

    /// How many people are linked, in the whole memory.
    pub fn linked_people(&self) -> usize {
        self.whole.as_ref().map_or(self.users.len(), |whole| whole.users)
    }

    /// How many memberships of a group the whole ledger holds.
    pub fn memberships_of(&self, group: &SiteGroupId) -> usize {
        match &self.whole {
            Some(whole) => whole.of_groups.get(group).copied().unwrap_or_default(),
            None => self.memberships.get(group).map_or(0, BTreeMap::len),
        }
    }

    /// How many accounts have memberships in the whole ledger.
    pub fn holders(&self) -> usize {
        match &self.whole {
            Some(whole) => whole.holders,
            None => self
                .memberships
                .values()
                .flat_map(BTreeMap::keys)
                .collect::<std::collections::HashSet<_>>()
                .len(),
        }
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &MemoryChange) {
        match change {
            MemoryChange::LinkUser(link) => self.link_user(link.clone()),
            MemoryChange::LinkGroup(link) => self.link_group(link.clone()),
            MemoryChange::ApplyAttributes { account, values } => self.apply_attributes(account, values),
            MemoryChange::OwnMembership { group, account, origin, path: _ } => {
                self.own_membership(group, account, *origin);
            }
            MemoryChange::UnlinkGroup { group } => self.unlink_group(group),
            MemoryChange::MarkStep { step, mark } => self.mark_step(step, mark.clone()),
            MemoryChange::UnmarkStep { step, mark } => {
                self.marks.remove(&(step.clone(), *mark));
            }
            MemoryChange::DisownMembership { group, account } => self.disown_membership(group, account),
            MemoryChange::EnterLadder(entry) => self.ladder.enter(entry),
            MemoryChange::PassRung { user, measure, hand, at } => {
                self.ladder.pass(user, *measure, Passed { hand: *hand, at: *at });
            }
            MemoryChange::StepBack { user, measure } => self.ladder.step_back(user, *measure),
            MemoryChange::LeaveLadder { user } => self.ladder.leave(user),
            MemoryChange::AwaitSeat { product, user, since } => self.queue.enter(product, user, *since),
            MemoryChange::LeaveQueue { product, user } => self.queue.leave(product, user),
        }
    }

    /// Remembers a link of a user; a link of either side that it replaces is forgotten.
    pub fn link_user(&mut self, link: UserLink) {
        if let Some(old) = self.users.get(&link.user) {
            self.accounts.remove(&old.account);
        }
        if let Some(other) = self.accounts.insert(link.account.clone(), link.user.clone())
            && other != link.user
        {
            self.users.remove(&other);
        }
        self.users.insert(link.user.clone(), link);
    }

    /// Remembers a link of a group; a link of either side that it replaces is forgotten.
    pub fn link_group(&mut self, link: GroupLink) {
        if let Some(old) = self.groups.get(&link.anchor) {
            self.site_groups.remove(&old.group);
        }
        if let Some(other) = self.site_groups.insert(link.group.clone(), link.anchor.clone())
            && other != link.anchor
        {
            self.groups.remove(&other);
        }
        self.groups.insert(link.anchor.clone(), link);
    }

    /// Remembers something of a step.
    pub fn mark_step(&mut self, step: &StepId, mark: Mark) {
        self.marks.insert((step.clone(), mark.kind()), mark);
    }

    /// What is remembered of a step.
    pub fn mark(&self, step: &StepId, kind: MarkKind) -> Option<&Mark> {
        if self.marks.is_empty() { None } else { self.marks.get(&(step.clone(), kind)) }
    }

    /// Whether anything is remembered of any step.
    pub fn any_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether somebody still waits for what newcomers are given once.
    pub fn owes(&self) -> bool {
        self.marks.keys().any(|(_, kind)| *kind == MarkKind::Owed)
    }

    /// Everything that is remembered of steps.
    pub fn marks(&self) -> impl Iterator<Item = (&StepId, &Mark)> {
        self.marks.iter().map(|((step, _), mark)| (step, mark))
    }

    /// Forgets what a site group stands for.
    pub fn unlink_group(&mut self, group: &SiteGroupId) {
        if let Some(anchor) = self.site_groups.remove(group) {
            self.groups.remove(&anchor);
        }
    }

    /// Enters a membership into the ledger. What was granted stays granted when it is found again.
    pub fn own_membership(&mut self, group: &SiteGroupId, account: &AccountId, origin: Origin) {
        let group = self.memberships.entry(group.clone()).or_default();
        match group.get(account) {
            Some(Origin::Created) => {}
            _ => {
                group.insert(account.clone(), origin);
            }
        }
    }

    /// Takes a membership out of the ledger.
    pub fn disown_membership(&mut self, group: &SiteGroupId, account: &AccountId) {
        if let Some(members) = self.memberships.get_mut(group) {
            members.remove(account);
        }
    }

    /// Remembers attributes as written to an account.
    pub fn apply_attributes(&mut self, account: &AccountId, values: &AppliedValues) {
        let applied = self.applied.entry(account.clone()).or_default();
        match values {
            AppliedValues::Profile { values } => applied.profile = Some(values.clone()),
            AppliedValues::Property { key, values } => {
                applied.properties.insert(key.clone(), values.clone());
            }
        }
    }

    /// Everything last written to accounts, for looking at.
    pub fn all_applied(&self) -> Vec<(&AccountId, AppliedValues)> {
        let mut all = Vec::new();
        for (account, applied) in &self.applied {
            all.extend(
                applied
                    .profile
                    .iter()
                    .map(|values| (account, AppliedValues::Profile { values: values.clone() })),
            );
            all.extend(applied.properties.iter().map(|(key, values)| {
                (account, AppliedValues::Property { key: key.clone(), values: values.clone() })
            }));
        }
        all
    }

    /// Somebody's place on the ladder.
    pub fn on_ladder(&self, user: &DirectoryUserId) -> Option<&OnLadder> {
        self.ladder.get(user)
    }
    /// Everybody on the ladder, in the order of ids.
    pub fn ladder(&self) -> impl ExactSizeIterator<Item = &OnLadder> {
        self.ladder.iter()
    }
    /// Since when somebody waits for a seat of a product.
    pub fn waits_since(&self, product: &ProductKey, user: &DirectoryUserId) -> Option<Timestamp> {
        self.queue.since(product, user)
    }
    /// Everybody who waits for a seat, in the order of products and ids.
    pub fn queue(&self) -> impl ExactSizeIterator<Item = (&ProductKey, &DirectoryUserId, Timestamp)> {
        self.queue.iter()
    }
    /// The profile as last written to an account.
    pub fn applied_profile(&self, account: &AccountId) -> Option<&Profile> {
        self.applied.get(account)?.profile.as_ref()
    }
    /// A property as last written to an account.
    pub fn applied_property(&self, account: &AccountId, key: &str) -> Option<&PropertyValues> {
        self.applied.get(account)?.properties.get(key)
    }
    /// The link of a directory user.
    pub fn user(&self, id: &DirectoryUserId) -> Option<&UserLink> {
        self.users.get(id)
    }
    /// The directory user an account is linked to.
    pub fn user_of(&self, account: &AccountId) -> Option<&DirectoryUserId> {
        self.accounts.get(account)
    }
    /// The link of a directory group.
    pub fn group(&self, id: &DirectoryGroupId) -> Option<&GroupLink> {
        self.groups.get(&Anchor::Directory(id.clone()))
    }
    /// The link of whatever a site group may stand for.
    pub fn anchored(&self, anchor: &Anchor) -> Option<&GroupLink> {
        self.groups.get(anchor)
    }
    /// The directory group a site group is linked to, where it stands for one.
    pub fn group_of(&self, id: &SiteGroupId) -> Option<&DirectoryGroupId> {
        self.site_groups.get(id)?.directory()
    }
    /// What a site group is linked to.
    pub fn anchor_of(&self, id: &SiteGroupId) -> Option<&Anchor> {
        self.site_groups.get(id)
    }
    /// All user links.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &UserLink> {
        self.users.values()
    }
    /// All group links.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &GroupLink> {
        self.groups.values()
    }
    /// How a membership came to be in the ledger, if it is.
    pub fn membership(&self, group: &SiteGroupId, account: &AccountId) -> Option<Origin> {
        self.memberships.get(group).and_then(|members| members.get(account)).copied()
    }
    /// The ledger's memberships of one group.
    pub fn memberships(&self, group: &SiteGroupId) -> impl Iterator<Item = (&AccountId, Origin)> {
        self.memberships.get(group).into_iter().flatten().map(|(account, origin)| (account, *origin))
    }
    /// How many memberships the whole ledger holds.
    pub fn membership_count(&self) -> usize {
        if let Some(whole) = &self.whole {
            return whole.memberships;
        }
        self.memberships.values().map(BTreeMap::len).sum()
    }
    /// Every membership of the ledger.
    pub fn all_memberships(&self) -> impl Iterator<Item = (&SiteGroupId, &AccountId, Origin)> {
        self.memberships.iter().flat_map(|(g, m)| m.iter().map(move |(a, o)| (g, a, *o)))
    }
}
