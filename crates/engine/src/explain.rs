//! The use case behind `entrain explain`: reads both sides and plans as a preview does, writes nothing, and answers why a
//! person or group is, or is not, what and where it is. The last answer of the site comes from the journal.
//!
//! Where the mirrors of both sides will do, only what the question is about is read: what changed in the directory, the
//! site's accounts and groups, and the members of the groups concerned.

use entrain_domain::memory::{GroupLink, Memory};
use entrain_domain::model::{Closure, RunId, SiteGroupId};
use entrain_domain::plan::explain::{
    Explanation, NotFound, Which, Who, explain_group, explain_membership, explain_user, find_group, find_user,
};
use entrain_domain::plan::{Approval, PlanInput};
use entrain_domain::policy::Memberships;
use entrain_domain::run::{JournalEntry, RequestCounts};
use entrain_domain::{Failure, FailureClass, FailureCode};

use crate::ports::{Clock, Directory, Ids, Progress, Site, Store};
use crate::run::{Engine, Freshness, Purpose, Reach, World, since};

/// Journal entries about a person among which the one about a group is looked for.
const LOOKED_THROUGH: u32 = 500;

/// What is asked. Persons are named by object id, principal name, address or account id, groups by an id or a name of
/// either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Why is this person, or not, on the site and in its groups?
    User(String),
    /// Why is this group, or not, on the site, and who is in it?
    Group(String),
    /// Why is this person, or not, in this group?
    Membership {
        /// The person.
        user: String,
        /// The group.
        group: String,
    },
}

/// An answer, and what it cost.
#[derive(Debug)]
pub struct Explained {
    /// The answer.
    pub explanation: Explanation,
    /// Requests that reading took.
    pub requests: RequestCounts,
}

/// What is asked about, found.
enum Subject {
    User(Who),
    Group(Which),
    Membership(Who, Which),
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Answers a question. Writes nothing, neither to the site nor to the store, and needs no claim. Fails with
    /// `object_unknown` when neither side knows the person or group, or when several could be meant.
    pub async fn explain(
        &self,
        question: &Question,
        freshness: Freshness,
        progress: &dyn Progress,
    ) -> Result<Explained, Failure> {
        let before = self.requests();
        let mut world = self.look(freshness, progress).await?;
        let subject = find(&world.input(&self.rules, Approval::None), question)?;
        let groups = self.groups_in_question(&world, &subject);
        self.read_members(&mut world.site, groups, progress).await?;
        self.make_sure(&mut world, progress).await?;
        let plan = self.seated_plan(&mut world, &Purpose::Sync, Approval::None).await?;
        let input = world.input(&self.rules, Approval::None);
        let explanation = match &subject {
            Subject::User(who) => explain_user(&input, &plan, who),
            Subject::Group(which) => explain_group(&input, &plan, which),
            Subject::Membership(who, which) => explain_membership(&input, &plan, who, which),
        };
        let explanation = match self.last_answer(&subject, &world.memory).await? {
            Some((run, entry)) => explanation.answered(&world.directory.snapshot, &run, &entry),
            None => explanation.never_answered(),
        };
        Ok(Explained { explanation, requests: since(before, self.requests()) })
    }

    /// Site groups whose members have to be read for the answer: one that Entrain does not manage, and where members are
    /// remembered, those that the question is about, since somebody may have been there meanwhile.
    fn groups_in_question(&self, world: &World, subject: &Subject) -> Vec<SiteGroupId> {
        if self.rules.memberships == Memberships::Leave {
            return Vec::new();
        }
        let stale = |group: &SiteGroupId| {
            world.site.group(group).is_some()
                && (world.reach != Reach::Full || world.site.members(group).is_none())
        };
        let groups: Vec<SiteGroupId> = match subject {
            Subject::Group(which) | Subject::Membership(_, which) => which.site.iter().cloned().collect(),
            Subject::User(_) if world.reach == Reach::Full => Vec::new(),
            Subject::User(who) => {
                let links = world.memory.groups().filter(|link| self.concerns(world, link, who));
                links.map(|link| link.group.clone()).collect()
            }
        };
        groups.into_iter().filter(stale).collect()
    }

    /// Whether the person is in the group by the directory or by the ledger.
    fn concerns(&self, world: &World, link: &GroupLink, who: &Who) -> bool {
        let directory = &world.directory.snapshot;
        let owned = |account| world.memory.membership(&link.group, account).is_some();
        let reached = || {
            let user = directory.user_ix(who.user.as_ref()?)?;
            // What the document names may be filled from anywhere.
            let Some(group) = link.anchor.directory() else { return Some(true) };
            match self.rules.closure(directory, directory.group(group)?) {
                Closure::Complete(closure) => Some(closure.contains(user)),
                Closure::Unknown(_) => Some(true),
            }
        };
        who.account.as_ref().is_some_and(owned) || reached() == Some(true)
    }

    async fn last_answer(
        &self,
        subject: &Subject,
        memory: &Memory,
    ) -> Result<Option<(RunId, JournalEntry)>, Failure> {
        let (object, group, limit) = match subject {
            Subject::User(who) => (name_in_steps(who), None, 1),
            Subject::Group(which) => (group_in_steps(which, memory), None, 1),
            Subject::Membership(who, which) => {
                (name_in_steps(who), group_in_steps(which, memory), LOOKED_THROUGH)
            }
        };
        let Some(object) = object else { return Ok(None) };
        let entries = self.ports.store.journal_about(&self.connection, &object, limit).await?;
        Ok(entries.into_iter().find(|(_, entry)| {
            let part_of = |group: &String| entry.step.as_str().split('/').any(|part| part == group);
            group.as_ref().is_none_or(part_of)
        }))
    }
}

/// How steps name a group: by what its site group stands for.
fn group_in_steps(which: &Which, memory: &Memory) -> Option<String> {
    let anchor = which.site.as_ref().and_then(|site| memory.anchor_of(site));
    let anchor = anchor.map(|anchor| anchor.in_steps().into_owned());
    anchor.or_else(|| which.directory.as_ref().map(ToString::to_string))
}

/// How steps name a person.
fn name_in_steps(who: &Who) -> Option<String> {
    match (&who.user, &who.account) {
        (Some(user), _) => Some(user.to_string()),
        (None, Some(account)) => Some(format!("account:{account}")),
        (None, None) => None,
    }
}

fn find(input: &PlanInput<'_>, question: &Question) -> Result<Subject, Failure> {
    let (user, group) = (|text: &String| whom(input, text), |text: &String| which(input, text));
    Ok(match question {
        Question::User(text) => Subject::User(user(text)?),
        Question::Group(text) => Subject::Group(group(text)?),
        Question::Membership { user: who, group: which } => Subject::Membership(user(who)?, group(which)?),
    })
}

/// The person meant by a text.
pub(crate) fn whom(input: &PlanInput<'_>, text: &str) -> Result<Who, Failure> {
    find_user(input, text).map_err(|e| unknown(&e, text, read_part(input)))
}

/// The group meant by a text.
pub(crate) fn which(input: &PlanInput<'_>, text: &str) -> Result<Which, Failure> {
    find_group(input, text).map_err(|e| unknown(&e, text, read_part(input)))
}

fn read_part(input: &PlanInput<'_>) -> DirectoryPart {
    // Where the scope names a few groups, the rest of the tenant is not read, and nobody outside is known.
    match input.rules.demand().few_groups() {
        Some(_) => DirectoryPart::NamedGroups,
        None => DirectoryPart::Whole,
    }
}

/// What of the directory was read to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DirectoryPart {
    /// All people and groups.
    Whole,
    /// The groups that the scope names, and what they nest.
    NamedGroups,
}

fn unknown(error: &NotFound, object: &str, read: DirectoryPart) -> Failure {
    if let (NotFound::Unknown { .. }, DirectoryPart::NamedGroups) = (error, read) {
        let message = format!(
            "{error}: the scope names its groups one by one, so that only these, and what is nested in them, were \
             read; whoever is outside was not"
        );
        let remedy = "who is in none of these groups does not take part; to bring them in, add a group that they are \
                      in to [scope] groups, or put them into one that is there. If they should be in one already, \
                      check the spelling, or name them by id";
        return Failure::new(FailureCode::ObjectUnknown, FailureClass::Local, message, remedy).of(object);
    }
    let remedy = match error {
        NotFound::Unknown { kind: "a user", .. } => {
            "name the person by object id, user principal name, e-mail address or Atlassian account id"
        }
        NotFound::Unknown { .. } => "name the group by its id or exact name, on either side",
        NotFound::Several { .. } => "name one of them by its id",
    };
    Failure::new(FailureCode::ObjectUnknown, FailureClass::Local, error.to_string(), remedy).of(object)
}
