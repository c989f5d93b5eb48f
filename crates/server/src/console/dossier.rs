//! What is known of one person, as parts of their page: both sides, whose each membership is, ladder and history.

use std::collections::HashMap;

use entrain_domain::memory::Origin;
use entrain_domain::model::{AccountActivity, AccountState, AttributeValue, RunId, UserKind};
use entrain_domain::plan::explain::Place;
use entrain_domain::policy::Measure;
use entrain_domain::reports::PastMembership;
use entrain_domain::run::{Decided, Intent, JournalEntry, Outcome};
use jiff::Timestamp;

use super::parts::{When, sentence};
use super::shell::encoded;
use crate::dossiers::Dossier;

/// Attributes beyond the usual ones on a page.
const ATTRIBUTES: usize = 40;

/// One line of both sides.
pub(crate) struct Side {
    pub(crate) what: String,
    pub(crate) directory: String,
    pub(crate) site: String,
    /// Whether the site's word is a remark, no value.
    pub(crate) remark: bool,
    /// Ids are set in the other type.
    pub(crate) id: bool,
}

fn side(what: &str, directory: impl Into<String>, site: impl Into<String>) -> Side {
    Side { what: what.into(), directory: directory.into(), site: site.into(), remark: false, id: false }
}

fn value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Flag(true) => "yes".into(),
        AttributeValue::Flag(false) => "no".into(),
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::List(list) => list.join(", "),
    }
}

/// Both sides, side by side.
pub(crate) fn sides(dossier: &Dossier) -> Vec<Side> {
    let (person, account) = (dossier.person.as_ref(), dossier.account.as_ref());
    let state = match person.map(|person| person.account) {
        None => "not in the directory any more",
        Some(AccountState::Enabled) => "enabled",
        Some(AccountState::Disabled) => "disabled",
        Some(AccountState::Unknown) => "not told",
    };
    let there = match (account.map(|account| account.activity), &dossier.link) {
        (Some(AccountActivity::Active), _) => "active",
        (Some(AccountActivity::Inactive), _) => "not active",
        (None, Some(_)) => "not seen at the last reading",
        (None, None) => "no account is known",
    };
    let name = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let of_person = |get: fn(&entrain_domain::model::DirectoryUser) -> Option<String>| {
        person.and_then(get).unwrap_or_else(|| "none".into())
    };
    let mut rows = vec![
        side("State", state, there),
        side(
            "Name",
            of_person(|person| person.display_name.as_ref().map(ToString::to_string)),
            name(account.map(|account| &*account.display_name)),
        ),
        side(
            "E-mail",
            of_person(|person| person.address().map(|address| address.to_string())),
            match account {
                Some(account) => {
                    account.email.as_ref().map_or_else(|| "hidden by the profile".into(), ToString::to_string)
                }
                None => "none".into(),
            },
        ),
    ];
    if let Some(person) = person {
        let kind = if person.kind == UserKind::Guest { "guest" } else { "member" };
        rows.push(side("Kind", kind, if account.is_some() { "person" } else { "none" }));
        let upn = of_person(|person| person.user_principal_name.as_ref().map(ToString::to_string));
        rows.push(Side { remark: true, ..side("Sign-in name", upn, "has none") });
        for (name, found) in person.attributes.iter().take(ATTRIBUTES) {
            rows.push(Side { remark: true, ..side(name, value(found), "for the rules alone") });
        }
    }
    for field in &dossier.mapped {
        let (given, remark) = match &field.value {
            Some(value) => (value.clone(), false),
            None => ("left out".into(), true),
        };
        rows.push(Side { remark, ..side(&field.field, "mapped by the rules", given) });
    }
    let account_id = dossier.link.as_ref().map_or("none", |link| link.account.as_str());
    rows.push(Side { id: true, ..side("Id", dossier.user.as_str(), account_id) });
    rows
}

/// How the two were brought together.
pub(crate) fn matched(dossier: &Dossier) -> String {
    let Some(link) = &dossier.link else { return "not linked to an account".into() };
    let by = link.address.as_deref().map(|address| format!(" by {address}")).unwrap_or_default();
    match link.origin {
        Origin::Created => "linked; Entrain invited the account".into(),
        Origin::Adopted => format!("linked; an account that was there, taken on{by}"),
        Origin::Found => format!("linked; an account that was there, matched{by}"),
    }
}

/// Whose a membership is.
pub(crate) struct Owner {
    pub(crate) text: String,
    pub(crate) since: Option<When>,
    pub(crate) run: Option<String>,
}

/// Whose the membership in this group is; nothing where there is none on the site.
pub(crate) fn owner(dossier: &Dossier, place: &Place, now: Timestamp) -> Option<Owner> {
    let group = place.site_id.as_ref()?;
    let owned = dossier.owned.iter().find(|(known, _)| known == group);
    let past = dossier.memberships.iter().find(|past| past.group == *group);
    match (owned, past) {
        (Some((_, origin)), past) => {
            let past = past.filter(|past| past.until.is_none());
            Some(Owner {
                text: match origin {
                    Origin::Created => "Entrain",
                    Origin::Adopted => "Entrain, which took it on",
                    Origin::Found => "was there, and agrees with the directory",
                }
                .into(),
                since: past.map(|past| When::new(past.since, now)),
                run: past.and_then(|past| past.run.as_ref()).map(ToString::to_string),
            })
        }
        (None, _) if place.on_site == Some(true) => {
            Some(Owner { text: "by hand; not Entrain’s to take away".into(), since: None, run: None })
        }
        (None, Some(past)) => past.until.map(|until| Owner {
            text: match past.ended.as_deref() {
                Some("removed") => "Entrain, which took it away",
                _ => "Entrain, until it was gone",
            }
            .into(),
            since: Some(When::new(until, now)),
            run: past.ended_by.as_ref().map(ToString::to_string),
        }),
        (None, None) => None,
    }
}

/// A membership that is over.
pub(crate) struct Former {
    pub(crate) group: String,
    pub(crate) since: When,
    pub(crate) until: When,
    pub(crate) run: Option<String>,
}

/// Most former memberships on a page.
const FORMER: usize = 40;

/// Memberships that are over, the newest first.
pub(crate) fn former(past: &[PastMembership], names: &Names, now: Timestamp) -> Vec<Former> {
    let over = past.iter().filter_map(|past| {
        Some(Former {
            group: names.of(past.group.as_str()),
            since: When::new(past.since, now),
            until: When::new(past.until?, now),
            run: past.ended_by.as_ref().map(ToString::to_string),
        })
    });
    over.take(FORMER).collect()
}

/// A place on the ladder.
pub(crate) struct Rungs {
    pub(crate) left: String,
    pub(crate) since: When,
    pub(crate) reached: &'static str,
    pub(crate) next: Option<(&'static str, When)>,
    pub(crate) note: String,
    pub(crate) groups: Vec<String>,
}

/// What a rung does, in words.
pub(crate) fn rung(measure: Measure) -> &'static str {
    match measure {
        Measure::Suspend => "Suspend",
        Measure::Deactivate => "Deactivate",
        Measure::Remove => "Remove from the site",
    }
}

/// The place on the ladder, if there is one.
pub(crate) fn rungs(dossier: &Dossier, now: Timestamp) -> Option<Rungs> {
    let row = dossier.ladder.as_ref()?;
    Some(Rungs {
        left: sentence(&row.trigger.as_str().replace('_', " ")),
        since: When::new(row.since, now),
        reached: match row.reached {
            "suspend" => "Suspended",
            "deactivate" => "Deactivated",
            "remove" => "Removed from the site",
            _ => "Groups off",
        },
        next: row.next.zip(row.due).map(|(next, due)| (rung(next), When::new(due, now))),
        note: if row.note.is_empty() { String::new() } else { sentence(row.note) },
        groups: row.groups.iter().take(FORMER).map(ToString::to_string).collect(),
    })
}

/// Names by id, for what journals hold as ids.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    pub(crate) fn of(&self, id: &str) -> String {
        self.get(id).unwrap_or(id).to_owned()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Something that was done.
pub(crate) struct Event {
    pub(crate) what: String,
    pub(crate) at: When,
    pub(crate) run: String,
    /// Where its reason is told.
    pub(crate) why: String,
    /// What became of it, where it was not simply done.
    pub(crate) note: String,
    /// Who approved it, where guards had held it.
    pub(crate) approved: String,
}

fn done(intent: &Intent, groups: &Names, accounts: &Names) -> String {
    match intent {
        Intent::CreateUser { address, .. } => format!("Invited as {address}"),
        Intent::UpdateUser { .. } => "Attributes written".into(),
        Intent::CreateGroup { name, .. } => format!("Group “{name}” made"),
        Intent::RenameGroup { before, name, .. } => format!("Renamed from “{before}” to “{name}”"),
        Intent::AdoptGroup { name, .. } => format!("Group “{name}” taken on"),
        Intent::AddMember { group, account } => match accounts.0.get(account.as_str()) {
            Some(name) => format!("{name} put in"),
            None => format!("Put into “{}”", groups.of(group.as_str())),
        },
        Intent::RemoveMember { group, account } => match accounts.0.get(account.as_str()) {
            Some(name) => format!("{name} taken out"),
            None => format!("Taken out of “{}”", groups.of(group.as_str())),
        },
        Intent::TakeRung { measure, .. } => format!("Ladder: {}", rung(*measure).to_lowercase()),
        Intent::ComeBack { .. } => "Back on the site".into(),
    }
}

/// What was written, the newest first, with what people approved of it; `whom` says about whom the reason of one is asked.
pub(crate) fn history(
    journal: &[(RunId, JournalEntry)],
    (groups, accounts): (&Names, &Names),
    decided: &[(RunId, Decided)],
    whom: impl Fn(&Intent) -> Option<String>,
    now: Timestamp,
) -> Vec<Event> {
    let approved = |run: &RunId| {
        let by: Vec<&str> =
            decided.iter().filter(|(of, _)| of == run).map(|(_, decided)| decided.actor.as_str()).collect();
        if by.is_empty() { String::new() } else { format!("Approved by {}.", by.join(" and ")) }
    };
    let event = |(run, entry): &(RunId, JournalEntry)| Event {
        what: done(&entry.intent, groups, accounts),
        at: When::new(entry.at, now),
        approved: approved(run),
        why: whom(&entry.intent)
            .map(|who| format!("/runs/{run}/why?who={}", encoded(&who)))
            .unwrap_or_default(),
        note: match entry.outcome {
            Outcome::Done | Outcome::AlreadyDone => String::new(),
            Outcome::Intent => "Sent; the answer was lost.".into(),
            Outcome::NotDone => "Not done.".into(),
            Outcome::Failed => sentence(&format!("failed: {}", entry.answer)),
        },
        run: run.to_string(),
    };
    journal.iter().map(event).collect()
}
