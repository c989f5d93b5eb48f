//! The table of routes. Routes of one path stand together.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use axum::routing::MethodFilter;
use entrain_domain::service::Role;

use super::ask::{Ask, Reply};
use super::{events, handlers, reports, trials, versions};
use crate::problem::Problem;

/// Methods that routes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    pub(crate) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    pub(crate) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }
}

/// What a parameter, or a field of a body, takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A text of at most so many characters, not empty.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`; in an address, the name alone means `true`.
    Flag,
    /// A whole number from one to the other.
    Number(u32, u32),
    /// A list of at most so many texts, each of at most so many characters and not empty; in a body only.
    Texts(usize, usize),
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    May,
}

/// A parameter of the query, or a field of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) need: Need,
    pub(crate) what: &'static str,
}

const fn may(name: &'static str, takes: Takes, what: &'static str) -> Field {
    Field { name, takes, need: Need::May, what }
}

const fn must(name: &'static str, takes: Takes, what: &'static str) -> Field {
    Field { name, takes, need: Need::Must, what }
}

/// Whether a write may be sent twice under one `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or its answer holds a secret: the header is refused.
    No,
    /// The second gets the answer of the first.
    Kept,
}

/// What a handler gives back, in time.
pub(crate) type Doing = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One route.
pub(crate) struct Route {
    pub(crate) method: Verb,
    pub(crate) path: &'static str,
    /// Name of the operation.
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    /// The least role.
    pub(crate) role: Role,
    pub(crate) query: &'static [Field],
    /// Fields of the JSON body; none where no body is taken.
    pub(crate) body: &'static [Field],
    pub(crate) repeat: Repeat,
    /// Statuses of success, with what they carry.
    pub(crate) gives: &'static [(u16, &'static str)],
    /// Name of the schema of the answer.
    pub(crate) schema: &'static str,
    pub(crate) handler: fn(Ask) -> Doing,
}

const WAIT: Field =
    may("wait", Takes::Flag, "Answer when the run has ended, with its report, instead of when it has begun.");
const FULL: Field = may("full", Takes::Flag, "Read both sides in full, instead of what changed.");
const CURSOR: Field = may("cursor", Takes::Text(100), "`next` of the page before.");
const LIMIT: Field = may("limit", Takes::Number(1, 500), "Entries of a page; 50 when left out.");
const SEARCH: Field =
    may("search", Takes::Text(200), "What names, addresses and ids have to contain, whatever the case.");
const BEGUN: &[(u16, &str)] = &[
    (202, "The run has begun; `Location` says where it can be looked at."),
    (200, "With `wait`: the report of the run."),
];
const GOOD: &[(u16, &str)] = &[(200, "Done.")];
const GONE: &[(u16, &str)] = &[(204, "Done.")];

macro_rules! route {
    ($method:ident $path:literal $id:ident $role:ident $what:literal, $query:expr, $body:expr, $repeat:ident, $gives:expr, $schema:literal, $handler:path) => {
        Route {
            method: Verb::$method,
            path: $path,
            id: stringify!($id),
            what: $what,
            role: Role::$role,
            query: $query,
            body: $body,
            repeat: Repeat::$repeat,
            gives: $gives,
            schema: $schema,
            handler: |ask| Box::pin($handler(ask)),
        }
    };
}

/// Everything that the API can do.
pub(crate) static ROUTES: &[Route] = &[
    route!(Get "/connections" list_connections Viewer "Lists connections.", &[], &[], No, GOOD, "Connections", handlers::connections),
    route!(Get "/connections/{connection}" get_connection Viewer "Gives a connection with its document, secrets sealed.", &[], &[], No, GOOD, "Connection", handlers::connection),
    route!(Put "/connections/{connection}" put_connection Administrator "Stores a document, new or as the next version; `sealed` secrets stay as they are.",
        &[may("dry_run", Takes::Flag, "Store nothing; say what its parser refuses, and what its rules would change as far as both sides are remembered.")],
        &[must("document", Takes::Text(500_000), "The document, in TOML."),
          may("why", Takes::Text(200), "Why it is stored, in one line; kept with the version and in the audit log.")], Kept,
        &[(200, "Stored as a new version, or with `dry_run` not stored."), (201, "Stored for the first time.")], "Stored", handlers::put_connection),
    route!(Delete "/connections/{connection}" remove_connection Administrator "Removes a connection and forgets its secrets; links, ledger and runs stay.", &[], &[], Kept, GONE, "", handlers::remove_connection),
    route!(Get "/connections/{connection}/versions" list_versions Viewer "Lists the versions of a connection's document, the newest first.", &[], &[], No, GOOD, "Object", versions::list),
    route!(Get "/connections/{connection}/versions/{version}" get_version Viewer "Gives a version with its document, secrets sealed.", &[], &[], No, GOOD, "Object", versions::get),
    route!(Get "/connections/{connection}/versions/{version}/diff" compare_versions Viewer "What differs between this version and another, line by line.", &[
            may("to", Takes::Number(1, 4_294_967_295), "The other version; the newest when left out."),
        ], &[], No, GOOD, "Object", versions::compare),
    route!(Put "/connections/{connection}/mode" set_mode Administrator "Says whether the service may write by itself (`apply`) or only plans (`preview`).", &[],
        &[must("mode", Takes::Word(&["preview", "apply"]), "The mode.")], Kept, GOOD, "Connection", handlers::set_mode),
    route!(Post "/connections/{connection}/check" check_connection Operator "Tests both sides.", &[], &[], No, GOOD, "Object", handlers::check),
    route!(Post "/connections/{connection}/plan" plan_connection Operator "Reads both sides and plans; changes nothing.", &[FULL], &[], No, GOOD, "Object", handlers::plan),
    route!(Get "/connections/{connection}/preview" get_preview Viewer "The newest plan that the schedule made in preview.", &[], &[], No, GOOD, "Object", handlers::preview),
    route!(Post "/connections/{connection}/sync" sync_connection Operator "Starts a run: plan, guards, apply, verify.", &[
            WAIT, FULL,
            may("user", Takes::Text(320), "Only this person: object id, principal name, address or account id."),
            may("group", Takes::Text(320), "Only this group with its members: id or name, on either side."),
        ], &[], Kept, BEGUN, "Run", handlers::sync),
    route!(Post "/connections/{connection}/test-alerts" test_alerts Operator "Sends a test over each channel of alerts, or over one, and says what became of each.", &[],
        &[may("channel", Takes::Text(40), "Only over this channel.")], No, GOOD, "Object", handlers::test_alerts),
    route!(Get "/connections/{connection}/explain" explain Viewer "Says why a person or group is, or is not, what and where it is.", &[
            may("user", Takes::Text(320), "Object id, principal name, address or account id of a person."),
            may("group", Takes::Text(320), "Id or name of a group, on either side."),
            FULL,
        ], &[], No, GOOD, "Object", handlers::explain),
    route!(Post "/connections/{connection}/try-expression" try_expression Operator "What an expression makes of one person, as last read: the value, or what is wrong and where.", &[], &[
            must("expression", Takes::Text(4_000), "An expression, as attributes of a document have it."),
            must("user", Takes::Text(320), "The person: object id, whole address or account id."),
        ], No, GOOD, "ExpressionTrial", trials::expression),
    route!(Get "/connections/{connection}/notifications" get_notifications Viewer "How change notifications stand: subscriptions, troubles, and how long changes took.", &[], &[], No, GOOD, "Object", handlers::notifications),
    route!(Get "/connections/{connection}/reports/{report}" get_report Viewer "A report: `leavers`, `unlinked`, `drift` and `seats` read both sides; `ladder`, `credentials` and `members` say what is remembered.", &[
            may("format", Takes::Word(&["json", "csv"]), "`csv` for spreadsheets; JSON when left out."),
            may("group", Takes::Text(320), "For `members`, and needed there: the group, by its id on either side or by name."),
            may("at", Takes::Text(40), "For `members`: a day (its end in UTC, such as `2026-11-01`) or an instant; now when left out."),
        ], &[], No, GOOD, "Report", reports::report),
    route!(Get "/connections/{connection}/users" search_users Viewer "People of the directory, as they were last read.", &[SEARCH, LIMIT], &[], No, GOOD, "Object", handlers::users),
    route!(Get "/connections/{connection}/groups" search_groups Viewer "Groups of the directory, as they were last read.", &[SEARCH, LIMIT], &[], No, GOOD, "Object", handlers::groups),
    route!(Get "/runs" list_runs Viewer "Lists runs, the newest first.", &[
            may("connection", Takes::Text(100), "Only runs of this connection."), CURSOR, LIMIT,
        ], &[], No, GOOD, "Runs", handlers::runs),
    route!(Get "/runs/{run}" get_run Viewer "A run with its journal.", &[], &[], No, GOOD, "Run", handlers::run),
    route!(Get "/runs/{run}/plan" get_run_plan Viewer "The plan of a run.", &[], &[], No, GOOD, "Object", handlers::run_plan),
    route!(Get "/runs/{run}/events" get_run_events Viewer "What a run tells while it runs, as server-sent events; ends with `ended`.", &[], &[], No, GOOD, "EventStream", events::events),
    route!(Post "/runs/{run}/stop" stop_run Operator "Stops a run at its next step boundary.", &[], &[], Kept, &[(202, "It will stop.")], "Object", handlers::stop),
    route!(Post "/runs/{run}/approve" approve_run Approver "Approves what guards held in a run, and does it; refuses if either side has changed since.", &[WAIT],
        &[may("accept_empty", Takes::Flag, "Also approve a directory or scope that reads as empty."),
          may("steps", Takes::Texts(10_000, 400), "Names of held steps: only these are approved, the others stay held."),
          may("people", Takes::Texts(10_000, 400), "People by object id, address or account id: what is held about them is approved, and the rest stays held.")],
        Kept, BEGUN, "Run", handlers::approve),
    route!(Post "/runs/{run}/reject" reject_run Approver "Rejects what guards held in a run.", &[], &[], Kept, GONE, "", handlers::reject),
    route!(Post "/runs/{run}/undo" undo_run Approver "Takes back what a run did: an ordinary plan, through the guards.", &[WAIT], &[], Kept, BEGUN, "Run", handlers::undo),
    route!(Get "/alerts" list_alerts Viewer "What people are told of: what is open first, then what is over.", &[
            may("connection", Takes::Text(100), "Only those of this connection."),
            may("state", Takes::Word(&["open", "acknowledged", "over"]), "Only those in this state."),
        ], &[], No, GOOD, "Object", handlers::alerts),
    route!(Post "/alerts/{alert}/acknowledge" acknowledge_alert Operator "Takes an alert on: it is not repeated any more, unless it gets worse or comes back.", &[],
        &[may("note", Takes::Text(500), "What is being done about it.")], Kept, GOOD, "Object", handlers::acknowledge_alert),
    route!(Get "/audit" list_audit Viewer "Entries of the audit log, the newest first.", &[
            may("who", Takes::Text(200), "Only of people, keys and doors whose name contains this."),
            may("kind", Takes::Text(100), "Only of this kind, such as `add_member`."),
            may("object", Takes::Text(320), "Only about objects whose name or id contains this."),
            may("from", Takes::Text(40), "Only from then on: a day (its beginning in UTC, such as `2026-11-01`) or an instant."),
            may("to", Takes::Text(40), "Only up to then: a day (its end in UTC) or an instant."),
            CURSOR, LIMIT,
        ], &[], No, GOOD, "AuditEntries", handlers::audit),
    route!(Get "/audit/export" export_audit Viewer "The whole audit log, the oldest entry first: a JSON object on each line, or a table for spreadsheets.", &[
            may("format", Takes::Word(&["jsonl", "csv"]), "JSON Lines when left out."),
        ], &[], No, GOOD, "Lines", reports::audit),
    route!(Get "/audit/verify" verify_audit Viewer "Follows the chain of the audit log.", &[], &[], No, GOOD, "Object", handlers::verify_audit),
    route!(Get "/api-keys" list_api_keys Administrator "Lists API keys, without their secrets.", &[], &[], No, GOOD, "Object", handlers::keys),
    route!(Post "/api-keys" create_api_key Administrator "Makes an API key; the answer holds it, this once.", &[], &[
            must("name", Takes::Text(100), "Name, never used before: it stands in decisions and in the audit log."),
            must("role", Takes::Word(&["viewer", "operator", "approver", "administrator"]), "What it may do."),
            may("days", Takes::Number(1, 3650), "Days until it expires; 90 when left out."),
        ], No, &[(201, "Made.")], "Object", handlers::make_key),
    route!(Delete "/api-keys/{key}" revoke_api_key Administrator "Revokes an API key at once.", &[], &[], Kept, GONE, "", handlers::revoke_key),
    route!(Get "/connection-schema" get_connection_schema Viewer "The JSON Schema of connection documents.", &[], &[], No, GOOD, "Object", handlers::schema),
];
