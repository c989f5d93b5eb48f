//! What is counted of seats: who takes one by which step, who keeps one, and what is forgotten of the line.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::*;
use entrain_domain::memory::MemoryChange;
use entrain_domain::model::*;
use entrain_domain::plan::{
    Focus, Plan, PlanInput, StepId, StepKind, Waiting, groups_that_tell, plan, seated_by, seats_after,
};
use entrain_domain::policy::{Delays, LeaverAccounts, Leavers};

const JIRA: &str = "jira";

fn product(key: &str, groups: &[&str], default_groups: &[&str], used: u64, limit: u64) -> Product {
    Product {
        key: ProductKey(key.into()),
        name: key.into(),
        groups: groups.iter().map(|g| sid(g)).collect(),
        default_groups: default_groups.iter().map(|g| sid(g)).collect(),
        seats: Seats::Limited { limit, used },
    }
}

/// Seats of the one product before and after a plan.
fn forecast(plan: &Plan) -> (u64, u64) {
    let seats = plan.seats.values().next().unwrap();
    (seats.before, seats.after)
}

fn joins(world: &mut World, group: &str, name: &str) {
    world.groups.get_mut(group).unwrap().users.insert(name.into());
}

fn leaves(world: &mut World, group: &str, name: &str) {
    world.groups.get_mut(group).unwrap().users.remove(name);
}

/// Two synced groups that grant the product, and one that people manage by hand; Ana is in the first. Zoe keeps the
/// directory from reading as empty.
fn company() -> World {
    let mut world = World::new(&["Jira *"])
        .group("Jira a", &["ana"])
        .group("Jira b", &[])
        .group("Jira rest", &["zoe"])
        .account("ana")
        .account("ben")
        .user("ben")
        .site_group("by hand", &[]);
    world.converge();
    world.products = vec![product(JIRA, &["Jira a", "Jira b", "by hand"], &[], 1, 10)];
    world
}

#[test]
fn whoever_moves_from_one_group_of_a_product_to_another_keeps_the_seat() {
    let mut world = company();
    leaves(&mut world, "Jira a", "ana");
    joins(&mut world, "Jira b", "ana");
    assert_eq!(forecast(&world.plan()), (1, 1));
    leaves(&mut world, "Jira b", "ana");
    assert_eq!(forecast(&world.plan()), (1, 0), "whoever leaves the last one gives it back");
    world.by_hand_in("by hand", "ana");
    assert_eq!(forecast(&world.plan()), (1, 1), "unless somebody gave another one");
}

#[test]
fn of_a_plan_that_was_done_in_part_only_that_part_takes_seats() {
    let mut world = company().user("cem").account("cem");
    for name in ["ben", "cem"] {
        joins(&mut world, "Jira a", name);
    }
    let plan = world.plan();
    assert_eq!(forecast(&plan), (1, 3));
    let after = |done: &[&str]| {
        let done = done.iter().map(|id| StepId::from_stored(id)).collect::<std::collections::HashSet<_>>();
        world.asked(|input| seats_after(input, &plan, &done))[&ProductKey(JIRA.into())].after
    };
    assert_eq!(after(&[]), 1);
    assert_eq!(after(&["add_member/g-Jira_a/u-ben"]), 2);
    assert_eq!(after(&["add_member/g-Jira_a/u-ben", "add_member/g-Jira_a/u-cem"]), 3);
}

#[test]
fn a_step_takes_a_seat_of_each_product_that_its_group_or_the_invitation_grants() {
    let mut world = company().group("Jira free", &["ana"]).site_group("Jira free", &[]);
    world.rules.existing = entrain_domain::policy::Existing::Adopt;
    joins(&mut world, "Jira a", "new");
    world = world.user("new");
    let products = [
        product(JIRA, &["Jira a"], &["Jira a"], 0, 10),
        product("wiki", &["Jira a", "x"], &["x"], 0, 10),
        product("desk", &["y"], &["y"], 0, 10),
    ];
    let plan = world.plan();
    let seated = |id: &str, invited_with: &[&str]| -> Vec<String> {
        let step = plan.steps.iter().find(|step| step.id().as_str() == id).unwrap();
        let invited_with: Vec<String> = invited_with.iter().map(|key| (*key).to_owned()).collect();
        seated_by(step, &products, &invited_with).iter().map(|key| key.0.to_string()).collect()
    };
    assert_eq!(seated("add_member/g-Jira_a/u-new", &[]), ["jira", "wiki"]);
    assert_eq!(seated("add_member/g-Jira_free/u-ana", &["jira"]), [""; 0]);
    assert_eq!(seated("create_user/u-new", &[]), [""; 0]);
    assert_eq!(seated("create_user/u-new", &["desk"]), ["desk"]);
    assert_eq!(
        seated("create_user/u-new", &["jira"]),
        ["jira", "wiki"],
        "the default group of the one grants the other as well"
    );
    assert_eq!(seated("create_user/u-new", &["wiki"]), ["wiki"]);
}

#[test]
fn the_groups_of_products_in_which_somebody_waits_are_looked_at() {
    let products = [
        product(JIRA, &["b", "a"], &[], 0, 0),
        product("wiki", &["c", "a"], &[], 0, 0),
        product("desk", &["d"], &[], 0, 0),
    ];
    let waiting = |key: &str| Waiting {
        product: key.into(),
        product_name: key.into(),
        place: 1,
        user: "Ana".into(),
        directory_id: None,
        since: "2026-11-02T08:00:00Z".parse().unwrap(),
        groups: Vec::new(),
    };
    assert_eq!(groups_that_tell(&[], &products), []);
    assert_eq!(groups_that_tell(&[waiting(JIRA)], &products), [sid("a"), sid("b")]);
    assert_eq!(
        groups_that_tell(&[waiting(JIRA), waiting("wiki")], &products),
        [sid("a"), sid("b"), sid("c")],
        "each once"
    );
}

/// Ana was suspended by Entrain; she is in the group that people manage by hand.
fn suspended(by_hand: bool) -> World {
    let mut world = company();
    let delays = Delays { suspend: Some(Duration::ZERO), ..Delays::default() };
    world.rules.leavers =
        Leavers { disabled: delays, accounts: LeaverAccounts::Linked, ..Leavers::default() };
    if by_hand {
        world.by_hand_in("by hand", "ana");
    }
    world.disable("ana");
    let plan = world.plan();
    assert_eq!(forecast(&plan), (1, 0), "the suspension frees the seat, whoever gave it");
    world.converge();
    world.products[0].seats = Seats::Limited { limit: 10, used: 0 };
    leaves(&mut world, "Jira a", "ana");
    world = world.group("Jira other", &["ana"]);
    world.users.insert("ana".into(), AccountState::Enabled);
    world
}

#[test]
fn whoever_gets_access_back_takes_the_seat_of_the_groups_that_kept_them() {
    let back = |world: &World| {
        let plan = world.plan();
        assert!(
            plan.steps.iter().any(|step| step.action.kind() == StepKind::RestoreUser),
            "{}",
            render(&plan)
        );
        forecast(&plan)
    };
    assert_eq!(back(&suspended(true)), (0, 1));
    assert_eq!(back(&suspended(false)), (0, 0), "no group of the product has her");

    let mut unread = suspended(false);
    unread.unread_site_groups.insert(sid("by hand"));
    assert_eq!(back(&unread), (0, 1), "where that is not known, she may");
    unread.products[0].groups = BTreeSet::new();
    assert_eq!(back(&unread), (0, 0), "no group grants the product");

    let mut active = suspended(true);
    active.accounts.get_mut(&aid("ana")).unwrap().activity = AccountActivity::Active;
    assert_eq!(back(&active), (0, 0), "somebody gave it back already, and the site counts it");
}

/// The seat is short, and attributes follow the invitation.
#[test]
fn an_invitation_waits_for_a_seat_although_attributes_would_follow_it() {
    use entrain_domain::policy::attributes::{FieldRule, PropertyRule, Source, When};
    let mut world = company();
    let source = Source::From(entrain_domain::policy::Expr::compile("user.department").unwrap());
    let rule = FieldRule { source, default: None, when: When::Always };
    world.rules.attributes.property =
        Some(PropertyRule { key: "entrain".into(), fields: [("department".to_owned(), rule)].into() });
    world.attributes.insert("new".into(), vec![("department", "R&D".into())]);
    world.products[0].seats = Seats::Limited { limit: 1, used: 1 };
    world = world.user("new");
    joins(&mut world, "Jira a", "new");
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert_eq!(plan.waiting.len(), 1);
}

/// Ana and Ben are remembered to wait, and nobody asks for a seat for them any more.
fn remembered_line() -> World {
    let mut world = company();
    for name in ["ana", "ben"] {
        let (product, since) = (ProductKey(JIRA.into()), world.now);
        world.memory.apply(&MemoryChange::AwaitSeat { product, user: uid(name), since });
    }
    world
}

fn forgotten(plan: &Plan) -> Vec<String> {
    let user = |record: &MemoryChange| match record {
        MemoryChange::LeaveQueue { user, .. } => Some(user.to_string()),
        _ => None,
    };
    let mut users: Vec<String> = plan.records.iter().filter_map(user).collect();
    users.sort();
    users
}

#[test]
fn whoever_wants_no_seat_any_more_leaves_the_line_when_everything_was_read() {
    let world = remembered_line();
    assert_eq!(forgotten(&world.plan()), ["u-ana", "u-ben"]);
    let mut unread = world.clone();
    unread.groups.get_mut("Jira b").unwrap().unread = true;
    assert_eq!(forgotten(&unread.plan()), [""; 0], "they may be in that group");
    let mut unread = world.clone();
    unread.unread_site_groups.insert(sid("Jira a"));
    assert_eq!(forgotten(&unread.plan()), [""; 0]);
}

#[test]
fn a_plan_about_a_person_lets_nobody_else_leave_the_line() {
    let world = remembered_line();
    let directory = world.directory();
    let site = world.site(&directory);
    let (ben, group) = (uid("ben"), gid("Jira a"));
    let about = |focus| forgotten(&plan(&PlanInput { focus, ..world.input(&directory, &site) }));
    assert_eq!(about(Focus::Person(&ben)), ["u-ben"]);
    assert_eq!(about(Focus::Group(&group)), [""; 0]);
}

/// Of three seats one is taken. Two others wait already when Ben signs in.
#[test]
fn at_a_sign_in_the_seats_for_which_others_wait_are_spoken_for() {
    let mut world = company();
    joins(&mut world, "Jira a", "ben");
    world.products[0].seats = Seats::Limited { limit: 3, used: 1 };
    let waits = |world: &World| {
        let directory = world.directory_about("ben");
        let site = world.site(&directory);
        plan(&world.input(&directory, &site)).waiting.len()
    };
    let queue = |world: &mut World, key: &str, name: &str| {
        let (product, since) = (ProductKey(key.into()), world.now);
        world.memory.apply(&MemoryChange::AwaitSeat { product, user: uid(name), since });
    };
    assert_eq!(waits(&world), 0, "two are free");
    queue(&mut world, JIRA, "cem");
    queue(&mut world, "wiki", "dana");
    queue(&mut world, JIRA, "ben");
    assert_eq!(
        waits(&world),
        0,
        "one is left beside Cem's: another product and his own place count for nothing"
    );
    queue(&mut world, JIRA, "dana");
    assert_eq!(waits(&world), 1);
}

#[test]
fn whoever_gets_access_back_is_not_counted_to_free_a_seat() {
    let mut world = suspended(false);
    world.accounts.get_mut(&aid("ana")).unwrap().activity = AccountActivity::Active;
    world.by_hand_in("Jira a", "ana");
    world.memory.own_membership(&sid("Jira a"), &aid("ana"), entrain_domain::memory::Origin::Created);
    world.products[0].seats = Seats::Limited { limit: 10, used: 1 };
    let plan = world.plan();
    let kinds: Vec<StepKind> = plan.steps.iter().map(|step| step.action.kind()).collect();
    assert!(kinds.contains(&StepKind::RemoveMember) && kinds.contains(&StepKind::RestoreUser), "{kinds:?}");
    assert_eq!(forecast(&plan), (1, 1));
}
