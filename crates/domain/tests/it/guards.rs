//! Guards, one by one: what an approval releases, when a limit is passed and what the guard then says, and that an empty world
//! that was never full holds nothing.

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::{Approval, Before, Guard, Held, Plan, StepKind};
use entrain_domain::policy::{Existing, GroupMode, Limit};

fn said(plan: &Plan) -> Vec<String> {
    plan.held.iter().map(|Held { guard, reason }| format!("{guard}: {reason}")).collect()
}

const GUARDS: [Guard; 10] = [
    Guard::EmptyDirectory,
    Guard::Removals,
    Guard::Additions,
    Guard::Changes,
    Guard::EmptyGroup,
    Guard::Adoption,
    Guard::Authoritative,
    Guard::RuleChange,
    Guard::Fight,
    Guard::LeftOut,
];

#[test]
fn each_approval_releases_what_its_person_has_seen() {
    use Approval::{EvenEmpty, EvenEmptyInPart, HeldInPart};
    let keeps = |approval: Approval| -> Vec<Guard> {
        GUARDS.into_iter().filter(|guard| !approval.releases(*guard)).collect()
    };
    assert_eq!(keeps(Approval::None), GUARDS);
    assert_eq!(keeps(Approval::Held), [Guard::EmptyDirectory]);
    assert_eq!(keeps(EvenEmpty), []);
    assert_eq!(keeps(HeldInPart), [Guard::EmptyDirectory, Guard::LeftOut]);
    assert_eq!(keeps(EvenEmptyInPart), [Guard::LeftOut]);

    let in_part = [Approval::None, HeldInPart, EvenEmptyInPart, HeldInPart, EvenEmptyInPart];
    let all = [Approval::None, Approval::Held, EvenEmpty, HeldInPart, EvenEmptyInPart];
    assert_eq!(all.map(Approval::in_part), in_part);
}

#[test]
fn the_guard_says_how_many_groups_it_holds_and_names_at_most_five() {
    let adopting = |names: &[&str]| {
        let mut world = World::new(&["*"]);
        for name in names {
            world = world.group(name, &[]).site_group(name, &[]);
        }
        said(&world.plan())
    };
    assert_eq!(adopting(&["b"]), ["adoption: 1 existing group would be adopted: “b”"]);
    assert_eq!(adopting(&["b", "a"]), ["adoption: 2 existing groups would be adopted: “a”, “b”"]);
    assert_eq!(
        adopting(&["a", "b", "c", "d", "e"]),
        ["adoption: 5 existing groups would be adopted: “a”, “b”, “c”, “d”, “e”"]
    );
    assert_eq!(
        adopting(&["a", "b", "c", "d", "e", "f", "g"]),
        ["adoption: 7 existing groups would be adopted: “a”, “b”, “c”, “d”, “e” and 2 more"]
    );
}

#[test]
fn a_directory_that_was_always_empty_holds_nothing() {
    let mut world = World::new(&["*"]);
    world.history.users_before = Some(0);
    let plan = world.plan();
    assert_eq!(said(&plan), [""; 0], "nobody was there before");
    assert!(plan.is_empty());
    let world = World::new(&["not there"]).group("g", &["ana"]);
    assert_eq!(said(&world.plan()), [""; 0], "the scope has named no group yet");
}

#[test]
fn a_plan_counts_its_steps_and_those_that_are_held() {
    let world = World::new(&["*"]).group("a", &[]).site_group("a", &[]).group("b", &[]).site_group("b", &[]);
    let plan = world.plan();
    let tally = plan.tally()[&StepKind::AdoptGroup];
    assert_eq!((tally.planned, tally.held), (2, 2));
    assert!(!plan.is_empty());
}

/// One group with so many members, in step; the limits are in force for additions, too.
fn settled(members: usize) -> World {
    let people: Vec<String> = (0..members).map(|n| format!("p{n:02}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut world = World::new(&["*"]).group("a", &names);
    world.converge();
    world.history.converged_before = Before::Once;
    world
}

fn leave(world: &mut World, number: usize) {
    for n in 0..number {
        world.groups.get_mut("a").unwrap().users.remove(&format!("p{n:02}"));
    }
}

fn join(world: &mut World, number: usize) {
    for n in 0..number {
        let name = format!("new{n:02}");
        *world = world.clone().user(&name).account(&name);
        world.groups.get_mut("a").unwrap().users.insert(name);
    }
}

/// Of the 65 memberships that there were a day ago, 13 are a fifth, and that is the limit.
#[test]
fn d_02_within_a_day_it_is_the_memberships_before_all_of_it_that_count() {
    let mut world = settled(55);
    world.history.last_24h.add(StepKind::RemoveMember, 10);
    leave(&mut world, 3);
    assert_eq!(said(&world.plan()), [""; 0]);
    leave(&mut world, 4);
    assert_eq!(
        said(&world.plan()),
        [
            "removals: 14 memberships would be removed within 24 hours, 10 of them before this run, of 65 known; the limit is \
          20 % and 10 objects"
        ]
    );
}

#[test]
fn d_03_within_a_day_what_was_added_does_not_count_as_known() {
    let mut world = settled(10);
    world.rules.limits.additions = Limit { percent: 50, number: 1 };
    world.history.last_24h.add(StepKind::AddMember, 4);
    assert_eq!(said(&world.plan()), [""; 0], "nothing more is to be added");
    join(&mut world, 1);
    assert_eq!(
        said(&world.plan()),
        [
            "additions: 5 memberships would be added within 24 hours, 4 of them before this run, of 6 known; the limit is 50 % \
          and 1 objects"
        ]
    );
}

#[test]
fn d_02_what_was_done_within_a_day_alone_holds_nothing() {
    let mut world = settled(20);
    world.history.last_24h.add(StepKind::RemoveMember, 200);
    world.groups.insert("b".into(), DirGroup { name: "b".into(), ..world.groups["a"].clone() });
    world.rules.limits.additions = Limit { percent: 100, number: 100 };
    assert_eq!(said(&world.plan()), [""; 0]);
}

#[test]
fn d_02_removals_that_wait_for_a_person_count_as_well() {
    let mut world = settled(12);
    world.rules.mode = GroupMode::Authoritative;
    for n in 0..11 {
        let name = format!("zoe{n:02}");
        world.put_account(&name, Some(&mail(&name)), AccountKind::Person);
        world.by_hand_in("a", &name);
    }
    let guards: Vec<Guard> = world.plan().held.iter().map(|held| held.guard).collect();
    assert_eq!(guards, [Guard::Removals, Guard::Removals, Guard::Authoritative], "of all, and of the group");
}

#[test]
fn d_03_additions_that_wait_for_a_person_give_nobody_anything_yet() {
    let mut world = settled(2);
    world.rules.limits.additions = Limit { percent: 0, number: 1 };
    world = world.group("b", &["p00", "p01"]).site_group("b", &[]);
    let guards = |world: &World| -> Vec<Guard> { world.plan().held.iter().map(|held| held.guard).collect() };
    assert_eq!(guards(&world), [Guard::Adoption]);
    world.rules.existing = Existing::Adopt;
    assert_eq!(guards(&world), [Guard::Additions]);
}

/// Ten people with two memberships each, of which two people lose one.
#[test]
fn d_02_whoever_keeps_a_membership_has_not_lost_the_last_one() {
    let mut world = World::new(&["*"]);
    for group in ["a", "b"] {
        let people: Vec<String> = (0..10).map(|n| format!("p{n:02}")).collect();
        let names: Vec<&str> = people.iter().map(String::as_str).collect();
        world = world.group(group, &names);
    }
    world.converge();
    world.rules.limits.removals = Limit { percent: 10, number: 1 };
    world.groups.get_mut("a").unwrap().users.remove("p00");
    world.groups.get_mut("b").unwrap().users.remove("p01");
    assert_eq!(said(&world.plan()), [""; 0]);
    world.groups.get_mut("b").unwrap().users.remove("p00");
    world.groups.get_mut("a").unwrap().users.remove("p01");
    assert!(
        said(&world.plan()).contains(
            &"removals: 2 people would lose their last membership, of 10 known; the limit is 10 % and 1 objects"
                .to_owned()
        ),
        "{:?}",
        said(&world.plan())
    );
}

#[test]
fn a_group_that_reads_as_empty_says_how_many_removals_wait() {
    let of = |members: usize| {
        let mut world = settled(members).group("b", &["zoe"]);
        world.converge();
        leave(&mut world, members);
        said(&world.plan())
    };
    assert_eq!(of(5), ["empty_group: the group “a” reads as empty in the directory; its 5 removals wait"]);
    assert_eq!(of(4), [""; 0], "a group of four may well end");
}
