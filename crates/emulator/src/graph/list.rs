//! Collections: paging by opaque tokens, filters, order and counts, and the rules of advanced queries.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Caller;
use super::answer::{Answer, Call};
use super::failure::{Failure, Outcome};
use super::filter::{self, Parsed, Search};
use super::object::{Kind, Object, Typed};
use super::token::{self, Bound};
use crate::settings::GraphSettings;
use crate::state::State;
use crate::world::tenant::{Reach, Tenant};

/// Default page size of every collection.
const PAGE: usize = 100;
/// Life of a page token in seconds.
const PAGE_LIFE_S: i64 = 24 * 3600;
/// Members that `$expand=members` gives at most.
const EXPANDED: usize = 20;

/// What handlers work with.
pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) settings: &'a GraphSettings,
    pub(super) tenant: &'a Tenant,
    pub(super) caller: &'a Caller,
    /// Root of Graph with the version.
    pub(super) root: String,
}

/// Objects with their keys, in the order of the keys.
pub(super) type Rows<'a> = Box<dyn Iterator<Item = (String, Object<'a>)> + 'a>;

/// A collection in a stable order, that can start after any key.
pub(super) struct Source<'s, 'a> {
    pub(super) kind: Kind,
    /// Overrides the set in `@odata.context`.
    pub(super) context: Option<String>,
    pub(super) typed: Typed,
    /// A cast in the path, which needs an advanced query.
    pub(super) cast: bool,
    /// Whether it lists the other end of a link; filters on those need an advanced query.
    pub(super) reference: bool,
    /// The objects after a key, with their keys.
    pub(super) after: &'s dyn Fn(Option<&str>) -> Rows<'a>,
}

impl<'s, 'a> Source<'s, 'a> {
    /// A collection of one type at the root.
    pub(super) fn plain(kind: Kind, after: &'s dyn Fn(Option<&str>) -> Rows<'a>) -> Self {
        Self { kind, context: None, typed: Typed::No, cast: false, reference: false, after }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    bound: Bound,
    issued: i64,
    advanced: bool,
    /// Key of the last object given, or the offset when an order was asked for.
    after: Option<String>,
    offset: usize,
    /// Empty pages still to come.
    empty: usize,
}

struct Query {
    filter: Option<Parsed>,
    search: Option<Search>,
    order: Option<(String, bool)>,
}

impl Query {
    fn read(call: &Call, source: &Source<'_, '_>) -> Outcome<Self> {
        let options = &call.options;
        source.kind.check_select(options.select.as_deref())?;
        let filter = options.filter.as_deref().map(|text| filter::parse(text, source.kind)).transpose()?;
        let search = options.search.as_deref().map(Search::parse).transpose()?;
        let order = options.order_by.as_deref().map(order).transpose()?;
        if options.delta_token.is_some() {
            return Err(Failure::bad("The query parameter '$deltatoken' is not supported."));
        }
        Ok(Self { filter, search, order })
    }

    fn passes(&self, object: &Object<'_>) -> bool {
        self.filter.as_ref().is_none_or(|parsed| parsed.filter.matches(object))
            && self.search.as_ref().is_none_or(|search| search.matches(object))
    }
}

fn order(text: &str) -> Outcome<(String, bool)> {
    let mut words = text.split_whitespace();
    let property = words.next().unwrap_or_default();
    let down = match words.next() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(Failure::bad(format!("Syntax error in $orderby: '{text}'."))),
    };
    if !["displayName", "userPrincipalName", "mail"].contains(&property) || words.next().is_some() {
        return Err(Failure::unsupported(format!("Sorting not supported for current query: '{text}'.")));
    }
    Ok((property.to_owned(), down))
}

/// Fails unless a query that needs the eventually consistent index asks for it.
fn check_advanced(call: &Call, source: &Source<'_, '_>, query: &Query) -> Outcome<bool> {
    let options = &call.options;
    let needs_count = source.cast
        || query.filter.as_ref().is_some_and(|parsed| parsed.advanced || source.reference)
        || (query.order.is_some() && (query.filter.is_some() || source.reference));
    let needs_header = needs_count || query.search.is_some() || options.count;
    if !needs_header {
        return Ok(false);
    }
    if !call.eventual() && options.skip_token.is_some() {
        return Err(Failure::stale_page());
    }
    if !call.eventual() || (needs_count && !options.count) {
        return Err(Failure::unsupported(if source.reference && query.filter.is_some() {
            "The specified filter to the reference property query is currently not supported."
        } else {
            "Request requires the 'ConsistencyLevel: eventual' header and '$count=true' query parameter."
        }));
    }
    Ok(true)
}

impl<'a> Context<'a> {
    /// A page of a collection.
    pub(super) fn list(&self, call: &Call, source: &Source<'_, 'a>) -> Outcome<Answer> {
        let query = Query::read(call, source)?;
        let advanced = check_advanced(call, source, &query)?;
        let bound = Bound::new(&self.caller.app, &self.tenant.id, &call.path, &call.options.kept);
        let now = self.state.now().as_second();
        let page = self.page_of(call, &bound, now, advanced)?;
        let size = call.options.top.unwrap_or(PAGE).min(self.settings.list_page_size.unwrap_or(usize::MAX));
        let link = |next: &Page| {
            format!(
                "{}{}?{}$skiptoken={}",
                self.root,
                call.path,
                call.options.link_query(),
                token::pack(next)
            )
        };
        let mut body = json!({ "@odata.context": self.context_url(call, source) });
        if call.options.count && call.options.skip_token.is_none() {
            let total = (source.after)(None).filter(|(_, object)| query.passes(object)).count();
            body["@odata.count"] = total.into();
        }
        if page.empty > 0 {
            let next = Page { empty: page.empty - 1, ..page };
            body["@odata.nextLink"] = link(&next).into();
            body["value"] = json!([]);
            return Ok(Answer::ok(body));
        }
        let mut found: Vec<(String, Object<'a>)>;
        let more: bool;
        let mut next =
            Page { bound, issued: now, advanced, after: None, offset: page.offset + size, empty: 0 };
        if let Some((property, down)) = &query.order {
            let mut all: Vec<(String, (String, Object<'a>))> = (source.after)(None)
                .filter(|(_, object)| query.passes(object))
                .map(|entry| {
                    let value = entry.1.value(property);
                    (value.as_ref().and_then(Value::as_str).unwrap_or_default().to_lowercase(), entry)
                })
                .collect();
            all.sort_by(
                |(a, (one, _)), (b, (two, _))| {
                    if *down { (b, two).cmp(&(a, one)) } else { (a, one).cmp(&(b, two)) }
                },
            );
            more = all.len() > page.offset + size;
            found = all.into_iter().skip(page.offset).take(size).map(|(_, entry)| entry).collect();
        } else {
            found = (source.after)(page.after.as_deref())
                .filter(|(_, object)| query.passes(object))
                .take(size + 1)
                .collect();
            more = found.len() > size;
            found.truncate(size);
            next.after = found.last().map(|(key, _)| key.clone());
        }
        if more {
            body["@odata.nextLink"] = link(&next).into();
        }
        let mut value = Vec::with_capacity(found.len());
        for (_, object) in &found {
            value.push(self.shown(call, *object, source.typed)?);
        }
        body["value"] = Value::Array(value);
        Ok(Answer::ok(body))
    }

    /// A page of ready rows, without filters and orders.
    pub(super) fn values(&self, call: &Call, set: &str, rows: Vec<Value>) -> Outcome<Answer> {
        let options = &call.options;
        if options.filter.is_some() || options.search.is_some() || options.order_by.is_some() || options.count
        {
            return Err(Failure::unsupported("The specified query is not supported on this collection."));
        }
        let now = self.state.now().as_second();
        let bound = Bound::new(&self.caller.app, &self.tenant.id, &call.path, &options.kept);
        let page = self.page_of(call, &bound, now, false)?;
        let mut body = json!({ "@odata.context": format!("{}/$metadata#{set}", self.root), "value": [] });
        let size = if page.empty > 0 {
            0
        } else {
            options.top.unwrap_or(PAGE).min(self.settings.list_page_size.unwrap_or(usize::MAX))
        };
        let end = page.offset.saturating_add(size);
        if rows.len() > end {
            let empty = page.empty.saturating_sub(1);
            let next = Page { bound, issued: now, advanced: false, after: None, offset: end, empty };
            let link = format!(
                "{}{}?{}$skiptoken={}",
                self.root,
                call.path,
                options.link_query(),
                token::pack(&next)
            );
            body["@odata.nextLink"] = link.into();
        }
        let keep = |mut row: Value| {
            if let (Some(select), Value::Object(map)) = (&options.select, &mut row) {
                map.retain(|name, _| name == "id" || select.contains(name));
            }
            row
        };
        body["value"] = rows.into_iter().skip(page.offset).take(size).map(keep).collect();
        Ok(Answer::ok(body))
    }

    fn page_of(&self, call: &Call, bound: &Bound, now: i64, advanced: bool) -> Outcome<Page> {
        let Some(text) = &call.options.skip_token else {
            let empty = self.settings.empty_pages;
            return Ok(Page { bound: bound.clone(), issued: now, advanced, after: None, offset: 0, empty });
        };
        let page: Page = token::unpack(text).ok_or_else(Failure::stale_page)?;
        if page.bound != *bound || now - page.issued > PAGE_LIFE_S || page.advanced != advanced {
            return Err(Failure::stale_page());
        }
        Ok(page)
    }

    /// The number of objects in a collection, as plain text: needs the header alone.
    pub(super) fn count(call: &Call, source: &Source<'_, 'a>) -> Outcome<Answer> {
        let query = Query::read(call, source)?;
        if !call.eventual() {
            return Err(Failure::unsupported(
                "$count is not currently supported without the 'ConsistencyLevel: eventual' header.",
            ));
        }
        let total = (source.after)(None).filter(|(_, object)| query.passes(object)).count();
        Ok(Answer::text(total.to_string()))
    }

    /// One object.
    pub(super) fn single(&self, call: &Call, object: Object<'a>, kind: Kind) -> Outcome<Answer> {
        kind.check_select(call.options.select.as_deref())?;
        let typed = if kind == Kind::Any { Typed::Yes } else { Typed::No };
        let mut body = self.shown(call, object, typed)?;
        let select =
            call.options.select.as_ref().map(|names| format!("({})", names.join(","))).unwrap_or_default();
        body["@odata.context"] = format!("{}/$metadata#{}{select}/$entity", self.root, kind.set()).into();
        Ok(Answer::ok(body))
    }

    /// An object with what was asked to be expanded.
    fn shown(&self, call: &Call, object: Object<'a>, typed: Typed) -> Outcome<Value> {
        let rights = &self.caller.rights;
        let mut map = object.render(call.options.select.as_deref(), rights, typed);
        if let Some(expand) = &call.options.expand {
            let select = expand.select.as_deref();
            match (expand.name.as_str(), object) {
                ("manager", Object::User(user)) => {
                    rights.need(&["User.Read.All"])?;
                    let manager = user.manager.as_ref().and_then(|id| self.tenant.users.get(id));
                    if let Some(manager) = manager {
                        let manager = Object::User(manager).render(select, rights, Typed::Yes);
                        map.insert("manager".into(), Value::Object(manager));
                    }
                }
                ("members", Object::Group(group)) => {
                    rights.need(&["GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All"])?;
                    let members = group
                        .members
                        .iter()
                        .filter_map(|member| Object::of_member(self.tenant, member))
                        .filter(|member| !matches!(member, Object::App(_)))
                        .take(if self.hides_members(&group.id) { 0 } else { EXPANDED })
                        .map(|member| Value::Object(member.render(select, rights, Typed::Yes)))
                        .collect();
                    map.insert("members".into(), Value::Array(members));
                }
                ("memberOf", Object::User(user)) => {
                    let groups = self.tenant.groups_of(&user.id, Reach::Direct);
                    let groups = groups
                        .iter()
                        .filter_map(|id| self.tenant.groups.get(id))
                        .take(EXPANDED)
                        .map(|group| Value::Object(Object::Group(group).render(select, rights, Typed::Yes)))
                        .collect();
                    map.insert("memberOf".into(), Value::Array(groups));
                }
                (other, _) => {
                    return Err(Failure::new(
                        400,
                        "BadRequest",
                        format!(
                            "Parsing OData Select and Expand failed: Could not find a property named '{other}'."
                        ),
                    ));
                }
            }
        }
        Ok(Value::Object(map))
    }

    /// Whether a group's members are kept from this caller.
    pub(super) fn hides_members(&self, group: &str) -> bool {
        !self.caller.rights.hidden_members
            && self
                .tenant
                .groups
                .get(group)
                .is_some_and(|group| group.visibility.as_deref() == Some("HiddenMembership"))
    }

    fn context_url(&self, call: &Call, source: &Source<'_, '_>) -> String {
        let set = source.context.as_deref().unwrap_or(source.kind.set());
        let mut fields = call.options.select.clone().unwrap_or_default();
        fields.extend(call.options.expand.as_ref().map(|expand| format!("{}()", expand.name)));
        let fields = if fields.is_empty() { String::new() } else { format!("({})", fields.join(",")) };
        format!("{}/$metadata#{set}{fields}", self.root)
    }
}
