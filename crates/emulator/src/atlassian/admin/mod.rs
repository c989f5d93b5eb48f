//! The Organizations API and the User management API. Three forms of error: the application's list, the gateway's
//! object, and the router's for an organization that the key does not know.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Incoming;
use super::auth::{self, Key};
use super::query::object;
use super::reply::{Answer, Reply};
use crate::state::State;
use crate::world::atlassian::lag_view;

mod groups;
mod invite;
mod manage;
mod orgs;
mod users;

/// One call with a valid key.
struct Call<'c> {
    state: &'c State,
    request: &'c Incoming<'c>,
    now: Timestamp,
}

impl Call<'_> {
    /// The body as an object; an empty body is an empty object.
    fn body(&self) -> Result<Map<String, Value>, Reply> {
        if self.request.body.is_empty() {
            return Ok(Map::new());
        }
        object(self.request.headers, self.request.body)
            .map_err(|_| error(400, "ADMIN-400-24", "Bad Request", "The request body is not a JSON object."))
    }

    /// The instant as of which the organization side sees the world.
    fn seen(&self) -> Option<Timestamp> {
        lag_view(self.now, self.state.settings().atlassian.organization_lag_ms)
    }

    /// One page of a list: a bare cursor leads to the next, and drops all other parameters. `filters` are what must
    /// be kept in it.
    fn page(&self, rows: &[Value], limit: usize, start: usize, filters: &Map<String, Value>) -> Reply {
        let limit = limit.min(self.state.settings().atlassian.list_page_size.unwrap_or(usize::MAX));
        let next = start.saturating_add(limit);
        let mut links = Map::new();
        links.insert("self".into(), cursor(start, limit, filters).into());
        if next < rows.len() {
            links.insert("next".into(), cursor(next, limit, filters).into());
        }
        let data: Vec<&Value> = rows.iter().skip(start).take(limit).collect();
        Reply::json(200, json!({"data": data, "links": links}))
    }
}

/// An error of the application.
fn error(status: u16, code: &str, title: &str, detail: &str) -> Reply {
    let body = json!({"errors": [{
        "id": "5f0c2c0e-9c5b-4d3a-8f0e-1d2c3b4a5968",
        "status": status.to_string(), "code": code, "title": title, "detail": detail,
    }]});
    Reply::json(status, body)
}

fn unknown(code: &str, detail: &str) -> Reply {
    error(404, code, "Unknown Resource", detail)
}

fn bad(detail: &str) -> Reply {
    error(400, "ADMIN-400-24", "Bad Request", detail)
}

/// The router's answer for an organization it does not find.
fn wrong_organization(call: &Call<'_>) -> Reply {
    Reply::json(
        404,
        json!({
            "timestamp": call.now.to_string(),
            "path": format!("/api/{}", call.request.segments.join("/")),
            "status": 404,
            "error": "Not Found",
            "requestId": "f3b2c1d0-1",
            "message": "TCS validation failed",
        }),
    )
}

fn cursor(start: usize, limit: usize, filters: &Map<String, Value>) -> String {
    hex::encode(json!({"s": start, "l": limit, "f": filters}).to_string())
}

/// The parameters of a list call: those of the cursor when there is one, else those given. Also the page's start.
fn resume(
    given: Map<String, Value>,
    default: usize,
    most: usize,
) -> Result<(Map<String, Value>, usize, usize), Reply> {
    let Some(text) = given.get("cursor").and_then(Value::as_str).filter(|c| !c.is_empty()) else {
        let limit = match given.get("limit") {
            None | Some(Value::Null) => default,
            Some(limit) => limit
                .as_u64()
                .or_else(|| limit.as_str()?.parse().ok())
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| bad(&format!("limit lies between 1 and {most}.")))?,
        };
        return Ok((given, 0, limit));
    };
    let invalid = || error(400, "ADMIN-400-1", "Invalid cursor", "The cursor is not valid.");
    let bytes = hex::decode(text).map_err(|_| invalid())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    let number = |key: &str| value[key].as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(invalid);
    let filters = value["f"].as_object().cloned().ok_or_else(invalid)?;
    Ok((filters, number("s")?, number("l")?))
}

/// A list of texts in a body or query; nothing when the field is absent.
fn texts<'m>(from: &'m Map<String, Value>, field: &str, most: usize) -> Result<Option<Vec<&'m str>>, Reply> {
    let Some(value) = from.get(field).filter(|v| !v.is_null()) else { return Ok(None) };
    let list = value.as_array().ok_or_else(|| bad(&format!("{field} must be an array.")))?;
    if list.is_empty() || list.len() > most {
        return Err(bad(&format!("{field} takes 1 to {most} values.")));
    }
    let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    texts.map(Some).ok_or_else(|| bad(&format!("{field} takes texts.")))
}

/// The query of a deprecated list as the body of the search that replaces it.
fn query_as_body(call: &Call<'_>) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, value) in &call.request.query.0 {
        if ["cursor", "limit", "searchTerm", "claimStatus"].contains(&name.as_str()) {
            body.insert(name.clone(), value.as_str().into());
        } else if let Value::Array(list) = body.entry(name.clone()).or_insert_with(|| json!([])) {
            list.extend(value.split(',').map(Value::from));
        }
    }
    body
}

/// Whether the directory of a path may be used: `-` on reads only.
fn require_directory(call: &Call<'_>, directory: &str, reads: &Access) -> Result<(), Reply> {
    if directory == call.state.world().atlassian.directory_id
        || (directory == "-" && matches!(reads, Access::Read))
    {
        return Ok(());
    }
    Err(unknown("ADMIN-404-1", "The directory is not known."))
}

enum Access {
    Read,
    Write,
}

/// Answers one request under `/admin` or `/users/{id}/manage`.
pub(super) fn answer(state: &State, request: &Incoming<'_>) -> Reply {
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let key = auth::organization_key(&state.world().atlassian, request.headers);
    let call = Call { state, request, now: state.now() };
    if let ["users", id, "manage", rest @ ..] = path.as_slice() {
        match key {
            None => return Reply::json(401, json!({"key": "unauthorized"})),
            // The scope that it wants cannot be chosen for any key
            Some(Key::Scoped(_)) => {
                let context = json!({"message": "The scope manage:org is needed."});
                return Reply::json(403, json!({"key": "forbidden", "context": context}));
            }
            Some(Key::WithoutScopes) => {}
        }
        return manage::route(&call, id, rest).unwrap_or_else(|refusal| refusal);
    }
    match key {
        None => return Reply::gateway(401, "Unauthorized"),
        Some(Key::Scoped(scopes))
            if !scope_of(request.method, &path).is_some_and(|scope| scopes.contains(scope)) =>
        {
            return error(401, "ADMIN-401-2", "Unauthorized", "INSUFFICIENT_SCOPE");
        }
        Some(_) => {}
    }
    route(&call, &path).unwrap_or_else(|refusal| refusal)
}

/// The scope that opens a call to a key with scopes. The scopes of writes stand in no document: such keys are refused
/// there.
fn scope_of(method: &str, path: &[&str]) -> Option<&'static str> {
    let reads = method == "GET" || path.last() == Some(&"search");
    match path {
        ["admin", "v2", "orgs", _, "workspaces"] => Some("read:workspaces:admin"),
        _ if !reads => None,
        ["admin", "v1", "orgs"] | ["admin", "v1", "orgs", _] => Some("read:orgs:admin"),
        ["admin", "v1", "orgs", _, "domains", ..] => Some("read:domains:admin"),
        ["admin", "v1", "orgs", _, "users", ..] => Some("read:accounts:admin"),
        ["admin", "v2", "orgs", _, "directories", _, "groups", ..] => Some("read:groups:admin"),
        ["admin", "v2", "orgs", _, "directories", ..] => Some("read:directories:admin"),
        _ => None,
    }
}

fn route(call: &Call<'_>, path: &[&str]) -> Answer {
    let method = call.request.method;
    if let ["admin", "v1" | "v2", "orgs", org, ..] = path
        && *org != call.state.world().atlassian.organization_id
    {
        return Err(wrong_organization(call));
    }
    if let ["admin", "v2", "orgs", _, "directories", directory, ..] = path {
        let reads = method == "GET" || path.last() == Some(&"search");
        require_directory(call, directory, if reads { &Access::Read } else { &Access::Write })?;
    }
    match (method, path) {
        ("GET", ["admin", "v1", "orgs"]) => Ok(orgs::list(call)),
        ("GET", ["admin", "v1", "orgs", _]) => Ok(orgs::get(call)),
        ("GET", ["admin", "v1", "orgs", _, "domains"]) => Ok(orgs::domains(call)),
        ("GET", ["admin", "v1", "orgs", _, "users"]) => users::managed(call),
        (
            "POST",
            ["admin", "v1", "orgs", _, "users", id, "role-assignments", verb @ ("assign" | "revoke")],
        ) => users::organization_role(call, id, verb),
        ("GET", ["admin", "v2", "orgs", _, "directories"]) => Ok(orgs::directories(call)),
        ("POST", ["admin", "v2", "orgs", _, "workspaces"]) => orgs::workspaces(call),
        ("POST", ["admin", "v2", "orgs", _, "users", "invite"]) => invite::invite(call),
        (_, ["admin", "v2", "orgs", _, "directories", _, "users", rest @ ..]) => {
            users::route(call, method, rest)
        }
        (_, ["admin", "v2", "orgs", _, "directories", _, "groups", rest @ ..]) => {
            groups::route(call, method, rest)
        }
        _ => Err(Reply::gateway(404, "Not Found")),
    }
}
