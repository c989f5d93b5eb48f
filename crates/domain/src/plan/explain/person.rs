//! Why a person is, or is not, on the site and in its groups.

use super::super::matching::Match;
use super::super::step::{Action, Step, StepKind};
use super::super::targets::Target;
use super::paths::Ways;
use super::view::{Against, Entitled, OnSite, Person, View, count, does, list};
use super::{Explanation, Link, Place, Related, Which, Who};
use crate::memory::Origin;
use crate::model::{
    AccountActivity, AccountState, DirectoryGroup, DirectoryGroupId, Gone, Nesting, UserKind,
};
use crate::policy::UserScope;

pub(super) fn explain(view: &View<'_>, who: &Who) -> Explanation {
    let person = view.person(who);
    let ways = person.id.as_ref().map(|id| Ways::to(view.input.directory, id));
    let planned = view.steps_of(&person);
    let of = |group: &DirectoryGroup, target: Option<&Target>| {
        view.place(&person, &planned, (group, target), ways.as_ref()).0
    };
    let of_all = |group: &DirectoryGroup| match view.targets(&group.id) {
        [] => vec![of(group, None)],
        targets => targets.iter().map(|target| of(group, Some(target))).collect(),
    };
    let (mut places, mut rest): (Vec<Place>, Vec<Place>) =
        view.scoped.iter().flat_map(|(group, _)| of_all(group)).partition(telling);
    for target in view.defaults() {
        let apart = || no_part(view, &person, ways.as_ref());
        let (place, _) = view.default_place(&person, &planned, target, apart);
        if telling(&place) { places.push(place) } else { rest.push(place) }
    }
    places.extend(elsewhere(view, &person));

    let mut chain = vec![record(&person), scope(view, &person, ways.as_ref())];
    chain.extend(places.iter().flat_map(told));
    // In the order of names, after those with something to tell.
    places.extend(rest);
    chain.extend(link(view, &person));
    let ladder = super::ladder::place(view, &person);
    chain.extend(ladder.iter().flat_map(|place| place.told(view.input.now)));
    chain.extend(
        view.set_aside(&person.label)
            .map(|aside| Link::new("set aside", format!("{}; what to do: {}", aside.reason, aside.remedy))),
    );
    chain.extend(steps(&planned));
    Explanation {
        object: object(&person),
        verdict: verdict(view, &person, &planned, &places, ways.as_ref()),
        chain,
        ladder: ladder.map(Box::new),
        related: Related::Groups(places),
    }
}

pub(super) fn explain_membership(view: &View<'_>, who: &Who, which: &Which) -> Explanation {
    let person = view.person(who);
    let ways = person.id.as_ref().map(|id| Ways::to(view.input.directory, id));
    let group = which.directory.as_ref().and_then(|id| view.input.directory.group(id));
    let planned = view.steps_of(&person);
    let target = view.target_of(which);
    let (place, entitled) = match (group, target) {
        (Some(group), _) => view.place(&person, &planned, (group, target), ways.as_ref()),
        (None, Some(default)) => {
            view.default_place(&person, &planned, default, || no_part(view, &person, ways.as_ref()))
        }
        (None, None) => unlisted(view, &person, which),
    };
    let mut chain = vec![record(&person)];
    chain.push(match group {
        Some(group) => super::group::scope(view, group),
        None => match target {
            Some(default) => Link::new("scope", super::group::default_words(default)),
            None => Link::new("scope", "the directory has no group that stands for it"),
        },
    });
    chain.push(Link::new("group", format!("“{}”: {}", place.name, place.why)));
    chain.extend(other_ways(&place));
    chain.extend(link(view, &person));
    chain.push(Link::new("site", place.site.clone()));
    if let Some(group) = group {
        let others = view
            .targets(&group.id)
            .iter()
            .filter(|other| target.is_some_and(|target| target.group.anchor != other.group.anchor));
        chain.extend(others.map(|other| {
            let place = view.place(&person, &planned, (group, Some(other)), ways.as_ref()).0;
            Link::new("site", place.site)
        }));
    }
    let on_site =
        view.on_site((place.directory_id.as_ref(), target), place.site_id.as_ref(), &person, &planned);
    let invitation = planned.iter().copied().filter(|s| s.action.kind() == StepKind::CreateUser);
    chain.extend(steps(&invitation.chain(on_site.step).collect::<Vec<_>>()));
    let verdict = membership_verdict(view, &person, &on_site, &place, &entitled, group);
    Explanation {
        object: format!("{} in group “{}”", object(&person), place.name),
        verdict,
        chain,
        ladder: None,
        related: Related::Groups(vec![place]),
    }
}

/// A group that only the site has.
fn unlisted(view: &View<'_>, person: &Person<'_>, which: &Which) -> (Place, Entitled) {
    let site_group = view.site_group_of(which);
    let name = site_group.map_or_else(
        || {
            let id = which.directory.as_ref().map(ToString::to_string);
            id.or_else(|| which.site.as_ref().map(ToString::to_string)).unwrap_or_default().into()
        },
        |group| group.name.clone(),
    );
    let (member, owned) = view.on_membership(person, site_group.map(|g| &g.id));
    let why = match &which.directory {
        Some(id) => format!("the directory no longer lists the group {id}"),
        None => "the directory has no group that stands for it".to_owned(),
    };
    let site = match (member, owned) {
        (Some(true), Some(_)) => "in the group on the site, noted in the ledger; left alone",
        (Some(true), None) => "in the group on the site; none of Entrain's business",
        (Some(false), _) => "not in the group on the site",
        (None, _) => "Entrain does not manage the group and did not read its members",
    };
    let place = Place {
        name,
        site_name: site_group.map(|g| g.name.clone()),
        directory_id: which.directory.clone(),
        site_id: site_group.map(|g| g.id.clone()),
        member: false,
        paths: Vec::new(),
        on_site: member,
        why: why.clone(),
        site: site.to_owned(),
    };
    (place, Entitled::No(why))
}

/// Groups out of scope in which the ledger still owns a membership of the person.
fn elsewhere(view: &View<'_>, person: &Person<'_>) -> Vec<Place> {
    let Some(account) = &person.account_id else { return Vec::new() };
    let memory = view.input.memory;
    let mut found: Vec<_> = memory
        .groups()
        .filter(|link| memory.membership(&link.group, account).is_some())
        .filter(|link| {
            let in_scope = |id: &DirectoryGroupId| view.scoped.iter().any(|(group, _)| group.id == *id);
            link.anchor.directory().is_some_and(|id| !in_scope(id))
        })
        .map(|link| {
            let which = Which { directory: link.anchor.directory().cloned(), site: Some(link.group.clone()) };
            let (mut place, _) = unlisted(view, person, &which);
            if let Some(group) = link.anchor.directory().and_then(|id| view.input.directory.group(id)) {
                place.name = group.display_name.clone();
                place.why = "the scope no longer names the group".into();
            }
            "granted by Entrain; a group that is no longer in scope is left as it is"
                .clone_into(&mut place.site);
            place
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn telling(place: &Place) -> bool {
    place.member || !place.paths.is_empty() || place.on_site == Some(true)
}

fn told(place: &Place) -> Vec<Link> {
    let mut links = vec![Link::new("group", format!("“{}”: {}; {}", place.name, place.why, place.site))];
    links.extend(other_ways(place));
    links
}

/// The shortest way is part of the reason already.
fn other_ways(place: &Place) -> impl Iterator<Item = Link> {
    let others = place.paths.iter().skip(1);
    others.map(|path| Link::new("group", format!("also through {}", super::view::path(path))))
}

fn object(person: &Person<'_>) -> String {
    match (&person.id, &person.account_id) {
        (Some(_), Some(account)) => format!("{}, account {account}", person.label),
        _ => person.label.clone(),
    }
}

fn record(person: &Person<'_>) -> Link {
    let text = match (person.user, person.gone) {
        (Some(user), _) => {
            let state = match user.account {
                AccountState::Enabled => "enabled",
                AccountState::Disabled => "disabled",
                AccountState::Unknown => "neither enabled nor disabled",
            };
            let kind = match user.kind {
                UserKind::Member => "member",
                UserKind::Guest => "guest",
            };
            let address = user.address().map_or_else(|| "no usable address".to_owned(), |a| a.to_string());
            format!("{}, {address}: {state} {kind} of Entra ID", person.name)
        }
        (None, Some(Gone::SoftDeleted)) => {
            "in the recycle bin of Entra ID; may come back within 30 days".into()
        }
        (None, Some(Gone::Deleted)) => "deleted in Entra ID".into(),
        (None, None) if person.id.is_some() => {
            "known from earlier runs; the directory no longer lists the user".into()
        }
        (None, None) => "an account of the site; nobody in the directory is linked to it".into(),
    };
    Link::new("record", text)
}

fn scope(view: &View<'_>, person: &Person<'_>, ways: Option<&Ways<'_>>) -> Link {
    let text = if person.id.as_ref().is_some_and(|id| view.matched(id).is_some()) {
        match &view.input.rules.scope.users {
            UserScope::Assigned(application) => {
                format!("takes part: the application {application} is assigned to them")
            }
            UserScope::All => "takes part: everybody does (users = \"all\")".into(),
            UserScope::InGroups => {
                let through = ways.map(|ways| {
                    view.scoped
                        .iter()
                        .filter(|(group, _)| {
                            ways.lead_from(
                                &group.id,
                                view.input.rules.nesting_of(&group.id, &group.display_name),
                            )
                        })
                        .collect::<Vec<_>>()
                });
                match through.unwrap_or_default().as_slice() {
                    [] => "takes part".into(),
                    [(group, selector), rest @ ..] => {
                        let more = match rest.len() {
                            0 => String::new(),
                            n => {
                                format!(" and {}", count(n, "other group in scope", "other groups in scope"))
                            }
                        };
                        format!(
                            "takes part: in “{}”, which the scope names by “{selector}”{more}",
                            group.display_name.trim()
                        )
                    }
                }
            }
        }
    } else if let Some(Against::Perhaps(why)) = view.cause_against(person)
        && person.user.is_some_and(|user| user.account == AccountState::Enabled)
    {
        why
    } else {
        format!("takes no part: {}", no_part(view, person, ways))
    };
    Link::new("scope", text)
}

/// Why a person takes no part.
fn no_part(view: &View<'_>, person: &Person<'_>, ways: Option<&Ways<'_>>) -> String {
    if let Some(cause) = view.cause_against(person) {
        return cause.into_why();
    }
    let reached = ways.map(Ways::groups).unwrap_or_default();
    let scoped = |group: &&&DirectoryGroup| view.scoped.iter().any(|(scoped, _)| scoped.id == group.id);
    let nested_only = |group: &&&DirectoryGroup| {
        let nesting = view.input.rules.nesting_of(&group.id, &group.display_name);
        nesting == Nesting::Direct && ways.is_some_and(|ways| !ways.lead_from(&group.id, nesting))
    };
    if let Some(group) = reached.iter().filter(scoped).find(nested_only)
        && reached.iter().filter(scoped).all(|group| nested_only(&group))
    {
        return format!(
            "only in groups nested in “{}”, which takes direct members only (nesting)",
            group.display_name.trim()
        );
    }
    let unknown = reached.iter().filter(scoped).find(|group| !nested_only(group));
    if let Some(group) = unknown {
        return format!(
            "the members of “{}” are not completely known, so it brings nobody",
            group.display_name.trim()
        );
    }
    let excluded = reached.iter().find(|group| {
        view.input.rules.scope.groups.iter().any(|s| s.selects(&group.id, &group.display_name))
    });
    if let Some(group) = excluded {
        return format!("only in “{}”, which exclude_groups takes out", group.display_name.trim());
    }
    match reached.iter().map(|group| &*group.display_name).collect::<Vec<_>>().as_slice() {
        [] => "in no group in scope, directly or through nesting".into(),
        names => format!("in no group in scope, only in {}", list(names)),
    }
}

fn link(view: &View<'_>, person: &Person<'_>) -> Vec<Link> {
    let memory = view.input.memory;
    let linked = person.id.as_ref().and_then(|id| memory.user(id));
    let state = |activity| match activity {
        AccountActivity::Active => "active",
        AccountActivity::Inactive => "deactivated or suspended",
    };
    let shown = person.account.map_or_else(String::new, |account| {
        let email = account.email.as_ref().map_or("address hidden".to_owned(), ToString::to_string);
        format!(
            "account {} (“{}”, {email}, {})",
            account.id,
            account.display_name.trim(),
            state(account.activity)
        )
    });
    let text = match (linked, person.account, person.id.as_ref().and_then(|id| view.matched(id))) {
        (Some(link), Some(account), _) if link.account == account.id => {
            let how = match (link.origin, &link.address) {
                (Origin::Created, Some(address)) => format!("Entrain invited {address}"),
                (Origin::Created, None) => "Entrain sent the invitation".into(),
                (_, Some(address)) => format!("the account was there and matched {address}"),
                (_, None) => "the account was there and matched".into(),
            };
            format!("linked to {shown}: {how}")
        }
        (_, Some(_), Some(Match::Account(_))) => {
            format!("matched with {shown} by address; linked at the next sync")
        }
        (Some(link), None, matched) => {
            let then = match matched {
                Some(Match::Invite(address)) => format!("; {address} is invited anew"),
                _ => String::new(),
            };
            format!("was linked to account {}, which the site no longer has{then}", link.account)
        }
        (_, _, Some(Match::Invite(address))) => format!("the site has no account of {address}"),
        (_, _, Some(Match::Parked)) => "no account is taken for certain".into(),
        (_, Some(_), None) => format!("{shown}; not linked"),
        (None, None, _) => {
            let visible = person
                .user
                .and_then(crate::model::DirectoryUser::address)
                .and_then(|address| view.input.site.accounts_by_email(&address).next());
            match visible {
                Some(account) => format!(
                    "not linked; the site has an account of this address ({}, {})",
                    account.id,
                    state(account.activity)
                ),
                None => "not linked; the site shows no account of this address".into(),
            }
        }
    };
    vec![Link::new("link", text)]
}

/// Steps with their reasons, or that there is nothing to do.
pub(super) fn steps(steps: &[&Step]) -> Vec<Link> {
    if steps.is_empty() {
        return vec![Link::new("step", "nothing to do")];
    }
    steps
        .iter()
        .map(|step| {
            let what = match (&step.action, step.action.group()) {
                (Action::AddMember { .. } | Action::RemoveMember { .. }, Some(group)) => {
                    format!("{} “{}”: ", step.action.kind(), group.name)
                }
                _ => format!("{}: ", step.action.kind()),
            };
            Link::new("step", format!("{what}{}, because {}", does(step), step.reason))
        })
        .collect()
}

fn verdict(
    view: &View<'_>,
    person: &Person<'_>,
    steps: &[&Step],
    places: &[Place],
    ways: Option<&Ways<'_>>,
) -> String {
    let name = &person.name;
    let matched = person.id.as_ref().and_then(|id| view.matched(id));
    let named = |keep: &dyn Fn(&Place) -> bool| -> Vec<&str> {
        places.iter().filter(|p| keep(p)).map(|p| &*p.name).collect()
    };
    let to_be = |kind: StepKind| -> Vec<&Step> {
        steps.iter().copied().filter(|step| step.action.kind() == kind).collect()
    };
    let names = |steps: &[&Step]| {
        let names: Vec<&str> = steps.iter().filter_map(|s| s.action.group()).map(|g| &*g.name).collect();
        list(&names)
    };
    let leaving = to_be(StepKind::RemoveMember);
    let joining = to_be(StepKind::AddMember);
    let Some(matched) = matched else {
        let cause = clause(&no_part(view, person, ways));
        if let Some(first) = leaving.first() {
            let when = does(first).trim_start_matches("is taken out ").to_owned();
            return format!("{name} is taken out of {} {when}, because {cause}", names(&leaving));
        }
        let stays = named(&|p| p.on_site == Some(true));
        if !stays.is_empty() {
            return format!("{name} stays in {}, which Entrain leaves alone, although {cause}", list(&stays));
        }
        return match person.account {
            Some(_) => {
                format!("{name} has an account and is in no group that Entrain manages, because {cause}")
            }
            None => format!("{name} gets no account, because {cause}"),
        };
    };
    if *matched == Match::Parked {
        let why =
            view.set_aside(&person.label).next().map_or("somebody has to decide", |aside| &aside.reason);
        return match person.account {
            Some(_) => format!("{name} is set aside, because {why}"),
            None => format!("{name} gets no account, because {why}"),
        };
    }
    let member = places.iter().find(|place| place.member);
    let because = match (member, &view.input.rules.scope.users) {
        (Some(place), _) => clause(&place.why),
        (None, UserScope::Assigned(_)) => "the application is assigned to them".to_owned(),
        (None, _) => "everybody takes part".to_owned(),
    };
    if let Some(invitation) = to_be(StepKind::CreateUser).first() {
        let into = if joining.is_empty() { String::new() } else { format!(", for {}", names(&joining)) };
        return format!("{name} {}{into}, because {because}", does(invitation));
    }
    let mut parts = Vec::new();
    let present = named(&|p| p.member && p.on_site == Some(true));
    if !present.is_empty() {
        parts.push(format!("is in {}", list(&present)));
    }
    if let Some(first) = joining.first() {
        parts.push(format!(
            "{} to {}",
            does(first).replacen("is added", "is to be added", 1),
            names(&joining)
        ));
    }
    if let Some(first) = leaving.first() {
        parts.push(format!(
            "{} of {}",
            does(first).replacen("is taken out", "is to be taken out", 1),
            names(&leaving)
        ));
    }
    if parts.is_empty() {
        let why = member.map(|place| format!(" (“{}”: {})", place.name, place.site));
        return format!("{name} takes part and is in no group on the site{}", why.unwrap_or_default());
    }
    format!("{name} {}, because {because}", parts.join("; "))
}

/// A reason as the end of a sentence that says "because" or "although".
fn clause(why: &str) -> String {
    if ["not in ", "in no group ", "only in ", "only through "].iter().any(|start| why.starts_with(start)) {
        format!("they are {why}")
    } else if why.starts_with("member ") {
        format!("the directory has them there: {why}")
    } else {
        why.to_owned()
    }
}

fn membership_verdict(
    view: &View<'_>,
    person: &Person<'_>,
    on_site: &OnSite<'_>,
    place: &Place,
    entitled: &Entitled,
    group: Option<&DirectoryGroup>,
) -> String {
    let (name, at) = (&person.name, &place.name);
    let in_scope = group.is_some_and(|group| view.scoped.iter().any(|(scoped, _)| scoped.id == group.id));
    let why = clause(entitled.why());
    if let Some(step) = on_site.step {
        return match step.action.kind() {
            StepKind::RemoveMember => format!("{name} is still in “{at}” and {}, because {why}", does(step)),
            _ if on_site.owned.is_some() => format!(
                "{name} is not in “{at}” because somebody else took them out on the site; {}, because {why}",
                does(step)
            ),
            _ => format!("{name} is not in “{at}” yet and {}, because {why}", does(step)),
        };
    }
    if group.is_some() && !in_scope {
        let there = match on_site.member {
            Some(true) => format!("{name} is in “{at}” on the site"),
            Some(false) => format!("{name} is not in “{at}” on the site"),
            None => format!("it is not known whether {name} is in “{at}” on the site ({})", place.site),
        };
        return format!(
            "{there}, and Entrain does nothing about it, because the scope does not name the group ({why})"
        );
    }
    match (on_site.member, entitled) {
        (Some(true), Entitled::Yes(_)) => format!("{name} is in “{at}”, because {why}"),
        (Some(true), Entitled::No(_)) if on_site.owned.is_none() => format!(
            "{name} is in “{at}” because somebody else put them there on the site, although {why}; Entrain leaves it alone"
        ),
        (Some(true), Entitled::No(_) | Entitled::Unknown(_)) => {
            format!("{name} is in “{at}” and stays for now, although {why}")
        }
        (Some(false), Entitled::No(_) | Entitled::Unknown(_)) => {
            format!("{name} is not in “{at}”, because {why}")
        }
        (Some(false), Entitled::Yes(_)) => {
            let aside = view.set_aside(&person.label).next().map(|aside| aside.reason.clone());
            let group_aside = group.and_then(|group| {
                view.set_aside(&super::super::targets::group_label(group))
                    .next()
                    .map(|aside| aside.reason.clone())
            });
            let against = aside.or(group_aside).unwrap_or_else(|| place.site.clone());
            format!("{name} is not in “{at}”, although {why}: {against}")
        }
        (None, _) => format!(
            "it is not known whether {name} is in “{at}” on the site: {}; in the directory: {why}",
            place.site
        ),
    }
}
