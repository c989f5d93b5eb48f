//! Links: what becomes of them when accounts, addresses, names and the rules change, and which site groups are never linked
//! for bearing a name.

use std::collections::BTreeSet;

use crate::support::*;
use entrain_domain::memory::{Anchor, MemoryChange, Origin, UserLink};
use entrain_domain::model::*;
use entrain_domain::plan::{Guard, Lookup, LookupBy, Plan, accounts_to_look_up};
use entrain_domain::policy::{Existing, GroupSelector};

fn links(plan: &Plan) -> Vec<String> {
    let told = |record: &MemoryChange| match record {
        MemoryChange::LinkUser(UserLink { user, account, address, origin }) => {
            Some(format!("{user} {account} {} {}", address.as_deref().unwrap_or_default(), origin.as_str()))
        }
        MemoryChange::LinkGroup(link) => {
            Some(format!("{} {} “{}” {}", link.anchor, link.group, link.name, link.origin.as_str()))
        }
        _ => None,
    };
    plan.records.iter().filter_map(told).collect()
}

fn notes(world: &World) -> Vec<String> {
    let plan = world.plan();
    plan.notes.iter().map(|note| format!("{}: {}", note.object, note.reason)).collect()
}

fn asides(world: &World) -> Vec<String> {
    let plan = world.plan();
    plan.set_aside.iter().map(|aside| format!("{}: {}", aside.object, aside.reason)).collect()
}

#[test]
fn what_is_in_step_leaves_nothing_to_remember() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]).group("b", &["ben"]).account("ana");
    world.bind("b", "X");
    world.converge();
    let plan = world.plan();
    assert!(plan.is_empty() && plan.records.is_empty() && plan.notes.is_empty(), "{plan:?}");
}

#[test]
fn a_new_address_changes_the_link_and_a_new_account_makes_another() {
    let mut world = World::new(&["*"]).group("g", &["ana"]);
    world.converge();
    world.mails.insert("ana".into(), "new@example.com".into());
    assert_eq!(links(&world.plan()), ["u-ana 712020:ana new@example.com created"]);

    let mut world = World::new(&["*"]).group("g", &["ana"]);
    world.converge();
    world.accounts.remove(&aid("ana"));
    world.put_account("other", Some(&mail("ana")), AccountKind::Person);
    assert_eq!(links(&world.plan()), ["u-ana 712020:other ana@example.com found"]);
}

/// Ana's account is gone, and the site answers for her and for Ben with one account.
#[test]
fn a_link_to_an_account_that_is_gone_gives_nobody_the_account_of_two() {
    let mut world = World::new(&["g"]).group("g", &["ana"]);
    world.converge();
    world.accounts.remove(&aid("ana"));
    world = world.group("g", &["ana", "ben"]);
    world.put_account("one", None, AccountKind::Person);
    for name in ["ana", "ben"] {
        world.lookups.insert(uid(name), Lookup::One(aid("one")));
    }
    assert_eq!((world.plan().set_aside.len(), links(&world.plan())), (2, vec![]));
}

#[test]
fn an_account_without_a_name_hides_nobody_whom_the_site_could_find_by_name() {
    let mut world = World::new(&["*"]).group("g", &["ana"]);
    world.put_account("nameless", None, AccountKind::Person);
    world.accounts.get_mut(&aid("nameless")).unwrap().display_name = "".into();
    let asked = |by| {
        let directory = world.directory();
        let site = world.site(&directory);
        accounts_to_look_up(&directory, &site, &world.rules, &world.memory, by).len()
    };
    assert_eq!(asked(LookupBy::Organization), 1);
    assert_eq!(asked(LookupBy::Site), 0);
}

#[test]
fn a_site_group_on_the_protected_list_is_not_managed_whether_listed_by_id_or_name() {
    let world = World::new(&["*"]).group("x", &[]).site_group("x", &[]);
    let told = "group “x” (g-x): the site group “x” is on the protected list; Entrain does not manage it for bearing its name";
    let mut by_id = world.clone();
    by_id.rules.protected.groups.insert(sid("x"));
    assert_eq!(asides(&by_id), [told]);
    let mut by_name = world;
    by_name.rules.protected.group_names.insert("x".into());
    assert_eq!(asides(&by_name), [told]);
    by_name.bind("x", "x");
    let bound = asides(&by_name);
    assert_eq!(bound.len(), 1, "also where the document names it");
    assert!(
        bound[0].ends_with("the site group “x” is on the protected list; Entrain does not manage it"),
        "{bound:?}"
    );
}

#[test]
fn a_group_in_which_new_people_land_may_be_named_for_everybody_and_for_nobody_by_its_name() {
    let mut world = World::new(&["*"])
        .group("g", &["ana"])
        .group("landing", &[])
        .account("ana")
        .site_group("landing", &[]);
    world.products = vec![Product {
        key: ProductKey("jira".into()),
        name: "Jira".into(),
        groups: BTreeSet::new(),
        default_groups: [sid("landing")].into(),
        seats: Seats::Unlimited { used: 0 },
    }];
    let reason = "is a default access group, in which every new person lands";
    assert!(asides(&world)[0].contains(reason), "{:?}", asides(&world));
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("landing").unwrap()];
    world.rules.defaults.everybody.push("landing".into());
    assert_eq!(asides(&world), [""; 0]);
    world.converge();
    assert_eq!(world.members("landing"), ["ana"]);
}

#[test]
fn a_group_that_was_managed_and_is_not_any_more_is_noted_with_what_changed() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).group("b", &["ben"]).group("c", &["ben"]);
    world.bind("c", "Named");
    world.converge();
    assert_eq!(notes(&world), [""; 0]);
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("a").unwrap()];
    world.groups.remove("b");
    world.rules.bindings.clear();
    assert_eq!(
        notes(&world),
        [
            "group “Named”: is no longer named under [groups]; the group on the site is left as it is, members included",
            "group “a”: is no longer in scope; the group on the site is left as it is, members included",
            "group “b”: its directory group is no longer listed; the group on the site is left as it is, members included",
        ]
    );
    world.site_groups.remove(&sid("a"));
    world.site_groups.remove(&sid("b"));
    assert_eq!(notes(&world).len(), 1, "what the site has no more is not noted");
}

#[test]
fn a_group_that_is_set_aside_or_taken_over_is_not_noted_as_left() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).group("b", &["ben"]);
    world.bind("b", "Named");
    world.converge();
    world.rules.protected.groups.extend([sid("a"), sid("Named")]);
    assert_eq!((asides(&world).len(), notes(&world)), (2, vec![]), "both are still wanted");

    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.converge();
    world.groups.remove("a");
    world = world.group("a anew", &["ana"]);
    world.groups.get_mut("a anew").unwrap().name = "a".into();
    assert_eq!(notes(&world), [""; 0], "another directory group takes it over");
}

#[test]
fn a_group_whose_former_one_was_deleted_takes_the_site_group_over_without_a_question_where_that_is_the_rule()
{
    let mut world = World::new(&["*"]).group("a", &["ana"]).account("ana");
    world.converge();
    world.groups.remove("a");
    world = world.group("a anew", &["ana"]);
    world.groups.get_mut("a anew").unwrap().name = "a".into();
    world.rules.existing = Existing::Adopt;
    let held = |world: &World| world.plan().steps.iter().filter_map(|step| step.hold).collect::<Vec<_>>();
    assert_eq!(held(&world), [Guard::Adoption], "the other one may only have left the scope");
    world.gone_groups.insert("a".into());
    assert_eq!(held(&world), []);
    assert!(render(&world.plan()).contains("was deleted in the directory"), "{}", render(&world.plan()));
}

#[test]
fn a_site_group_that_was_renamed_by_hand_keeps_its_link_under_the_new_name() {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.converge();
    world.site_groups.get_mut(&sid("a")).unwrap().0 = "a by hand".into();
    assert_eq!(links(&world.plan()), ["g-a s-a “a by hand” created"]);
}

#[test]
fn a_bound_site_group_keeps_its_link_under_a_new_name_and_a_new_one_was_not_made_by_entrain() {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.bind("a", "X");
    world.converge();
    world.site_groups.get_mut(&sid("X")).unwrap().0 = "X renamed".into();
    assert_eq!(links(&world.plan()), ["name:x s-X “X renamed” created"]);

    world.site_groups.remove(&sid("X"));
    world = world.site_group("other", &[]);
    world.site_groups.get_mut(&sid("other")).unwrap().0 = "X".into();
    assert_eq!(links(&world.plan()), ["name:x s-other “X” adopted"]);
}

#[test]
fn a_directory_group_that_is_bound_twice_to_one_site_group_fills_it_once() {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.bind("a", "X");
    world.bind("g-a", "X");
    let plan = world.plan();
    let group = plan.steps[0].action.group().unwrap();
    assert_eq!((&group.anchor, group.sources()), (&Anchor::named("X"), &[gid("a")][..]));
}

#[test]
fn a_membership_of_an_account_that_nobody_is_linked_to_is_left_and_said() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).account("stranger");
    world.converge();
    world.by_hand_in("a", "stranger");
    world.memory.own_membership(&sid("a"), &aid("stranger"), Origin::Created);
    assert!(world.plan().is_empty());
    assert_eq!(
        asides(&world),
        [
            "account 712020:stranger in “a”: the ledger owns the membership, but the account is linked to nobody"
        ]
    );
}
