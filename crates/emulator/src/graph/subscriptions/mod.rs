//! Change notifications: `/subscriptions` with its rules (microsoft-graph: change notifications), the validation of
//! addresses, and the delivery of what changes in the tenant. Only `/users` and `/groups` as a whole can be watched.

pub(crate) mod deliver;
mod registry;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use self::registry::Subscriptions;
pub(crate) use self::registry::{Letter, Standing, Tally};
use self::registry::{Subscription, Watched};
use super::access::Rights;
use super::answer::{Answer, Body, Call};
use super::failure::{Failure, Outcome};
use super::list::Context;

/// Subscriptions of one application in one tenant.
const MOST: usize = 100;
/// Characters of `clientState`.
const CLIENT_STATE: usize = 128;

impl Context<'_> {
    /// `/subscriptions`. A new one is put down as pending; whoever serves HTTP validates its addresses and settles it.
    pub(super) fn subscriptions(&self, call: &Call, path: &[&str]) -> Outcome<Answer> {
        let now = self.state.now();
        self.state.subscriptions.lock().expire(now);
        match (call.method.as_str(), path) {
            ("GET", []) => {
                let registry = self.state.subscriptions.lock();
                let mine = registry.all.values().filter(|s| s.app == self.caller.app);
                let rows: Vec<Value> =
                    mine.filter(|s| s.standing != Standing::Pending).map(Subscription::render).collect();
                Ok(Answer::ok(json!({
                    "@odata.context": format!("{}/$metadata#subscriptions", self.root),
                    "value": rows,
                })))
            }
            ("POST", []) => self.create(call, now),
            ("GET", [id]) => self.with(id, |s| Ok(self.entity(s))),
            ("DELETE", [id]) => {
                self.with(id, |_| Ok(()))?;
                self.state.subscriptions.lock().all.remove(*id);
                Ok(Answer { status: 204, ..Answer::text(String::new()) })
            }
            ("PATCH", [id]) => {
                let expires = self.expiration(call.json()?, "Update", now)?;
                self.with(id, |s| {
                    may_watch(&self.caller.rights, s.watched, self.settings.group_member_may_subscribe)?;
                    (s.expires, s.standing) = (expires, Standing::Active);
                    Ok(self.entity(s))
                })
            }
            ("POST", [id, "reauthorize"]) => {
                self.with(id, |s| {
                    may_watch(&self.caller.rights, s.watched, self.settings.group_member_may_subscribe)?;
                    s.standing = Standing::Active;
                    Ok(())
                })?;
                Ok(Answer { status: 204, ..Answer::text(String::new()) })
            }
            (_, [] | [_] | [_, "reauthorize"]) => Err(Failure::method()),
            (_, [_, other, ..]) => Err(Failure::segment(other)),
        }
    }

    fn entity(&self, subscription: &Subscription) -> Answer {
        let mut body = json!({ "@odata.context": format!("{}/$metadata#subscriptions/$entity", self.root) });
        if let (Value::Object(body), Value::Object(fields)) = (&mut body, subscription.render()) {
            body.extend(fields);
        }
        Answer::ok(body)
    }

    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Subscription) -> Outcome<T>) -> Outcome<T> {
        let mut registry = self.state.subscriptions.lock();
        let found = registry.all.get_mut(id);
        let found = found.filter(|s| s.app == self.caller.app && s.standing != Standing::Pending);
        act(found.ok_or_else(|| Failure::new(404, "ResourceNotFound", "The object was not found."))?)
    }

    fn create(&self, call: &Call, now: Timestamp) -> Outcome<Answer> {
        let body = call.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let needed =
            |name: &'static str| text(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name));
        let resource = needed("resource")?;
        let watched = Watched::parse(resource).ok_or_else(|| {
            invalid(format!("Resource '{resource}' is not one that the emulator lets be watched."))
        })?;
        let change_type = needed("changeType")?;
        let mut change_types: Vec<String> =
            change_type.split(',').map(|word| word.trim().to_owned()).collect();
        change_types.sort();
        change_types.dedup();
        if let Some(other) = change_types.iter().find(|word| !["updated", "deleted"].contains(&word.as_str()))
        {
            return Err(invalid(format!("changeType '{other}' is not supported for resource '{resource}'.")));
        }
        let loopback = self.settings.notifications.loopback_http;
        let notification_url = address(needed("notificationUrl")?, "notificationUrl", loopback)?;
        let lifecycle_url = text("lifecycleNotificationUrl")
            .map(|url| address(url, "lifecycleNotificationUrl", loopback))
            .transpose()?;
        let client_state = text("clientState").map(str::to_owned);
        if client_state.as_ref().is_some_and(|state| state.chars().count() > CLIENT_STATE) {
            return Err(invalid(format!("clientState must not exceed {CLIENT_STATE} characters.")));
        }
        if body.get("includeResourceData").and_then(Value::as_bool) == Some(true) {
            return Err(invalid("includeResourceData is not supported for this resource."));
        }
        let expires = self.expiration(body, "Create", now)?;
        may_watch(&self.caller.rights, watched, self.settings.group_member_may_subscribe)?;

        let mut registry = self.state.subscriptions.lock();
        let mine = || registry.all.values().filter(|s| s.app == self.caller.app);
        if let Some(twin) = mine().find(|s| s.watched == watched && s.change_types == change_types) {
            return Err(Failure::new(
                409,
                "ObjectIdentifierInUse",
                format!("Subscription Id {} already exists for the requested combination", twin.id),
            ));
        }
        if mine().count() >= MOST {
            return Err(Failure::new(
                403,
                "Forbidden",
                format!("The application has reached its limit of {MOST} subscriptions for this tenant."),
            ));
        }
        let creator = self.tenant.applications.get(&self.caller.app).map(|app| app.object_id.clone());
        let subscription = Subscription {
            id: self.state.uuid(),
            app: self.caller.app.clone(),
            creator: creator.unwrap_or_default(),
            resource: resource.to_owned(),
            watched,
            change_type: change_type.to_owned(),
            change_types,
            notification_url,
            lifecycle_url,
            expires,
            client_state,
            tls: text("latestSupportedTlsVersion").map(str::to_owned),
            standing: Standing::Pending,
        };
        let answer =
            Answer { status: 201, pending: Some(subscription.id.clone()), ..self.entity(&subscription) };
        registry.all.insert(subscription.id.clone(), subscription);
        Ok(answer)
    }

    fn expiration(&self, body: &Value, operation: &str, now: Timestamp) -> Outcome<Timestamp> {
        let text = body.get("expirationDateTime").and_then(Value::as_str);
        let text = text.ok_or_else(|| missing("expirationDateTime"))?;
        let expires: Timestamp = text
            .parse()
            .map_err(|_| invalid("The value of expirationDateTime is not a date and time with an offset."))?;
        let ends = |reason: String| {
            let message =
                format!("Operation: {operation}; Exception: [Status Code: BadRequest; Reason: {reason}]");
            Failure::new(400, "ExtensionError", message)
        };
        if expires <= now {
            return Err(ends("Subscription expiration must be in the future.".to_owned()));
        }
        let most = self.settings.notifications.longest_life_min;
        let limit = SignedDuration::from_mins(i64::try_from(most).unwrap_or(i64::MAX / 60));
        if expires.duration_since(now) > limit {
            return Err(ends(format!("Subscription expiration can only be {most} minutes in the future.")));
        }
        let granted = self.settings.notifications.life_s.and_then(|seconds| i64::try_from(seconds).ok());
        Ok(granted
            .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok())
            .unwrap_or(expires))
    }
}

/// The permission of the documents' table: for groups `Group.Read.All`. Whether `GroupMember.Read.All` suffices is not
/// written anywhere, so it is a setting.
fn may_watch(rights: &Rights, watched: Watched, group_member: bool) -> Outcome<()> {
    match watched {
        Watched::Users => rights.need(&["User.Read.All"]),
        Watched::Groups if group_member => rights.need(&["Group.Read.All", "GroupMember.Read.All"]),
        Watched::Groups => rights.need(&["Group.Read.All"]),
    }
}

/// An address that notifications can be sent to: https, or http to this machine where the settings allow it.
fn address(url: &str, name: &str, loopback_http: bool) -> Outcome<String> {
    let parsed = url::Url::parse(url).map_err(|_| invalid(format!("{name} is not a valid URL.")))?;
    let here = match parsed.host() {
        Some(url::Host::Ipv4(host)) => host.is_loopback(),
        Some(url::Host::Ipv6(host)) => host.is_loopback(),
        Some(url::Host::Domain(host)) => host == "localhost",
        None => false,
    };
    match parsed.scheme() {
        "https" => Ok(url.to_owned()),
        "http" if here && loopback_http => Ok(url.to_owned()),
        _ => Err(invalid(format!("{name} must use the HTTPS protocol."))),
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, "InvalidRequest", message)
}

fn missing(name: &str) -> Failure {
    invalid(format!("Required property '{name}' is missing."))
}

/// Validates the addresses of a new subscription; it becomes active, or is forgotten and the answer is a refusal.
pub(super) async fn settle(state: &crate::state::State, answer: Answer) -> Outcome<Answer> {
    let Some(id) = answer.pending.clone() else { return Ok(answer) };
    let found = state.subscriptions.lock().all.get(&id).cloned();
    let Some(found) = found else { return Ok(answer) };
    let mut urls = vec![found.notification_url.clone()];
    urls.extend(found.lifecycle_url.clone().filter(|url| *url != found.notification_url));
    for url in urls {
        let token = format!(
            "Validation: Testing client application reachability for subscription Request-Id: {}",
            state.uuid()
        );
        if let Err(message) = deliver::validate(&state.settings().graph.notifications, &url, &token).await {
            state.subscriptions.lock().all.remove(&id);
            return Err(Failure::new(400, "ValidationError", message));
        }
    }
    if let Some(subscription) = state.subscriptions.lock().all.get_mut(&id) {
        subscription.standing = Standing::Active;
    }
    Ok(answer)
}

/// In a batch nobody can be asked to validate: the item is refused.
pub(super) fn refuse_in_batch(state: &crate::state::State, answer: Answer) -> Answer {
    let Some(id) = &answer.pending else { return answer };
    state.subscriptions.lock().all.remove(id);
    let body = json!({ "error": {
        "code": "NotImplemented",
        "message": "The emulator does not create subscriptions inside a batch.",
    } });
    Answer { status: 501, headers: answer.headers, body: Body::Json(body), pending: None }
}
