//! What is remembered of single steps from run to run: that the site keeps refusing one, that somebody keeps undoing
//! one, that a change of the rules asks for one, that a person left one out of an approval. Kept under the step's name, which is the same in every plan.

use jiff::{SignedDuration, Timestamp};

/// What is remembered of a step.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    /// The site refused it so many times in a row.
    Refused {
        /// How many times.
        times: u32,
        /// When last.
        last: Timestamp,
        /// What the site said.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Entrain did it again because somebody else had undone it.
    Flipped {
        /// How many times, each within a week of the one before.
        times: u32,
        /// When last.
        last: Timestamp,
    },
    /// A change of the rules asks for it, and nobody has approved it yet.
    RuleChange {
        /// Since when.
        since: Timestamp,
    },
    /// A person approved other steps of the plan that held it, and not this one.
    LeftOut {
        /// Since when.
        since: Timestamp,
    },
    /// Somebody was invited and has not been given it yet: what newcomers are given once.
    Owed {
        /// How often the site has refused it.
        refused: u32,
    },
}

/// Kind of a mark; a step has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkKind {
    /// [`Mark::Refused`]
    Refused,
    /// [`Mark::Flipped`]
    Flipped,
    /// [`Mark::RuleChange`]
    RuleChange,
    /// [`Mark::LeftOut`]
    LeftOut,
    /// [`Mark::Owed`]
    Owed,
}

impl MarkKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Refused, Self::Flipped, Self::RuleChange, Self::LeftOut, Self::Owed];

    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Flipped => "flipped",
            Self::RuleChange => "rule_change",
            Self::LeftOut => "left_out",
            Self::Owed => "owed",
        }
    }
}

/// Refused so many times in a row, a step is not tried at each run any more.
const PATIENCE: u32 = 3;
/// What newcomers are given is tried so many times.
const TRIES: u32 = 2;
/// Flipped so many times, a step waits for a person.
const FIGHT: u32 = 3;
/// What somebody undoes less often than once in this time is no fight.
const FIGHT_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Mark {
    /// Its kind.
    pub fn kind(&self) -> MarkKind {
        match self {
            Self::Refused { .. } => MarkKind::Refused,
            Self::Flipped { .. } => MarkKind::Flipped,
            Self::RuleChange { .. } => MarkKind::RuleChange,
            Self::LeftOut { .. } => MarkKind::LeftOut,
            Self::Owed { .. } => MarkKind::Owed,
        }
    }

    /// The mark after one more refusal.
    pub fn refused_again(before: Option<&Self>, now: Timestamp, reason: String, remedy: String) -> Self {
        let times = match before {
            Some(Self::Refused { times, .. }) => times.saturating_add(1),
            _ => 1,
        };
        Self::Refused { times, last: now, reason, remedy }
    }

    /// The mark after it was done once more because somebody had undone it.
    pub fn flipped_again(before: Option<&Self>, now: Timestamp) -> Self {
        let times = match before {
            Some(Self::Flipped { times, last }) if within(*last, now, FIGHT_WINDOW) => {
                times.saturating_add(1)
            }
            _ => 1,
        };
        Self::Flipped { times, last: now }
    }

    /// The mark of what somebody is owed, after one more refusal: tried again once, and then given up.
    pub fn owed_after_refusal(before: Option<&Self>) -> Option<Self> {
        let refused = match before {
            Some(Self::Owed { refused }) => refused.saturating_add(1),
            _ => 1,
        };
        (refused < TRIES).then_some(Self::Owed { refused })
    }

    /// Until when a step that keeps being refused is not tried: a quarter of an hour after the third refusal, four times
    /// as long after each further one, at most a day.
    pub fn not_before(&self) -> Option<Timestamp> {
        let Self::Refused { times, last, .. } = self else { return None };
        let further = times.checked_sub(PATIENCE)?;
        let minutes = 15_i64.saturating_mul(4_i64.saturating_pow(further.min(8))).min(24 * 60);
        last.checked_add(SignedDuration::from_mins(minutes)).ok()
    }

    /// Until when a step is not tried, if it is not tried now. A refusal that lies ahead says that the clock was set back
    /// since: how long ago it was is not known, and the step is tried.
    pub fn waits(&self, now: Timestamp) -> Option<Timestamp> {
        let Self::Refused { last, .. } = self else { return None };
        self.not_before().filter(|until| *last <= now && now < *until)
    }

    /// Whether somebody keeps undoing it.
    pub fn is_fight(&self, now: Timestamp) -> bool {
        matches!(self, Self::Flipped { times, last } if *times >= FIGHT && within(*last, now, FIGHT_WINDOW))
    }
}

/// Whether so little time has passed; a clock that was set back counts as none.
fn within(since: Timestamp, now: Timestamp, time: SignedDuration) -> bool {
    now.duration_since(since) < time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }
    fn refused(times: u32) -> Option<String> {
        let last = at("2026-11-02T08:00:00Z");
        let mark = Mark::Refused { times, last, reason: String::new(), remedy: String::new() };
        mark.not_before().map(|until| until.to_string())
    }

    #[test]
    fn the_clock_starts_with_the_third_refusal_and_grows_to_a_day() {
        assert_eq!(refused(2), None);
        assert_eq!(refused(3).as_deref(), Some("2026-11-02T08:15:00Z"));
        assert_eq!(refused(4).as_deref(), Some("2026-11-02T09:00:00Z"));
        assert_eq!(refused(5).as_deref(), Some("2026-11-02T12:00:00Z"));
        for times in [7, 30, u32::MAX] {
            assert_eq!(refused(times).as_deref(), Some("2026-11-03T08:00:00Z"), "{times}");
        }
    }

    #[test]
    fn r_12_a_clock_that_was_set_makes_no_step_wait_for_years_and_no_fight_end() {
        let ten_years = SignedDuration::from_hours(24 * 3652);
        let now = at("2026-11-02T08:00:00Z");
        let refused =
            |last| Mark::Refused { times: 5, last, reason: String::new(), remedy: String::new() }.waits(now);
        assert!(refused(now).is_some());
        assert_eq!(refused(now + ten_years), None, "refused by a clock that was ten years ahead");
        assert_eq!(refused(now - ten_years), None);
        let flips = |last| Mark::Flipped { times: 3, last }.is_fight(now);
        assert!(flips(now + ten_years), "a person decides, however the clock stands");
        assert!(!flips(now - ten_years));
    }

    #[test]
    fn a_fight_is_three_flips_each_within_a_week_of_the_one_before() {
        let mut mark = Mark::flipped_again(None, at("2026-11-01T00:00:00Z"));
        assert!(!mark.is_fight(at("2026-11-01T00:00:00Z")));
        mark = Mark::flipped_again(Some(&mark), at("2026-11-05T00:00:00Z"));
        mark = Mark::flipped_again(Some(&mark), at("2026-11-09T00:00:00Z"));
        assert!(mark.is_fight(at("2026-11-10T00:00:00Z")));
        assert!(!mark.is_fight(at("2026-11-17T00:00:00Z")), "a week of peace");
        mark = Mark::flipped_again(Some(&mark), at("2026-11-20T00:00:00Z"));
        assert_eq!(mark, Mark::Flipped { times: 1, last: at("2026-11-20T00:00:00Z") });
        assert!(mark.kind() == MarkKind::Flipped && mark.not_before().is_none());
    }
}
