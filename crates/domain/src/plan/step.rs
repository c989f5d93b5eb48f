//! One step of a plan: what is done, to whom, why, after which other steps, and whether a guard holds it.

use std::fmt;
use std::sync::Arc;

use super::after::After;
use super::guard::Guard;
use super::reason::Reason;
use crate::memory::{Anchor, Origin};
use crate::model::{
    AbsenceProof, AccountId, DirectoryGroupId, DirectoryUserId, EmailAddress, LeaverProof, Profile,
    SiteGroupId,
};
use crate::policy::{Measure, PropertyValues};

/// Kind of a step, in the words of the contract. The order is the order in which kinds are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Invite a person who has no account.
    CreateUser,
    /// Write attributes of the directory to an account.
    UpdateUser,
    /// Create a group.
    CreateGroup,
    /// Give a linked group the name that the directory has for it now.
    RenameGroup,
    /// Take an existing group of the wanted name under management.
    AdoptGroup,
    /// Put an account into a group.
    AddMember,
    /// Take an account out of a group.
    RemoveMember,
    /// Suspend a leaver's access.
    SuspendUser,
    /// Restore the access of somebody who is back.
    RestoreUser,
    /// Deactivate a leaver's managed account.
    DeactivateUser,
    /// Activate the account of somebody who is back.
    ReactivateUser,
    /// Take a leaver off the site.
    RemoveUser,
}

impl StepKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::CreateUser,
        Self::UpdateUser,
        Self::CreateGroup,
        Self::RenameGroup,
        Self::AdoptGroup,
        Self::AddMember,
        Self::RemoveMember,
        Self::SuspendUser,
        Self::RestoreUser,
        Self::DeactivateUser,
        Self::ReactivateUser,
        Self::RemoveUser,
    ];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateUser => "create_user",
            Self::UpdateUser => "update_user",
            Self::CreateGroup => "create_group",
            Self::RenameGroup => "rename_group",
            Self::AdoptGroup => "adopt_group",
            Self::AddMember => "add_member",
            Self::RemoveMember => "remove_member",
            Self::SuspendUser => "suspend_user",
            Self::RestoreUser => "restore_user",
            Self::DeactivateUser => "deactivate_user",
            Self::ReactivateUser => "reactivate_user",
            Self::RemoveUser => "remove_user",
        }
    }

    /// The kind of a rung's step.
    pub fn of_rung(measure: Measure) -> Self {
        match measure {
            Measure::Suspend => Self::SuspendUser,
            Measure::Deactivate => Self::DeactivateUser,
            Measure::Remove => Self::RemoveUser,
        }
    }

    /// The kind of the step that gives back what a rung took.
    pub fn of_way_back(from: Reversible) -> Self {
        match from {
            Reversible::Suspend => Self::RestoreUser,
            Reversible::Deactivate => Self::ReactivateUser,
        }
    }

    /// What it does to people's access.
    pub fn effect(self) -> Effect {
        match self {
            Self::CreateUser
            | Self::CreateGroup
            | Self::AdoptGroup
            | Self::AddMember
            | Self::RestoreUser
            | Self::ReactivateUser => Effect::Gives,
            Self::RemoveMember | Self::SuspendUser | Self::DeactivateUser | Self::RemoveUser => Effect::Takes,
            Self::UpdateUser | Self::RenameGroup => Effect::Changes,
        }
    }

    /// The kind a word of the contract names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// What a kind of step does to people's access, as limits tell kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something is there, or somebody gets in, that was not.
    Gives,
    /// Somebody loses something.
    Takes,
    /// Neither.
    Changes,
}

/// A number for each kind of step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerKind([usize; StepKind::ALL.len()]);

impl PerKind {
    /// The number of a kind.
    pub fn get(&self, kind: StepKind) -> usize {
        self.0[kind as usize]
    }

    /// Adds to the number of a kind.
    pub fn add(&mut self, kind: StepKind, more: usize) {
        self.0[kind as usize] += more;
    }
}

impl FromIterator<(StepKind, usize)> for PerKind {
    fn from_iter<I: IntoIterator<Item = (StepKind, usize)>>(counts: I) -> Self {
        let mut per_kind = Self::default();
        for (kind, count) in counts {
            per_kind.add(kind, count);
        }
        per_kind
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person as a step names them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Person {
    /// Display name, for people.
    pub name: Arc<str>,
    /// The directory user; `None` for an account that nobody is linked to.
    pub directory_id: Option<DirectoryUserId>,
    /// The account; `None` until the person is invited.
    pub site_id: Option<AccountId>,
    /// The address.
    pub mail: Option<EmailAddress>,
}

/// A group as a step names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef {
    /// Name on the site.
    pub name: Arc<str>,
    /// What it stands for, for good.
    pub anchor: Anchor,
    /// The directory groups that fill a group which the document names; none where everybody in scope does.
    pub filled_from: Arc<[DirectoryGroupId]>,
    /// The site group; `None` until it is created.
    pub site_id: Option<SiteGroupId>,
    /// Whether memberships are Entrain's once they are granted.
    pub keeping: Keeping,
}

/// Whose a membership is once it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Entrain's: it enters the ledger, and is taken back when its reason ends.
    Ledger,
    /// The person's own: given once, never taken back and never given again.
    Given,
}

impl GroupRef {
    /// The directory groups that fill it.
    pub fn sources(&self) -> &[DirectoryGroupId] {
        match &self.anchor {
            Anchor::Directory(id) => std::slice::from_ref(id),
            Anchor::Named(_) => &self.filled_from,
        }
    }

    /// The directory group, where exactly one fills it.
    pub fn directory_id(&self) -> Option<&DirectoryGroupId> {
        match self.sources() {
            [one] => Some(one),
            _ => None,
        }
    }
}

impl serde::Serialize for GroupRef {
    /// As the contract has it, with `sources` where several directory groups fill the group.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let many = self.sources().len() > 1;
        let mut fields = serializer.serialize_struct("GroupRef", 3 + usize::from(many))?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("directory_id", &self.directory_id())?;
        fields.serialize_field("site_id", &self.site_id)?;
        if many {
            fields.serialize_field("sources", self.sources())?;
        }
        fields.end()
    }
}

/// What an update writes; each is one request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Update {
    /// Fields of the profile, of managed accounts.
    Profile {
        /// The fields that change, and no others.
        set: Profile,
        /// What was last written to these fields, for taking it back.
        before: Profile,
    },
    /// A property of the account, whole.
    Property {
        /// Its key.
        key: String,
        /// Its value.
        values: PropertyValues,
        /// What was last written; `None` when nothing was.
        before: Option<PropertyValues>,
    },
}

impl Update {
    /// Which part of the account it is about.
    pub fn part(&self) -> &'static str {
        match self {
            Self::Profile { .. } => "profile",
            Self::Property { .. } => "property",
        }
    }

    /// The fields that change, by name.
    pub fn changed(&self) -> Vec<String> {
        match self {
            Self::Profile { set, .. } => set.keys().map(|field| field.as_str().to_owned()).collect(),
            Self::Property { values, before, .. } => {
                let before = before.clone().unwrap_or_default();
                let all: std::collections::BTreeSet<&Arc<str>> = values.keys().chain(before.keys()).collect();
                let differs = |name: &&Arc<str>| values.get(*name) != before.get(*name);
                all.into_iter().filter(differs).map(ToString::to_string).collect()
            }
        }
    }
}

/// What a step does. A removal carries its proof; there is no other way to build one.
///
/// A first plan of a large tenant has hundreds of thousands of invitations and memberships, and every action is as large
/// as the largest: what the rarer ones say besides is behind a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `POST /user`
    CreateUser {
        /// The person; has an address, has no account.
        person: Arc<Person>,
        /// The address to invite.
        address: EmailAddress,
    },
    /// `PATCH …/manage/profile`, or `PUT /user/properties/{key}`
    UpdateUser {
        /// The person.
        person: Arc<Person>,
        /// What is written.
        update: Arc<Update>,
    },
    /// `POST /group`
    CreateGroup {
        /// The group; has no site id.
        group: Arc<GroupRef>,
    },
    /// `PATCH …/groups/{groupId}` of the organization.
    RenameGroup {
        /// The group, under the name that it bears so far.
        group: Arc<GroupRef>,
        /// Which, and to what.
        renaming: Box<Renaming>,
    },
    /// No request: the link and the ledger learn of the group.
    AdoptGroup {
        /// The directory group, with the site id of the group to adopt.
        group: Arc<GroupRef>,
        /// The site group.
        site_id: SiteGroupId,
    },
    /// `POST /group/user`
    AddMember {
        /// The group.
        group: Arc<GroupRef>,
        /// The person.
        person: Arc<Person>,
    },
    /// `DELETE /group/user`
    RemoveMember {
        /// The group.
        group: Arc<GroupRef>,
        /// The person, as far as known.
        person: Arc<Person>,
        /// Which membership, and on what ground.
        removal: Box<Removal>,
    },
    /// `POST …/users/{id}/suspend`, `POST …/lifecycle/disable`, or `DELETE` of the user: a rung of the leaver ladder.
    TakeRung {
        /// Which.
        measure: Measure,
        /// The person, as far as known.
        person: Arc<Person>,
        /// Whose account, and on what ground.
        departed: Box<Departed>,
    },
    /// `POST …/users/{id}/restore` or `POST …/lifecycle/enable`: a rung that Entrain took is taken back.
    ComeBack {
        /// Which; never a removal, from which an invitation leads back.
        from: Reversible,
        /// The person.
        person: Arc<Person>,
        /// The account.
        account: AccountId,
    },
}

/// A new name for a group of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// The site group.
    pub site_id: SiteGroupId,
    /// The new name.
    pub name: Arc<str>,
}

/// A membership that is taken away, with its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The site group.
    pub site_group: SiteGroupId,
    /// The account.
    pub account: AccountId,
    /// The completely read absence that this rests on.
    pub proof: AbsenceProof,
    /// How the membership came into the ledger; `None` only in an authoritative group.
    pub owned: Option<Origin>,
}

/// An account that loses access, with the ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// The account.
    pub account: AccountId,
    /// The completely read leaving that this rests on.
    pub proof: LeaverProof,
}

/// A rung that a request takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversible {
    /// By a restoration.
    Suspend,
    /// By an activation.
    Deactivate,
}

impl Reversible {
    /// The measure.
    pub fn measure(self) -> Measure {
        match self {
            Self::Suspend => Measure::Suspend,
            Self::Deactivate => Measure::Deactivate,
        }
    }
}

impl Action {
    /// The kind.
    pub fn kind(&self) -> StepKind {
        match self {
            Self::CreateUser { .. } => StepKind::CreateUser,
            Self::UpdateUser { .. } => StepKind::UpdateUser,
            Self::CreateGroup { .. } => StepKind::CreateGroup,
            Self::RenameGroup { .. } => StepKind::RenameGroup,
            Self::AdoptGroup { .. } => StepKind::AdoptGroup,
            Self::AddMember { .. } => StepKind::AddMember,
            Self::RemoveMember { .. } => StepKind::RemoveMember,
            Self::TakeRung { measure, .. } => StepKind::of_rung(*measure),
            Self::ComeBack { from, .. } => StepKind::of_way_back(*from),
        }
    }

    /// The person the step is about.
    pub fn person(&self) -> Option<&Arc<Person>> {
        match self {
            Self::CreateUser { person, .. }
            | Self::UpdateUser { person, .. }
            | Self::AddMember { person, .. }
            | Self::RemoveMember { person, .. }
            | Self::TakeRung { person, .. }
            | Self::ComeBack { person, .. } => Some(person),
            Self::CreateGroup { .. } | Self::RenameGroup { .. } | Self::AdoptGroup { .. } => None,
        }
    }

    /// The group the step is about.
    pub fn group(&self) -> Option<&Arc<GroupRef>> {
        match self {
            Self::CreateGroup { group }
            | Self::RenameGroup { group, .. }
            | Self::AdoptGroup { group, .. }
            | Self::AddMember { group, .. }
            | Self::RemoveMember { group, .. } => Some(group),
            Self::CreateUser { .. }
            | Self::UpdateUser { .. }
            | Self::TakeRung { .. }
            | Self::ComeBack { .. } => None,
        }
    }

    /// Requests to the site that the step costs when nothing goes wrong.
    pub fn requests(&self) -> usize {
        match self {
            Self::AdoptGroup { .. } => 0,
            // A look at the person goes before each, and a question for the right before a deactivation.
            Self::TakeRung { measure: Measure::Deactivate, .. }
            | Self::ComeBack { from: Reversible::Deactivate, .. } => 3,
            Self::TakeRung { .. } | Self::ComeBack { .. } => 2,
            _ => 1,
        }
    }
}

/// A step's name: kind and the directory's ids (the account's where nobody is linked, the name of a group that the
/// document names). The same intention bears the
/// same name in every plan, so that a journal is read across a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StepId(Arc<str>);

impl StepId {
    /// The name that a rung for a directory user bears in every plan.
    pub fn of_rung(measure: Measure, user: &DirectoryUserId) -> Self {
        Self(Arc::from(format!("{}/{user}", StepKind::of_rung(measure))))
    }
    /// The name that the step bears in every plan by which a directory user gets back what a rung took.
    pub fn of_way_back(from: Reversible, user: &DirectoryUserId) -> Self {
        Self(Arc::from(format!("{}/{user}", StepKind::of_way_back(from))))
    }
    /// The name that the adoption of a site group for this anchor bears in every plan.
    pub(super) fn of_adoption(anchor: &Anchor) -> Self {
        Self(Arc::from(format!("{}/{}", StepKind::AdoptGroup, anchor.in_steps())))
    }
    /// The step's name as stored.
    pub fn from_stored(text: &str) -> Self {
        Self(Arc::from(text))
    }
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a step can be undone, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// An ordinary step takes it back.
    Possible,
    /// The invitation mail cannot be called back; the account can be taken out of its groups.
    MailGoesOut,
    /// Only a new invitation brings the person back, and groups and roles that were not Entrain's are lost.
    NeedsInvitation,
    /// It follows from the directory: whoever is back has access again, and no undo takes it.
    FollowsTheDirectory,
}

/// A guard that holds one step.
pub type Hold = Guard;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Positions of the steps that must be done first, all smaller than this one's own.
    pub after: After,
    /// The guard that holds the step for a person, if one does.
    pub hold: Option<Hold>,
}

impl StepId {
    /// The name of the step that puts a directory user into a group.
    pub fn of_member(group: &Anchor, user: &DirectoryUserId) -> Self {
        Self(Arc::from(format!("{}/{}/{user}", StepKind::AddMember, group.in_steps())))
    }
}

impl Step {
    /// The step's name.
    pub fn id(&self) -> StepId {
        let user =
            |p: &Person, account: Option<&AccountId>| match (&p.directory_id, account.or(p.site_id.as_ref()))
            {
                (Some(id), _) => id.to_string(),
                (None, Some(account)) => format!("account:{account}"),
                (None, None) => String::from("nobody"),
            };
        let kind = self.action.kind();
        StepId(Arc::from(match &self.action {
            Action::CreateUser { person, .. } => format!("{kind}/{}", user(person, None)),
            Action::TakeRung { person, departed, .. } => {
                format!("{kind}/{}", user(person, Some(&departed.account)))
            }
            Action::ComeBack { person, account, .. } => format!("{kind}/{}", user(person, Some(account))),
            Action::UpdateUser { person, update } => {
                format!("{kind}/{}/{}", user(person, None), update.part())
            }
            Action::CreateGroup { group }
            | Action::RenameGroup { group, .. }
            | Action::AdoptGroup { group, .. } => {
                format!("{kind}/{}", group.anchor.in_steps())
            }
            Action::AddMember { group, person } => {
                format!("{kind}/{}/{}", group.anchor.in_steps(), user(person, None))
            }
            Action::RemoveMember { group, person, removal } => {
                format!("{kind}/{}/{}", group.anchor.in_steps(), user(person, Some(&removal.account)))
            }
        }))
    }

    /// Whether the step can be undone.
    pub fn undo(&self) -> Undo {
        match self.action {
            Action::CreateUser { .. } => Undo::MailGoesOut,
            Action::TakeRung { measure: Measure::Remove, .. } => Undo::NeedsInvitation,
            Action::ComeBack { .. } => Undo::FollowsTheDirectory,
            _ => Undo::Possible,
        }
    }
}

/// Something that was not done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SetAside {
    /// The object, as a person knows it.
    pub object: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
    /// Who can do it.
    #[serde(skip)]
    pub mended_by: MendedBy,
}

/// Where that which stands in the way of something set aside comes to an end, and so when it is worth another look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MendedBy {
    /// It may be over at any time, and nobody has to do anything: the next run looks.
    #[default]
    Itself,
    /// Somebody's work on the site, or a clock that runs for hours.
    Site,
    /// Somebody's work in the directory or on the rules; every run notices both by itself.
    Directory,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_small_for_a_first_plan_has_hundreds_of_thousands() {
        assert!(size_of::<Step>() <= 80, "{}", size_of::<Step>());
    }
}
