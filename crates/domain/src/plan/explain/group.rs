//! Why a group is, or is not, on the site, and who is in it on either side.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::step::Step;
use super::super::targets::{Filled, Target, TargetState, group_label};
use super::view::{Against, View, count, list, path};
use super::{Explanation, Link, Member, MemberState, Related, Which};
use crate::memory::Origin;
use crate::model::{
    AccountId, AccountState, Closure, DirectoryGroup, DirectoryUserId, Nesting, SiteGroup, SiteMembers,
};
use crate::policy::{GroupMode, Memberships};

pub(super) fn explain(view: &View<'_>, which: &Which) -> Explanation {
    let group = which.directory.as_ref().and_then(|id| view.input.directory.group(id));
    let site_group = view.site_group_of(which);
    let target = view.target_of(which);
    let mut members = match target.filter(|_| group.is_none()) {
        Some(default) => default_members(view, default),
        None => members(view, group, site_group),
    };
    for member in &mut members {
        member.owner = site_group
            .zip(member.site_id.as_ref())
            .and_then(|(group, account)| view.input.memory.membership(&group.id, account));
    }
    let steps: Vec<&Step> = view
        .plan
        .steps
        .iter()
        .filter(|step| {
            step.action.group().is_some_and(|g| {
                which.directory.as_ref().is_some_and(|id| g.sources().contains(id))
                    || (g.site_id.is_some() && g.site_id.as_ref() == site_group.map(|s| &s.id))
            })
        })
        .collect();

    let mut chain = vec![record(view, which, group)];
    if let Some(default) = target.filter(|_| group.is_none()) {
        chain.push(Link::new("scope", default_words(default)));
    }
    if let Some(group) = group {
        chain.extend(nested(view, group));
        chain.push(scope(view, group));
    }
    chain.push(site(view, which, group, site_group));
    if let Some(group) = group {
        let label = group_label(group);
        chain.extend(
            view.set_aside(&label).map(|aside| {
                Link::new("set aside", format!("{}; what to do: {}", aside.reason, aside.remedy))
            }),
        );
        let notes = view.plan.notes.iter().filter(|note| note.object == label);
        chain.extend(notes.map(|note| Link::new("note", format!("{}; {}", note.reason, note.remedy))));
        let others = view
            .targets(&group.id)
            .iter()
            .filter(|other| target.is_some_and(|target| target.group.anchor != other.group.anchor));
        chain.extend(others.map(|other| also(view, other)));
    }
    chain.extend(target.map(|target| mode(view, target)));
    if let Some(text) = tally(&members) {
        chain.push(Link::new("members", text));
    }
    chain.extend(planned(&steps));
    Explanation {
        object: object(which, group, site_group),
        verdict: verdict(view, which, group, site_group, &members, &steps),
        chain,
        ladder: None,
        related: Related::Members(members),
    }
}

fn name(which: &Which, group: Option<&DirectoryGroup>, site_group: Option<&SiteGroup>) -> String {
    match (group, site_group) {
        (Some(group), _) => group.display_name.trim().to_owned(),
        (None, Some(group)) => group.name.trim().to_owned(),
        (None, None) => {
            let id = which.directory.as_ref().map(ToString::to_string);
            id.or_else(|| which.site.as_ref().map(ToString::to_string)).unwrap_or_default()
        }
    }
}

fn object(which: &Which, group: Option<&DirectoryGroup>, site_group: Option<&SiteGroup>) -> String {
    match (group, site_group) {
        (Some(group), Some(site)) => {
            format!("{}, site group “{}” ({})", group_label(group), site.name, site.id)
        }
        (Some(group), None) => group_label(group),
        (None, Some(site)) => format!("site group “{}” ({})", site.name, site.id),
        (None, None) => format!("group {}", name(which, group, site_group)),
    }
}

fn record(view: &View<'_>, which: &Which, group: Option<&DirectoryGroup>) -> Link {
    let Some(group) = group else {
        return Link::new(
            "record",
            match &which.directory {
                Some(id) if view.input.directory.group_is_gone(id) => {
                    format!("the directory group {id} was deleted in Entra ID")
                }
                Some(id) => format!("the directory no longer lists the group {id}"),
                None => "a group of the site; no group of the directory stands for it".into(),
            },
        );
    };
    let directly = match group.direct() {
        Some((users, groups)) => format!(
            "{} and {} directly",
            count(users.len(), "person", "people"),
            count(groups.len(), "group", "groups")
        ),
        None => "its members were not read".into(),
    };
    let in_all = match view.input.rules.closure(view.input.directory, group) {
        Closure::Complete(closure) => {
            let enabled = closure
                .members()
                .filter_map(|ix| view.input.directory.user_at(ix))
                .filter(|user| user.account == AccountState::Enabled)
                .count();
            format!(
                "{} with nesting, {enabled} of them enabled",
                count(closure.members().len(), "person", "people")
            )
        }
        Closure::Unknown(why) => {
            format!("not completely known: {}", why.first().map_or("not read", |unread| &unread.reason))
        }
    };
    Link::new("record", format!("“{}” in Entra ID: {directly}; {in_all}", group.display_name.trim()))
}

fn nested(view: &View<'_>, group: &DirectoryGroup) -> Option<Link> {
    let Closure::Complete(closure) = view.input.rules.closure(view.input.directory, group) else {
        return None;
    };
    let mut ways: Vec<String> = closure
        .nested()
        .filter_map(|ix| closure.path_to(view.input.directory, ix))
        .map(|p| path(&p))
        .collect();
    if ways.is_empty() {
        return None;
    }
    ways.sort();
    let more = ways.len().saturating_sub(5);
    let shown: Vec<String> = ways.into_iter().take(5).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(Link::new("nested", format!("flattened into it: {}{more}", shown.join(", "))))
}

/// What a default group of the document is.
pub(super) fn default_words(target: &Target) -> &'static str {
    match target.filled {
        Filled::Newcomers => {
            "a default group of the document: whoever is invited is put into it once, and it is theirs ([groups] \
             default_new)"
        }
        Filled::Everybody | Filled::From(_) => {
            "a default group of the document: everybody who takes part is put into it ([groups] default)"
        }
    }
}

/// A further site group that a directory group fills.
fn also(view: &View<'_>, other: &Target) -> Link {
    let name = other.group.name.trim();
    let has = other.group.site_id.as_ref().and_then(|id| view.input.site.members(id));
    let has = match has {
        Some(SiteMembers::Complete(members)) => count(members.len(), "member", "members"),
        Some(SiteMembers::Unread(_)) => "its members were not read".into(),
        None => "not on the site yet".into(),
    };
    Link::new("site", format!("fills the site group “{name}” as well: {has}"))
}

/// Whether and why a group takes part.
pub(super) fn scope(view: &View<'_>, group: &DirectoryGroup) -> Link {
    let rules = &view.input.rules.scope;
    let selects = |s: &&crate::policy::GroupSelector| s.selects(&group.id, &group.display_name);
    let named = rules.groups.iter().find(selects);
    let excluded = rules.exclude_groups.iter().find(selects);
    let text = match (named, excluded) {
        (Some(by), None) => format!("takes part: the scope names it by “{}”", by.as_str()),
        (Some(_), Some(by)) => format!("takes no part: exclude_groups takes it out by “{}”", by.as_str()),
        (None, _) => {
            let outer: Vec<&str> = view
                .scoped
                .iter()
                .filter(|(outer, _)| match view.input.rules.closure(view.input.directory, outer) {
                    Closure::Complete(closure) => {
                        closure.nested().any(|ix| view.input.directory.group_at(ix).id == group.id)
                    }
                    Closure::Unknown(_) => false,
                })
                .map(|(outer, _)| &*outer.display_name)
                .collect();
            match outer.as_slice() {
                [] => "takes no part: the scope does not name it".into(),
                names => format!(
                    "gets no site group of its own: the scope does not name it; its people come in through {}",
                    list(names)
                ),
            }
        }
    };
    Link::new("scope", text)
}

fn site(
    view: &View<'_>,
    which: &Which,
    group: Option<&DirectoryGroup>,
    site_group: Option<&SiteGroup>,
) -> Link {
    let link = which.directory.as_ref().and_then(|id| view.input.memory.group(id));
    let how = |origin| match origin {
        Origin::Created => "Entrain created it",
        Origin::Adopted => "it was there and was adopted",
        Origin::Found => "it was there",
    };
    let target = view.target_of(which);
    let text = match (site_group, link, target.map(|t| &t.state)) {
        (Some(site), None, Some(TargetState::Managed)) if group.is_none() => {
            format!("“{}” ({}) is the site group that the document names", site.name, site.id)
        }
        (Some(site), Some(link), _) if link.group == site.id => {
            format!("linked to the site group “{}” ({}): {}", site.name, site.id, how(link.origin))
        }
        (Some(site), _, Some(TargetState::Managed)) => {
            format!(
                "bound to the site group “{}” ({}) by the rules; linked at the next sync",
                site.name, site.id
            )
        }
        (Some(site), _, Some(TargetState::Adopt)) => {
            format!("the site has a group “{}” ({}) already, which is to be adopted", site.name, site.id)
        }
        (Some(site), _, Some(TargetState::TakeOver(_))) => format!(
            "the site group “{}” ({}) stood for another directory group and is to be taken over",
            site.name, site.id
        ),
        (Some(site), None, _) if group.is_none() => {
            format!("“{}” ({}) is not linked; Entrain leaves it alone", site.name, site.id)
        }
        (None, Some(link), Some(TargetState::Create)) => format!(
            "was linked to the site group “{}” ({}), which the site no longer has; it is created anew",
            link.name, link.group
        ),
        (None, Some(link), _) => {
            format!(
                "was linked to the site group “{}” ({}), which the site no longer has",
                link.name, link.group
            )
        }
        (None, None, Some(TargetState::Create)) => {
            format!("the site has no group “{}”", target.map_or("", |t| &t.group.name))
        }
        _ => "no site group stands for it".into(),
    };
    Link::new("site", text)
}

fn mode(view: &View<'_>, target: &Target) -> Link {
    let text = match (view.input.rules.memberships, target.mode) {
        (Memberships::Leave, _) => "sync_memberships is off: memberships are left alone",
        (_, GroupMode::Managed) => {
            "managed: only what Entrain granted, or found on both sides, is taken away"
        }
        (_, GroupMode::Additive) => "additive: nobody is taken out",
        (_, GroupMode::Authoritative) => "authoritative: whoever the directory does not have is taken out",
    };
    let sources = target.filled.sources();
    let direct = if sources.iter().any(|source| source.nesting == Nesting::Direct) {
        "; direct members only, nested groups do not count"
    } else {
        ""
    };
    let several = if sources.len() > 1 {
        let names: Vec<&str> = sources.iter().map(|source| &*source.name).collect();
        format!("; filled from {} together", list(&names))
    } else {
        String::new()
    };
    Link::new("mode", format!("{text}{direct}{several}"))
}

fn tally(members: &[Member]) -> Option<String> {
    let of = |state| members.iter().filter(|member| member.state == state).count();
    let parts: Vec<String> = [
        (MemberState::InStep, "on both sides"),
        (MemberState::Missing, "missing on the site"),
        (MemberState::Leaving, "no longer in the directory's group"),
        (MemberState::Own, "somebody's own on the site"),
        (MemberState::Unknown, "not known"),
        (MemberState::LeftOut, "in the directory's group, but left out"),
    ]
    .into_iter()
    .filter_map(|(state, text)| Some(of(state)).filter(|n| *n > 0).map(|n| format!("{n} {text}")))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The steps by kind, with the reason of the first of each.
fn planned(steps: &[&Step]) -> Vec<Link> {
    if steps.is_empty() {
        return vec![Link::new("step", "nothing to do")];
    }
    let mut by_kind: std::collections::BTreeMap<_, Vec<&Step>> = std::collections::BTreeMap::new();
    for step in steps {
        by_kind.entry(step.action.kind()).or_default().push(step);
    }
    let mut links = Vec::new();
    for (kind, steps) in by_kind {
        let held = steps.iter().filter(|step| step.hold.is_some()).count();
        let waiting = if held > 0 { format!(" ({held} held)") } else { String::new() };
        let who: Vec<&str> = steps.iter().filter_map(|s| s.action.person()).map(|p| &*p.name).collect();
        let whom = if who.is_empty() { String::new() } else { format!(" {}", list(&who)) };
        let reason = steps.first().map(|step| step.reason.to_string()).unwrap_or_default();
        links.push(Link::new("step", format!("{kind}{whom}{waiting}: {reason}")));
    }
    links
}

fn verdict(
    view: &View<'_>,
    which: &Which,
    group: Option<&DirectoryGroup>,
    site_group: Option<&SiteGroup>,
    members: &[Member],
    steps: &[&Step],
) -> String {
    let name = name(which, group, site_group);
    let Some(group) = group else {
        if let Some(default) = view.target_of(which) {
            let todo = match steps.len() {
                0 => "nothing to do".to_owned(),
                n => format!("{} to do or held", count(n, "step", "steps")),
            };
            return format!("“{name}” is {}; {todo}", default_words(default));
        }
        return match (&which.directory, site_group) {
            (Some(_), Some(site)) => format!(
                "“{}” stays as it is on the site, because the directory no longer lists the group it stood for",
                site.name
            ),
            (None, Some(_)) => {
                format!("“{name}” is none of Entrain's business, because no directory group stands for it")
            }
            _ => format!("“{name}” is not on the site, because the directory no longer lists it"),
        };
    };
    let scope = scope(view, group).text;
    let Some(target) = view.target_of(which) else {
        let why = view.set_aside(&group_label(group)).next().map(|aside| aside.reason.clone());
        if let Some(why) = why {
            return format!("“{name}” is set aside, because {why}");
        }
        let why = scope.split_once(": ").map_or(scope.as_str(), |(_, why)| why);
        return format!("“{name}” has no site group that Entrain manages, because {why}");
    };
    if let Closure::Unknown(why) = view.input.rules.closure(view.input.directory, group) {
        let why = why.first().map_or("they were not read", |unread| &unread.reason);
        return format!("“{name}” is left alone, because its members are not completely known: {why}");
    }
    let why = scope.trim_start_matches("takes part: ").to_owned();
    let waits = steps.iter().find_map(|step| step.hold);
    let approval = |text: &str| match waits {
        Some(guard) => format!("{text} once a person approves ({})", super::view::held_by(guard)),
        None => format!("{text} at the next sync"),
    };
    match target.state {
        TargetState::Create => format!("“{name}” {}, because {why}", approval("is created")),
        TargetState::TakeOver(_) => format!(
            "“{name}” {}, because {why} and the group that its site group stood for takes no part any more",
            approval("takes the site group over")
        ),
        TargetState::Adopt => {
            format!(
                "“{name}” {}, because {why} and the site has a group of this name",
                approval("is adopted")
            )
        }
        TargetState::Managed if steps.is_empty() => {
            let people = members.iter().filter(|m| m.state == MemberState::InStep).count();
            format!("“{name}” is in step with its {}, because {why}", count(people, "member", "members"))
        }
        TargetState::Managed => {
            format!(
                "“{name}” is managed, because {why}; {} {}",
                count(steps.len(), "step", "steps"),
                if waits.is_some() { "to do or held" } else { "to do" }
            )
        }
    }
}

/// Everybody in the group on either side, and everybody whom the ledger has there.
fn members(view: &View<'_>, group: Option<&DirectoryGroup>, site_group: Option<&SiteGroup>) -> Vec<Member> {
    let directory = view.input.directory;
    let mut seen: BTreeSet<AccountId> = BTreeSet::new();
    let mut members = Vec::new();
    let site_id = site_group.map(|g| &g.id);
    let closure = group.map(|group| view.input.rules.closure(directory, group));
    if let Some(Closure::Complete(closure)) = &closure {
        let mut ways: HashMap<_, String> = HashMap::new();
        for (ix, holder) in closure.members_with_holder() {
            let id = directory.user_id_at(ix).clone();
            let who = super::Who {
                account: view.input.memory.user(&id).map(|link| link.account.clone()),
                user: Some(id),
            };
            let person = view.person(&who);
            seen.extend(person.account_id.clone());
            let way = ways
                .entry(holder)
                .or_insert_with(|| closure.path_to(directory, holder).map(|p| path(&p)).unwrap_or_default());
            let on_site = view.on_membership(&person, site_id);
            let through = format!("member through {way}");
            let (state, text) = match view.cause_against(&person) {
                Some(Against::Perhaps(cause)) if on_site.0 == Some(true) => (MemberState::Unknown, cause),
                Some(Against::Surely(cause)) if on_site.0 == Some(true) && on_site.1.is_some() => {
                    (MemberState::Leaving, cause)
                }
                Some(Against::Surely(cause)) if on_site.0 == Some(true) => {
                    (MemberState::Own, format!("{cause}; put into the group on the site by somebody else"))
                }
                Some(Against::Surely(cause) | Against::Perhaps(cause)) => {
                    (MemberState::LeftOut, format!("{through}, but {cause}"))
                }
                None => match (on_site.0, view.set_aside(&person.label).next()) {
                    (Some(true), _) => (MemberState::InStep, through),
                    (Some(false), Some(aside)) => {
                        (MemberState::LeftOut, format!("{through}, but {}", aside.reason))
                    }
                    (Some(false), None) if on_site.1.is_some() => (
                        MemberState::Missing,
                        format!("{through}; was taken out on the site by somebody else"),
                    ),
                    (Some(false), None) if group.is_none_or(|group| view.target(&group.id).is_none()) => {
                        (MemberState::LeftOut, format!("{through}; no site group is managed for it"))
                    }
                    (Some(false), None) => (MemberState::Missing, through),
                    (None, _) => {
                        (MemberState::Unknown, format!("{through}; the site's members are not known"))
                    }
                },
            };
            members.push(entry(person, state, text));
        }
    }
    let current = match site_id.and_then(|id| view.input.site.members(id)) {
        Some(SiteMembers::Complete(list)) => list.clone(),
        Some(SiteMembers::Unread(_)) | None => Vec::new(),
    };
    for account in current.into_iter().filter(|account| !seen.contains(account)) {
        let user: Option<DirectoryUserId> = view.input.memory.user_of(&account).cloned();
        let owned = site_id.and_then(|id| view.input.memory.membership(id, &account));
        let person = view.person(&super::Who { user, account: Some(account) });
        let (state, text) = match (owned, &closure) {
            (_, Some(Closure::Unknown(_))) => (
                MemberState::Unknown,
                "on the site; the directory's group is not completely known".to_owned(),
            ),
            (Some(_), Some(_)) if person.id.is_some() => {
                let name = group.map_or("", |g| g.display_name.trim());
                (MemberState::Leaving, format!("no longer in “{name}”, directly or through nesting"))
            }
            (Some(_), _) => (
                MemberState::Unknown,
                "granted by Entrain, but nobody is linked to the account any more".into(),
            ),
            (None, _) => (MemberState::Own, "put into the group on the site by somebody else".into()),
        };
        members.push(entry(person, state, text));
    }
    members.sort_by(|a, b| (a.state, &a.name, &a.site_id).cmp(&(b.state, &b.name, &b.site_id)));
    members
}

/// Everybody in a default group, and everybody who should be.
fn default_members(view: &View<'_>, target: &Target) -> Vec<Member> {
    let site_id = target.group.site_id.as_ref();
    let mut seen: BTreeSet<AccountId> = BTreeSet::new();
    let mut members = Vec::new();
    let wanted = match target.filled {
        Filled::Everybody => view.taking_part(),
        Filled::Newcomers | Filled::From(_) => Vec::new(),
    };
    for id in wanted {
        let account = view.input.memory.user(&id).map(|link| link.account.clone());
        let person = view.person(&super::Who { account, user: Some(id) });
        seen.extend(person.account_id.clone());
        let (state, text) = match (view.on_membership(&person, site_id), view.set_aside(&person.label).next())
        {
            ((Some(true), _), _) => (MemberState::InStep, "takes part".to_owned()),
            ((Some(false), _), Some(aside)) => {
                (MemberState::LeftOut, format!("takes part, but {}", aside.reason))
            }
            ((Some(false), Some(_)), None) => {
                (MemberState::Missing, "takes part; was taken out on the site by somebody else".into())
            }
            ((Some(false), None), None) => (MemberState::Missing, "takes part".into()),
            ((None, _), _) => (MemberState::Unknown, "takes part; the site's members are not known".into()),
        };
        members.push(entry(person, state, text));
    }
    let current = match site_id.and_then(|id| view.input.site.members(id)) {
        Some(SiteMembers::Complete(list)) => list.clone(),
        Some(SiteMembers::Unread(_)) | None => Vec::new(),
    };
    for account in current.into_iter().filter(|account| !seen.contains(account)) {
        let user: Option<DirectoryUserId> = view.input.memory.user_of(&account).cloned();
        let owned = site_id.and_then(|id| view.input.memory.membership(id, &account));
        let person = view.person(&super::Who { user, account: Some(account) });
        let (state, text) = match (owned, &target.filled) {
            (Some(_), _) if person.id.is_some() => (MemberState::Leaving, "takes no part any more"),
            (Some(_), _) => {
                (MemberState::Unknown, "granted by Entrain, but nobody is linked to the account any more")
            }
            (None, Filled::Newcomers) => (MemberState::Own, "given once, or put there by somebody else"),
            (None, _) => (MemberState::Own, "put into the group on the site by somebody else"),
        };
        members.push(entry(person, state, text.to_owned()));
    }
    members.sort_by(|a, b| (a.state, &a.name, &a.site_id).cmp(&(b.state, &b.name, &b.site_id)));
    members
}

fn entry(person: super::view::Person<'_>, state: MemberState, text: String) -> Member {
    let mail = person
        .user
        .and_then(crate::model::DirectoryUser::address)
        .or_else(|| person.account.and_then(|account| account.email.clone()));
    Member {
        name: Arc::clone(&person.name),
        mail,
        directory_id: person.id,
        site_id: person.account_id,
        owner: None,
        state,
        text,
    }
}
