//! Seats: who gets one, who waits and in which order, and that no plan takes one that is not there, whichever part of
//! it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use entrain_domain::model::*;
use entrain_domain::plan::{Action, Approval, Plan, PlanInput, Step, Waiting, plan};
use entrain_domain::policy::{Ceiling, Delays, Existing, Expr, Leavers, SeatRule};
use entrain_domain::verify::verify;
use proptest::prelude::*;

use crate::support::{World, aid, render, sid, uid};

const JIRA: &str = "jira-software";
const WIKI: &str = "confluence";

fn product(key: &str, groups: &[&str], limit: u64) -> Product {
    Product {
        key: ProductKey(key.into()),
        name: if key == JIRA { "Jira Software".into() } else { "Confluence".into() },
        groups: groups.iter().map(|g| sid(g)).collect(),
        default_groups: BTreeSet::new(),
        seats: Seats::Limited { limit, used: 0 },
    }
}

/// The people who have a seat of a product.
fn seated(world: &World, product: &Product) -> BTreeSet<AccountId> {
    let members = product.groups.iter().filter_map(|id| world.site_groups.get(id)).flat_map(|(_, all)| all);
    let active = |id: &&AccountId| world.accounts[*id].activity == AccountActivity::Active;
    members.filter(active).cloned().collect()
}

/// The site counts.
fn recount(world: &mut World) {
    for at in 0..world.products.len() {
        let taken = seated(world, &world.products[at]).len() as u64;
        let limit = world.products[at].seats.limit();
        world.products[at].seats = match limit {
            Some(limit) => Seats::Limited { limit, used: taken },
            None => Seats::Unlimited { used: taken },
        };
    }
}

fn rule(world: &mut World, key: &str, budget: Option<u64>, reserve: u64) {
    world.rules.seats.products.insert(ProductKey(key.into()), SeatRule { budget, reserve });
}

fn line(plan: &Plan) -> Vec<(usize, &str)> {
    plan.waiting.iter().map(|w| (w.place, w.user.split([' ', '<']).nth(1).unwrap_or_default())).collect()
}

fn added(plan: &Plan) -> Vec<&str> {
    let name = |step: &Step| match &step.action {
        Action::AddMember { person, .. } => person.directory_id.clone(),
        _ => None,
    };
    let mut names: Vec<&str> = plan
        .open_steps()
        .filter_map(name)
        .filter_map(|id| PEOPLE.iter().find(|p| uid(p) == id).copied())
        .collect();
    names.sort_unstable();
    names
}

const PEOPLE: [&str; 8] = ["ana", "ben", "cem", "dana", "eve", "finn", "gül", "hal"];

/// A product with so many seats, granted by a synced group and by one that people manage by hand.
fn company(limit: u64, members: &[&str]) -> World {
    let mut world = World::new(&["Jira *"]).group("Jira users", members).site_group("Jira users", &[]);
    for name in PEOPLE {
        world = world.user(name).account(name);
    }
    world = world.site_group("by hand", &[]);
    world.rules.existing = Existing::Adopt;
    world.approval = Approval::EvenEmpty;
    world.products = vec![product(JIRA, &["Jira users", "by hand"], limit)];
    world
}

/// Does the plan and counts again.
fn run(world: &mut World) -> Plan {
    let plan = world.plan();
    world.apply(&plan);
    recount(world);
    plan
}

#[test]
fn whoever_finds_no_seat_waits_in_line_and_leaves_it_when_one_is_free() {
    let mut world = company(2, &["ana", "ben", "cem", "dana"]);
    let plan = run(&mut world);
    assert_eq!(added(&plan), ["ana", "ben"], "{}", render(&plan));
    assert_eq!(line(&plan), [(1, "cem"), (2, "dana")]);
    let said = &plan.set_aside[0];
    assert_eq!(said.object, "user “Name cem” <cem@example.com> (u-cem)");
    assert_eq!(
        said.reason,
        "waits for a seat of Jira Software, 1st in line: 0 seats are taken, and 2 may be"
    );
    assert!(said.remedy.contains("[seats.products.jira-software]"));
    assert_eq!(plan.waiting[0].groups, ["Jira users"]);
    let plan = run(&mut world);
    assert!(plan.is_empty() && line(&plan) == [(1, "cem"), (2, "dana")], "the line stands");

    world.products[0].seats = Seats::Limited { limit: 3, used: 2 };
    let plan = run(&mut world);
    assert_eq!((added(&plan), line(&plan)), (vec!["cem"], vec![(1, "dana")]));
    world.groups.get_mut("Jira users").unwrap().users.remove("dana");
    let plan = run(&mut world);
    assert!(plan.waiting.is_empty() && plan.set_aside.is_empty());
    assert_eq!(world.memory.queue().len(), 0, "nobody is remembered who wants nothing");
}

#[test]
fn budget_and_reserve_bound_what_the_site_would_allow() {
    for (budget, reserve, given) in
        [(None, 0, 6), (Some(4), 0, 4), (None, 3, 3), (Some(4), 3, 3), (Some(0), 0, 0), (None, 9, 0)]
    {
        let mut world = company(6, &PEOPLE);
        rule(&mut world, JIRA, budget, reserve);
        let plan = run(&mut world);
        assert_eq!(added(&plan).len(), given, "{budget:?} {reserve}");
        assert_eq!(line(&plan).len(), PEOPLE.len() - given);
        let seats = plan.seats.values().next().unwrap();
        assert_eq!((seats.before, seats.after), (0, given as u64));
    }
}

#[test]
fn nobody_s_approval_spends_a_seat_beyond_the_budget() {
    let mut world = company(6, &PEOPLE);
    rule(&mut world, JIRA, Some(1), 0);
    world.approval = Approval::EvenEmpty;
    assert_eq!(added(&world.plan()).len(), 1);
}

#[test]
fn who_has_the_product_through_another_group_costs_nothing() {
    let mut world = company(1, &["ana", "ben"]);
    world.by_hand_in("by hand", "ben");
    recount(&mut world);
    let plan = run(&mut world);
    assert_eq!((added(&plan), line(&plan)), (vec!["ben"], vec![(1, "ana")]));
}

#[test]
fn where_it_is_not_known_who_has_a_seat_each_addition_may_cost_one() {
    let mut world = company(1, &["ana", "ben"]);
    world.by_hand_in("by hand", "ben");
    recount(&mut world);
    world.unread_site_groups.insert(sid("by hand"));
    assert_eq!(added(&world.plan()).len(), 0);
}

#[test]
fn a_seat_that_a_leaver_frees_is_taken_only_behind_the_removal() {
    let mut world = company(2, &["ana", "ben"]);
    run(&mut world);
    world.disable("ana");
    world.groups.get_mut("Jira users").unwrap().users.extend(["cem".into(), "dana".into()]);
    let plan = world.plan();
    assert_eq!((added(&plan), line(&plan)), (vec!["cem"], vec![(1, "dana")]));
    let taking = plan.steps.iter().find(|s| matches!(s.action, Action::AddMember { .. })).unwrap();
    let freeing = &plan.steps[taking.after[0] as usize];
    assert!(matches!(&freeing.action, Action::RemoveMember { removal, .. } if removal.account == aid("ana")));
    let seats = plan.seats.values().next().unwrap();
    assert_eq!((seats.before, seats.after), (2, 2));
}

#[test]
fn a_suspension_frees_the_seat_that_a_group_managed_by_hand_gives() {
    let mut world = company(2, &["ana", "ben"]);
    let day = Duration::from_hours(24);
    let delays = Delays { suspend: Some(day), deactivate: None, remove: None };
    world.rules.leavers = Leavers {
        disabled: delays,
        accounts: entrain_domain::policy::LeaverAccounts::Linked,
        ..Leavers::default()
    };
    run(&mut world);
    run(&mut world);
    world.by_hand_in("by hand", "ana");
    world.disable("ana");
    world.groups.get_mut("Jira users").unwrap().users.insert("cem".into());
    let plan = run(&mut world);
    assert_eq!(line(&plan), [(1, "cem")], "out of the synced group, and seated by hand all the same");
    world.now += day;
    let plan = run(&mut world);
    assert_eq!(added(&plan), ["cem"], "{}", render(&plan));
    assert_eq!(seated(&world, &world.products[0]), BTreeSet::from([aid("ben"), aid("cem")]));

    // Back again: the restoration would take the seat that the group by hand gives.
    world.users.insert("ana".into(), AccountState::Enabled);
    let plan = run(&mut world);
    assert_eq!((plan.steps.len(), line(&plan)), (0, vec![(1, "ana")]), "{}", render(&plan));
    world.disable("ben");
    let plan = run(&mut world);
    assert_eq!(added(&plan), ["ana"]);
    assert_eq!(world.accounts[&aid("ana")].activity, AccountActivity::Active);
}

#[test]
fn above_the_ceiling_the_surplus_has_to_go_before_anybody_is_let_in() {
    let mut world = company(9, &["ana", "ben", "cem"]);
    run(&mut world);
    rule(&mut world, JIRA, Some(2), 0);
    world.disable("ana");
    world.disable("ben");
    world.groups.get_mut("Jira users").unwrap().users.extend(["dana".into(), "eve".into()]);
    let plan = world.plan();
    assert_eq!((added(&plan), line(&plan)), (vec!["dana"], vec![(1, "eve")]));
    let taking = plan.steps.iter().find(|s| matches!(s.action, Action::AddMember { .. })).unwrap();
    assert_eq!(taking.after.len(), 2, "three are there, and only one may be before the next comes");
}

#[test]
fn an_invitation_that_would_lead_into_nothing_waits_with_its_memberships() {
    let mut world = company(1, &["ana", "ben"]);
    world = world.group("Jira users", &["ana", "zoe"]).user("zoe");
    world.by_hand_in("by hand", "ben");
    recount(&mut world);
    let plan = run(&mut world);
    assert!(plan.steps.iter().all(|s| !matches!(s.action, Action::CreateUser { .. })), "{}", render(&plan));
    assert_eq!(line(&plan), [(1, "ana"), (2, "zoe")]);
    world = world.group("Jira free", &["zoe"]).site_group("Jira free", &[]);
    let plan = run(&mut world);
    let kinds: Vec<&str> = plan.open_steps().map(|s| s.action.kind().as_str()).collect();
    assert_eq!(
        kinds,
        ["adopt_group", "create_user", "add_member"],
        "invited into the group that costs nothing"
    );
}

#[test]
fn an_invitation_that_grants_a_product_takes_its_seat() {
    let mut world = World::new(&["*"]).group("team", &["ana", "ben"]).site_group("team", &[]);
    world.rules.existing = Existing::Adopt;
    world.rules.products = vec![JIRA.into()];
    world.products = vec![product(JIRA, &["by hand"], 1)];
    world = world.site_group("by hand", &[]);
    let plan = world.plan();
    let invited = plan.open_steps().filter(|s| matches!(s.action, Action::CreateUser { .. })).count();
    assert_eq!((invited, line(&plan).len(), plan.waiting[0].groups.len()), (1, 1, 0));
    assert_eq!(plan.seats.values().next().unwrap().after, 1);
}

#[test]
fn the_rules_say_who_goes_first_and_the_longest_wait_decides_within_a_rank() {
    let mut world = company(0, &["ana"]);
    world.rules.seats.first = vec![Expr::condition("user.department == \"Support\"").unwrap()];
    run(&mut world);
    world.now += Duration::from_hours(1);
    world.groups.get_mut("Jira users").unwrap().users.extend(["cem".into(), "ben".into()]);
    run(&mut world);
    world.now += Duration::from_hours(1);
    world.groups.get_mut("Jira users").unwrap().users.insert("hal".into());
    world.attributes.insert("hal".into(), vec![("department", "Support".into())]);
    let plan = run(&mut world);
    assert_eq!(line(&plan), [(1, "hal"), (2, "ana"), (3, "ben"), (4, "cem")]);
    let hours: Vec<i64> = plan.waiting.iter().map(|w| world.now.duration_since(w.since).as_hours()).collect();
    assert_eq!(hours, [0, 2, 1, 1]);
    assert!(plan.set_aside[2].reason.contains("3rd in line"), "{}", plan.set_aside[2].reason);
}

#[test]
fn seats_that_nobody_counts_are_given_away_unless_the_rules_set_a_limit() {
    let mut world = company(9, &["ana"]);
    world.products[0].seats = Seats::NotCounted { limit: Some(9) };
    assert_eq!(added(&world.plan()), ["ana"]);
    assert!(world.plan().seats.is_empty(), "nothing is said that is not known");
    rule(&mut world, JIRA, Some(5), 0);
    let plan = world.plan();
    assert_eq!(line(&plan), [(1, "ana")]);
    assert!(plan.set_aside[0].reason.contains("it is not known how many"), "{}", plan.set_aside[0].reason);
}

#[test]
fn a_step_that_needs_two_products_waits_for_the_one_that_is_short_and_blocks_nobody() {
    let mut world = company(1, &["ben"]).group("Jira both", &["ana"]).site_group("Jira both", &[]);
    world.products[0].groups.insert(sid("Jira both"));
    world.products.push(product(WIKI, &["Jira both"], 0));
    let plan = run(&mut world);
    assert_eq!((added(&plan), line(&plan)), (vec!["ben"], vec![(1, "ana")]));
    assert_eq!(plan.waiting[0].product, WIKI);
}

/// Plans with the rules of one world, and has the plan judged under those of another.
fn judged(made_in: &World, judged_in: &World, tamper: impl FnOnce(&mut Plan)) -> String {
    let directory = made_in.directory();
    let site = made_in.site(&directory);
    let input = PlanInput {
        directory: &directory,
        site: &site,
        rules: &made_in.rules,
        memory: &made_in.memory,
        lookups: &made_in.lookups,
        history: made_in.history,
        approval: made_in.approval,
        now: made_in.now,
        focus: entrain_domain::plan::Focus::Everything,
    };
    let mut made = plan(&input);
    tamper(&mut made);
    let site = judged_in.site(&directory);
    let input = PlanInput { site: &site, rules: &judged_in.rules, ..input };
    verify(&input, &made).into_iter().map(|f| f.what).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_second_opinion_counts_seats_by_itself() {
    let made = company(6, &["ana", "ben", "cem"]);
    let mut real = made.clone();
    assert_eq!(judged(&made, &real, |_| {}), "");
    rule(&mut real, JIRA, Some(2), 0);
    assert!(judged(&made, &real, |_| {}).contains("takes 1 seats of Jira Software beyond the 2"));
    real.products[0].seats = Seats::NotCounted { limit: None };
    assert!(judged(&made, &real, |_| {}).contains("cannot be counted"));

    let mut moving = company(2, &["ana", "ben"]);
    run(&mut moving);
    moving.disable("ana");
    moving.disable("ben");
    moving.groups.get_mut("Jira users").unwrap().users.extend(["cem".into(), "dana".into()]);
    assert_eq!(judged(&moving, &moving, |_| {}), "");
    let no_wait = |plan: &mut Plan| {
        for step in &mut plan.steps {
            step.after = [].into_iter().collect();
        }
    };
    assert!(judged(&moving, &moving, no_wait).contains("takes 2 seats"));
    let same_seat = |plan: &mut Plan| {
        for step in plan.steps.iter_mut().filter(|s| matches!(s.action, Action::AddMember { .. })) {
            step.after = [0].into_iter().collect();
        }
    };
    assert!(judged(&moving, &moving, same_seat).contains("takes 1 seats"), "two on one freed seat");
}

#[derive(Debug, Clone)]
enum Event {
    Join(usize, usize),
    Leave(usize, usize),
    Disable(usize),
    Enable(usize),
    ByHand(usize),
    NotByHand(usize),
    Limit(u64),
    Budget(Option<u64>, u64),
    Run(Vec<bool>),
}

const GROUPS: [&str; 3] = ["Jira users", "Jira wiki", "Jira free"];

fn event() -> impl Strategy<Value = Event> {
    let (p, g) = (0..PEOPLE.len(), 0..GROUPS.len());
    prop_oneof![
        6 => (p.clone(), g.clone()).prop_map(|(p, g)| Event::Join(p, g)),
        3 => (p.clone(), g).prop_map(|(p, g)| Event::Leave(p, g)),
        2 => p.clone().prop_map(Event::Disable),
        2 => p.clone().prop_map(Event::Enable),
        1 => p.clone().prop_map(Event::ByHand),
        1 => p.prop_map(Event::NotByHand),
        1 => (0u64..6).prop_map(Event::Limit),
        1 => (proptest::option::of(0u64..6), 0u64..3).prop_map(|(b, r)| Event::Budget(b, r)),
        6 => proptest::collection::vec(proptest::bool::weighted(0.8), 24).prop_map(Event::Run),
    ]
}

/// The most seats that may be taken, as the rules have it.
fn most(world: &World, at: usize) -> u64 {
    match world.rules.seats.ceiling(&world.products[at]) {
        Ceiling::At(most) => most,
        Ceiling::None => u64::MAX,
        Ceiling::NotKnown => 0,
    }
}

/// Does some of the steps, in their order; what waits for one that failed is not done. After each, no product has more
/// seats taken than allowed, unless it had before, and then not more than that.
fn run_in_part(world: &mut World, works: &[bool]) {
    let plan = world.plan();
    for record in &plan.records {
        world.memory.apply(record);
    }
    let mut done = vec![false; plan.steps.len()];
    let before: Vec<u64> =
        (0..world.products.len()).map(|at| seated(world, &world.products[at]).len() as u64).collect();
    for (ix, step) in plan.steps.iter().enumerate() {
        let ready = step.hold.is_none() && step.after.iter().all(|before| done[*before as usize]);
        if ready && works.get(ix).copied().unwrap_or(true) {
            world.apply_step(step);
            done[ix] = true;
        }
        for (at, before) in before.iter().enumerate() {
            let taken = seated(world, &world.products[at]).len() as u64;
            assert!(
                taken <= most(world, at).max(*before),
                "{taken} of {} taken after {:?} in\n{}",
                most(world, at),
                step.action.kind(),
                render(&plan)
            );
        }
    }
    recount(world);
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Join(p, g) => {
            world.groups.get_mut(GROUPS[*g]).unwrap().users.insert(PEOPLE[*p].into());
        }
        Event::Leave(p, g) => {
            world.groups.get_mut(GROUPS[*g]).unwrap().users.remove(PEOPLE[*p]);
        }
        Event::Disable(p) => world.disable(PEOPLE[*p]),
        Event::Enable(p) => {
            world.users.insert(PEOPLE[*p].into(), AccountState::Enabled);
        }
        Event::ByHand(p) if world.accounts.contains_key(&aid(PEOPLE[*p])) => {
            world.site_groups.get_mut(&sid("by hand")).unwrap().1.insert(aid(PEOPLE[*p]));
        }
        Event::NotByHand(p) => {
            world.site_groups.get_mut(&sid("by hand")).unwrap().1.remove(&aid(PEOPLE[*p]));
        }
        Event::Limit(limit) => {
            world.products[0].seats = Seats::Limited { limit: *limit, used: 0 };
        }
        Event::Budget(budget, reserve) => rule(world, JIRA, *budget, *reserve),
        Event::Run(works) => {
            run_in_part(world, works);
            world.now += Duration::from_hours(1);
        }
        Event::ByHand(_) => {}
    }
    recount(world);
}

fn start() -> World {
    let mut world = World::new(&["Jira *"]);
    for group in GROUPS {
        world = world.group(group, &[]).site_group(group, &[]);
    }
    for person in &PEOPLE[..6] {
        world = world.user(person);
    }
    world = world.account("ana").account("ben").account("cem").site_group("by hand", &[]);
    world.rules.existing = Existing::Adopt;
    let day = Duration::from_hours(4);
    let delays = Delays { suspend: Some(day), deactivate: None, remove: None };
    world.rules.leavers = Leavers {
        disabled: delays,
        accounts: entrain_domain::policy::LeaverAccounts::Linked,
        ..Leavers::default()
    };
    world.approval = Approval::EvenEmpty;
    world.products =
        vec![product(JIRA, &["Jira users", "Jira wiki", "by hand"], 3), product(WIKI, &["Jira wiki"], 2)];
    world
}

fn order(waiting: &[Waiting]) -> BTreeMap<&str, Vec<&DirectoryUserId>> {
    let mut lines: BTreeMap<&str, Vec<&DirectoryUserId>> = BTreeMap::new();
    for one in waiting {
        lines.entry(&one.product).or_default().extend(&one.directory_id);
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_history_takes_a_seat_beyond_the_budget_whichever_steps_fail(
        events in proptest::collection::vec(event(), 1..50),
    ) {
        let mut world = start();
        for event in &events {
            happen(&mut world, event);
        }
    }

    /// As long as nothing changes, the line stands, whatever is done of a plan; and when there are seats for everybody,
    /// nobody waits any more and nothing is left to do.
    #[test]
    fn the_line_is_stable_and_free_seats_end_it(events in proptest::collection::vec(event(), 1..40)) {
        let mut world = start();
        for event in &events {
            happen(&mut world, event);
        }
        run_in_part(&mut world, &[]);
        run_in_part(&mut world, &[]);
        let first = world.plan();
        world.now += Duration::from_hours(1);
        run_in_part(&mut world, &[]);
        let second = world.plan();
        let (before, after) = (order(&first.waiting), order(&second.waiting));
        for (product, line) in &after {
            let still: Vec<_> = before.get(product).into_iter().flatten().filter(|id| line.contains(*id)).collect();
            let line: Vec<_> = line.iter().filter(|id| still.contains(id)).collect();
            prop_assert_eq!(still, line, "{}", product);
        }
        world.rules.seats.products.clear();
        for product in &mut world.products { product.seats = Seats::Limited { limit: 99, used: 0 }; }
        recount(&mut world);
        for _ in 0..3 { run_in_part(&mut world, &[]); }
        let end = world.plan();
        prop_assert!(end.waiting.is_empty(), "{}", render(&end));
        prop_assert_eq!(end.open_steps().count(), 0, "{}", render(&end));
        prop_assert_eq!(world.memory.queue().len(), 0);
    }
}
