//! The inputs and the plan, put together the way questions are asked: one group, one person, one membership.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::matching::{self, Match, Matches};
use super::super::planner::PlanInput;
use super::super::step::{Action, SetAside, Step, StepId};
use super::super::targets::{self, Filled, Target};
use super::super::{Guard, Plan};
use super::paths::Ways;
use super::{Place, Which, Who};
use crate::memory::{Mark, MarkKind, Origin};
use crate::model::{
    Account, AccountId, AccountState, Closure, CompleteClosure, DirectoryGroup, DirectoryGroupId,
    DirectoryUser, DirectoryUserId, Gone, Nesting, SiteGroup, SiteGroupId,
};
use crate::policy::{Audience, Memberships, ScopeRule, Standing};

/// Everything an explanation looks at.
pub(super) struct View<'a> {
    pub(super) input: &'a PlanInput<'a>,
    pub(super) plan: &'a Plan,
    /// The groups in scope, with the selector that names each.
    pub(super) scoped: Vec<(&'a DirectoryGroup, &'a str)>,
    targets: HashMap<DirectoryGroupId, Vec<Target>>,
    /// Site groups that the document fills from no directory group.
    defaults: Vec<Target>,
    audience: Audience<'a>,
    matches: Matches,
    asides: HashMap<&'a str, Vec<&'a SetAside>>,
}

/// What is known of one person.
pub(super) struct Person<'a> {
    pub(super) id: Option<DirectoryUserId>,
    pub(super) user: Option<&'a DirectoryUser>,
    pub(super) gone: Option<Gone>,
    pub(super) account_id: Option<AccountId>,
    pub(super) account: Option<&'a Account>,
    /// Name for sentences.
    pub(super) name: Arc<str>,
    /// Name, address and ids.
    pub(super) label: String,
}

/// Whether the directory, under the rules, has a person in a group.
pub(super) enum Entitled {
    /// Yes; how, in words.
    Yes(String),
    /// No; why, in words.
    No(String),
    /// Not known; why, in words.
    Unknown(String),
}

impl Entitled {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Yes(why) | Self::No(why) | Self::Unknown(why) => why,
        }
    }
    pub(super) fn holds(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

/// A membership as the site and the ledger have it.
pub(super) struct OnSite<'a> {
    /// `None` when the members of the site group are not known.
    pub(super) member: Option<bool>,
    pub(super) owned: Option<Origin>,
    pub(super) step: Option<&'a Step>,
}

impl<'a> View<'a> {
    pub(super) fn new(input: &'a PlanInput<'a>, plan: &'a Plan) -> Self {
        let PlanInput { directory, site, rules, memory, lookups, .. } = *input;
        let targets = targets::resolve(directory, site, rules, memory).list;
        let mut asides: HashMap<&str, Vec<&SetAside>> = HashMap::new();
        for aside in &plan.set_aside {
            asides.entry(&aside.object).or_default().push(aside);
        }
        let audience = Audience::of(directory, rules);
        let (targets, defaults): (Vec<Target>, Vec<Target>) =
            targets.into_iter().partition(|target| matches!(target.filled, Filled::From(_)));
        Self {
            defaults,
            asides,
            input,
            plan,
            scoped: targets::in_scope(directory, rules),
            targets: of_sources(targets),
            matches: matching::match_people(&audience, site, rules, memory, lookups),
            audience,
        }
    }

    /// The site groups that a directory group fills: one, or as many as the document binds it to.
    pub(super) fn targets(&self, group: &DirectoryGroupId) -> &[Target] {
        self.targets.get(group).map_or(&[], Vec::as_slice)
    }

    /// The first of them.
    pub(super) fn target(&self, group: &DirectoryGroupId) -> Option<&Target> {
        self.targets(group).first()
    }

    /// Default groups of the document.
    pub(super) fn defaults(&self) -> &[Target] {
        &self.defaults
    }

    /// The site group that is asked about: the one that was named, else the first that the directory group fills.
    pub(super) fn target_of(&self, which: &Which) -> Option<&Target> {
        let named = |target: &&Target| target.group.site_id.is_some() && target.group.site_id == which.site;
        match &which.directory {
            Some(id) => self.targets(id).iter().find(named).or_else(|| self.target(id)),
            None => self.defaults.iter().find(named),
        }
    }

    /// Everybody who takes part, in the order of ids.
    pub(super) fn taking_part(&self) -> Vec<DirectoryUserId> {
        {
            let id = |(ix, _)| self.input.directory.user_id_at(ix).clone();
            self.matches.people.iter().map(id).collect()
        }
    }

    /// What a person who takes part is on the site; `None` for those who take no part.
    pub(super) fn matched(&self, user: &DirectoryUserId) -> Option<&Match> {
        self.matches.people.get(self.input.directory.user_ix(user)?)
    }

    pub(super) fn person(&self, who: &Who) -> Person<'a> {
        let PlanInput { directory, site, .. } = *self.input;
        let id = who.user.clone();
        let user = id.as_ref().and_then(|id| directory.user(id));
        let matched = id.as_ref().and_then(|id| self.matched(id)).and_then(Match::account);
        let account_id = matched.cloned().or_else(|| who.account.clone());
        let account = account_id.as_ref().and_then(|id| site.account(id));
        let name: Arc<str> = match (user, account) {
            (Some(user), _) => Arc::from(user.label().trim()),
            (None, Some(account)) => Arc::from(account.display_name.trim()),
            (None, None) => Arc::from(id.as_ref().map_or_else(
                || account_id.as_ref().map_or("", |account| account.as_str()),
                |id| id.as_str(),
            )),
        };
        let label = match (user, &id, &account_id) {
            (Some(user), ..) => matching::person_label(user),
            (None, Some(id), _) => format!("user “{name}” ({id})"),
            (None, None, Some(account)) => format!("account “{name}” ({account})"),
            (None, None, None) => format!("user “{name}”"),
        };
        let gone = id.as_ref().and_then(|id| directory.gone(id));
        Person { id, user, gone, account_id, account, name, label }
    }

    /// What was set aside about an object.
    pub(super) fn set_aside(&self, label: &str) -> impl Iterator<Item = &'a SetAside> {
        self.asides.get(label).into_iter().flatten().copied()
    }

    /// The steps about a person.
    pub(super) fn steps_of(&self, person: &Person<'_>) -> Vec<&'a Step> {
        let about = |step: &&Step| {
            step.action.person().is_some_and(|p| match (&p.directory_id, &person.id) {
                (Some(a), Some(b)) => a == b,
                _ => p.site_id.is_some() && p.site_id == person.account_id,
            })
        };
        self.plan.steps.iter().filter(about).collect()
    }

    pub(super) fn site_group_of(&self, which: &Which) -> Option<&'a SiteGroup> {
        let linked = || which.directory.as_ref().and_then(|id| self.input.memory.group(id));
        let id = match self.target_of(which) {
            Some(target) => target.group.site_id.clone(),
            None => linked().map(|link| link.group.clone()),
        };
        self.input.site.group(&id.or_else(|| which.site.clone())?)
    }

    /// Whether the directory has the person in a group, direct or nested.
    pub(super) fn entitled(
        &self,
        person: &Person<'_>,
        group: &DirectoryGroup,
        closure: &Closure,
        paths: &[Vec<Arc<str>>],
    ) -> Entitled {
        let name = group.display_name.trim();
        let through = paths.first().map(|shortest| {
            let more = match paths.len() - 1 {
                0 => String::new(),
                1 => " and one other way".into(),
                n => format!(" and {n} other ways"),
            };
            format!("member through {}{more}", path(shortest))
        });
        let complete = match closure {
            Closure::Complete(closure) => closure,
            Closure::Unknown(why) => {
                let first = why.first().map_or("it was not read", |unread| &unread.reason);
                let seen = through.map_or_else(String::new, |through| format!("; seen: {through}"));
                return Entitled::Unknown(format!(
                    "the members of “{name}” are not completely known, so it is left alone: {first}{seen}"
                ));
            }
        };
        let Some(id) = &person.id else {
            return Entitled::No(format!("no directory user in “{name}” is linked to this account"));
        };
        if !self.reaches(complete, id) {
            return Entitled::No(format!("not in “{name}”, directly or through nesting"));
        }
        let through = through.unwrap_or_else(|| format!("member of “{name}”"));
        match self.cause_against(person) {
            None => Entitled::Yes(through),
            Some(Against::Perhaps(cause)) => Entitled::Unknown(format!("{through}, but {cause}")),
            Some(Against::Surely(cause)) => Entitled::No(format!("{through}, but {cause}")),
        }
    }

    /// What speaks against a person wherever their memberships would lead: the record, or a rule of the scope.
    pub(super) fn cause_against(&self, person: &Person<'_>) -> Option<Against> {
        match (person.user.map(|user| user.account), person.gone) {
            (Some(AccountState::Enabled), _) => {}
            (Some(AccountState::Unknown), _) => {
                return Some(Against::Perhaps(
                    "Entra ID does not say whether the account is enabled, so it is neither added nor taken out"
                        .into(),
                ));
            }
            (state, gone) => return Some(Against::Surely(by_record(state, gone, person).into())),
        }
        let ix = person.id.as_ref().and_then(|id| self.input.directory.user_ix(id))?;
        match self.audience.standing(ix) {
            Standing::Out(proof) => Some(Against::Surely(match &self.input.rules.scope.filter {
                Some(filter) if proof.rule() == ScopeRule::Filter => {
                    format!("the filter of the scope does not hold for them: {}", filter.as_str())
                }
                _ => proof.rule().words().into(),
            })),
            Standing::Unsure(why) => Some(Against::Perhaps(format!(
                "it is not known whether they take part, so they are left alone: {}",
                why.reason
            ))),
            Standing::In | Standing::Unreached => None,
        }
    }

    fn reaches(&self, closure: &CompleteClosure, user: &DirectoryUserId) -> bool {
        self.input.directory.user_ix(user).is_some_and(|ix| closure.contains(ix))
    }

    /// The membership on the site, and the step about it.
    pub(super) fn on_site(
        &self,
        (group, target): (Option<&DirectoryGroupId>, Option<&Target>),
        site_group: Option<&SiteGroupId>,
        person: &Person<'_>,
        steps: &[&'a Step],
    ) -> OnSite<'a> {
        let (member, owned) = self.on_membership(person, site_group);
        let step = steps.iter().copied().find(|step| {
            matches!(step.action, Action::AddMember { .. } | Action::RemoveMember { .. })
                && step.action.group().is_some_and(|g| match target {
                    Some(target) => g.anchor == target.group.anchor,
                    None => {
                        group.is_some_and(|id| g.sources().contains(id))
                            || (g.site_id.is_some() && g.site_id.as_ref() == site_group)
                    }
                })
        });
        OnSite { member, owned, step }
    }

    /// Whether the account is a member on the site, and how the ledger came by it, without a look at the plan.
    pub(super) fn on_membership(
        &self,
        person: &Person<'_>,
        site_group: Option<&SiteGroupId>,
    ) -> (Option<bool>, Option<Origin>) {
        let account = person.account_id.as_ref();
        let members = site_group.and_then(|id| self.input.site.members(id));
        let member = match (members, account) {
            (Some(members), Some(account)) => members.contains(account),
            // Who has no account is in no group; a group that does not exist holds nobody.
            (_, None) => Some(false),
            (None, Some(_)) if site_group.is_none() => Some(false),
            (None, Some(_)) => None,
        };
        let owned = site_group.zip(account).and_then(|(g, a)| self.input.memory.membership(g, a));
        (member, owned)
    }

    /// One directory group and one site group that it fills, as seen from one person.
    pub(super) fn place(
        &self,
        person: &Person<'_>,
        steps: &[&'a Step],
        (group, target): (&DirectoryGroup, Option<&Target>),
        ways: Option<&Ways<'_>>,
    ) -> (Place, Entitled) {
        let closure = self.input.rules.closure(self.input.directory, group);
        let nesting = self.input.rules.nesting_of(&group.id, &group.display_name);
        let paths = ways.map(|ways| ways.from(&group.id, nesting)).unwrap_or_default();
        let mut entitled = self.entitled(person, group, &closure, &paths);
        // Where only direct members count, somebody nested is told so.
        if let (Entitled::No(why), Nesting::Direct, []) = (&mut entitled, nesting, paths.as_slice())
            && let Some(way) = ways.and_then(|ways| ways.from(&group.id, Nesting::Flatten).into_iter().next())
        {
            *why = format!("only through {}, and the group takes direct members only (nesting)", path(&way));
        }
        let site_id = match target {
            Some(target) => target.group.site_id.clone(),
            None => self.input.memory.group(&group.id).map(|link| link.group.clone()),
        };
        let on_site = self.on_site((Some(&group.id), target), site_id.as_ref(), person, steps);
        let mut site = self.standing(&on_site, &entitled, target, person);
        if let Some(target) = target.filter(|_| self.targets(&group.id).len() > 1) {
            site = format!("“{}” on the site: {site}", target.group.name.trim());
        }
        let place = Place {
            name: Arc::from(group.display_name.trim()),
            site_name: site_id.as_ref().and_then(|id| self.input.site.group(id)).map(|g| g.name.clone()),
            directory_id: Some(group.id.clone()),
            site_id,
            member: entitled.holds(),
            paths,
            on_site: on_site.member,
            why: entitled.why().to_owned(),
            site,
        };
        (place, entitled)
    }

    /// A default group, as seen from one person; `apart` says why somebody takes no part.
    pub(super) fn default_place(
        &self,
        person: &Person<'_>,
        steps: &[&'a Step],
        target: &Target,
        apart: impl FnOnce() -> String,
    ) -> (Place, Entitled) {
        let matched = person.id.as_ref().and_then(|id| self.matched(id));
        let entitled = match (matched, &target.filled) {
            (None, _) => Entitled::No(apart()),
            (Some(Match::Parked), _) => {
                Entitled::Unknown("somebody has to decide about the person first".into())
            }
            (Some(Match::Invite(_)), Filled::Newcomers) => {
                Entitled::Yes("whoever is invited is put into it once ([groups] default_new)".into())
            }
            (Some(Match::Account(_)), Filled::Newcomers) => {
                let id = person.id.as_ref();
                let link = id.and_then(|id| self.input.memory.user(id));
                let invited = link.is_some_and(|link| link.origin == Origin::Created);
                let owed = id.and_then(|id| {
                    let step = StepId::of_member(&target.group.anchor, id);
                    self.input.memory.mark(&step, MarkKind::Owed)
                });
                match owed {
                    Some(Mark::Owed { refused: 0 }) => Entitled::Yes(
                        "whoever is invited is put into it once ([groups] default_new), which was not done yet".into(),
                    ),
                    Some(_) => Entitled::Yes(
                        "whoever is invited is put into it once ([groups] default_new); the site refused it, and it is \
                         tried once more"
                            .into(),
                    ),
                    None if invited => Entitled::No(
                        "whoever is invited is put into it once ([groups] default_new), and that was when Entrain invited \
                         them"
                            .into(),
                    ),
                    None => Entitled::No(
                        "only whoever is invited is put into it, once ([groups] default_new), and the account is there \
                         already"
                            .into(),
                    ),
                }
            }
            (Some(_), _) => {
                Entitled::Yes("everybody who takes part is put into it ([groups] default)".into())
            }
        };
        let site_id = target.group.site_id.clone();
        let on_site = self.on_site((None, Some(target)), site_id.as_ref(), person, steps);
        let given = matches!(target.filled, Filled::Newcomers) && on_site.step.is_none();
        let site = if given && on_site.member == Some(true) {
            "in the group on the site; it is the person's own, and Entrain leaves it alone".into()
        } else if given && site_id.is_some() && on_site.member.is_none() {
            "who is in the group on the site is not read: it is the person's own, and Entrain leaves it alone"
                .into()
        } else {
            self.standing(&on_site, &entitled, Some(target), person)
        };
        let place = Place {
            name: Arc::from(target.group.name.trim()),
            site_name: site_id.as_ref().and_then(|id| self.input.site.group(id)).map(|g| g.name.clone()),
            directory_id: None,
            site_id,
            member: entitled.holds(),
            paths: Vec::new(),
            on_site: on_site.member,
            why: entitled.why().to_owned(),
            site,
        };
        (place, entitled)
    }

    /// How a membership stands on the site, and what the next sync does about it.
    fn standing(
        &self,
        on_site: &OnSite<'_>,
        entitled: &Entitled,
        target: Option<&Target>,
        person: &Person<'_>,
    ) -> String {
        if let Some(step) = on_site.step {
            let now = match (&step.action, on_site.owned) {
                (Action::AddMember { .. }, Some(_)) => "was taken out on the site by somebody else",
                (Action::AddMember { .. }, None) => "not in the group on the site",
                (_, Some(Origin::Created)) => "in the group on the site, granted by Entrain",
                (_, Some(_)) => "in the group on the site since before Entrain came",
                (_, None) => "in the group on the site, put there by somebody else",
            };
            return format!("{now}; {}", does(step));
        }
        let Some(target) = target else {
            return "no site group is managed for it".into();
        };
        match (on_site.member, on_site.owned) {
            (Some(true), Some(Origin::Created)) => "in the group on the site, granted by Entrain".into(),
            (Some(true), Some(_)) => "in the group on the site, and was before Entrain came".into(),
            (Some(true), None) if entitled.holds() => {
                "in the group on the site; Entrain notes it at the next sync".into()
            }
            (Some(true), None) => {
                "in the group on the site, put there by somebody else: Entrain leaves it alone".into()
            }
            (Some(false), Some(_)) if !entitled.holds() => "no longer in the group on the site".into(),
            (Some(false), _) if target.group.site_id.is_none() && !entitled.holds() => {
                "the site has no such group yet".into()
            }
            (Some(false), _) => match entitled.holds().then(|| self.blocked(person, target)).flatten() {
                Some(why) => format!("not in the group on the site: {why}"),
                None => "not in the group on the site".into(),
            },
            (None, _) if self.input.rules.memberships == Memberships::Leave => {
                "sync_memberships is off: memberships are left alone".into()
            }
            (None, _) => "the members of the site group are not known".into(),
        }
    }

    /// Why somebody entitled is not being added.
    fn blocked(&self, person: &Person<'_>, target: &Target) -> Option<String> {
        if self.input.rules.memberships == Memberships::Leave {
            return Some("sync_memberships is off".into());
        }
        let group = format!("group “{}” on the site", target.group.name);
        let mut asides = self.set_aside(&person.label).chain(self.set_aside(&group));
        asides.next().map(|aside| aside.reason.clone())
    }
}

/// Something that speaks against a person.
pub(super) enum Against {
    /// They are not entitled; why, in words.
    Surely(String),
    /// It is not known whether they are; why, in words.
    Perhaps(String),
}

impl Against {
    pub(super) fn into_why(self) -> String {
        match self {
            Self::Surely(why) | Self::Perhaps(why) => why,
        }
    }
}

/// What the record says of somebody who is no enabled user.
fn by_record(state: Option<AccountState>, gone: Option<Gone>, person: &Person<'_>) -> &'static str {
    match (state, gone) {
        (Some(_), _) => "the account is disabled in Entra ID",
        (None, Some(Gone::SoftDeleted)) => "the user is in the recycle bin of Entra ID",
        (None, Some(Gone::Deleted)) => "the user was deleted in Entra ID",
        (None, None) if person.id.is_some() => "the directory does not list the user",
        (None, None) => "nobody in the directory is linked to this account",
    }
}

/// The site groups that each directory group fills.
fn of_sources(targets: Vec<Target>) -> HashMap<DirectoryGroupId, Vec<Target>> {
    let mut of: HashMap<DirectoryGroupId, Vec<Target>> = HashMap::new();
    for target in targets {
        for source in target.filled.sources() {
            of.entry(source.id.clone()).or_default().push(target.clone());
        }
    }
    of
}

/// What the next sync does with a step.
pub(super) fn does(step: &Step) -> String {
    let act = match &step.action {
        Action::CreateUser { .. } => "is invited",
        Action::UpdateUser { .. } => "gets attributes of the directory written",
        Action::CreateGroup { .. } => "is created",
        Action::RenameGroup { .. } => "is renamed",
        Action::AdoptGroup { .. } => "is adopted",
        Action::AddMember { .. } => "is added",
        Action::RemoveMember { .. } => "is taken out",
        Action::TakeRung { measure: crate::policy::Measure::Suspend, .. } => "is suspended",
        Action::TakeRung { measure: crate::policy::Measure::Deactivate, .. } => "is deactivated",
        Action::TakeRung { measure: crate::policy::Measure::Remove, .. } => "is taken off the site",
        Action::ComeBack { .. } => "gets the access back",
    };
    match step.hold {
        None => format!("{act} at the next sync"),
        Some(guard) => format!("{act} once a person approves ({})", held_by(guard)),
    }
}

pub(super) fn held_by(guard: Guard) -> String {
    format!("held by {}", guard.as_str().replace('_', " "))
}

/// “A” › “B”
pub(super) fn path(names: &[Arc<str>]) -> String {
    names.iter().map(|name| format!("“{}”", name.trim())).collect::<Vec<_>>().join(" › ")
}

/// “A”, “B” and “C”; with more than five, the rest is counted.
pub(super) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(5).map(|name| format!("“{}”", name.trim())).collect();
    match (quoted.as_slice(), names.len().saturating_sub(5)) {
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        (_, more) if more > 0 => format!("{} and {more} more", quoted.join(", ")),
        ([first @ .., last], _) => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 person`, `2 people`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
