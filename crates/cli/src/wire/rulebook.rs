//! Rules looked at before they are stored: judged by the parser of documents, tried on the people and groups of the
//! mirror, and compared with earlier versions.

use std::sync::Arc;
use std::time::Duration;

use entrain_domain::model::{
    AccountState, AttributeValue, Coverage, DirectorySnapshot, DirectoryUser, ProfileField,
};
use entrain_domain::policy::{Audience, Rules, Standing};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_server::rulebook::{Fault, Outcome, Rulebook, Sample, Topic, Trial, Version};
use entrain_server::service::Answer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::service::{Wired, environment, named};
use super::stored;
use crate::config::Document;
use crate::config::document::DocumentError;

/// Most people or groups that are shown.
const SHOWN: usize = 8;

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One trial at a time: one that takes too long goes on by itself, and whoever comes meanwhile is told so.
pub(super) struct Bench(Arc<Semaphore>);

impl Default for Bench {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Bench {
    /// Waits for its turn, and not for long.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned());
        turn.await.map_err(|_| too_long())?.map_err(|_| too_long())
    }
}

/// What work comes to that ends in time.
pub(super) async fn in_time<T>(work: JoinHandle<T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| too_long())?.map_err(|_| too_long())
}

fn too_long() -> Failure {
    Failure::new(
        FailureCode::RequestInvalid,
        FailureClass::Local,
        "trying these rules takes too long",
        "make the expressions simpler, or wait a moment where somebody else tries rules",
    )
}

pub(super) fn faults(error: DocumentError) -> Vec<Fault> {
    let fault = |problem: crate::config::document::Problem| Fault {
        key: problem.key,
        line: problem.line,
        what: problem.what,
        remedy: problem.remedy,
    };
    error.problems.into_iter().map(fault).collect()
}

/// What a document says that is judged, and the one in force beside it.
struct Beside {
    before: Rules,
    after: Rules,
    directory: DirectorySnapshot,
    find: String,
}

impl Beside {
    fn asked(&self, user: &DirectoryUser) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.find);
        self.find.is_empty() || has(user.label()) || user.address().is_some_and(|mail| has(&mail.to_string()))
    }

    fn enabled(&self) -> impl Iterator<Item = &DirectoryUser> {
        self.directory.users().filter(|user| user.account == AccountState::Enabled)
    }

    /// What the new rules look at and nobody has read so far: until the next run it reads as not set.
    fn unread(&self) -> Vec<String> {
        let (before, after) = (self.before.demand(), self.after.demand());
        let mut notes = Vec::new();
        let new: Vec<&str> = after.attributes.difference(&before.attributes).map(String::as_str).collect();
        if !new.is_empty() {
            notes.push(format!(
                "Not read so far, and therefore as if it were not set: {}. The next run under these rules reads it.",
                new.join(", ")
            ));
        }
        if after.scope.groups != before.scope.groups || after.scope.users != before.scope.users {
            notes.push("Members of groups that took no part so far are known after the next run.".to_owned());
        }
        notes
    }

    fn scope(&self) -> Trial {
        let (before, after) =
            (Audience::of(&self.directory, &self.before), Audience::of(&self.directory, &self.after));
        let told = |audience: &Audience<'_>, user: &DirectoryUser| {
            let standing = self.directory.user_ix(&user.id).map(|ix| audience.standing(ix));
            match standing {
                Some(Standing::In) => ((Outcome::Good, "takes part".to_owned()), String::new()),
                Some(Standing::Out(proof)) => {
                    ((Outcome::Out, "left out".to_owned()), proof.rule().words().to_owned())
                }
                Some(Standing::Unsure(why)) => {
                    ((Outcome::Unsure, "unsure".to_owned()), format!("{}; {}", why.reason, why.remedy))
                }
                _ => (
                    (Outcome::Plain, "not in a group".to_owned()),
                    "in none of the groups in scope".to_owned(),
                ),
            }
        };
        // Those who are decided differently, then one of each kind, then whoever comes
        let mut ranked: Vec<(usize, Sample)> = Vec::new();
        let mut seen: Vec<Outcome> = Vec::new();
        let mut kept = [0_usize; 3];
        for user in self.enabled().filter(|user| self.asked(user)) {
            let ((before, _), (after, why)) = (told(&before, user), told(&after, user));
            let rank = if before.0 != after.0 {
                0
            } else if seen.contains(&after.0) {
                2
            } else {
                seen.push(after.0);
                1
            };
            if kept[rank] < SHOWN {
                kept[rank] += 1;
                let id = user.id.as_str().to_owned();
                ranked.push((rank, Sample { name: user.label().to_owned(), id, before, after, why }));
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        let (taking, unsure) = (after.people().len(), after.unsure().len());
        let people = |n: usize| if n == 1 { "1 person".to_owned() } else { format!("{n} people") };
        let mut sum =
            format!("Understood. {} would take part, {} now.", people(taking), people(before.people().len()));
        if unsure > 0 {
            sum = format!("{sum} Of {} it cannot be said.", people(unsure));
        }
        let samples = ranked.into_iter().map(|(_, sample)| sample).take(SHOWN).collect();
        Trial { read: true, sum, samples, notes: self.unread() }
    }

    fn groups(&self) -> Trial {
        let mut samples = Vec::new();
        let mut all = 0_usize;
        let mut differ = 0_usize;
        for group in self.directory.groups() {
            let name = &group.display_name;
            if !self.after.scope.selects(&group.id, name) || !name.to_lowercase().contains(&self.find) {
                continue;
            }
            all += 1;
            let called = |rules: &Rules| {
                rules
                    .binding(&group.id, name)
                    .map_or_else(|| rules.names.name(name), |binding| binding.site.clone())
            };
            let (before, after) = (called(&self.before), called(&self.after));
            let changed = before != after;
            differ += usize::from(changed);
            let why = entrain_domain::policy::site_name_problem(&after).map(|why| why.to_string());
            let outcome = if why.is_some() { Outcome::Unsure } else { Outcome::Plain };
            let mut why = why.unwrap_or_default();
            if why.is_empty() {
                why = format!(
                    "{:?}, {:?}",
                    self.after.mode_of(&group.id, name),
                    self.after.nesting_of(&group.id, name)
                )
                .to_lowercase();
            }
            let sample = Sample {
                name: name.to_string(),
                id: String::new(),
                before: (Outcome::Plain, before),
                after: (outcome, after),
                why,
            };
            if samples.len() < SHOWN * 4 || changed {
                samples.push((!changed, sample));
            }
        }
        samples.sort_by_key(|(same, _)| *same);
        samples.truncate(SHOWN);
        let sum = format!("Understood. {all} groups, {differ} with another name in Jira than now.");
        let samples = samples.into_iter().map(|(_, sample)| sample).collect();
        Trial { read: true, sum, samples, notes: Vec::new() }
    }

    fn attributes(&self) -> Trial {
        let audience = Audience::of(&self.directory, &self.after);
        let written = |rules: &Rules, user: &DirectoryUser| {
            let mut all: Vec<(String, Option<String>, Option<String>)> = Vec::new();
            for field in ProfileField::ALL {
                if let Some(computed) = rules.attributes.profile_field(field, user) {
                    all.push((
                        field.as_str().to_owned(),
                        computed.value.as_ref().map(text),
                        computed.problem,
                    ));
                }
            }
            for (name, rule) in rules.attributes.property.iter().flat_map(|property| &property.fields) {
                let computed = rule.compute(user);
                all.push((format!("property {name}"), computed.value.as_ref().map(text), computed.problem));
            }
            all
        };
        let people: Vec<&DirectoryUser> = audience.people();
        let mut samples = Vec::new();
        for user in people.iter().filter(|user| self.asked(user)).take(3) {
            let before = written(&self.before, user);
            for (field, value, problem) in written(&self.after, user) {
                let known =
                    before.iter().find(|(known, ..)| *known == field).and_then(|(_, value, _)| value.clone());
                let outcome = if problem.is_some() { Outcome::Unsure } else { Outcome::Plain };
                let value = match (&problem, value) {
                    (Some(_), None) => "cannot be computed".to_owned(),
                    (_, value) => value.unwrap_or_default(),
                };
                samples.push(Sample {
                    name: user.label().to_owned(),
                    id: user.id.as_str().to_owned(),
                    before: (Outcome::Plain, known.unwrap_or_default()),
                    after: (outcome, value),
                    why: problem.unwrap_or_else(|| field.clone()),
                });
            }
        }
        let sum = if samples.is_empty() {
            "Understood. Nothing is written for the people that were asked for.".to_owned()
        } else {
            format!("Understood. {} people take part; these are some of them.", people.len())
        };
        Trial { read: true, sum, samples, notes: self.unread() }
    }

    fn seats(&self) -> Trial {
        let audience = Audience::of(&self.directory, &self.after);
        let last = self.after.seats.first.len();
        let place = |rules: &Rules, user: &DirectoryUser| {
            let (rank, last) = (rules.seats.rank(user), rules.seats.first.len());
            if rank >= last { "after the others".to_owned() } else { format!("line {}", rank + 1) }
        };
        let mut samples: Vec<(usize, Sample)> = Vec::new();
        let mut kept = vec![0_usize; last + 1];
        for user in audience.people().into_iter().filter(|user| self.asked(user)) {
            let rank = self.after.seats.rank(user).min(last);
            kept[rank] += 1;
            if kept[rank] <= 3 {
                samples.push((
                    rank,
                    Sample {
                        name: user.label().to_owned(),
                        id: user.id.as_str().to_owned(),
                        before: (Outcome::Plain, place(&self.before, user)),
                        after: (Outcome::Plain, place(&self.after, user)),
                        why: String::new(),
                    },
                ));
            }
        }
        samples.sort_by_key(|(rank, _)| *rank);
        let lines: Vec<String> =
            kept[..last].iter().enumerate().map(|(at, n)| format!("line {}: {n}", at + 1)).collect();
        let rest = kept[last];
        let sum =
            format!("Understood. People by who goes first: {}; after the others: {rest}.", lines.join(", "));
        let sum = if lines.is_empty() {
            "Nobody goes before others: the longest wait goes first.".to_owned()
        } else {
            sum
        };
        Trial {
            read: true,
            sum,
            samples: samples.into_iter().map(|(_, sample)| sample).take(SHOWN * 2).collect(),
            notes: self.unread(),
        }
    }

    fn of(&self, topic: Topic) -> Trial {
        match topic {
            Topic::Scope => self.scope(),
            Topic::Groups => self.groups(),
            Topic::Attributes => self.attributes(),
            Topic::Seats => self.seats(),
        }
    }
}

fn text(value: &AttributeValue) -> String {
    let text = match value {
        AttributeValue::Flag(flag) => flag.to_string(),
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::List(list) => list.join(", "),
    };
    text.chars().take(200).collect()
}

impl Wired {
    async fn judge_text(&self, connection: &str, text: &str) -> Result<Vec<Fault>, Failure> {
        let kept = stored(&self.store, connection).await?.document.secrets;
        let document = match Document::parse(text, "the document") {
            Ok(document) => document,
            Err(error) => return Ok(faults(error)),
        };
        named(text, connection)?;
        Ok(document.resolve(&environment, &kept).map_or_else(faults, |_| Vec::new()))
    }

    async fn try_text(
        &self,
        connection: &str,
        text: &str,
        topic: Topic,
        find: &str,
    ) -> Result<Trial, Failure> {
        let turn = self.bench.turn().await?;
        let stored = stored(&self.store, connection).await?.document;
        let before = Document::parse(&stored.document, connection)?.meaning().rules.clone();
        let mirror = self.store.directory_mirror(connection).await.map_err(|e| e.failure())?;
        let Some(reading) = mirror else { return Ok(Trial::default()) };
        let (text, name, find) = (text.to_owned(), connection.to_owned(), find.trim().to_lowercase());
        let work = tokio::task::spawn_blocking(move || {
            let after = named(&text, &name)?.meaning().rules.clone();
            let directory = reading.finish(Coverage::Complete, Coverage::Complete);
            let trial = Beside { before, after, directory, find }.of(topic);
            drop(turn);
            Ok::<_, Failure>(trial)
        });
        in_time(work).await?
    }
}

impl Rulebook for Wired {
    fn judge<'a>(&'a self, connection: &'a str, document: &'a str) -> Answer<'a, Vec<Fault>> {
        Box::pin(self.judge_text(connection, document))
    }
    fn versions<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<Version>> {
        Box::pin(async move {
            let entries = self.store.versions(connection).await.map_err(|e| e.failure())?;
            let version = |entry: entrain_store::ConnectionEntry| Version {
                number: entry.version,
                document: entry.document,
                author: entry.author,
                at: entry.at,
                why: entry.why,
            };
            Ok(entries.into_iter().rev().map(version).collect())
        })
    }
    fn try_out<'a>(
        &'a self,
        connection: &'a str,
        document: &'a str,
        topic: Topic,
        find: &'a str,
    ) -> Answer<'a, Trial> {
        Box::pin(self.try_text(connection, document, topic, find))
    }
}
