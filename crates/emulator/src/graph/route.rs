//! Which handler serves a path, what it costs, and which permission it needs.

use std::ops::Bound::{Excluded, Unbounded};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Call};
use super::delta;
use super::failure::{Failure, Outcome};
use super::list::{Context, Source};
use super::object::{Kind, Object, Typed};
use crate::world::tenant::{Application, EntraUser, Member, Reach};

/// Ids that one answer of `getMemberGroups` may hold.
const MEMBER_GROUPS: usize = 11_000;
/// Ids that `checkMemberGroups` takes.
const CHECKED_GROUPS: usize = 20;
/// Ids that `getByIds` takes.
const BY_IDS: usize = 1000;

/// The segments of a path in one spelling: keys in brackets and short type names are unfolded.
pub(super) fn segments(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for raw in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment = percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned();
        let segment = match segment.strip_suffix("()") {
            Some(function) => function.to_owned(),
            None => segment,
        };
        if let Some((name, key)) = segment.strip_suffix("')").and_then(|rest| rest.split_once("('")) {
            all.extend([name.to_owned(), key.to_owned()]);
        } else if let Some((name, key)) =
            segment.strip_suffix("')").and_then(|rest| rest.split_once("(appId='"))
        {
            all.extend([name.to_owned(), format!("appId={key}")]);
        } else {
            let bare = segment.strip_prefix("microsoft.graph.").or(segment.strip_prefix("graph."));
            all.push(match bare {
                Some(function @ ("delta" | "getMemberGroups" | "checkMemberGroups" | "getByIds")) => {
                    function.to_owned()
                }
                Some(name) => format!("microsoft.graph.{name}"),
                None => segment,
            });
        }
    }
    all
}

/// The resource units of a request, by Microsoft's table.
pub(super) fn units(call: &Call) -> u64 {
    let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["directoryObjects", "getByIds"] if call.options.select.is_some() => 2,
        ["directoryObjects", "getByIds"] => 5,
        ["users"] | ["users", _, "memberOf" | "transitiveMemberOf" | "getMemberGroups", ..] => {
            call.options.units(2)
        }
        ["groups", _, "members", ..] => call.options.units(3),
        ["groups", _, "transitiveMembers", ..] => call.options.units(5),
        ["users", _, "checkMemberGroups"] => call.options.units(4),
        _ => call.options.units(1),
    }
}

impl<'a> Context<'a> {
    /// Answers a request.
    pub(super) fn serve(&self, call: &Call) -> Outcome<Answer> {
        let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        if let ["subscriptions", rest @ ..] = path.as_slice() {
            return self.subscriptions(call, rest);
        }
        let function = matches!(path.last(), Some(&("getMemberGroups" | "checkMemberGroups" | "getByIds")));
        let wanted = if function { "POST" } else { "GET" };
        if call.method != wanted {
            return Err(Failure::method());
        }
        match path.as_slice() {
            ["users", rest @ ..] => self.users(call, rest),
            ["groups", rest @ ..] => self.groups(call, rest),
            ["servicePrincipals", rest @ ..] => self.service_principals(call, rest),
            ["directoryObjects", "getByIds"] => self.by_ids(call),
            ["directory", "deletedItems", kind] => self.deleted(call, kind),
            ["organization"] => self.organization(call, None),
            ["organization", id] => self.organization(call, Some(id)),
            ["auditLogs", "signIns"] => {
                self.caller.rights.need(&["AuditLog.Read.All"])?;
                Err(Failure::new(
                    403,
                    "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                    "Neither tenant is B2C or tenant doesn't have premium license",
                ))
            }
            ["me", ..] => Err(Failure::new(
                400,
                "BadRequest",
                "/me request is only valid with delegated authentication flow.",
            )),
            [first, ..] => Err(Failure::segment(first)),
            [] => Err(Failure::segment("")),
        }
    }

    fn users(&self, call: &Call, path: &[&str]) -> Outcome<Answer> {
        let rights = &self.caller.rights;
        let read = || rights.need(&["User.Read.All", "User.ReadBasic.All"]);
        let tenant = self.tenant;
        let visible = self.veil(call);
        let all = move |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
            let visible = visible.clone();
            let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
            Box::new(
                tenant
                    .users
                    .range((from, Unbounded))
                    .filter(move |(id, _)| !visible.hides(id))
                    .map(|(id, user)| (id.clone(), Object::User(user))),
            )
        };
        let source = Source::plain(Kind::User, &all);
        match path {
            [] => {
                read()?;
                self.list(call, &source)
            }
            ["$count"] => {
                read()?;
                Self::count(call, &source)
            }
            ["delta"] => {
                rights.need(&["User.Read.All"])?;
                delta::serve(self, call, Kind::User)
            }
            [key] => {
                read()?;
                self.single(call, Object::User(self.user(call, key)?), Kind::User)
            }
            [key, "manager"] => {
                rights.need(&["User.Read.All"])?;
                let user = self.user(call, key)?;
                let manager = user.manager.as_ref().and_then(|id| tenant.users.get(id));
                let manager = manager.ok_or_else(|| Failure::not_found("manager"))?;
                self.single(call, Object::User(manager), Kind::Any)
            }
            [key, link @ ("memberOf" | "transitiveMemberOf"), rest @ ..] => {
                let reach = if *link == "memberOf" {
                    rights.need(&[
                        "GroupMember.ReadBasic.All",
                        "Group.ReadBasic.All",
                        "GroupMember.Read.All",
                        "Group.Read.All",
                    ])?;
                    Reach::Direct
                } else {
                    rights.need(&["User.Read.All", "GroupMember.Read.All", "Group.Read.All"])?;
                    Reach::Transitive
                };
                let user = self.user(call, key)?;
                let groups = tenant.groups_of(&user.id, reach);
                let found: Vec<(String, Object<'a>)> = groups
                    .into_iter()
                    .filter_map(|id| tenant.groups.get(&id).map(|group| (id, Object::Group(group))))
                    .collect();
                self.linked(call, rest, &found)
            }
            [key, "getMemberGroups"] => {
                rights.need(&["User.Read.All", "GroupMember.Read.All", "Group.Read.All"])?;
                let user = self.user(call, key)?;
                let secure = call
                    .json()?
                    .get("securityEnabledOnly")
                    .and_then(Value::as_bool)
                    .ok_or_else(|| Failure::bad("The parameter 'securityEnabledOnly' is required."))?;
                let mut ids = tenant.groups_of(&user.id, Reach::Transitive);
                ids.retain(|id| !secure || tenant.groups.get(id).is_some_and(|group| group.security_enabled));
                if ids.len() > MEMBER_GROUPS {
                    return Err(Failure::new(
                        400,
                        "Directory_ResultSizeLimitExceeded",
                        "The result size limit for the operation was exceeded.",
                    ));
                }
                Ok(self.strings(&ids.into_iter().collect::<Vec<_>>()))
            }
            [key, "checkMemberGroups"] => {
                rights.need(&["User.Read.All", "GroupMember.Read.All", "Group.Read.All"])?;
                let user = self.user(call, key)?;
                let asked = strings(call.json()?, "groupIds")?;
                if asked.len() > CHECKED_GROUPS {
                    return Err(Failure::bad(format!(
                        "At most {CHECKED_GROUPS} groups can be checked at once."
                    )));
                }
                let ids = tenant.groups_of(&user.id, Reach::Transitive);
                Ok(self.strings(&asked.into_iter().filter(|id| ids.contains(id)).collect::<Vec<_>>()))
            }
            [_, other, ..] => Err(Failure::segment(other)),
        }
    }

    fn groups(&self, call: &Call, path: &[&str]) -> Outcome<Answer> {
        let rights = &self.caller.rights;
        let read = || rights.need(&["Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All"]);
        let tenant = self.tenant;
        let visible = self.veil(call);
        let unseen = visible.clone();
        let all = move |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
            let visible = visible.clone();
            let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
            Box::new(
                tenant
                    .groups
                    .range((from, Unbounded))
                    .filter(move |(id, _)| !visible.hides(id))
                    .map(|(id, group)| (id.clone(), Object::Group(group))),
            )
        };
        let source = Source::plain(Kind::Group, &all);
        match path {
            [] => {
                read()?;
                self.list(call, &source)
            }
            ["$count"] => {
                read()?;
                Self::count(call, &source)
            }
            ["delta"] => {
                read()?;
                delta::serve(self, call, Kind::Group)
            }
            [id, rest @ ..] => {
                let group = tenant.groups.get(*id).or_else(|| tenant.groups.get(&id.to_lowercase()));
                match rest {
                    [] => read()?,
                    _ => rights.need(&[
                        "GroupMember.ReadBasic.All",
                        "GroupMember.Read.All",
                        "Group.Read.All",
                    ])?,
                }
                let group =
                    group.filter(|group| !unseen.hides(&group.id)).ok_or_else(|| Failure::not_found(id))?;
                let hidden = self.hides_members(&group.id);
                match rest {
                    [] => self.single(call, Object::Group(group), Kind::Group),
                    ["members", rest @ ..] => {
                        if group.is_unified() && rest.first() == Some(&"microsoft.graph.group") {
                            return Err(Failure::unsupported(
                                "The specified cast is not supported on this group.",
                            ));
                        }
                        let members =
                            group.members.iter().filter(|member| !unseen.hides_link(&group.id, member));
                        self.members(call, rest, members, hidden)
                    }
                    ["transitiveMembers", rest @ ..] => {
                        self.members(call, rest, tenant.transitive_members(&group.id).into_iter(), hidden)
                    }
                    [other, ..] => Err(Failure::segment(other)),
                }
            }
        }
    }

    /// Members of a group. Service principals are not listed by v1.0; soft-deleted users are not live.
    fn members(
        &self,
        call: &Call,
        rest: &[&str],
        members: impl Iterator<Item = &'a Member>,
        hidden: bool,
    ) -> Outcome<Answer> {
        let found: Vec<(String, Object<'a>)> = members
            .filter(|member| !hidden && !matches!(member, Member::ServicePrincipal(_)))
            .filter_map(|member| Object::of_member(self.tenant, member).map(|object| (key(member), object)))
            .collect();
        self.linked(call, rest, &found)
    }

    /// The other ends of links: all, of one type, or their number.
    fn linked(&self, call: &Call, rest: &[&str], found: &[(String, Object<'a>)]) -> Outcome<Answer> {
        let (cast, rest) = match rest {
            [name, rest @ ..] if name.starts_with("microsoft.graph.") => (Some(*name), rest),
            rest => (None, rest),
        };
        let kind = match cast {
            None => Kind::Any,
            Some("microsoft.graph.user") => Kind::User,
            Some("microsoft.graph.group") => Kind::Group,
            Some("microsoft.graph.servicePrincipal") => Kind::ServicePrincipal,
            Some(other) => return Err(Failure::segment(other)),
        };
        let fits = move |object: &Object<'_>| match kind {
            Kind::Any => true,
            Kind::User => matches!(object, Object::User(_)),
            Kind::Group => matches!(object, Object::Group(_)),
            Kind::ServicePrincipal => matches!(object, Object::App(_)),
        };
        let after = |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
            let later: Vec<(String, Object<'a>)> = found
                .iter()
                .filter(|(key, object)| after.is_none_or(|after| key.as_str() > after) && fits(object))
                .cloned()
                .collect();
            Box::new(later.into_iter())
        };
        let source = Source {
            kind,
            context: None,
            typed: if kind == Kind::Any { Typed::Yes } else { Typed::No },
            cast: cast.is_some(),
            reference: true,
            after: &after,
        };
        match rest {
            [] => self.list(call, &source),
            ["$count"] => Self::count(call, &source),
            [other, ..] => Err(Failure::segment(other)),
        }
    }

    fn service_principals(&self, call: &Call, path: &[&str]) -> Outcome<Answer> {
        self.caller.rights.need(&["Application.Read.All"])?;
        let tenant = self.tenant;
        let find = |key: &str| -> Outcome<&'a Application> {
            let app = match key.strip_prefix("appId=") {
                Some(id) => tenant.applications.get(id),
                None => tenant.applications.values().find(|app| app.object_id == key),
            };
            app.ok_or_else(|| Failure::not_found(key.trim_start_matches("appId=")))
        };
        match path {
            [] => {
                let all = move |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
                    let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
                    Box::new(
                        tenant
                            .applications
                            .range((from, Unbounded))
                            .map(|(id, app)| (id.clone(), Object::App(app))),
                    )
                };
                self.list(call, &Source::plain(Kind::ServicePrincipal, &all))
            }
            [key] => self.single(call, Object::App(find(key)?), Kind::ServicePrincipal),
            [key, "appRoleAssignedTo"] => {
                let app = find(key)?;
                let rows = app.assigned.iter().filter_map(|member| self.assignment(app, member)).collect();
                self.values(call, &format!("servicePrincipals('{}')/appRoleAssignedTo", app.object_id), rows)
            }
            [_, other, ..] => Err(Failure::segment(other)),
        }
    }

    fn assignment(&self, app: &Application, member: &Member) -> Option<Value> {
        let object = Object::of_member(self.tenant, member)?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{} {}", app.object_id, object.id())));
        Some(json!({
            "id": id,
            "deletedDateTime": null,
            "appRoleId": "00000000-0000-0000-0000-000000000000",
            "createdDateTime": object.value("createdDateTime"),
            "principalDisplayName": object.value("displayName"),
            "principalId": object.id(),
            "principalType": match object {
                Object::Group(_) | Object::DeletedGroup(..) => "Group",
                Object::App(_) => "ServicePrincipal",
                Object::User(_) | Object::DeletedUser(..) | Object::Device(_) => "User",
            },
            "resourceDisplayName": app.display_name,
            "resourceId": app.object_id,
        }))
    }

    fn by_ids(&self, call: &Call) -> Outcome<Answer> {
        self.caller.rights.need(&["Directory.Read.All"])?;
        let ids = strings(call.json()?, "ids")?;
        if ids.is_empty() || ids.len() > BY_IDS {
            return Err(Failure::bad(format!("Between 1 and {BY_IDS} ids can be asked for at once.")));
        }
        let types = match call.json()?.get("types") {
            None | Some(Value::Null) => Vec::new(),
            Some(_) => strings(call.json()?, "types")?,
        };
        Kind::Any.check_select(call.options.select.as_deref())?;
        let tenant = self.tenant;
        let find = |id: &str| {
            let app = || tenant.applications.values().find(|app| app.object_id == id).map(Object::App);
            let user = tenant.users.get(id).map(Object::User);
            user.or_else(|| tenant.groups.get(id).map(Object::Group)).or_else(app)
        };
        let wanted = |object: &Object<'_>| {
            let name = object.odata_type().trim_start_matches("#microsoft.graph.");
            types.is_empty() || types.iter().any(|kind| kind == name || kind == "directoryObject")
        };
        let rows: Vec<Value> = ids
            .iter()
            .filter_map(|id| find(id))
            .filter(wanted)
            .map(|object| {
                let select = call.options.select.as_deref();
                Value::Object(object.render(select, &self.caller.rights, Typed::Yes))
            })
            .collect();
        Ok(Answer::ok(json!({
            "@odata.context": format!("{}/$metadata#directoryObjects", self.root),
            "value": rows,
        })))
    }

    fn deleted(&self, call: &Call, kind: &str) -> Outcome<Answer> {
        let tenant = self.tenant;
        match kind {
            "microsoft.graph.user" => {
                self.caller.rights.need(&["User.Read.All"])?;
                let all = move |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
                    let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
                    Box::new(
                        tenant
                            .deleted_users
                            .range((from, Unbounded))
                            .map(|(id, (user, at))| (id.clone(), Object::DeletedUser(user, *at))),
                    )
                };
                self.list(call, &Source::plain(Kind::User, &all))
            }
            "microsoft.graph.group" => {
                self.caller.rights.need(&["Group.Read.All"])?;
                let all = move |after: Option<&str>| -> Box<dyn Iterator<Item = (String, Object<'a>)> + 'a> {
                    let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
                    Box::new(
                        tenant
                            .deleted_groups
                            .range((from, Unbounded))
                            .map(|(id, (group, at))| (id.clone(), Object::DeletedGroup(group, *at))),
                    )
                };
                self.list(call, &Source::plain(Kind::Group, &all))
            }
            cast if cast.starts_with("microsoft.graph.") => Err(Failure::segment(cast)),
            id => {
                if let Some((user, at)) = tenant.deleted_users.get(id) {
                    self.caller.rights.need(&["User.Read.All"])?;
                    return self.single(call, Object::DeletedUser(user, *at), Kind::Any);
                }
                if let Some((group, at)) = tenant.deleted_groups.get(id) {
                    self.caller.rights.need(&["Group.Read.All"])?;
                    return self.single(call, Object::DeletedGroup(group, *at), Kind::Any);
                }
                self.caller.rights.need(&["User.Read.All", "Group.Read.All"])?;
                Err(Failure::not_found(id))
            }
        }
    }

    fn organization(&self, call: &Call, id: Option<&str>) -> Outcome<Answer> {
        self.caller.rights.need(&["User.Read.All", "Organization.Read.All"])?;
        let tenant = self.tenant;
        if let Some(other) = id.filter(|id| !id.eq_ignore_ascii_case(&tenant.id)) {
            return Err(Failure::not_found(other));
        }
        let mut row = json!({
            "id": tenant.id,
            "deletedDateTime": null,
            "businessPhones": [],
            "displayName": tenant.domain.split('.').next().unwrap_or_default(),
            "tenantType": "AAD",
            "verifiedDomains": [{
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": true,
                "isInitial": true,
                "name": tenant.domain,
                "type": "Managed",
            }],
        });
        if id.is_none() {
            return self.values(call, "organization", vec![row]);
        }
        row["@odata.context"] = format!("{}/$metadata#organization/$entity", self.root).into();
        Ok(Answer::ok(row))
    }

    fn strings(&self, ids: &[String]) -> Answer {
        Answer::ok(json!({
            "@odata.context": format!("{}/$metadata#Collection(Edm.String)", self.root),
            "value": ids,
        }))
    }

    fn user(&self, call: &Call, key: &str) -> Outcome<&'a EntraUser> {
        let veil = self.veil(call);
        self.tenant.user(key).filter(|user| !veil.hides(&user.id)).ok_or_else(|| Failure::not_found(key))
    }
}

/// The key of a member in the order of a group's members.
fn key(member: &Member) -> String {
    let order = match member {
        Member::User(_) => 0,
        Member::Group(_) => 1,
        Member::Device(_) => 2,
        Member::ServicePrincipal(_) => 3,
    };
    format!("{order}{}", member.id())
}

/// A list of strings in a body.
fn strings(body: &Value, name: &str) -> Outcome<Vec<String>> {
    let broken = || Failure::bad(format!("The parameter '{name}' must be a collection of strings."));
    let items = body.get(name).and_then(Value::as_array).ok_or_else(broken)?;
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(broken)).collect()
}
