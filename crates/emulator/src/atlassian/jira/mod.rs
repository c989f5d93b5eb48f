//! Jira Cloud platform REST v3: users, groups, permissions and application roles of one site.

use axum::http::HeaderValue;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Incoming;
use super::auth::{self, Caller, Door};
use super::query::{BadBody, Query, object};
use super::reply::{Answer, Reply};
use crate::settings::AtlassianSettings;
use crate::state::State;
use crate::world::atlassian::Atlassian;

mod groups;
mod invite;
mod members;
mod picker;
mod projects;
mod properties;
mod render;
mod roll;
mod search;
mod site;
mod table;
mod users;

const NOT_SITE_ADMIN: &str = "You are not authorized to perform this action. Site administration is needed.";
const UNKNOWN_USER: &str = "Specified user does not exist or you do not have required permissions";

/// One authenticated (or anonymous) call.
struct Call<'c> {
    state: &'c State,
    request: &'c Incoming<'c>,
    /// `https://…/rest/api/3`.
    base: &'c str,
    /// The path behind the base.
    path: &'c str,
    /// The caller's account; none when anonymous.
    account: Option<&'c str>,
    now: Timestamp,
}

impl Call<'_> {
    fn query(&self) -> &Query {
        self.request.query
    }

    fn lag(&self) -> AtlassianSettings {
        self.state.settings().atlassian.clone()
    }

    /// The account of an operation that no anonymous caller reaches.
    fn account(&self) -> Result<&str, Reply> {
        self.account.ok_or_else(unauthenticated)
    }

    fn body(&self) -> Result<Map<String, Value>, Reply> {
        object(self.request.headers, self.request.body).map_err(|bad| match bad {
            BadBody::MediaType => {
                Reply::jira(415, "The content type of the request must be application/json.")
            }
            BadBody::Form => Reply::jira(
                400,
                "Invalid request payload. Refer to the REST API documentation and try again.",
            ),
        })
    }

    fn browses(&self, world: &Atlassian) -> bool {
        self.account.is_some_and(|id| auth::may_browse(world, id))
    }

    fn require_browse(&self, world: &Atlassian) -> Result<(), Reply> {
        if self.browses(world) {
            return Ok(());
        }
        Err(Reply::jira(403, "Browse users and groups permission is required to view users."))
    }

    fn require_site_admin(&self, world: &Atlassian) -> Result<(), Reply> {
        if auth::is_site_admin(world, self.account()?) {
            return Ok(());
        }
        if world.quirks.forbidden_without_body {
            return Err(Reply::empty(403));
        }
        Err(Reply::jira(403, NOT_SITE_ADMIN))
    }

    /// The size of a page: asked for, or the default, within the documented maximum and the setting.
    fn page_size(&self, default: usize, most: usize) -> Result<usize, Reply> {
        let asked = self.query().number("maxResults", default, 1)?;
        Ok(asked.min(most).min(self.lag().list_page_size.unwrap_or(usize::MAX)))
    }

    fn start_at(&self) -> Result<usize, Reply> {
        self.query().number("startAt", 0, 0)
    }

    /// The address of this call with another range.
    fn address(&self, start: usize, size: usize) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query().0 {
            if name != "startAt" && name != "maxResults" {
                text.append_pair(name, value);
            }
        }
        text.append_pair("startAt", &start.to_string()).append_pair("maxResults", &size.to_string());
        format!("{}/{}?{}", self.base, self.path, text.finish())
    }

    /// A page object over what begins at `start`.
    fn page(&self, values: &[Value], start: usize, size: usize, total: usize) -> Reply {
        let next = start.saturating_add(size);
        let is_last = next >= total;
        let mut page = json!({
            "self": self.address(start, size),
            "maxResults": size,
            "startAt": start,
            "total": total,
            "isLast": is_last,
            "values": values,
        });
        if !is_last {
            page["nextPage"] = self.address(next, size).into();
        }
        Reply::json(200, page)
    }
}

fn unauthenticated() -> Reply {
    Reply::text(401, "Client must be authenticated to access this resource.")
}

/// Answers one request under `…/rest/api/{version}`, of which `skip` segments are the prefix.
pub(super) fn answer(state: &State, request: &Incoming<'_>, skip: usize, base: &str, door: Door) -> Response {
    let path = request.segments.get(skip..).unwrap_or_default().join("/");
    let now = state.now();
    let caller = if state.faults.dead_token() {
        Caller::Failed
    } else {
        auth::caller(&state.world().atlassian, request.headers, door, now)
    };
    let failed = caller == Caller::Failed;
    let reply = route(state, request, base, &path, &caller, door, now);
    let mut response = reply.into_response();
    if failed && door == Door::Site || state.faults.dead_token() {
        response
            .headers_mut()
            .insert("X-Seraph-LoginReason", HeaderValue::from_static("AUTHENTICATED_FAILED"));
    }
    if let Caller::Account(id, _) = &caller
        && let Ok(id) = HeaderValue::from_str(id)
    {
        response.headers_mut().insert("X-AACCOUNTID", id);
    }
    response
}

fn route(
    state: &State,
    request: &Incoming<'_>,
    base: &str,
    path: &str,
    caller: &Caller,
    door: Door,
    now: Timestamp,
) -> Reply {
    let endpoint = match table::find(request.method, path) {
        table::Found::Endpoint(endpoint) => endpoint,
        table::Found::OtherMethod => return Reply::jira(405, "Method Not Allowed"),
        table::Found::Nothing => return Reply::jira(404, "No endpoint of this path is emulated."),
    };
    let account = match caller {
        Caller::Account(id, scopes) => {
            if scopes.as_ref().is_some_and(|scopes| !endpoint.opens_with(scopes)) {
                return Reply::gateway(401, "Unauthorized; scope does not match");
            }
            Some(id.as_str())
        }
        Caller::Failed if door == Door::Gateway && !state.faults.dead_token() => {
            return Reply::gateway(401, "Unauthorized");
        }
        Caller::Nobody if door == Door::Gateway => return Reply::gateway(401, "Unauthorized"),
        Caller::Failed | Caller::Nobody if !endpoint.anonymous => return unauthenticated(),
        Caller::Failed | Caller::Nobody => None,
    };
    let call = Call { state, request, base, path, account, now };
    let answer: Answer = (endpoint.run)(&call);
    answer.unwrap_or_else(|refusal| refusal)
}
