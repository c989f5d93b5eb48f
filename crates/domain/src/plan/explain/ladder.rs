//! Where somebody who has left stands on the leaver ladder, what comes next, and what cancels it.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::ladder::ladder_rows;
use super::Link;
use super::view::{Person, View, list};
use crate::memory::{Hand, MemoryChange, OnLadder, WayBack};
use crate::model::Leaving;
use crate::policy::Measure;

/// A place on the leaver ladder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OnTheLadder {
    /// How they have left.
    pub trigger: Leaving,
    /// Since when that is known; the times of the rungs count from here.
    pub since: Timestamp,
    /// The highest rung behind them: `groups`, or a measure.
    pub reached: &'static str,
    /// The rungs above the groups that are behind them, in their order.
    pub passed: Vec<Rung>,
    /// The next rung, if there is one.
    pub next: Option<Measure>,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// Why there is no next rung, where that is not the end of the ladder.
    pub note: &'static str,
    /// The managed groups that they were in.
    pub groups: Vec<Arc<str>>,
    /// What ends it.
    pub cancelled_by: &'static str,
    /// What the next run does then.
    pub then: String,
}

/// A rung that is behind somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Rung {
    /// Which.
    pub rung: Measure,
    /// When.
    pub at: Timestamp,
    /// By whose hand.
    pub by: Hand,
}

/// The place of a person, as it is after the next run has noted what it sees.
pub(super) fn place(view: &View<'_>, person: &Person<'_>) -> Option<OnTheLadder> {
    let user = person.id.as_ref()?;
    let news = view.plan.records.iter().find_map(|record| match record {
        MemoryChange::EnterLadder(place) if place.user == *user => Some(&**place),
        _ => None,
    });
    let place = news.or_else(|| view.input.memory.on_ladder(user))?;
    let row = ladder_rows([place], view.input.rules).into_iter().next()?;
    let back = view.matched(user).is_some();
    let (next, due, note) = if back {
        (None, None, "is back, and the next run takes them off the ladder")
    } else {
        (row.next, row.due, row.note)
    };
    Some(OnTheLadder {
        trigger: row.trigger,
        since: row.since,
        reached: row.reached,
        passed: place
            .passed
            .iter()
            .map(|(rung, passed)| Rung { rung: *rung, at: passed.at, by: passed.hand })
            .collect(),
        next,
        due,
        note,
        groups: row.groups,
        cancelled_by: match row.trigger {
            Leaving::Disabled => "enabling the user in Entra ID",
            Leaving::Deleted => {
                "restoring the user from the recycle bin of Entra ID, which keeps it for 30 days"
            }
            Leaving::OutOfScope => "bringing the user back into the scope of the connection",
        },
        then: then(place),
    })
}

fn then(place: &OnLadder) -> String {
    let ways = place.ways_back().into_iter().map(|way| match way {
        WayBack::Reactivate => "activates the account",
        WayBack::Restore => "restores the access",
        WayBack::Invite => "invites the person again",
    });
    ways.chain(["puts them into the groups that the directory has for them"]).collect::<Vec<_>>().join(", ")
}

impl OnTheLadder {
    /// The same in words, as links of the chain.
    pub(super) fn told(&self, now: Timestamp) -> Vec<Link> {
        let groups: Vec<&str> = self.groups.iter().map(|group| &**group).collect();
        let groups = if groups.is_empty() { String::new() } else { format!(" ({})", list(&groups)) };
        let passed = self.passed.iter().map(|Rung { rung, at, by }| match by {
            Hand::Entrain => format!(", {} on {}", done(*rung), when(*at)),
            Hand::Other => format!(", {} by somebody else, or not possible, on {}", done(*rung), when(*at)),
        });
        let stands = format!(
            "{}, known since {}; out of the managed groups{groups}{}",
            self.trigger.in_words(),
            when(self.since),
            passed.collect::<String>()
        );
        let next = match (self.next, self.due) {
            (Some(rung), Some(due)) if due <= now => {
                format!("next rung: {}, due since {}; the next run takes it", done(rung), when(due))
            }
            (Some(rung), Some(due)) => format!("next rung: {}, due on {}", done(rung), when(due)),
            _ if self.note.is_empty() => "no rung is left".to_owned(),
            _ => format!("no rung comes next: {}", self.note),
        };
        let cancelled = format!("cancelled by {}; the next run then {}", self.cancelled_by, self.then);
        [stands, next, cancelled].map(|text| Link::new("ladder", text)).into()
    }
}

fn done(rung: Measure) -> &'static str {
    match rung {
        Measure::Suspend => "suspended",
        Measure::Deactivate => "deactivated",
        Measure::Remove => "removed from the site",
    }
}

fn when(at: Timestamp) -> String {
    at.strftime("%F %R UTC").to_string()
}
