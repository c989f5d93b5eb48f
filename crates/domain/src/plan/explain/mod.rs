//! Why somebody, or a group, is or is not what and where it is: source record → scope → nesting paths → link → step,
//! or the place where that chain breaks. Computed from exactly what the plan rests on, so that what is explained is what
//! the next sync does; the last answer of the site is added by whoever has the journal.

mod find;
mod group;
mod ladder;
mod paths;
mod person;
mod view;

pub use find::{NotFound, Which, Who, find_group, find_user};
pub use ladder::{OnTheLadder, Rung};
pub use paths::MOST_PATHS;

use std::sync::Arc;

use super::Plan;
use super::planner::PlanInput;
use crate::memory::Origin;
use crate::model::{
    AccountId, DirectoryGroupId, DirectorySnapshot, DirectoryUserId, EmailAddress, RunId, SiteGroupId,
};
use crate::run::{JournalEntry, Outcome};

/// An answer to "why" or "why not", from the record in the directory to what the next sync does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The person or group, as a person knows it, with its ids.
    pub object: String,
    /// The answer in one sentence.
    pub verdict: String,
    /// The links of the chain, in order.
    pub chain: Vec<Link>,
    /// Where a person who has left stands on the leaver ladder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Box<OnTheLadder>>,
    /// What the object is related to.
    #[serde(flatten)]
    pub related: Related,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Link {
    /// What the link is about: `record`, `scope`, `group`, `link`, `ladder`, `site`, `mode`, `set aside`, `step`, `answer`,
    /// `drift`.
    pub what: &'static str,
    /// What there is to say.
    pub text: String,
}

impl Link {
    pub(super) fn new(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }
}

/// The other side of the memberships.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Related {
    /// Of a person: every group in scope, those with a membership on either side first.
    Groups(Vec<Place>),
    /// Of a group: everybody who is in it on either side, or was granted it.
    Members(Vec<Member>),
}

/// One group, as seen from one person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The group's name in the directory; on the site, where the directory knows no such group.
    pub name: Arc<str>,
    /// Its name on the site, where it has a group there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_name: Option<Arc<str>>,
    /// The directory group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<DirectoryGroupId>,
    /// The site group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteGroupId>,
    /// Whether the directory, under the rules, has the person in the group.
    pub member: bool,
    /// The ways from the group down to the one that holds the person, shortest first, at most [`MOST_PATHS`]. Also
    /// there when the person is not a member for another reason, such as a disabled account.
    pub paths: Vec<Vec<Arc<str>>>,
    /// Whether the account is a member on the site; `None` when that is not known, or was not asked for.
    pub on_site: Option<bool>,
    /// Why the directory has the person in the group, or why not.
    pub why: String,
    /// How it stands on the site, and what the next sync does about it.
    pub site: String,
}

/// One person, as seen from one group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Name.
    pub name: Arc<str>,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<EmailAddress>,
    /// The directory user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<DirectoryUserId>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<AccountId>,
    /// How the membership on the site came to be Entrain's; nothing where the ledger has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Origin>,
    /// How both sides stand to each other.
    pub state: MemberState,
    /// The same in words.
    pub text: String,
}

/// How a membership stands on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// The directory has it, the site has not.
    Missing,
    /// The ledger owns it, the directory no longer has it.
    Leaving,
    /// Nobody but the site knows of it: somebody's own.
    Own,
    /// On the site, and it is not known whether the directory has it.
    Unknown,
    /// On both sides.
    InStep,
    /// In the directory's group, and still not entitled: disabled, deleted, set aside.
    LeftOut,
}

impl Explanation {
    /// The same with the last answer that the site gave about the object, from the journal of a run.
    #[must_use]
    pub fn answered(mut self, directory: &DirectorySnapshot, run: &RunId, entry: &JournalEntry) -> Self {
        let mut groups =
            entry.step.as_str().split('/').skip(1).filter_map(|part| DirectoryGroupId::parse(part).ok());
        let group = groups.find_map(|id| directory.group(&id));
        let of = group.map_or_else(String::new, |group| format!(" “{}”", group.display_name.trim()));
        let outcome = match entry.outcome {
            Outcome::Intent => "sent, and the answer was lost",
            Outcome::Done => "done",
            Outcome::AlreadyDone => "found done",
            Outcome::Failed => "failed",
            Outcome::NotDone => "not done",
        };
        let answer = if entry.answer.is_empty() { String::new() } else { format!(": {}", entry.answer) };
        let at = entry.at.strftime("%F %T UTC");
        self.chain
            .push(Link::new("answer", format!("{}{of} {outcome} on {at}{answer} (run {run})", entry.kind)));
        self
    }

    /// The same, for an object that no run has written about.
    #[must_use]
    pub fn never_answered(mut self) -> Self {
        self.chain.push(Link::new("answer", "no run has written anything about it yet"));
        self
    }
}

/// Why a person is, or is not, on the site and in its groups.
pub fn explain_user(input: &PlanInput<'_>, plan: &Plan, who: &Who) -> Explanation {
    person::explain(&view::View::new(input, plan), who)
}

/// Why a group is, or is not, on the site, and who is in it on either side.
pub fn explain_group(input: &PlanInput<'_>, plan: &Plan, which: &Which) -> Explanation {
    group::explain(&view::View::new(input, plan), which)
}

/// Why this person is, or is not, in this group.
pub fn explain_membership(input: &PlanInput<'_>, plan: &Plan, who: &Who, which: &Which) -> Explanation {
    person::explain_membership(&view::View::new(input, plan), who, which)
}
