//! The alerts of one connection, and what is under way to people. Reads no clock: every method is told the time.

use std::collections::{BTreeMap, BTreeSet};

use entrain_domain::alerts::{Concern, ConcernKey, ConcernKind, IN_FULL, Letter, Notice, Occasion, Severity};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// What comes back within this time is the same alert, and from then on its end is told only after so much quiet.
pub const REST: SignedDuration = SignedDuration::from_hours(1);
/// For so long is the taker of a letter given to send it; then another may.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// Attempts for one letter; then its channel rests, and what it said goes into the next.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// A channel that fails so often in a row is a concern of its own, told over the others.
const SILENT_AFTER: u32 = 3;
/// What waits for one channel; more is only counted.
const MOST_WAITING: usize = 200;
/// For how long, and how many, alerts that are over are kept for people to look at.
const KEPT: (SignedDuration, usize) = (SignedDuration::from_hours(30 * 24), 200);

/// How a connection wants its people told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Time between repetitions of what nobody has acknowledged.
    pub repeat_every: SignedDuration,
    /// The most letters of one channel in an hour.
    pub per_hour: usize,
    /// The channels.
    pub channels: Vec<Channel>,
}

/// A channel, as far as it matters for what is sent over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What it is told.
    pub about: BTreeSet<ConcernKind>,
}

/// One thing that people are told of, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// Id, with which it is acknowledged.
    pub id: String,
    key: ConcernKey,
    /// What it is, as last found.
    pub concern: Concern,
    /// When it was first found.
    pub since: Timestamp,
    /// When people were last told.
    pub told_at: Timestamp,
    /// The highest severity they were told of.
    told_severity: Severity,
    /// Who has taken it on.
    pub acknowledged: Option<Acknowledged>,
    /// Since when it is not found any more, while its end is not told yet.
    away_since: Option<Timestamp>,
    /// Since when it is over.
    pub over_at: Option<Timestamp>,
    course: Course,
}

/// Whether something stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// It does.
    Steady,
    /// It comes and goes.
    Restless,
}

/// A person's word that an alert is theirs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// What they said.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// A channel that does not take letters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Attempts in a row.
    pub attempts: u32,
    /// The last reason, without any secret.
    pub why: String,
}

/// Why a letter was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// In a sentence, without any secret.
    pub why: String,
}

/// Why an alert cannot be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is none of this id.
    Unknown,
    /// It is over.
    Over,
}

/// Whose an attempt was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The letter was still under way for the one who settles it.
    Ours,
    /// Somebody else has settled it.
    Anothers,
}

/// All of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Book {
    alerts: Vec<Alert>,
    boxes: BTreeMap<String, Outbox>,
    letters: u64,
}

/// What waits for one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Outbox {
    waiting: Vec<Notice>,
    uncounted: usize,
    posted: Option<Posted>,
    /// Letters of the last hour.
    sent: Vec<Timestamp>,
    rests_until: Option<Timestamp>,
    failing: Option<Failing>,
}

/// A letter on its way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Posted {
    letter: Letter,
    attempts: u32,
    next_at: Timestamp,
    taken_until: Option<Timestamp>,
}

fn after(at: Timestamp, time: SignedDuration) -> Timestamp {
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

/// Whether the time has come, where it was never to be further off than `most`: a clock that was ahead puts nothing off.
fn not_before(at: Timestamp, most: SignedDuration, now: Timestamp) -> bool {
    at <= now || at > after(now, most)
}

fn digest(parts: &[&str], length: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(length);
    text
}

impl Alert {
    /// Whether it is still so, as far as people were told.
    pub fn is_open(&self) -> bool {
        self.over_at.is_none()
    }

    fn notice(&self, occasion: Occasion) -> Notice {
        Notice { alert: self.id.clone(), occasion, concern: self.concern.clone(), since: self.since }
    }

    /// What is to be said now that it was found again.
    fn found(&mut self, concern: Concern, repeat_every: SignedDuration, now: Timestamp) -> Option<Occasion> {
        self.concern = concern;
        self.away_since = None;
        // A clock that was ahead and is set right puts nothing off
        self.told_at = self.told_at.min(now);
        if self.over_at.take().is_some() {
            self.course = Course::Restless;
            self.acknowledged = None;
            return Some(self.tell(Occasion::Back, now));
        }
        if self.concern.severity > self.told_severity {
            self.acknowledged = None;
            return Some(self.tell(Occasion::Worse, now));
        }
        let due = self.acknowledged.is_none() && now >= after(self.told_at, repeat_every);
        due.then(|| self.tell(Occasion::Still, now))
    }

    /// What is to be said now that it was not found.
    fn missed(&mut self, now: Timestamp) -> Option<Occasion> {
        let away = (*self.away_since.get_or_insert(now)).min(now);
        self.away_since = Some(away);
        if self.course == Course::Restless && now < after(away, REST) {
            return None;
        }
        self.over_at = Some(now);
        // What was changed by hand shows in the run that looks, and in no other: its end says nothing
        (self.concern.kind != ConcernKind::Drift).then(|| self.tell(Occasion::Over, now))
    }

    fn tell(&mut self, occasion: Occasion, now: Timestamp) -> Occasion {
        self.told_at = now;
        if occasion != Occasion::Over {
            self.told_severity = match occasion {
                Occasion::Back => self.concern.severity,
                _ => self.told_severity.max(self.concern.severity),
            };
        }
        occasion
    }
}

impl Book {
    /// The alerts, open ones first, the most pressing first; then those that are over, the newest first.
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut all: Vec<&Alert> = self.alerts.iter().collect();
        // Those without an end go before those with one
        all.sort_by_key(|alert| {
            (alert.over_at.map(std::cmp::Reverse), std::cmp::Reverse(alert.concern.severity), alert.since)
        });
        all
    }

    /// Channels that do not take letters.
    pub fn failing(&self) -> impl Iterator<Item = (&str, &Failing)> {
        self.boxes.iter().filter_map(|(name, outbox)| Some((name.as_str(), outbox.failing.as_ref()?)))
    }

    /// Compares what there is with what was known, and writes down who is to be told what.
    pub fn look(&mut self, connection: &str, found: Vec<Concern>, settings: &Settings, now: Timestamp) {
        self.boxes.retain(|name, _| settings.channels.iter().any(|channel| channel.name == *name));
        let mut found = found;
        found.extend(self.silent_channels(connection));
        let mut notices = Vec::new();
        let mut seen = BTreeSet::new();
        for concern in found {
            let key = concern.key();
            if !seen.insert(key.clone()) {
                continue;
            }
            let known = self
                .alerts
                .iter_mut()
                .find(|alert| alert.key == key && alert.over_at.is_none_or(|at| now < after(at, REST)));
            if let Some(alert) = known {
                if let Some(occasion) = alert.found(concern, settings.repeat_every, now) {
                    notices.push(alert.notice(occasion));
                }
                continue;
            }
            let alert = Alert {
                id: digest(&[key.as_str(), &now.as_millisecond().to_string()], 10),
                told_severity: concern.severity,
                key,
                concern,
                since: now,
                told_at: now,
                acknowledged: None,
                away_since: None,
                over_at: None,
                course: Course::Steady,
            };
            notices.push(alert.notice(Occasion::New));
            self.alerts.push(alert);
        }
        for alert in &mut self.alerts {
            if alert.is_open()
                && !seen.contains(&alert.key)
                && let Some(occasion) = alert.missed(now)
            {
                notices.push(alert.notice(occasion));
            }
        }
        self.forget(now);
        for channel in &settings.channels {
            let outbox = self.boxes.entry(channel.name.clone()).or_default();
            for notice in &notices {
                let own =
                    notice.concern.kind == ConcernKind::Channel && notice.concern.object == channel.name;
                if !own && channel.about.contains(&notice.concern.kind) {
                    outbox.add(notice.clone());
                }
            }
        }
    }

    fn silent_channels(&self, connection: &str) -> Vec<Concern> {
        let silent = self.boxes.iter().filter_map(|(name, outbox)| {
            let failing = outbox.failing.as_ref().filter(|failing| failing.attempts >= SILENT_AFTER)?;
            Some(Concern {
                kind: ConcernKind::Channel,
                severity: Severity::Warning,
                connection: connection.to_owned(),
                object: name.clone(),
                sentence: format!("alerts do not reach the channel {name}: {}", failing.why),
                remedy: format!("mend it, and try it with entrain admin alerts test --channel {name}"),
                link: format!("/connections/{}", entrain_domain::service::slug(connection)),
            })
        });
        silent.collect()
    }

    fn forget(&mut self, now: Timestamp) {
        self.alerts.retain(|alert| alert.over_at.is_none_or(|at| now < after(at, KEPT.0)));
        while self.alerts.iter().filter(|alert| !alert.is_open()).count() > KEPT.1 {
            let oldest = self.alerts.iter().enumerate().filter(|(_, alert)| !alert.is_open());
            let oldest = oldest.min_by_key(|(_, alert)| alert.over_at).map(|(at, _)| at);
            oldest.map(|at| self.alerts.remove(at));
        }
    }

    /// Takes the letters that are to be sent now; nobody else gets them until they are settled, or a while has passed.
    pub fn take(&mut self, connection: &str, settings: &Settings, now: Timestamp) -> Vec<Letter> {
        let mut letters = Vec::new();
        for channel in &settings.channels {
            let Some(outbox) = self.boxes.get_mut(&channel.name) else { continue };
            if outbox.posted.is_none() && outbox.may_write(settings.per_hour, now) {
                self.letters += 1;
                outbox.write(connection, &channel.name, self.letters, now);
            }
            if let Some(posted) = &mut outbox.posted
                && not_before(posted.next_at, REST, now)
                && posted.taken_until.is_none_or(|until| not_before(until, LEASE, now))
            {
                posted.attempts += 1;
                posted.taken_until = Some(after(now, LEASE));
                letters.push(posted.letter.clone());
            }
        }
        letters
    }

    /// Writes down what became of a letter.
    pub fn settle(&mut self, letter: &Letter, outcome: &Result<(), Undelivered>, now: Timestamp) -> Whose {
        let Some(outbox) = self.boxes.get_mut(&letter.channel) else { return Whose::Anothers };
        let Some(mut posted) = outbox.posted.take() else { return Whose::Anothers };
        if posted.letter.id != letter.id {
            outbox.posted = Some(posted);
            return Whose::Anothers;
        }
        match outcome {
            Ok(()) => {
                outbox.sent.push(now);
                outbox.failing = None;
                outbox.rests_until = None;
            }
            Err(undelivered) => {
                let failing = outbox.failing.get_or_insert_with(|| Failing {
                    since: now,
                    attempts: 0,
                    why: String::new(),
                });
                failing.attempts = failing.attempts.saturating_add(1);
                failing.why.clone_from(&undelivered.why);
                if posted.attempts >= ATTEMPTS {
                    outbox.take_back(posted.letter);
                    outbox.rests_until = Some(after(now, REST));
                } else {
                    let pause = FIRST_PAUSE.checked_mul(1 << (posted.attempts.max(1) - 1)).unwrap_or(REST);
                    posted.next_at = after(now, pause);
                    posted.taken_until = None;
                    outbox.posted = Some(posted);
                }
            }
        }
        Whose::Ours
    }

    /// A person takes an alert on: it is not repeated any more, unless it gets worse or comes back.
    pub fn acknowledge(&mut self, id: &str, by: &str, note: &str, now: Timestamp) -> Result<&Alert, Refused> {
        let alert = self.alerts.iter_mut().find(|alert| alert.id == id).ok_or(Refused::Unknown)?;
        if !alert.is_open() {
            return Err(Refused::Over);
        }
        alert.acknowledged = Some(Acknowledged { by: by.to_owned(), note: note.to_owned(), at: now });
        Ok(alert)
    }
}

impl Outbox {
    /// Adds a notice; one of the same alert that has not left yet is replaced.
    fn add(&mut self, notice: Notice) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.alert == notice.alert) else {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push(notice);
            } else {
                self.uncounted += 1;
            }
            return;
        };
        let first = matches!(self.waiting[at].occasion, Occasion::New | Occasion::Back);
        match notice.occasion {
            // Nobody has heard of it, and there is nothing any more to hear
            Occasion::Over if first => drop(self.waiting.remove(at)),
            Occasion::Worse | Occasion::Still if first => self.waiting[at].concern = notice.concern,
            _ => self.waiting[at] = notice,
        }
    }

    fn may_write(&mut self, per_hour: usize, now: Timestamp) -> bool {
        self.sent.retain(|at| *at <= now && now < after(*at, SignedDuration::from_hours(1)));
        let rested = self.rests_until.is_none_or(|until| not_before(until, REST, now));
        rested && !self.waiting.is_empty() && self.sent.len() < per_hour
    }

    fn write(&mut self, connection: &str, channel: &str, number: u64, now: Timestamp) {
        let mut notices = std::mem::take(&mut self.waiting);
        notices.sort_by_key(|notice| {
            (notice.occasion == Occasion::Over, std::cmp::Reverse(notice.concern.severity), notice.since)
        });
        let more = notices.len().saturating_sub(IN_FULL) + std::mem::take(&mut self.uncounted);
        notices.truncate(IN_FULL);
        let id = digest(&[connection, channel, &number.to_string(), &now.as_millisecond().to_string()], 24);
        let (connection, channel) = (connection.to_owned(), channel.to_owned());
        let letter = Letter { id: format!("msg_{id}"), connection, channel, at: now, notices, more };
        self.posted = Some(Posted { letter, attempts: 0, next_at: now, taken_until: None });
    }

    /// What a letter said goes into the next one, unless there is newer word of it.
    fn take_back(&mut self, letter: Letter) {
        self.uncounted += letter.more;
        let newer = std::mem::replace(&mut self.waiting, letter.notices);
        for notice in newer {
            self.add(notice);
        }
    }
}
