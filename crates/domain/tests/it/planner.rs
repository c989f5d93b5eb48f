//! What the planner makes of the situations that the contract names, as plans a person can read.

use crate::support::*;
use std::collections::BTreeSet;

use entrain_domain::memory::{Memory, Origin};
use entrain_domain::model::*;
use entrain_domain::plan::{Approval, Before, Guard, Lookup, LookupBy, StepKind};
use entrain_domain::policy::{Binding, Existing, GroupMode, GroupSelector, Import};

#[test]
fn a_first_plan_creates_groups_people_and_memberships_with_reasons() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana", "ben"])
        .group("Berlin", &["cem"])
        .nest("Jira users", "Berlin")
        .account("ben");
    let plan = world.converge();
    assert_eq!(
        render(&plan),
        "create_group Jira users — directory group “Jira users”; named by scope “Jira *”; no group of this name\n\
         create_user Name ana — enabled in the directory, member of “Jira users”; in scope; no account of this address\n\
         create_user Name cem — enabled in the directory, member of “Jira users” › “Berlin”; in scope; no account of this address\n\
         add_member Name ana Jira users — member through “Jira users”; memberships are synced; not a member\n\
         add_member Name ben Jira users — member through “Jira users”; memberships are synced; not a member\n\
         add_member Name cem Jira users — member through “Jira users” › “Berlin”; memberships are synced; not a member\n"
    );
    assert_eq!(world.members("Jira users"), ["ana", "ben", "cem"]);
    assert!(!world.site_groups.contains_key(&sid("Berlin")), "a nested group gets no group of its own");
}

#[test]
fn an_empty_group_is_created_all_the_same() {
    let mut world = World::new(&["*"]).group("Nobody yet", &[]);
    world.converge();
    assert_eq!(world.members("Nobody yet"), [""; 0]);
}

#[test]
fn leavers_and_movers_lose_what_the_ledger_owns_and_nothing_else() {
    let mut world = World::new(&["Jira *"]).group("Jira a", &["ana", "ben", "cem"]).group("Jira b", &["ana"]);
    world.converge();
    world.site_groups.get_mut(&sid("Jira a")).unwrap().1.insert(aid("by-hand"));
    world.put_account("by-hand", Some("by-hand@example.com"), AccountKind::Person);
    world.disable("ana");
    world.groups.get_mut("Jira a").unwrap().users.remove("ben");
    world.groups.get_mut("Jira b").unwrap().users.insert("ben".into());
    let plan = world.converge();
    assert_eq!(
        render(&plan),
        "remove_member Name ana Jira a — disabled in the directory; granted by Entrain; still a member\n\
         remove_member Name ben Jira a — no longer in “Jira a”, directly or nested; granted by Entrain; still a member\n\
         remove_member Name ana Jira b — disabled in the directory; granted by Entrain; still a member\n\
         add_member Name ben Jira b — member through “Jira b”; memberships are synced; not a member\n"
    );
    assert_eq!(world.members("Jira a"), ["by-hand", "cem"]);
}

#[test]
fn a_membership_on_both_sides_is_recorded_and_from_then_on_removable() {
    let mut world =
        World::new(&["Jira a"]).group("Jira a", &["ana"]).account("ana").site_group("Jira a", &["ana"]);
    world.rules.existing = Existing::Adopt;
    let plan = world.converge();
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::AdoptGroup]);
    world.plan().records.iter().for_each(|r| world.memory.apply(r));
    assert_eq!(world.memory.membership(&sid("Jira a"), &aid("ana")), Some(Origin::Found));
    world.groups.get_mut("Jira a").unwrap().users.clear();
    world.users.insert("ben".into(), AccountState::Enabled);
    world.groups.get_mut("Jira a").unwrap().users.insert("ben".into());
    world.converge();
    assert_eq!(world.members("Jira a"), ["ben"]);
}

#[test]
fn n_13_an_existing_group_is_adopted_only_on_somebodys_word() {
    let mut world = World::new(&["Jira a", "Jira b"])
        .group("Jira a", &["ana"])
        .group("Jira b", &["ana"])
        .account("ana")
        .site_group("jira a", &["stranger"]);
    let plan = world.plan();
    assert_eq!(plan.held.iter().map(|h| h.guard).collect::<Vec<_>>(), [Guard::Adoption]);
    let open: Vec<_> = plan.open_steps().map(|s| s.action.kind()).collect();
    assert_eq!(open, [StepKind::CreateGroup, StepKind::AddMember], "the rest goes on:\n{}", render(&plan));
    world.approval = Approval::Held;
    world.converge();
    assert_eq!(world.members("jira a"), ["ana", "stranger"]);

    let mut world = World::new(&["Jira a"]).group("Jira a", &["ana"]).site_group("Jira a", &[]);
    world.rules.existing = Existing::Skip;
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 1);
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::CreateUser]);
}

#[test]
fn a_name_does_not_open_a_privileged_group() {
    let mut world = World::new(&["*"])
        .group("jira-administrators", &["eve"])
        .group("Site-Admins", &["eve"])
        .group("staff", &["eve"])
        .account("eve")
        .site_group("jira-administrators", &["boss"])
        .site_group("staff", &["boss"]);
    world.administrative.insert(sid("staff"));
    world.approval = Approval::EvenEmpty;
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert_eq!(plan.set_aside.len(), 3);
    assert!(plan.set_aside.iter().all(|a| a.remedy.contains("[groups.map]")), "{plan:?}");
    // On purpose it goes.
    world.rules.bindings =
        vec![Binding { directory: GroupSelector::parse("staff").unwrap(), site: "staff".into() }];
    world.converge();
    assert_eq!(world.members("staff"), ["boss", "eve"]);
}

#[test]
fn default_access_and_app_groups_are_not_seized_either() {
    let mut world = World::new(&["*"])
        .group("everyone", &["eve"])
        .group("atlassian-addons-x", &["eve"])
        .account("eve")
        .site_group("everyone", &[])
        .site_group("atlassian-addons-x", &[]);
    world.products = vec![product("jira-software", &["everyone"], &["everyone"], 5, 10)];
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert_eq!(plan.set_aside.len(), 2);
}

#[test]
fn two_directory_groups_of_one_name_are_set_aside_unless_one_is_linked() {
    let mut world = World::new(&["*"]).group("Twin", &["ana"]).group("other", &["ben"]);
    world.groups.get_mut("other").unwrap().name = "twin ".into();
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 2);
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::CreateUser]);
    world.groups.get_mut("other").unwrap().name = "Something else".into();
    world.converge();
    world.groups.get_mut("other").unwrap().name = "twin".into();
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.set_aside.is_empty(), "each keeps its own:\n{}", render(&plan));
    assert_eq!(plan.notes.len(), 1);
}

#[test]
fn n_13_a_renamed_group_and_a_changed_address_stay_the_same() {
    let mut world = World::new(&["*"]).group("Old", &["ana"]);
    world.converge();
    world.groups.get_mut("Old").unwrap().name = "New".into();
    world.mails.insert("ana".into(), "ana.married@example.com".into());
    let plan = world.converge();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert_eq!(plan.notes.len(), 1);
    assert_eq!(world.memory.user(&uid("ana")).unwrap().address.as_deref(), Some("ana.married@example.com"));
}

#[test]
fn n_13_one_address_for_two_people_is_never_guessed() {
    let mut world = World::new(&["*"]).group("g", &["ana", "ben"]).account("ana");
    world.mails.insert("ben".into(), "ANA@example.com".into());
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 2);
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::CreateGroup]);
    // The linked one keeps it; an address that passed on is not handed on.
    world.mails.clear();
    world.converge();
    world.mails.insert("ana".into(), "ana2@example.com".into());
    world.users.insert("cem".into(), AccountState::Enabled);
    world.mails.insert("cem".into(), "ana@example.com".into());
    world.groups.get_mut("g").unwrap().users.insert("cem".into());
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 1, "{}", render(&plan));
    assert!(plan.set_aside[0].reason.contains("linked to another"), "{plan:?}");
    assert!(plan.steps.is_empty());
}

#[test]
fn n_13_two_accounts_of_one_address_are_never_guessed() {
    let mut world = World::new(&["*"]).group("g", &["ana"]).account("ana");
    world.put_account("ana-old", Some("ana@example.com"), AccountKind::Person);
    world.put_account("ana-portal", Some("ana@example.com"), AccountKind::Customer);
    assert!(world.plan().set_aside[0].reason.starts_with("2 accounts"));
}

#[test]
fn n_13_a_hidden_address_is_looked_up_only_where_a_name_fits() {
    let mut world = World::new(&["*"]).group("g", &["ana", "ben"]);
    world.put_account("ana", None, AccountKind::Person);
    let directory = world.directory();
    let site = world.site(&directory);
    let look_up = entrain_domain::plan::accounts_to_look_up(
        &directory,
        &site,
        &world.rules,
        &world.memory,
        LookupBy::Site,
    );
    assert_eq!(look_up.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), [uid("ana")]);
    world.lookups.insert(uid("ana"), Lookup::One(aid("ana")));
    let plan = world.converge();
    assert_eq!(plan.tally()[&StepKind::CreateUser].planned, 1);
    world.lookups.insert(uid("ana"), Lookup::Unsure("two accounts answer to the address".into()));
    world.memory = Memory::new();
    assert!(world.plan().set_aside[0].reason.starts_with("two accounts answer"));
}

#[test]
fn n_15_an_unread_group_is_left_alone_and_reported() {
    let mut world =
        World::new(&["Jira *"]).group("Jira a", &["ana"]).group("Jira b", &["ben"]).group("in", &["cem"]);
    world = world.nest("Jira a", "in");
    world.converge();
    world.groups.get_mut("in").unwrap().unread = true;
    world.groups.get_mut("Jira a").unwrap().users.clear();
    world.groups.get_mut("Jira b").unwrap().users.insert("ana".into());
    let plan = world.plan();
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::AddMember], "{}", render(&plan));
    assert!(plan.set_aside[0].reason.contains("403"), "{plan:?}");
}

#[test]
fn an_unread_site_group_is_left_alone_and_reported() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]);
    world.converge();
    world.groups.get_mut("a").unwrap().users.remove("ana");
    world.unread_site_groups.insert(sid("a"));
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert!(plan.set_aside[0].reason.contains("503"), "{plan:?}");
}

#[test]
fn d_01_an_empty_directory_or_scope_holds_everything() {
    let mut world = World::new(&["Jira *"]).group("Jira a", &["ana", "ben"]);
    world.converge();
    world.history.users_before = Some(2);
    let full = world.clone();
    // Everybody gone, groups still there and read as empty.
    world.users.clear();
    world.groups.get_mut("Jira a").unwrap().users.clear();
    let plan = world.plan();
    assert_eq!(plan.held[0].guard, Guard::EmptyDirectory);
    assert_eq!(plan.open_steps().count(), 0);
    assert!(plan.held[0].reason.contains("2 users"), "{plan:?}");
    world.approval = Approval::Held;
    assert_eq!(world.plan().open_steps().count(), 0, "--yes does not release it");
    world.approval = Approval::EvenEmpty;
    assert_eq!(world.plan().open_steps().count(), 2);
    // No group in scope any more.
    let mut world = full;
    world.groups.clear();
    let plan = world.plan();
    assert_eq!(plan.held[0].guard, Guard::EmptyDirectory);
    assert_eq!(plan.open_steps().count(), 0);
}

#[test]
fn d_02_removals_beyond_the_limit_hold_the_whole_plan() {
    let people: Vec<String> = (0..40).map(|n| format!("p{n:02}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut world = World::new(&["*"]).group("a", &names);
    world.converge();
    for name in &names[..11] {
        world.groups.get_mut("a").unwrap().users.remove(*name);
    }
    world.groups.insert(
        "b".into(),
        DirGroup { name: "b".into(), users: BTreeSet::new(), groups: BTreeSet::new(), unread: false },
    );
    let plan = world.plan();
    assert!(
        plan.held.iter().all(|h| h.guard == Guard::Removals) && !plan.held.is_empty(),
        "{}",
        render(&plan)
    );
    assert_eq!(plan.open_steps().count(), 0, "also the new group waits");
    // Ten are within the floor, unless ten more went within a day.
    world.groups.get_mut("a").unwrap().users.insert(names[0].into());
    assert!(world.plan().held.is_empty());
    world.history.last_24h.add(StepKind::RemoveMember, 10);
    assert_eq!(world.plan().held.len(), 1);
    world.approval = Approval::Held;
    assert!(world.plan().held.is_empty());
}

/// D-02: eleven of four hundred memberships, and eleven of the forty in one group.
#[test]
fn d_02_one_group_is_held_to_the_limit_though_all_together_are_within_it() {
    let people: Vec<String> = (0..360).map(|n| format!("p{n:03}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut world = World::new(&["*"]).group("all", &names).group("few", &names[..40]);
    world.converge();
    for name in &names[..11] {
        world.groups.get_mut("few").unwrap().users.remove(*name);
    }
    let plan = world.plan();
    let said: Vec<&str> = plan.held.iter().map(|held| &*held.reason).collect();
    assert_eq!(said.len(), 1, "{}", render(&plan));
    assert!(said[0].starts_with("11 memberships of “few” would be removed, of 40 known"), "{said:?}");
    world.groups.get_mut("few").unwrap().users.insert(names[0].into());
    assert!(world.plan().held.is_empty(), "ten are within the floor");
}

/// D-02: from each of four groups fewer than would be held, and twelve people have nothing left.
#[test]
fn d_02_so_many_people_do_not_lose_their_last_membership_unseen() {
    let mut world = World::new(&["*"]);
    let people: Vec<String> = (0..48).map(|n| format!("p{n:02}")).collect();
    for (n, twelve) in people.chunks(12).enumerate() {
        let names: Vec<&str> = twelve.iter().map(String::as_str).collect();
        world = world.group(&format!("g{n}"), &names);
    }
    // Who stays is in the others as well, so that the memberships taken are few of all
    for n in 0..4 {
        for (m, name) in people.iter().enumerate() {
            if m % 12 >= 3 {
                world.groups.get_mut(&format!("g{n}")).unwrap().users.insert(name.clone());
            }
        }
    }
    world.converge();
    for (m, name) in people.iter().enumerate().filter(|(m, _)| m % 12 < 3) {
        world.groups.get_mut(&format!("g{}", m / 12)).unwrap().users.remove(name);
    }
    let plan = world.plan();
    let said: Vec<&str> = plan.held.iter().map(|held| &*held.reason).collect();
    assert_eq!(said.len(), 1, "{}", render(&plan));
    assert!(said[0].starts_with("12 people would lose their last membership, of 48 known"), "{said:?}");
}

#[test]
fn a_group_of_five_that_reads_as_empty_has_its_removals_held() {
    let mut world = World::new(&["*"]).group("a", &["p1", "p2", "p3", "p4", "p5"]).group("b", &["p1", "p6"]);
    world.converge();
    world.groups.get_mut("a").unwrap().users.clear();
    world.groups.get_mut("b").unwrap().users.remove("p1");
    let plan = world.plan();
    assert_eq!(plan.held.iter().map(|h| h.guard).collect::<Vec<_>>(), [Guard::EmptyGroup]);
    assert_eq!(plan.open_steps().count(), 1, "{}", render(&plan));
}

#[test]
fn d_03_additions_are_limited_after_the_first_converged_run() {
    let mut world = World::new(&["*"]).group("a", &["p0", "p1"]);
    world.converge();
    let many: Vec<String> = (0..101).map(|n| format!("x{n}")).collect();
    for name in &many {
        world.users.insert(name.clone(), AccountState::Enabled);
        world.groups.get_mut("a").unwrap().users.insert(name.clone());
    }
    assert!(
        world.plan().held.is_empty(),
        "before the first converged run nothing is known of the usual size"
    );
    world.history.converged_before = Before::Once;
    assert_eq!(world.plan().held[0].guard, Guard::Additions);
}

#[test]
fn import_switched_off_reports_instead_of_creating() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]).account("ben");
    world.rules.import_users = Import::Report;
    world.rules.import_groups = Import::Report;
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.set_aside.len(), 2, "{}", render(&plan));
}

#[test]
fn additive_never_removes_and_authoritative_asks_first() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]).account("guest");
    world.converge();
    world.site_groups.get_mut(&sid("a")).unwrap().1.insert(aid("guest"));
    world.groups.get_mut("a").unwrap().users.remove("ana");
    world.rules.mode = GroupMode::Additive;
    assert!(world.plan().steps.is_empty());
    world.rules.mode = GroupMode::Authoritative;
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 2, "{}", render(&plan));
    assert_eq!(plan.open_steps().count(), 1);
    assert_eq!(plan.held[0].guard, Guard::Authoritative);
    world.approval = Approval::Held;
    world.converge();
    assert_eq!(world.members("a"), ["ben"]);
}

#[test]
fn the_technical_account_and_protected_accounts_are_not_taken_out() {
    let mut world =
        World::new(&["*"]).group("a", &["sync-bot", "vip", "ana"]).account("sync-bot").account("vip");
    world.converge();
    world.rules.protected.accounts.insert(aid("vip"));
    for name in ["sync-bot", "vip"] {
        world.groups.get_mut("a").unwrap().users.remove(name);
    }
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert_eq!(plan.set_aside.len(), 2);
}

#[test]
fn a_selector_that_names_nothing_is_said() {
    let world = World::new(&["Jira users", "Sales *"]).group("x", &[]);
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 1);
    assert_eq!(plan.notes.len(), 1);
}

#[test]
fn seats_are_counted_before_and_after() {
    let mut world =
        World::new(&["*"]).group("devs", &["ana", "ben"]).account("ben").site_group("devs", &["ben"]);
    world.rules.existing = Existing::Adopt;
    world.products = vec![product("jira-software", &["devs"], &[], 7, 10)];
    let seats = world.plan().seats.into_values().next().unwrap();
    assert_eq!((seats.before, seats.after, seats.limit), (7, 8, Some(10)));
    world.converge();
    world.plan().records.iter().for_each(|r| world.memory.apply(r));
    world.disable("ben");
    let seats = world.plan().seats.into_values().next().unwrap();
    assert_eq!((seats.before, seats.after), (7, 6));
}

#[test]
fn a_person_of_unknown_state_is_neither_added_nor_taken_out() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]);
    world.converge();
    world.users.insert("ana".into(), AccountState::Unknown);
    world.users.insert("cem".into(), AccountState::Unknown);
    world.groups.get_mut("a").unwrap().users.insert("cem".into());
    assert!(world.plan().steps.is_empty());
}

#[test]
fn a_membership_undone_by_hand_is_granted_again() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]);
    world.converge();
    world.site_groups.get_mut(&sid("a")).unwrap().1.remove(&aid("ana"));
    let plan = world.converge();
    assert_eq!(plan.tally().keys().copied().collect::<Vec<_>>(), [StepKind::AddMember]);
}

fn product(key: &str, groups: &[&str], default: &[&str], used: u64, limit: u64) -> Product {
    Product {
        key: ProductKey(key.into()),
        name: key.into(),
        groups: groups.iter().map(|g| sid(g)).collect(),
        default_groups: default.iter().map(|g| sid(g)).collect(),
        seats: Seats::Limited { limit, used },
    }
}
