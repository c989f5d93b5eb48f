//! Runs as rows of a table.

use entrain_domain::run::{RunStatus, RunSummary};
use jiff::Timestamp;

use super::parts::{Chip, When, day_and_time, number, started_by, took};

/// A run in a list.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) at: When,
    pub(crate) by: &'static str,
    pub(crate) chip: Chip,
    pub(crate) steps: String,
    pub(crate) requests: String,
    pub(crate) took: String,
}

impl RunRow {
    pub(crate) fn of(run: &RunSummary, now: Timestamp) -> Self {
        let report = run.report.as_ref();
        let (planned, done) = report.map_or((0, 0), |report| {
            report.steps.values().fold((0, 0), |(p, d), n| (p + n.planned as u64, d + n.done as u64))
        });
        let requests = report.map(|report| {
            let requests = &report.requests;
            number(requests.directory + requests.site + requests.organization)
        });
        Self {
            id: run.id.to_string(),
            name: day_and_time(run.started_at),
            at: When::new(run.started_at, now),
            by: started_by(run.trigger),
            chip: Chip::of_run(run.status),
            steps: match (run.status, planned) {
                (RunStatus::Running, _) => String::new(),
                (_, 0) => "0".into(),
                (_, planned) if planned == done => number(done),
                (_, planned) => format!("{} of {}", number(done), number(planned)),
            },
            requests: requests.unwrap_or_default(),
            took: report.map(|report| took(report.duration_ms)).unwrap_or_default(),
        }
    }
}
