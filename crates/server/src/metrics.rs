//! Figures for Prometheus. Every name stands in [`NAMES`] with its meaning, and a test holds the reference page against
//! it.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use entrain_domain::alerts::Severity;
use entrain_domain::run::Trigger;
use entrain_domain::{Failure, FailureCode};
use entrain_engine::Approved;
use entrain_engine::alerts::Looked;
use entrain_engine::notifications::freshness::Spread;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A spread of values.
    Histogram,
}

impl Kind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const BUILD: &str = "entrain_build_info";
const RUNS: &str = "entrain_runs_total";
const RUN_SECONDS: &str = "entrain_run_duration_seconds";
const STEPS: &str = "entrain_steps_total";
const UPSTREAM: &str = "entrain_upstream_requests_total";
const ACTIVE: &str = "entrain_runs_active";
const CONVERGED: &str = "entrain_last_converged_timestamp_seconds";
const QUARANTINED: &str = "entrain_connection_quarantined";
const PREVIEWS: &str = "entrain_previews_total";
const NOT_BEGUN: &str = "entrain_schedule_failures_total";
const ALERTS: &str = "entrain_alerts_open";
const LETTERS: &str = "entrain_alert_letters_total";
const KNOCKS: &str = "entrain_notifications_total";
const TROUBLES: &str = "entrain_notification_troubles";
const FRESHNESS: &str = "entrain_change_freshness_seconds";
const DOOR_SYNCS: &str = "entrain_door_syncs_total";
const DOOR_SECONDS: &str = "entrain_door_sync_duration_seconds";
const REFUSED: &str = "entrain_requests_refused_total";
const REQUESTS: &str = "entrain_http_requests_total";
const REQUEST_SECONDS: &str = "entrain_http_request_duration_seconds";

/// Every figure: name, kind, labels, meaning.
pub const NAMES: &[(&str, Kind, &str, &str)] = &[
    (BUILD, Kind::Gauge, "version", "1, with the version of the program"),
    (RUNS, Kind::Counter, "connection, trigger, status", "runs that ended"),
    (RUN_SECONDS, Kind::Histogram, "connection", "wall time of runs"),
    (
        STEPS,
        Kind::Counter,
        "connection, kind, outcome",
        "steps of runs, by kind and outcome (done, failed, held)",
    ),
    (
        UPSTREAM,
        Kind::Counter,
        "connection, side",
        "requests of runs to directory, site and organization; side throttled counts answers 429 of all",
    ),
    (ACTIVE, Kind::Gauge, "", "runs under way in this process"),
    (CONVERGED, Kind::Gauge, "connection", "start of the last run that converged, in seconds since 1970"),
    (QUARANTINED, Kind::Gauge, "connection", "1 while too much of what is tried fails, else 0"),
    (PREVIEWS, Kind::Counter, "connection, outcome", "scheduled previews, by outcome (planned, failed)"),
    (
        NOT_BEGUN,
        Kind::Counter,
        "connection, code",
        "scheduled runs and previews that could not be done, by code of the failure",
    ),
    (ALERTS, Kind::Gauge, "connection, severity", "alerts that are open, acknowledged ones included"),
    (
        LETTERS,
        Kind::Counter,
        "connection, channel, outcome",
        "attempts to send alerts over a channel, by outcome (sent, failed)",
    ),
    (
        KNOCKS,
        Kind::Counter,
        "outcome",
        "change notifications that came through a door: accepted, wrong (secret or subscription), refused (requests as a whole)",
    ),
    (
        TROUBLES,
        Kind::Gauge,
        "connection",
        "reasons why change notifications of a connection cannot be relied on; 0 is well",
    ),
    (
        FRESHNESS,
        Kind::Gauge,
        "connection, quantile",
        "time from a change in the directory to the site, over the last day: median (0.5) and 95th percentile (0.95)",
    ),
    (
        DOOR_SYNCS,
        Kind::Counter,
        "connection, door, outcome",
        "syncs of people who came through a door (access, token-issuance, webhook), by outcome: ready, nothing (no access), held, later, failed, crowded (too many at once, left to the schedule)",
    ),
    (DOOR_SECONDS, Kind::Histogram, "door", "time from the knock at a door to the end of the sync"),
    (
        REFUSED,
        Kind::Counter,
        "kind",
        "requests that were refused as attacks are: credential (no good key, secret, signature or token), role, foreign (sent by another site), too_many, too_large, too_slow, malformed, silent (no whole request in time, idle connections among them)",
    ),
    (REQUESTS, Kind::Counter, "route, method, status", "requests to the service"),
    (REQUEST_SECONDS, Kind::Histogram, "route", "time to answer them"),
];

const RUN_BUCKETS: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
const DOOR_BUCKETS: &[f64] = &[0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 60.0];
const REQUEST_BUCKETS: &[f64] = &[0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];

fn handle() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            use metrics_exporter_prometheus::Matcher;
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Full(RUN_SECONDS.into()), RUN_BUCKETS)
                .and_then(|b| {
                    b.set_buckets_for_metric(Matcher::Full(REQUEST_SECONDS.into()), REQUEST_BUCKETS)
                })
                .and_then(|b| b.set_buckets_for_metric(Matcher::Full(DOOR_SECONDS.into()), DOOR_BUCKETS));
            let handle = builder.and_then(PrometheusBuilder::install_recorder).ok();
            for (name, kind, _, meaning) in NAMES {
                match kind {
                    Kind::Counter => describe_counter!(*name, *meaning),
                    Kind::Gauge => describe_gauge!(*name, *meaning),
                    Kind::Histogram => describe_histogram!(*name, *meaning),
                }
            }
            handle
        })
        .as_ref()
}

/// Begins to count.
pub(crate) fn begin() {
    if handle().is_none() {
        tracing::warn!("figures are not counted: something else counts in this process");
    }
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    active_runs(0);
}

/// `/metrics`.
pub(crate) async fn page() -> Response {
    let text = handle().map(|handle| {
        handle.run_upkeep();
        handle.render()
    });
    ([("content-type", "text/plain; version=0.0.4")], text.unwrap_or_default()).into_response()
}

/// Counts a request under the address that matched, never under what was asked for.
pub(crate) async fn counted(request: Request, next: Next) -> Response {
    let at = std::time::Instant::now();
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    counter!(REQUESTS, "route" => route.clone(), "method" => method, "status" => status).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route).record(at.elapsed());
    response
}

#[expect(clippy::cast_precision_loss, reason = "there are few")]
pub(crate) fn active_runs(count: usize) {
    gauge!(ACTIVE).set(count as f64);
}

pub(crate) fn quarantined(connection: &str, is: bool) {
    gauge!(QUARANTINED, "connection" => connection.to_owned()).set(f64::from(u8::from(is)));
}

#[expect(clippy::cast_precision_loss, reason = "there are few")]
pub(crate) fn alerts_looked(connection: &str, looked: &Looked) {
    for severity in Severity::ALL {
        let open = looked.open.iter().filter(|open| **open == severity).count();
        gauge!(ALERTS, "connection" => connection.to_owned(), "severity" => severity.as_str())
            .set(open as f64);
    }
    for delivered in &looked.delivered {
        let outcome = if delivered.outcome.is_ok() { "sent" } else { "failed" };
        counter!(LETTERS, "connection" => connection.to_owned(), "channel" => delivered.channel.clone(),
            "outcome" => outcome)
        .increment(1);
    }
}

pub(crate) fn preview_ended(connection: &str, planned: bool) {
    let outcome = if planned { "planned" } else { "failed" };
    counter!(PREVIEWS, "connection" => connection.to_owned(), "outcome" => outcome).increment(1);
}

pub(crate) fn schedule_failed(connection: &str, code: FailureCode) {
    counter!(NOT_BEGUN, "connection" => connection.to_owned(), "code" => code.as_str()).increment(1);
}

/// The sync of somebody who came through a door has ended, so long after they knocked.
pub(crate) fn door_synced(connection: &str, door: &'static str, outcome: &'static str, took: Duration) {
    door_ended(connection, door, outcome);
    histogram!(DOOR_SECONDS, "door" => door).record(took);
}

/// The same without a time, of one that was not begun.
pub(crate) fn door_ended(connection: &str, door: &'static str, outcome: &'static str) {
    counter!(DOOR_SYNCS, "connection" => connection.to_owned(), "door" => door, "outcome" => outcome)
        .increment(1);
}

/// As what a request was refused; stands with its answer until it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(&'static str);

impl Refused {
    /// Not what a server and a proxy would read alike, or not HTTP at all.
    pub(crate) const MALFORMED: Self = Self("malformed");
    /// No whole request in time.
    pub(crate) const SILENT: Self = Self("silent");

    /// As what a failure counts, if it tells of something that attacks do.
    pub(crate) fn of(code: FailureCode) -> Option<Self> {
        Some(Self(match code {
            FailureCode::ApiKeyRefused | FailureCode::SignInRefused => "credential",
            FailureCode::RoleMissing => "role",
            FailureCode::RequestForeign => "foreign",
            FailureCode::TooManyRequests => "too_many",
            FailureCode::RequestTooLarge => "too_large",
            FailureCode::RequestSlow => "too_slow",
            _ => return None,
        }))
    }

    pub(crate) fn count(self) {
        counter!(REFUSED, "kind" => self.0).increment(1);
    }
}

/// Counts what was refused.
pub(crate) async fn refusals(response: Response) -> Response {
    if let Some(refused) = response.extensions().get::<Refused>() {
        refused.count();
    }
    response
}

pub(crate) fn knocked(outcome: &'static str, count: u64) {
    if count > 0 {
        counter!(KNOCKS, "outcome" => outcome).increment(count);
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are few")]
pub(crate) fn notification_troubles(connection: &str, count: usize) {
    gauge!(TROUBLES, "connection" => connection.to_owned()).set(count as f64);
}

pub(crate) fn freshness(connection: &str, spread: Option<Spread>) {
    let Some(spread) = spread else { return };
    for (quantile, ms) in [("0.5", spread.median_ms), ("0.95", spread.p95_ms)] {
        let seconds = Duration::from_millis(ms).as_secs_f64();
        gauge!(FRESHNESS, "connection" => connection.to_owned(), "quantile" => quantile).set(seconds);
    }
}

pub(crate) fn run_ended(
    connection: &str,
    trigger: Trigger,
    result: &Result<Approved, Failure>,
    took: Duration,
) {
    let Ok(Approved::Run(report)) = result else { return };
    let named = || connection.to_owned();
    let status = report.status.as_str();
    counter!(RUNS, "connection" => named(), "trigger" => trigger.as_str(), "status" => status).increment(1);
    histogram!(RUN_SECONDS, "connection" => named()).record(took);
    for (kind, count) in &report.steps {
        for (outcome, count) in [("done", count.done), ("failed", count.failed), ("held", count.held)] {
            if count > 0 {
                counter!(STEPS, "connection" => named(), "kind" => kind.as_str(), "outcome" => outcome)
                    .increment(count as u64);
            }
        }
    }
    let asked = &report.requests;
    for (side, count) in [
        ("directory", asked.directory),
        ("site", asked.site),
        ("organization", asked.organization),
        ("throttled", asked.throttled),
    ] {
        counter!(UPSTREAM, "connection" => named(), "side" => side).increment(count);
    }
    if report.status == entrain_domain::run::RunStatus::Converged {
        let at =
            std::time::Duration::from_millis(u64::try_from(report.started_at.as_millisecond()).unwrap_or(0));
        gauge!(CONVERGED, "connection" => named()).set(at.as_secs_f64());
    }
}
