//! The leaver ladder: who is on it, which rungs are due, and the way back.
//!
//! Whoever is linked and has left, by proof, is on the ladder. The first rung, out of the managed groups, is the business
//! of removals; this module takes the rungs above it. Each waits for its time, for ownership, and for nobody's hand in
//! between: what Entrain did not do, it does not undo.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::guard::Guard;
use super::matching::{Match, Matches};
use super::planner::{Draft, PlanInput};
use super::reason::{Left, Reason};
use super::step::{Action, Departed, MendedBy, Person, Reversible, SetAside};
use crate::memory::{FormerGroup, Hand, MemoryChange, OnLadder, WayBack};
use crate::model::{
    AccountId, AccountKind, Closure, CompleteClosure, DirectoryUserId, EmailAddress, LeaverProof, Leaving,
    ProfileStanding, SiteMembers,
};
use crate::policy::{Audience, Measure, UserScope};

/// Somebody who has left, with the place on the ladder that follows from it.
struct Leaver {
    place: OnLadder,
    proof: LeaverProof,
    /// Whether memory has to learn of the place.
    news: bool,
}

/// A rung that is due, for what has to be asked before it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRung {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub measure: Measure,
}

/// The rungs that are due by these snapshots: of these people it is asked what they lead, and, where an account is to
/// be deactivated, whether it is managed. Whoever is protected is not among them.
pub fn rungs_due(input: &PlanInput<'_>) -> Vec<DueRung> {
    let privileged = administrators(input);
    leavers(input)
        .into_iter()
        .filter(|leaver| protection(input, &privileged, &leaver.place).is_none())
        .flat_map(|leaver| {
            let due = leaver.place.due(&input.rules.leavers, input.now);
            due.into_iter().map(move |measure| DueRung { account: leaver.place.account.clone(), measure })
        })
        .collect()
}

/// Everybody who is linked to an account on the site and has left, in the order of ids.
fn leavers(input: &PlanInput<'_>) -> Vec<Leaver> {
    let PlanInput { directory, site, memory, now, .. } = *input;
    let scope = Scope::of(input);
    let mut found = Vec::new();
    for link in memory.users() {
        let proof = LeaverProof::of(directory, &link.user).or_else(|| scope.proof(input, &link.user));
        let Some(proof) = proof else { continue };
        let known = memory.on_ladder(&link.user).filter(|place| place.account == link.account);
        // Of whom the site shows nothing, nothing can be taken; what Entrain itself removed is remembered for a return.
        if site.account(&link.account).is_none() && !known.is_some_and(|place| place.took(Measure::Remove)) {
            continue;
        }
        let leaving = proof.leaving();
        let (mut place, mut news) = match known {
            Some(place) if place.leaving == leaving => (place.clone(), false),
            // Disabled first and deleted later is one leaving. Any other change begins anew: its delays were not meant
            // for the time before.
            Some(place) => {
                let same = (place.leaving, leaving) == (Leaving::Disabled, Leaving::Deleted);
                let since = if same { place.since } else { now };
                (OnLadder { leaving, since, ..place.clone() }, true)
            }
            None => {
                let name = directory.user(&link.user).map(crate::model::DirectoryUser::shared_label);
                let name = name
                    .or_else(|| site.account(&link.account).map(|account| account.display_name.clone()))
                    .unwrap_or_else(|| Arc::from(link.account.as_str()));
                let place = OnLadder {
                    user: link.user.clone(),
                    account: link.account.clone(),
                    name,
                    origin: link.origin,
                    leaving,
                    since: now,
                    groups: Vec::new(),
                    passed: BTreeMap::new(),
                };
                (place, true)
            }
        };
        if place.origin != link.origin {
            place.origin = link.origin;
            news = true;
        }
        found.push(Leaver { place, proof, news });
    }
    found.sort_by(|a, b| a.place.user.cmp(&b.place.user));
    let fresh: HashMap<AccountId, usize> = found
        .iter()
        .enumerate()
        .filter(|(_, leaver)| leaver.news && leaver.place.groups.is_empty())
        .map(|(at, leaver)| (leaver.place.account.clone(), at))
        .collect();
    if !fresh.is_empty() {
        for (group, account, _) in memory.all_memberships() {
            let Some(at) = fresh.get(account) else { continue };
            let name =
                site.group(group).map_or_else(|| Arc::from(group.as_str()), |group| group.name.clone());
            found[*at].place.groups.push(FormerGroup { id: group.clone(), name });
        }
        for at in fresh.into_values() {
            found[at].place.groups.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        }
    }
    found
}

/// What proves that people have left, beyond their own records.
enum Scope<'a> {
    /// No rung is on for people out of scope: they lose their groups and are not asked for further.
    NotAsked,
    /// By the rules about people; and, where groups make the scope, by these groups, if all were read.
    Known { audience: Audience<'a>, scoped: Option<Vec<CompleteClosure>> },
}

impl<'a> Scope<'a> {
    fn of(input: &PlanInput<'a>) -> Self {
        let PlanInput { directory, rules, .. } = *input;
        if rules.leavers.out_of_scope.is_empty() {
            return Self::NotAsked;
        }
        let scoped = (rules.scope.users == UserScope::InGroups).then(|| {
            directory
                .groups()
                .filter(|group| rules.scope.selects(&group.id, &group.display_name))
                .map(|group| match rules.closure(directory, group) {
                    Closure::Complete(closure) => Some(closure),
                    Closure::Unknown(_) => None,
                })
                .collect::<Option<Vec<_>>>()
        });
        Self::Known { audience: Audience::of(directory, rules), scoped: scoped.flatten() }
    }

    fn proof(&self, input: &PlanInput<'_>, user: &DirectoryUserId) -> Option<LeaverProof> {
        let Self::Known { audience, scoped } = self else { return None };
        if let Some(out) = audience.out(user) {
            return Some(LeaverProof::left_out(&out));
        }
        LeaverProof::in_none_of(input.directory, user, scoped.as_deref()?)
    }
}

/// Accounts that are known to be in a group of administrators. The client asks again before it writes.
fn administrators<'a>(input: &PlanInput<'a>) -> HashSet<&'a AccountId> {
    let standing = input.site.standing();
    input
        .site
        .groups_read()
        .filter(|(group, _)| standing.administrative_groups.contains(*group))
        .filter_map(|(_, members)| match members {
            SiteMembers::Complete(list) => Some(list),
            SiteMembers::Unread(_) => None,
        })
        .flatten()
        .collect()
}

/// Why nothing is done to this account, whatever is due.
fn protection(
    input: &PlanInput<'_>,
    administrators: &HashSet<&AccountId>,
    place: &OnLadder,
) -> Option<&'static str> {
    let PlanInput { directory, site, rules, .. } = *input;
    let shown = site.account(&place.account);
    let listed = |address: &EmailAddress| rules.protected.addresses.contains(&address.key());
    let address = directory.user(&place.user).and_then(crate::model::DirectoryUser::address);
    if place.account == site.standing().own_account {
        Some("it is the technical account")
    } else if rules.protected.accounts.contains(&place.account)
        || address.as_ref().is_some_and(listed)
        || shown.and_then(|account| account.email.as_ref()).is_some_and(listed)
    {
        Some("it is on the protected list")
    } else if shown.is_some_and(|account| account.kind != AccountKind::Person) {
        Some("it is not a person's")
    } else if administrators.contains(&place.account) {
        Some("it administers the site")
    } else {
        None
    }
}

fn person_of(input: &PlanInput<'_>, place: &OnLadder) -> Arc<Person> {
    let PlanInput { directory, site, memory, .. } = *input;
    let mail = directory
        .user(&place.user)
        .and_then(crate::model::DirectoryUser::address)
        .or_else(|| site.account(&place.account).and_then(|account| account.email.clone()))
        .or_else(|| {
            let link = memory.user(&place.user)?;
            EmailAddress::parse(link.address.as_deref()?).ok()
        });
    Arc::new(Person {
        name: place.name.clone(),
        directory_id: Some(place.user.clone()),
        site_id: Some(place.account.clone()),
        mail,
    })
}

impl Draft<'_> {
    /// Rungs that are due, behind the removals of the same person.
    pub(super) fn climb(&mut self) {
        let input = self.input;
        let leavers = leavers(input);
        self.off_the_ladder(&leavers);
        if leavers.is_empty() {
            return;
        }
        let administrators = administrators(input);
        let mut removals: HashMap<AccountId, Vec<u32>> = HashMap::new();
        for (at, step) in self.steps.list().iter().enumerate() {
            if let Action::RemoveMember { removal, .. } = &step.action {
                removals.entry(removal.account.clone()).or_default().push(at as u32);
            }
        }
        for Leaver { place, proof, news } in leavers {
            if news {
                self.records.push(MemoryChange::EnterLadder(Box::new(place.clone())));
            }
            let due = place.due(&input.rules.leavers, input.now);
            if due.is_empty() {
                continue;
            }
            let person = person_of(input, &place);
            if let Some(why) = protection(input, &administrators, &place) {
                self.set_aside.push(SetAside {
                    object: label(&person),
                    reason: format!(
                        "has left ({}), and the account is left alone: {why}",
                        place.leaving.in_words()
                    ),
                    remedy: "take the access away by hand at admin.atlassian.com if that is meant".into(),
                    mended_by: MendedBy::Site,
                });
                continue;
            }
            let mut before: Vec<u32> = removals.get(&place.account).cloned().unwrap_or_default();
            for measure in due {
                if measure == Measure::Deactivate && !self.may_deactivate(&place, &person) {
                    continue;
                }
                let hold: Option<Guard> = before.iter().find_map(|at| self.steps.list()[*at as usize].hold);
                let reason = Reason::Left(Box::new(Left {
                    leaving: place.leaving,
                    since: place.since,
                    measure,
                    delay: input.rules.leavers.delays(place.leaving).of(measure).unwrap_or_default(),
                    origin: place.origin,
                    leads: input.site.leads(&place.account).to_vec(),
                }));
                let departed = Departed { account: place.account.clone(), proof: proof.clone() };
                let action =
                    Action::TakeRung { measure, person: person.clone(), departed: Box::new(departed) };
                let at = self.steps.push(action, reason, before.iter().copied(), hold);
                before.push(at);
            }
            for lead in input.site.leads(&place.account) {
                self.notes.push(SetAside {
                    object: label(&person),
                    reason: format!("has left and still leads {lead}"),
                    remedy: "give it another lead in Jira".into(),
                    mended_by: MendedBy::Itself,
                });
            }
        }
    }

    /// Whether an account that is due can be deactivated. One that is not managed has this rung behind it, for good;
    /// where that is not known, the rung waits.
    fn may_deactivate(&mut self, place: &OnLadder, person: &Arc<Person>) -> bool {
        let why = match self.input.site.profile(&place.account) {
            Some(ProfileStanding::Managed(_)) => return true,
            Some(ProfileStanding::Unmanaged) => {
                self.records.push(MemoryChange::PassRung {
                    user: place.user.clone(),
                    measure: Measure::Deactivate,
                    hand: Hand::Other,
                    at: self.input.now,
                });
                self.notes.push(SetAside {
                    object: label(person),
                    reason: "the account is not managed by the organization, so it is not deactivated".into(),
                    remedy: "nothing; the next rung goes on. Verified domains make accounts managed \
                             (admin.atlassian.com, Settings, Domains)"
                        .into(),
                    mended_by: MendedBy::Itself,
                });
                return false;
            }
            Some(ProfileStanding::Synced) => (
                "an identity provider owns the account".to_owned(),
                "deactivate it there, or take deactivate_after out of [leavers]".to_owned(),
            ),
            Some(ProfileStanding::Unread(why)) => (why.reason.to_string(), why.remedy.to_string()),
            None => (
                "it was not asked whether the account is managed".to_owned(),
                "run the sync again".to_owned(),
            ),
        };
        self.set_aside.push(SetAside {
            object: label(person),
            reason: format!("is due to be deactivated, and is not: {}", why.0),
            remedy: why.1,
            mended_by: MendedBy::Itself,
        });
        false
    }

    /// Places that mean nothing any more: the account is gone from the site by another hand, or linked to another.
    fn off_the_ladder(&mut self, leavers: &[Leaver]) {
        let PlanInput { site, memory, .. } = *self.input;
        let still: HashSet<&DirectoryUserId> = leavers.iter().map(|leaver| &leaver.place.user).collect();
        for place in memory.ladder() {
            if still.contains(&place.user) {
                continue;
            }
            let linked = memory.user(&place.user).is_some_and(|link| link.account == place.account);
            let shown = site.account(&place.account).is_some();
            if !linked || (!shown && !place.took(Measure::Remove)) {
                self.records.push(MemoryChange::LeaveLadder { user: place.user.clone() });
            }
        }
    }

    /// The way back of everybody who is in scope again: before anything is given to them.
    pub(super) fn come_back(&mut self, matches: &Matches) {
        let input = self.input;
        for (ix, matched) in matches.people.iter() {
            let user = input.directory.user_id_at(ix);
            let Some(place) = input.memory.on_ladder(user) else { continue };
            if *matched == Match::Parked {
                continue;
            }
            let ways = place.ways_back();
            let removed = matches!(matched, Match::Invite(_));
            // Invited again by somebody else after the removal: nothing is left to take back.
            let steps = ways.iter().filter(|way| **way != WayBack::Invite).count();
            if steps == 0 && !removed {
                self.records.push(MemoryChange::LeaveLadder { user: user.clone() });
                continue;
            }
            let mut before: Option<u32> = None;
            for way in ways {
                let from = match way {
                    WayBack::Reactivate => Reversible::Deactivate,
                    WayBack::Restore => Reversible::Suspend,
                    WayBack::Invite => continue,
                };
                let reason = Reason::Returned {
                    leaving: place.leaving,
                    taken_at: place.passed.get(&from.measure()).map_or(place.since, |passed| passed.at),
                    measure: from.measure(),
                };
                let person = person_of(input, place);
                let action = Action::ComeBack { from, person, account: place.account.clone() };
                before = Some(self.steps.push(action, reason, before, None));
            }
            if let Some(at) = before {
                self.steps.user_step.put(ix, at);
            }
        }
    }
}

fn label(person: &Person) -> String {
    match &person.mail {
        Some(mail) => format!("{} <{mail}>", person.name),
        None => person.name.to_string(),
    }
}

/// One line of the report of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LadderRow {
    /// The person.
    pub name: Arc<str>,
    /// Directory user.
    pub directory_id: DirectoryUserId,
    /// Account.
    pub site_id: AccountId,
    /// How they have left.
    pub trigger: Leaving,
    /// Since when.
    pub since: Timestamp,
    /// The highest rung that is behind them: `groups`, or a measure.
    pub reached: &'static str,
    /// The next rung, if there is one.
    pub next: Option<Measure>,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// Why there is no next rung, where that is not the end of the ladder.
    pub note: &'static str,
    /// Managed groups that they were in.
    pub groups: Vec<Arc<str>>,
}

/// These places on the ladder, whoever is due first in front, then those who have been on it longest.
pub fn ladder_rows<'a>(
    places: impl IntoIterator<Item = &'a OnLadder>,
    rules: &crate::policy::Rules,
) -> Vec<LadderRow> {
    let mut rows: Vec<LadderRow> = places
        .into_iter()
        .map(|place| {
            let next = place.ahead(&rules.leavers).into_iter().next();
            let note = if next.is_some() || place.reached() == Some(Measure::Remove) {
                ""
            } else if !rules.leavers.takes(place.origin) {
                "was there before Entrain; [leavers] accounts = \"linked\" would take it"
            } else {
                "no further rung is switched on"
            };
            LadderRow {
                name: place.name.clone(),
                directory_id: place.user.clone(),
                site_id: place.account.clone(),
                trigger: place.leaving,
                since: place.since,
                reached: place.reached().map_or("groups", Measure::as_str),
                next: next.map(|(measure, _)| measure),
                due: next.map(|(_, at)| at),
                note,
                groups: place.groups.iter().map(|group| group.name.clone()).collect(),
            }
        })
        .collect();
    rows.sort_by_key(|row| (row.due.unwrap_or(Timestamp::MAX), row.since, row.directory_id.clone()));
    rows
}
