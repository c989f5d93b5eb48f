//! What a plan and a run look like from outside: the JSON of the contract, labels for people, and the report of a run
//! while it is being put together.

use std::collections::{BTreeMap, HashSet};

use entrain_domain::Failure;
use entrain_domain::model::RunId;
use entrain_domain::plan::{
    Action, Digest, Drift, Held, MendedBy, Person, Plan, SeatForecast, SetAside, Step, StepId, StepKind,
    Tally, Undo, Waiting,
};
use entrain_domain::policy::Rules;
use entrain_domain::run::{
    AuditNote, JournalEntry, LONGEST_PARK, LeftTo, Outcome, RequestCounts, RunReport, RunStatus, StepCount,
    Trigger,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::ports::Gate;

/// The plan as `entrain plan --json` prints it (contract, "Other results"). The keys stand in the order of the alphabet, as
/// those of a [`Value`] do.
#[derive(serde::Serialize)]
pub(crate) struct PlanDocument<'a> {
    connection: &'a str,
    digest: &'a Digest,
    drift: &'a [Drift],
    held: &'a [Held],
    notes: &'a [SetAside],
    requests: RequestCounts,
    rules: String,
    seats: BTreeMap<String, SeatForecast>,
    set_aside: &'a [SetAside],
    status: &'static str,
    steps: Steps<'a>,
    summary: BTreeMap<StepKind, Tally>,
    waiting: &'a [Waiting],
}

/// The steps of a document. A first plan has hundreds of thousands, so that they are made one at a time.
struct Steps<'a>(&'a Plan);

impl serde::Serialize for Steps<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.steps.iter().map(|step| with_what_it_needs(step, self.0)))
    }
}

impl<'a> PlanDocument<'a> {
    pub(crate) fn of(plan: &'a Plan, connection: &'a str, rules: &Rules, requests: RequestCounts) -> Self {
        let status = if !plan.held.is_empty() {
            "held"
        } else if plan.is_empty() {
            "nothing"
        } else {
            "changes"
        };
        Self {
            connection,
            digest: &plan.digest,
            drift: &plan.drift,
            held: &plan.held,
            notes: &plan.notes,
            requests,
            rules: rules.fingerprint(),
            seats: seats(plan),
            set_aside: &plan.set_aside,
            status,
            steps: Steps(plan),
            summary: plan.tally(),
            waiting: &plan.waiting,
        }
    }

    /// Its text, with as little beside it as possible.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and JSON values always serialise")
    }

    /// The document itself, several times as large as its text.
    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(self).expect("strings, numbers and JSON values always serialise")
    }
}

/// A held step names the held steps that come before it, so that whoever approves a part sees what belongs together.
fn with_what_it_needs(step: &Step, plan: &Plan) -> Value {
    let mut document = step_document(step);
    if step.hold.is_some() {
        let before = step.after.iter().map(|at| &plan.steps[*at as usize]);
        let held: Vec<StepId> = before.filter(|before| before.hold.is_some()).map(Step::id).collect();
        if !held.is_empty() {
            document["after"] = json!(held);
        }
    }
    document
}

pub(crate) fn step_document(step: &Step) -> Value {
    let mut document = Map::new();
    document.insert("id".into(), json!(step.id()));
    document.insert("kind".into(), json!(step.action.kind()));
    if let Some(person) = step.action.person() {
        document.insert("user".into(), json!(**person));
    }
    if let Some(group) = step.action.group() {
        document.insert("group".into(), json!(**group));
    }
    if let Action::UpdateUser { update, .. } = &step.action {
        document.insert("update".into(), json!(**update));
    }
    if let Action::RenameGroup { renaming, .. } = &step.action {
        document.insert("new_name".into(), json!(*renaming.name));
    }
    if let Action::TakeRung { departed, .. } = &step.action {
        document.insert("trigger".into(), json!(departed.proof.leaving()));
    }
    document.insert("reason".into(), json!(step.reason.to_string()));
    document.insert("undoable".into(), json!(step.undo() == Undo::Possible));
    if let Some(guard) = step.hold {
        document.insert("held_by".into(), json!(guard));
    }
    Value::Object(document)
}

/// Seats by product key, as the report lists them.
pub(crate) fn seats(plan: &Plan) -> BTreeMap<String, SeatForecast> {
    plan.seats.iter().map(|(key, forecast)| (key.0.to_string(), *forecast)).collect()
}

fn person_label(person: &Person) -> String {
    match &person.mail {
        Some(mail) => format!("{} <{mail}>", person.name),
        None => person.name.to_string(),
    }
}

/// The object of a step, as a person knows it.
pub fn object_of(step: &Step) -> String {
    match &step.action {
        Action::CreateUser { person, .. }
        | Action::TakeRung { person, .. }
        | Action::ComeBack { person, .. } => person_label(person),
        Action::UpdateUser { person, update } => format!("{} of {}", update.part(), person_label(person)),
        Action::CreateGroup { group } | Action::AdoptGroup { group, .. } => format!("group “{}”", group.name),
        Action::RenameGroup { group, renaming } => {
            format!("group “{}” to “{}”", group.name, renaming.name)
        }
        Action::AddMember { group, person } | Action::RemoveMember { group, person, .. } => {
            format!("{} in group “{}”", person_label(person), group.name)
        }
    }
}

/// What went wrong with an object, said as something that was set aside.
pub(crate) fn aside(object: String, failure: &Failure) -> SetAside {
    SetAside {
        object,
        reason: failure.message.clone(),
        remedy: failure.remedy.clone(),
        mended_by: MendedBy::Itself,
    }
}

/// More than so many percent of failures put a connection in quarantine…
const FAILURES_PERCENT: usize = 40;
/// …when there are at least so many: two failures of three say nothing.
const FAILURES_AT_LEAST: usize = 5;

/// Whether so many failures put the connection in quarantine (quality.md D-05).
pub(crate) fn too_many_failed(failed: usize, tried: usize) -> bool {
    failed >= FAILURES_AT_LEAST && failed * 100 > tried * FAILURES_PERCENT
}

/// What a run did, while it does it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) run: RunId,
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Timestamp,
    /// Whether a killed run goes on.
    pub(crate) resumed: bool,
    /// What the same run had journaled before it was killed.
    pub(crate) earlier: Vec<JournalEntry>,
    pub(crate) steps: BTreeMap<StepKind, StepCount>,
    pub(crate) held: Vec<entrain_domain::plan::Held>,
    pub(crate) set_aside: Vec<SetAside>,
    pub(crate) notes: Vec<SetAside>,
    /// Why the connection was in quarantine when the run began, if it was.
    pub(crate) quarantine: Option<String>,
    /// Failed steps that an earlier run had seen refused as well.
    pub(crate) refused_again: usize,
    pub(crate) drift: BTreeMap<entrain_domain::plan::DriftKind, usize>,
    pub(crate) seats: BTreeMap<String, SeatForecast>,
    /// Who waits for a seat.
    pub(crate) waiting: Vec<entrain_domain::plan::Waiting>,
    pub(crate) digest: Option<entrain_domain::plan::Digest>,
    pub(crate) error: Option<Failure>,
    /// Until when the run is parked, if it is.
    pub(crate) resume_at: Option<Timestamp>,
    pub(crate) ending: Ending,
    /// Where the gate of persons' syncs stood when the run began to read.
    pub(crate) gate: Option<Gate>,
    /// Steps that were left to the sync of their person meanwhile.
    pub(crate) overtaken: HashSet<StepId>,
    /// When a run last looked at the whole site.
    pub(crate) looked_at: Option<Timestamp>,
    /// What an earlier run left and to whom, where nothing has changed since.
    pub(crate) still: Option<LeftTo>,
}

/// How far the work got, guards and what was set aside not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that was open was done and read back.
    Whole,
    /// Some of it was not.
    Incomplete,
    /// None of it could be.
    Failed,
}

impl Draft {
    pub(crate) fn new(
        run: RunId,
        trigger: Trigger,
        started_at: Timestamp,
        earlier: Vec<JournalEntry>,
    ) -> Self {
        Self {
            run,
            trigger,
            started_at,
            resumed: false,
            earlier,
            steps: BTreeMap::new(),
            held: Vec::new(),
            set_aside: Vec::new(),
            notes: Vec::new(),
            quarantine: None,
            refused_again: 0,
            drift: BTreeMap::new(),
            seats: BTreeMap::new(),
            waiting: Vec::new(),
            digest: None,
            error: None,
            resume_at: None,
            ending: Ending::Whole,
            gate: None,
            overtaken: HashSet::new(),
            looked_at: None,
            still: None,
        }
    }

    /// Takes over what the plan says before anything is done.
    pub(crate) fn take_plan(&mut self, plan: &Plan) {
        for (kind, tally) in plan.tally() {
            let count = self.steps.entry(kind).or_default();
            count.planned += tally.planned;
            count.held += tally.held;
        }
        self.held.clone_from(&plan.held);
        self.set_aside.extend(plan.set_aside.iter().cloned());
        self.notes.clone_from(&plan.notes);
        self.drift = plan.drift_tally();
        self.seats = seats(plan);
        self.waiting.clone_from(&plan.waiting);
        self.digest = Some(plan.digest.clone());
        self.count_done_before(plan);
    }

    /// What a killed run did before it was killed, when nothing more is done by it.
    pub(crate) fn count_earlier(&mut self) {
        self.count_done(&HashSet::new());
    }

    /// What this very run did before it was killed counts as well, unless it has to be done again.
    fn count_done_before(&mut self, plan: &Plan) {
        self.count_done(&plan.steps.iter().map(Step::id).collect());
    }

    fn count_done(&mut self, again: &HashSet<StepId>) {
        for entry in &self.earlier {
            if matches!(entry.outcome, Outcome::Done | Outcome::AlreadyDone) && !again.contains(&entry.step) {
                let count = self.steps.entry(entry.kind).or_default();
                count.planned += 1;
                count.done += 1;
            }
        }
    }

    /// Takes over steps that came to light while others were read back.
    pub(crate) fn take_more(&mut self, plan: &Plan) {
        for step in plan.open_steps() {
            self.steps.entry(step.action.kind()).or_default().planned += 1;
        }
    }

    /// Takes over guards that hold what came to light.
    pub(crate) fn hold(&mut self, held: &[entrain_domain::plan::Held]) {
        for new in held {
            if !self.held.iter().any(|known| known.guard == new.guard) {
                self.held.push(new.clone());
            }
        }
    }

    /// Corrects the journal of the killed run after its open entries were looked up.
    pub(crate) fn settled_earlier(&mut self, run: &RunId, step: &StepId, outcome: Outcome) {
        if *run == self.run
            && let Some(entry) = self.earlier.iter_mut().find(|entry| entry.step == *step)
        {
            entry.outcome = outcome;
        }
    }

    pub(crate) fn done(&mut self, kind: StepKind) {
        self.steps.entry(kind).or_default().done += 1;
    }

    pub(crate) fn failed(&mut self, kind: StepKind) {
        self.steps.entry(kind).or_default().failed += 1;
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        let anything_done = self.steps.values().any(|count| count.done > 0);
        self.ending = if anything_done { Ending::Incomplete } else { Ending::Failed };
        self.error = Some(failure);
    }

    /// Parks the run: a quota is used up, so many steps were not tried, and nothing more is asked before its reset.
    pub(crate) fn park(&mut self, connection: &str, failure: &Failure, resume_at: Timestamp, left: usize) {
        self.incomplete();
        self.resume_at = self.resume_at.max(Some(resume_at));
        let left = match left {
            0 => String::new(),
            1 => " with 1 step not tried".to_owned(),
            n => format!(" with {n} steps not tried"),
        };
        self.set_aside.push(SetAside {
            object: format!("connection “{connection}”"),
            reason: format!("the run is parked until {resume_at}{left}: {}", failure.message),
            remedy: "nothing where a schedule runs it: it goes on after that time; else run it again then, or with \
                     entrain sync --wait"
                .into(), mended_by: MendedBy::Itself });
    }

    pub(crate) fn incomplete(&mut self) {
        if self.ending == Ending::Whole {
            self.ending = Ending::Incomplete;
        }
    }

    /// A run that tries nothing changes nothing about a quarantine; any other decides anew. What was refused before and is
    /// again speaks of these few objects and not of the connection, until that is in quarantine.
    fn quarantine_from_here(&self) -> Option<String> {
        let (failed, done) =
            self.steps.values().fold((0, 0), |(failed, done), n| (failed + n.failed, done + n.done));
        let known = if self.quarantine.is_none() { self.refused_again } else { 0 };
        let failed = failed.saturating_sub(known);
        match failed + done {
            0 => self.quarantine.clone(),
            tried => too_many_failed(failed, tried).then(|| {
                format!("{failed} of {tried} steps failed, which is more than {FAILURES_PERCENT} %")
            }),
        }
    }

    fn status(&self) -> RunStatus {
        let unfinished = self.steps.values().any(|count| count.failed > 0) || !self.set_aside.is_empty();
        match self.ending {
            Ending::Failed => RunStatus::Failed,
            _ if !self.held.is_empty() => RunStatus::Held,
            Ending::Whole if !unfinished => RunStatus::Converged,
            Ending::Whole | Ending::Incomplete => RunStatus::Partial,
        }
    }

    /// Who can mend what is left, where all of it was set aside before anything was tried.
    fn left_to(&self) -> Option<LeftTo> {
        let failed = self.steps.values().any(|count| count.failed > 0);
        let waits = !self.held.is_empty() || !self.waiting.is_empty() || self.resume_at.is_some();
        if self.ending != Ending::Whole || failed || waits {
            return None;
        }
        self.still.or_else(|| LeftTo::of(&self.set_aside, self.looked_at))
    }

    pub(crate) fn finish(self, connection: &str, requests: RequestCounts, now: Timestamp) -> RunReport {
        let quarantine = self.quarantine_from_here();
        let left_to = if quarantine.is_none() { self.left_to() } else { None };
        let latest = now.checked_add(LONGEST_PARK).unwrap_or(Timestamp::MAX);
        let duration_ms = u64::try_from(now.duration_since(self.started_at).as_millis()).unwrap_or(0);
        RunReport {
            status: self.status(),
            run_id: self.run,
            connection: connection.to_owned(),
            trigger: self.trigger,
            steps: self.steps,
            requests,
            left_to,
            held: self.held,
            set_aside: self.set_aside,
            notes: self.notes,
            quarantine,
            drift: self.drift,
            resume_at: self.resume_at.map(|at| at.min(latest)),
            seats: self.seats,
            waiting: self.waiting,
            digest: self.digest,
            error: self.error,
            started_at: self.started_at,
            duration_ms,
        }
    }
}

/// The audit entry of a run's end.
pub(crate) fn end_note(report: &RunReport) -> AuditNote {
    let (mut done, mut failed) = (0, 0);
    for count in report.steps.values() {
        done += count.done;
        failed += count.failed;
    }
    let detail = match (&report.error, report.resume_at) {
        (Some(failure), _) => format!("{}: {}", report.status.as_str(), failure.message),
        (None, Some(at)) => {
            format!("{}: {done} done, {failed} failed, parked until {at}", report.status.as_str())
        }
        (None, None) => format!(
            "{}: {done} done, {failed} failed, {} set aside, {} guards hold",
            report.status.as_str(),
            report.set_aside.len(),
            report.held.len()
        ),
    };
    AuditNote {
        actor: "entrain".into(),
        action: "run_ended".into(),
        object: report.run_id.to_string(),
        detail,
    }
}
