//! From what runs left behind to what people must be told.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Concern, ConcernKind, Severity};
use crate::failure::Failure;
use crate::plan::{DriftKind, Guard, SeatForecast, Waiting};
use crate::reports::{CredentialRow, CredentialState};
use crate::run::{RunReport, RunStatus, RunSummary, Trigger};
use crate::service::slug;

/// So many failed runs one after another are critical: what ails them does not pass by itself.
pub const DRAWN_OUT: usize = 3;
/// Fewer free seats than this, in percent of all, are a concern.
pub const PLENTY_PERCENT: u64 = 5;

/// What a person has said of the plan that waits, if one waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits.
    Waits,
    /// Somebody has decided.
    Decided,
}

/// What is known of a connection.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Its name.
    pub connection: &'a str,
    /// Its newest runs, the newest first; those under way may be among them.
    pub runs: &'a [RunSummary],
    /// What was said of the newest run that ended, should it have been held.
    pub decision: Standing,
    /// Why no run or preview can be made at all: a secret that is gone, a preview that failed.
    pub hindrance: Option<&'a Failure>,
    /// Its credentials.
    pub credentials: &'a [CredentialRow],
    /// Since when the directory's change notifications are missing, in a sentence, where they are used.
    pub notifications_lost: Option<&'a str>,
}

/// Everything of a connection that people must be told, each thing once.
pub fn concerns(facts: &Facts<'_>) -> Vec<Concern> {
    let about = About { connection: facts.connection, slug: slug(facts.connection) };
    let mut found = Vec::new();
    // What one sign-in did says nothing of the connection
    let ended: Vec<&RunReport> = facts
        .runs
        .iter()
        .filter(|run| run.trigger != Trigger::SignIn)
        .filter_map(|run| run.report.as_ref())
        .collect();
    if let Some(last) = ended.first() {
        found.extend(of_run(&about, last, &ended, facts.decision));
    }
    let failed = found.iter().any(|concern| concern.kind == ConcernKind::Failed);
    if let Some(failure) = facts.hindrance.filter(|_| !failed) {
        found.push(about.concern(
            (ConcernKind::Failed, Severity::Warning, String::new()),
            format!("nothing can be planned: {}", failure.message),
            failure.remedy.clone(),
            "",
        ));
    }
    found.extend(facts.credentials.iter().filter_map(|row| credential(&about, row)));
    if let Some(lost) = facts.notifications_lost {
        found.push(about.concern(
            (ConcernKind::Notifications, Severity::Warning, String::new()),
            format!("change notifications of the directory are missing: {lost}"),
            "the schedule goes on; look whether Microsoft can reach the public address of the service".into(),
            "",
        ));
    }
    found
}

struct About<'a> {
    connection: &'a str,
    slug: String,
}

impl About<'_> {
    fn concern(
        &self,
        (kind, severity, object): (ConcernKind, Severity, String),
        sentence: String,
        remedy: String,
        place: &str,
    ) -> Concern {
        let link = format!("/connections/{}{place}", self.slug);
        Concern { kind, severity, connection: self.connection.to_owned(), object, sentence, remedy, link }
    }
}

fn of_run(about: &About<'_>, last: &RunReport, ended: &[&RunReport], decision: Standing) -> Vec<Concern> {
    let mut found = Vec::new();
    let place = format!("/runs/{}", last.run_id);
    let linked = |mut concern: Concern| {
        concern.link.clone_from(&place);
        concern
    };
    if last.status == RunStatus::Held && decision == Standing::Waits {
        let mut concern = held(about, last);
        concern.link = format!("{place}/plan");
        found.push(concern);
    }
    if last.status == RunStatus::Failed {
        let in_a_row = ended.iter().take_while(|report| report.status == RunStatus::Failed).count();
        let severity = if in_a_row >= DRAWN_OUT { Severity::Critical } else { Severity::Warning };
        let why = last.error.as_ref().map_or("for a reason that it does not say", |e| e.message.as_str());
        let sentence = if in_a_row > 1 {
            format!("the last {in_a_row} runs failed: {why}")
        } else {
            format!("the last run failed: {why}")
        };
        let remedy = last.error.as_ref().map_or_else(|| "look at the run".to_owned(), |e| e.remedy.clone());
        found.push(linked(about.concern(
            (ConcernKind::Failed, severity, String::new()),
            sentence,
            remedy,
            "",
        )));
    }
    if let Some(why) = &last.quarantine {
        found.push(linked(about.concern(
            (ConcernKind::Quarantine, Severity::Critical, String::new()),
            format!("the connection is in quarantine: {why}"),
            "mend what the run names; a run in which most of what is tried succeeds ends it".into(),
            "",
        )));
    }
    // A run that finds nothing changed does not ask the site
    let counted = ended.iter().find(|report| !report.seats.is_empty() || !report.waiting.is_empty());
    found.extend(counted.into_iter().flat_map(|report| waiting(about, &report.waiting)));
    let seats = counted.into_iter().flat_map(|report| &report.seats);
    found.extend(seats.filter_map(|(product, seats)| seats_left(about, product, seats)));
    found.extend(drift(about, &last.drift));
    found
}

fn held(about: &About<'_>, run: &RunReport) -> Concern {
    let mut guards: Vec<Guard> = run.held.iter().map(|held| held.guard).collect();
    guards.sort_unstable();
    guards.dedup();
    let empty = guards.contains(&Guard::EmptyDirectory);
    let whole = guards.iter().any(|guard| guard.holds_everything());
    let severity = if empty { Severity::Critical } else { Severity::Warning };
    let reasons: Vec<&str> = run.held.iter().take(3).map(|held| held.reason.as_str()).collect();
    let more = run.held.len().saturating_sub(reasons.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let sentence = format!(
        "{} waits for approval: {}{more}",
        if whole { "a plan" } else { "a part of a plan" },
        reasons.join("; ")
    );
    let words: Vec<&str> = guards.iter().map(|guard| guard.as_str()).collect();
    let remedy = if empty {
        "look whether the directory was read rightly before anybody approves it".to_owned()
    } else {
        format!("look at the plan, then entrain runs approve {0}, or reject {0}", run.run_id)
    };
    about.concern((ConcernKind::Held, severity, words.join("+")), sentence, remedy, "")
}

fn seats_left(about: &About<'_>, product: &str, seats: &SeatForecast) -> Option<Concern> {
    let limit = seats.limit?;
    let left = limit.saturating_sub(seats.after);
    if left > 0 && left.saturating_mul(100) >= limit.saturating_mul(PLENTY_PERCENT) {
        return None;
    }
    let (severity, sentence) = if left == 0 {
        (Severity::Critical, format!("{product} has no seat left of {limit}"))
    } else {
        let seats = if left == 1 { "seat" } else { "seats" };
        (Severity::Warning, format!("{product} has {left} {seats} left of {limit}"))
    };
    let remedy = "buy seats, or free some: entrain report leavers shows who no longer needs one";
    Some(about.concern((ConcernKind::Seats, severity, product.to_owned()), sentence, remedy.into(), ""))
}

fn waiting(about: &About<'_>, line: &[Waiting]) -> Vec<Concern> {
    let mut products: BTreeMap<&str, Vec<&Waiting>> = BTreeMap::new();
    for one in line {
        products.entry(&one.product).or_default().push(one);
    }
    let concern = |(product, people): (&str, Vec<&Waiting>)| {
        let since = people.iter().map(|one| one.since).min().map(|at| at.strftime("%F").to_string());
        let name = people.first().map_or(product, |one| one.product_name.as_str());
        let who = if people.len() == 1 {
            "one person waits".to_owned()
        } else {
            format!("{} people wait", people.len())
        };
        about.concern(
            (ConcernKind::Waiting, Severity::Warning, product.to_owned()),
            format!("{who} for a seat of {name}, since {}", since.unwrap_or_default()),
            "buy seats, free some, or raise the budget; entrain report seats shows the line".into(),
            "",
        )
    };
    products.into_iter().map(concern).collect()
}

fn drift(about: &About<'_>, drift: &BTreeMap<DriftKind, usize>) -> Option<Concern> {
    let number: usize = drift.values().sum();
    if number == 0 {
        return None;
    }
    let sentence = format!(
        "{number} {} changed by hand on the site",
        if number == 1 { "thing was" } else { "things were" }
    );
    let remedy = "entrain report drift shows what, and what becomes of it";
    Some(about.concern((ConcernKind::Drift, Severity::Notice, String::new()), sentence, remedy.into(), ""))
}

fn credential(about: &About<'_>, row: &CredentialRow) -> Option<Concern> {
    let day = |at: Option<Timestamp>| at.map(|at| at.strftime("%F").to_string()).unwrap_or_default();
    let (severity, sentence) = match (row.state, row.days_left) {
        (CredentialState::Expired, _) => {
            (Severity::Critical, format!("the {} ended on {}", row.credential, day(row.expires)))
        }
        (CredentialState::Soon, Some(days)) => {
            let severity = match days {
                ..=1 => Severity::Critical,
                2..=7 => Severity::Warning,
                _ => Severity::Notice,
            };
            (severity, format!("the {} ends on {}", row.credential, day(row.expires)))
        }
        _ => return None,
    };
    Some(about.concern(
        (ConcernKind::Credential, severity, row.key.to_owned()),
        sentence,
        row.remedy.to_owned(),
        "",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{FailureClass, FailureCode};
    use crate::model::RunId;
    use crate::plan::Held;
    use crate::reports::{Credential, Expiry, WARN_DAYS, credentials};
    use crate::run::{Phase, RequestCounts};

    fn report(status: RunStatus) -> RunReport {
        RunReport {
            run_id: RunId::parse("r1").unwrap(),
            connection: "Azure AD".into(),
            trigger: Trigger::Schedule,
            status,
            steps: BTreeMap::new(),
            requests: RequestCounts::default(),
            held: Vec::new(),
            set_aside: Vec::new(),
            left_to: None,
            notes: Vec::new(),
            drift: BTreeMap::new(),
            quarantine: None,
            resume_at: None,
            seats: BTreeMap::new(),
            waiting: Vec::new(),
            digest: None,
            error: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: 1,
        }
    }

    fn summary(report: Option<RunReport>, trigger: Trigger) -> RunSummary {
        RunSummary {
            id: RunId::parse("r1").unwrap(),
            connection: "Azure AD".into(),
            trigger,
            status: report.as_ref().map_or(RunStatus::Running, |report| report.status),
            phase: Phase::Ended,
            started_at: Timestamp::UNIX_EPOCH,
            report,
        }
    }

    fn found(reports: Vec<RunReport>, decision: Standing) -> Vec<Concern> {
        let runs: Vec<RunSummary> =
            reports.into_iter().map(|report| summary(Some(report), Trigger::Schedule)).collect();
        concerns(&Facts {
            connection: "Azure AD",
            runs: &runs,
            decision,
            hindrance: None,
            credentials: &[],
            notifications_lost: None,
        })
    }

    fn kinds(concerns: &[Concern]) -> Vec<(ConcernKind, Severity)> {
        concerns.iter().map(|concern| (concern.kind, concern.severity)).collect()
    }

    #[test]
    fn a_plan_that_waits_is_one_concern_run_after_run_until_somebody_decides() {
        let held = |guard| RunReport {
            held: vec![Held { guard, reason: "40 of 100 memberships".into() }],
            ..report(RunStatus::Held)
        };
        let one = found(vec![held(Guard::Removals)], Standing::Waits);
        assert_eq!(kinds(&one), [(ConcernKind::Held, Severity::Warning)]);
        assert_eq!(one[0].link, "/runs/r1/plan");
        assert!(one[0].sentence.contains("40 of 100"), "{}", one[0].sentence);
        assert_eq!(
            found(vec![held(Guard::Removals), held(Guard::Removals)], Standing::Waits)[0].key(),
            one[0].key()
        );
        assert_eq!(found(vec![held(Guard::Removals)], Standing::Decided), []);
        let empty = found(vec![held(Guard::EmptyDirectory)], Standing::Waits);
        assert_eq!(kinds(&empty), [(ConcernKind::Held, Severity::Critical)]);
    }

    #[test]
    fn a_failure_that_goes_on_gets_worse_and_a_sign_in_says_nothing_of_it() {
        let failed = || RunReport {
            error: Some(Failure::new(
                FailureCode::SiteUnavailable,
                FailureClass::Transient,
                "no answer",
                "wait",
            )),
            ..report(RunStatus::Failed)
        };
        let severity = |n| kinds(&found((0..n).map(|_| failed()).collect(), Standing::Waits));
        assert_eq!(severity(1), [(ConcernKind::Failed, Severity::Warning)]);
        assert_eq!(severity(DRAWN_OUT), [(ConcernKind::Failed, Severity::Critical)]);
        let signed_in = summary(Some(report(RunStatus::Converged)), Trigger::SignIn);
        let runs = [summary(None, Trigger::Schedule), signed_in, summary(Some(failed()), Trigger::Schedule)];
        let facts = Facts {
            connection: "Azure AD",
            runs: &runs,
            decision: Standing::Waits,
            hindrance: None,
            credentials: &[],
            notifications_lost: None,
        };
        assert_eq!(kinds(&concerns(&facts)), [(ConcernKind::Failed, Severity::Warning)]);
        assert_eq!(found(vec![report(RunStatus::Converged), failed()], Standing::Waits), []);
    }

    #[test]
    fn seats_are_a_concern_before_they_are_used_up() {
        let with = |after| {
            let seats = SeatForecast { before: 0, after, limit: Some(100) };
            let run = RunReport {
                seats: BTreeMap::from([("jira-software".to_owned(), seats)]),
                ..report(RunStatus::Converged)
            };
            found(vec![run], Standing::Waits)
        };
        assert_eq!(with(95), []);
        assert_eq!(kinds(&with(96)), [(ConcernKind::Seats, Severity::Warning)]);
        assert_eq!(kinds(&with(100)), [(ConcernKind::Seats, Severity::Critical)]);
        assert_eq!(with(96)[0].key(), with(100)[0].key());
    }

    #[test]
    fn whoever_waits_for_a_seat_is_one_concern_for_each_product() {
        let waits = |product: &str, place| Waiting {
            product: product.into(),
            product_name: "Jira".into(),
            place,
            user: "Ana".into(),
            directory_id: None,
            since: Timestamp::UNIX_EPOCH,
            groups: Vec::new(),
        };
        let line = vec![waits("jira-software", 1), waits("jira-software", 2), waits("confluence", 1)];
        let run = RunReport { waiting: line, ..report(RunStatus::Partial) };
        // A run that finds nothing changed does not look at the line
        let told = found(vec![report(RunStatus::Converged), run], Standing::Waits);
        assert_eq!(kinds(&told), [(ConcernKind::Waiting, Severity::Warning); 2]);
        assert!(told[1].sentence.contains("2 people wait for a seat of Jira"), "{told:?}");
    }

    #[test]
    fn quarantine_needs_somebody_now() {
        let sick = RunReport { quarantine: Some("40 of 50 failed".into()), ..report(RunStatus::Partial) };
        assert_eq!(
            kinds(&found(vec![sick], Standing::Waits)),
            [(ConcernKind::Quarantine, Severity::Critical)]
        );
    }

    #[test]
    fn s_04_a_credential_is_told_of_at_least_14_days_ahead_and_gets_worse() {
        const { assert!(WARN_DAYS >= 14) };
        let told = |days: i64| {
            let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
            let end = Timestamp::from_second(now.as_second() + days * 24 * 3600).unwrap();
            let token = Credential {
                what: "API token",
                key: "site.api_token",
                expiry: Expiry::Told(end),
                renew: "make a new one",
            };
            let rows = credentials(&[token], now);
            let facts = Facts {
                connection: "Azure AD",
                runs: &[],
                decision: Standing::Waits,
                hindrance: None,
                credentials: &rows,
                notifications_lost: None,
            };
            concerns(&facts).pop()
        };
        assert_eq!(told(31), None);
        let severities = [30, 14, 7, 1, -1].map(|days| told(days).unwrap().severity);
        let (notice, warning, critical) = (Severity::Notice, Severity::Warning, Severity::Critical);
        assert_eq!(severities, [notice, notice, warning, critical, critical]);
        assert_eq!(told(14).unwrap().key(), told(-1).unwrap().key());
    }
}
