//! Delta queries over users and groups: rounds of pages that end in a link from which the next round starts. Tokens carry
//! positions in the change log, so a round can be asked for twice and gives the same changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Call};
use super::failure::{Failure, Outcome};
use super::filter;
use super::list::Context;
use super::object::{GROUP_DEFAULT, Kind, USER_DEFAULT, group_value, user_value};
use super::token;
use super::veil::horizon;
use crate::world::tenant::{Changed, Member};

/// Objects that a `$filter` may name.
const FILTERED: usize = 50;
/// Life of a token inside a round in seconds.
const ROUND_LIFE_S: i64 = 24 * 3600;
/// A page ends once it holds so many slices' worth of members.
const SLICES: usize = 4;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token {
    app: String,
    tenant: String,
    set: String,
    select: Option<Vec<String>>,
    ids: Option<BTreeSet<String>>,
    issued: i64,
    empty: usize,
    at: At,
}

/// Where a round stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum At {
    /// In a full round: changes after `watermark` belong to the next one. `after` is the last object that was
    /// completed, `members` how many links of the following group were given.
    Full { watermark: u64, deleted: bool, after: Option<String>, members: usize },
    /// Between rounds.
    Done { watermark: u64 },
    /// In a round of changes: the last change whose object was completed, and links given of the next.
    Changes { from: u64, to: u64, after: u64, links: usize },
}

/// What a page collects.
struct Page<'c, 'a> {
    context: &'c Context<'a>,
    kind: Kind,
    token: &'c Token,
    minimal: bool,
    value: Vec<Value>,
    members: usize,
}

/// All changes of one object within a round.
#[derive(Default)]
struct Touched<'a> {
    last: u64,
    properties: BTreeSet<&'static str>,
    links: Vec<(&'a Member, bool)>,
}

/// Answers `/users/delta` or `/groups/delta`.
pub(super) fn serve(context: &Context<'_>, call: &Call, kind: Kind) -> Outcome<Answer> {
    let token = start(context, call, kind)?;
    if kind == Kind::Group
        && token.select.as_ref().is_some_and(|names| names.iter().any(|name| name == "members"))
    {
        context.caller.rights.need(&[
            "GroupMember.ReadBasic.All",
            "GroupMember.Read.All",
            "Group.Read.All",
        ])?;
    }
    let minimal = call.header("prefer").is_some_and(|prefer| prefer.contains("return=minimal"));
    let now = context.state.now().as_second();
    let mut page = Page { context, kind, token: &token, minimal, value: Vec::new(), members: 0 };
    let next = if token.empty > 0 { Some(token.at.clone()) } else { page.fill() };
    let link = |name: &str, at: At, empty: usize| {
        let token = Token { issued: now, at, empty, ..token.clone() };
        format!("{}/{}/delta?${name}={}", context.root, kind.set(), token::pack(&token))
    };
    let fields = token.select.as_ref().map(|names| format!("({})", names.join(","))).unwrap_or_default();
    let mut body = json!({
        "@odata.context": format!("{}/$metadata#{}{fields}", context.root, kind.set()),
        "value": page.value,
    });
    if let Some(at) = next {
        body["@odata.nextLink"] = link("skiptoken", at, token.empty.saturating_sub(1)).into();
    } else {
        let watermark = match token.at {
            At::Full { watermark, .. } | At::Done { watermark } => watermark,
            At::Changes { to, .. } => to,
        };
        body["@odata.deltaLink"] = link("deltatoken", At::Done { watermark }, 0).into();
    }
    let mut answer = Answer::ok(body);
    if minimal {
        answer.headers.push(("Preference-Applied".to_owned(), "return=minimal".to_owned()));
    }
    Ok(answer)
}

/// The state a request starts from: a new round, the next page, or the next round.
fn start(context: &Context<'_>, call: &Call, kind: Kind) -> Outcome<Token> {
    let options = &call.options;
    for (set, name) in [
        (options.expand.is_some(), "$expand"),
        (options.order_by.is_some(), "$orderby"),
        (options.search.is_some(), "$search"),
        (options.count, "$count"),
    ] {
        if set {
            return Err(Failure::unsupported(format!(
                "The query parameter '{name}' is not supported by delta query."
            )));
        }
    }
    let select: Option<Vec<String>> = options.select.clone();
    if let Some(names) = &select {
        let plain: Vec<String> = names
            .iter()
            .filter(|name| !["members", "owners", "manager"].contains(&name.as_str()))
            .cloned()
            .collect();
        kind.check_select(Some(&plain))?;
    }
    let head = if context.settings.delta_lag_ms == 0 {
        context.tenant.head()
    } else {
        context.tenant.head_at(horizon(context.state.now(), context.settings.delta_lag_ms))
    };
    let now = context.state.now().as_second();
    let empty = context.settings.empty_delta_pages;
    let first = |at: At, empty: usize| -> Outcome<Token> {
        Ok(Token {
            app: context.caller.app.clone(),
            tenant: context.tenant.id.clone(),
            set: kind.set().to_owned(),
            select: select.clone(),
            ids: options.filter.as_deref().map(|text| filtered(text, kind)).transpose()?,
            issued: now,
            empty,
            at,
        })
    };
    let full = At::Full { watermark: head, deleted: false, after: None, members: 0 };
    match (&options.skip_token, options.delta_token.as_deref()) {
        (None, None | Some("")) => first(full, empty),
        (None, Some(latest)) if latest.eq_ignore_ascii_case("latest") => {
            first(At::Done { watermark: head }, 0).map(|token| Token {
                at: At::Changes { from: head, to: head, after: head, links: 0 },
                ..token
            })
        }
        (Some(_), Some(_)) => Err(Failure::bad("$skiptoken and $deltatoken cannot be used together.")),
        (Some(text), None) => {
            if select.is_some() || options.filter.is_some() {
                return Err(Failure::bad(
                    "$select and $filter belong to the first request of a delta query only.",
                ));
            }
            let token = known(context, text, kind, Failure::stale_page)?;
            if now - token.issued > ROUND_LIFE_S || matches!(token.at, At::Done { .. }) {
                return Err(Failure::stale_page());
            }
            Ok(token)
        }
        (None, Some(text)) => {
            if options.filter.is_some() {
                return Err(Failure::bad("$filter belongs to the first request of a delta query only."));
            }
            let token = known(context, text, kind, Failure::stale_delta)?;
            let life = i64::try_from(context.settings.delta_token_life_s).unwrap_or(i64::MAX);
            if now - token.issued > life {
                return Err(Failure::stale_delta());
            }
            let At::Done { watermark } = token.at else {
                return Err(Failure::bad("Badly formed token."));
            };
            let to = head.max(watermark);
            let at = At::Changes { from: watermark, to, after: watermark, links: 0 };
            Ok(Token { at, empty, select: select.or(token.select.clone()), ..token })
        }
    }
}

fn known(context: &Context<'_>, text: &str, kind: Kind, stale: fn() -> Failure) -> Outcome<Token> {
    let token: Token = token::unpack(text).ok_or_else(|| Failure::bad("Badly formed token."))?;
    if token.app != context.caller.app || token.tenant != context.tenant.id || token.set != kind.set() {
        return Err(stale());
    }
    Ok(token)
}

fn filtered(text: &str, kind: Kind) -> Outcome<BTreeSet<String>> {
    let parsed = filter::parse(text, kind)?;
    let ids = filter::ids(&parsed.filter)
        .ok_or_else(|| Failure::unsupported("Delta query supports filters of the form id eq '…' only."))?;
    if ids.len() > FILTERED {
        return Err(Failure::unsupported(format!(
            "A delta query can be filtered by at most {FILTERED} objects."
        )));
    }
    Ok(ids.into_iter().collect())
}

impl<'a> Page<'_, 'a> {
    /// Fills the page; gives where the next one starts, none at the end of the round.
    fn fill(&mut self) -> Option<At> {
        match self.token.at.clone() {
            At::Full { watermark, deleted: false, after, members } => {
                if let Some((after, members)) = self.live(after, members) {
                    return Some(At::Full { watermark, deleted: false, after, members });
                }
                self.gone(None).map(|after| At::Full { watermark, deleted: true, after, members: 0 })
            }
            At::Full { watermark, deleted: true, after, .. } => {
                self.gone(after).map(|after| At::Full { watermark, deleted: true, after, members: 0 })
            }
            At::Changes { from, to, after, links } => {
                let (after, links) = self.changed(from, to, after, links)?;
                Some(At::Changes { from, to, after, links })
            }
            At::Done { .. } => None,
        }
    }

    fn wants(&self, id: &str) -> bool {
        self.token.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    fn full(&self) -> bool {
        self.value.len() >= self.context.settings.delta_page_size
            || self.members >= SLICES * self.context.settings.member_slice_size
    }

    fn selects(&self, name: &str) -> bool {
        match &self.token.select {
            Some(names) => names.iter().any(|selected| selected == name),
            None if self.kind == Kind::User => USER_DEFAULT.contains(&name),
            None => GROUP_DEFAULT.contains(&name),
        }
    }

    /// Live objects of a full round.
    fn live(&mut self, after: Option<String>, mut given: usize) -> Option<(Option<String>, usize)> {
        let tenant = self.context.tenant;
        let mut last = after.clone();
        let from = after.map_or(Unbounded, Excluded);
        if self.kind == Kind::User {
            for id in
                tenant.users.range((from, Unbounded)).map(|(id, _)| id).filter(|id| self.token.wants(id))
            {
                if self.full() {
                    return Some((last, 0));
                }
                let entry = self.entry(id, None);
                self.value.push(Value::Object(entry));
                last = Some(id.clone());
            }
            return None;
        }
        let with_members = self.selects("members");
        for (id, group) in tenant.groups.range((from, Unbounded)).filter(|(id, _)| self.token.wants(id)) {
            if self.full() {
                return Some((last, given));
            }
            let mut entry = self.entry(id, None);
            if with_members && !self.context.hides_members(id) {
                let slice = self.context.settings.member_slice_size;
                let linked = || group.members.iter().filter(|member| !unlisted(member));
                let links: Vec<Value> =
                    linked().skip(given).take(slice).map(|member| link(member, true)).collect();
                self.members += links.len();
                given += links.len();
                let more = linked().nth(given).is_some();
                if !links.is_empty() {
                    entry.insert("members@delta".into(), Value::Array(links));
                }
                self.value.push(Value::Object(entry));
                if more {
                    return Some((last, given));
                }
            } else {
                self.value.push(Value::Object(entry));
            }
            given = 0;
            last = Some(id.clone());
        }
        None
    }

    #[expect(clippy::option_option, reason = "the outer none ends the round, the inner one is its beginning")]
    /// Objects in the recycle bin, which a full round shows as removed.
    fn gone(&mut self, after: Option<String>) -> Option<Option<String>> {
        let tenant = self.context.tenant;
        let mut last = after.clone();
        let from = after.map_or(Unbounded, Excluded);
        let ids: Box<dyn Iterator<Item = &String>> = if self.kind == Kind::User {
            Box::new(tenant.deleted_users.range((from, Unbounded)).map(|(id, _)| id))
        } else {
            Box::new(tenant.deleted_groups.range((from, Unbounded)).map(|(id, _)| id))
        };
        for id in ids {
            if !self.wants(id) {
                continue;
            }
            if self.full() {
                return Some(last);
            }
            self.value.push(json!({ "id": id, "@removed": { "reason": "changed" } }));
            last = Some(id.clone());
        }
        None
    }

    /// Objects that changed, in the order of their last change.
    fn changed(&mut self, from: u64, to: u64, after: u64, mut given: usize) -> Option<(u64, usize)> {
        let mut last = after;
        for (id, touched) in self.touched(from, to) {
            if touched.last <= after {
                continue;
            }
            if self.full() {
                return Some((last, given));
            }
            if let Some(reason) = self.removed(id) {
                self.value.push(json!({ "id": id, "@removed": { "reason": reason } }));
                given = 0;
                last = touched.last;
                continue;
            }
            let slice = self.context.settings.member_slice_size;
            let links: Vec<Value> = touched
                .links
                .iter()
                .skip(given)
                .take(slice)
                .map(|(member, added)| link(member, *added))
                .collect();
            let tracked = touched.properties.iter().any(|name| {
                *name == "id" || self.selects(name) || (*name == "mail" && self.selects("proxyAddresses"))
            });
            if tracked || !links.is_empty() {
                let mut entry = self.entry(id, Some(&touched.properties));
                self.members += links.len();
                given += links.len();
                if !links.is_empty() {
                    entry.insert("members@delta".into(), Value::Array(links));
                }
                self.value.push(Value::Object(entry));
                if given < touched.links.len() {
                    return Some((last, given));
                }
            }
            given = 0;
            last = touched.last;
        }
        None
    }

    /// Per object what happened after `from` and up to `to`, ordered by the last change.
    fn touched(&self, from: u64, to: u64) -> Vec<(&'a str, Touched<'a>)> {
        let mut by_id: HashMap<&'a str, Touched<'a>> = HashMap::new();
        let mut links: BTreeMap<(&'a str, &'a Member), (u64, bool)> = BTreeMap::new();
        let users = self.kind == Kind::User;
        let with_members = !users && self.selects("members");
        for change in self.context.tenant.changes(from, to) {
            let (id, properties): (&'a str, &[&'static str]) = match &change.what {
                Changed::User { id, properties } if users => (id, properties),
                Changed::UserRemoved { id, .. } if users => (id, &[]),
                Changed::Group { id, properties } if !users => (id, properties),
                Changed::GroupRemoved { id, .. } if !users => (id, &[]),
                Changed::MemberAdded { group, member } | Changed::MemberRemoved { group, member }
                    if with_members && !unlisted(member) && !self.context.hides_members(group) =>
                {
                    let added = matches!(change.what, Changed::MemberAdded { .. });
                    links.insert((group, member), (change.seq, added));
                    (group, &[])
                }
                _ => continue,
            };
            if self.wants(id) {
                let touched = by_id.entry(id).or_default();
                touched.last = change.seq;
                touched.properties.extend(properties);
            }
        }
        let mut links: Vec<_> = links.into_iter().collect();
        links.sort_by_key(|(_, (seq, _))| *seq);
        for ((group, member), (_, added)) in links {
            if let Some(touched) = by_id.get_mut(group) {
                touched.links.push((member, added));
            }
        }
        let mut all: Vec<_> = by_id.into_iter().collect();
        all.sort_by_key(|(_, touched)| touched.last);
        all
    }

    /// Why an object is not there, if it is not.
    fn removed(&self, id: &str) -> Option<&'static str> {
        let tenant = self.context.tenant;
        let (live, binned) = if self.kind == Kind::User {
            (tenant.users.contains_key(id), tenant.deleted_users.contains_key(id))
        } else {
            (tenant.groups.contains_key(id), tenant.deleted_groups.contains_key(id))
        };
        match (live, binned) {
            (true, _) => None,
            (false, true) => Some("changed"),
            (false, false) => Some("deleted"),
        }
    }

    /// The properties of a live object: in a full round (no `changed`) those with a value; in a round of changes also
    /// the ones that were cleared; with `return=minimal` the changed ones only.
    fn entry(&self, id: &str, changed: Option<&BTreeSet<&'static str>>) -> Map<String, Value> {
        let tenant = self.context.tenant;
        let mut map = Map::new();
        map.insert("id".into(), id.into());
        let is_new = changed.is_none_or(|changed| changed.contains("id"));
        let defaults = if self.kind == Kind::User { USER_DEFAULT } else { GROUP_DEFAULT };
        let selected = self.token.select.iter().flatten().map(String::as_str);
        let names = selected.chain(defaults.iter().copied().filter(|_| self.token.select.is_none()));
        for name in names {
            let source = if name == "proxyAddresses" { "mail" } else { name };
            let touched = changed.is_some_and(|changed| changed.contains(source));
            if self.minimal && !is_new && !touched {
                continue;
            }
            let value = if self.kind == Kind::User {
                tenant.users.get(id).and_then(|user| user_value(user, name))
            } else {
                tenant.groups.get(id).and_then(|group| group_value(group, name))
            };
            match value {
                Some(Value::Null) if !touched => {}
                Some(value) => {
                    map.insert(name.to_owned(), value);
                }
                None if name == "manager" && (is_new || touched) => {
                    if let Some(manager) = tenant.users.get(id).and_then(|user| user.manager.as_ref()) {
                        let manager = json!({ "@odata.type": "#microsoft.graph.user", "id": manager });
                        map.insert("manager@delta".into(), json!([manager]));
                    }
                }
                None => {}
            }
        }
        map
    }
}

impl Token {
    fn wants(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

/// Service principals are not reported as members.
fn unlisted(member: &Member) -> bool {
    matches!(member, Member::ServicePrincipal(_))
}

fn link(member: &Member, present: bool) -> Value {
    let mut value = json!({ "@odata.type": member.odata_type(), "id": member.id() });
    if !present {
        value["@removed"] = json!({ "reason": "deleted" });
    }
    value
}
