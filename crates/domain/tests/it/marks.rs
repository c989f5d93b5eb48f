//! What earlier runs learnt about single steps: one that the site keeps refusing rests for a while, and one that somebody keeps
//! undoing, that only a change of the rules asks for, or that a person left out, waits for a person.

use jiff::SignedDuration;

use crate::support::*;
use entrain_domain::memory::{Mark, Origin};
use entrain_domain::model::*;
use entrain_domain::plan::{Approval, DriftKind, Guard, Plan, Step, StepId, StepKind, Treatment, is_flip};
use entrain_domain::policy::GroupMode;

impl World {
    fn mark(&mut self, step: &str, mark: Mark) {
        self.memory.mark_step(&StepId::from_stored(step), mark);
    }
    fn refused(&mut self, step: &str) {
        let (reason, remedy) = ("the site says no".to_owned(), "ask it".to_owned());
        self.mark(step, Mark::Refused { times: 3, last: self.now, reason, remedy });
    }
    fn fought(&mut self, step: &str) {
        self.mark(step, Mark::Flipped { times: 3, last: self.now });
    }
    fn rules_changed(&mut self, step: &str) {
        self.mark(step, Mark::RuleChange { since: self.now });
    }
    fn left_out(&mut self, step: &str) {
        self.mark(step, Mark::LeftOut { since: self.now });
    }
}

/// The names of the steps, with what each waits for and what holds it.
fn steps(plan: &Plan) -> Vec<String> {
    let one = |step: &Step| {
        let after: String = step.after.iter().fold(String::new(), |all, at| format!("{all} after {at}"));
        let hold = step.hold.map(|guard| format!(" [{guard}]")).unwrap_or_default();
        format!("{}{after}{hold}", step.id())
    };
    plan.steps.iter().map(one).collect()
}

fn asides(plan: &Plan) -> Vec<String> {
    plan.set_aside.iter().map(|aside| format!("{}: {}", aside.object, aside.reason)).collect()
}

/// Ana is to be invited, Ben is there.
fn new_team() -> World {
    World::new(&["*"]).group("a", &["ana", "ben"]).group("b", &["ben"]).account("ben")
}

#[test]
fn what_the_site_keeps_refusing_rests_with_everything_that_waits_for_it() {
    let mut world = new_team();
    world.refused("create_user/u-ana");
    let plan = world.plan();
    assert_eq!(
        steps(&plan),
        [
            "create_group/g-a",
            "create_group/g-b",
            "add_member/g-a/u-ben after 0",
            "add_member/g-b/u-ben after 1"
        ]
    );
    assert_eq!(
        asides(&plan),
        [
            "Name ana <ana@example.com>: was refused 3 times in a row and is not tried again before 2026-11-02 08:15 UTC: \
             the site says no",
            "Name ana <ana@example.com> in group “a”: waits for something that the site keeps refusing",
        ]
    );
    assert_eq!(plan.set_aside[0].remedy, "ask it; entrain sync --yes tries at once");
}

#[test]
fn the_steps_that_stay_wait_for_the_same_steps_as_before() {
    let mut world = new_team();
    world.refused("create_group/g-a");
    let plan = world.plan();
    assert_eq!(steps(&plan), ["create_group/g-b", "create_user/u-ana", "add_member/g-b/u-ben after 0"]);
    assert!(asides(&plan)[0].starts_with("group “a”: was refused 3 times"), "{:?}", asides(&plan));
}

#[test]
fn a_refused_step_is_tried_when_its_time_is_over_or_a_person_wants_everything_tried() {
    let mut world = new_team();
    world.refused("create_user/u-ana");
    for (approval, planned) in [
        (Approval::None, 4),
        (Approval::HeldInPart, 4),
        (Approval::EvenEmptyInPart, 4),
        (Approval::Held, 6),
        (Approval::EvenEmpty, 6),
    ] {
        world.approval = approval;
        assert_eq!(world.plan().steps.len(), planned, "{approval:?}");
    }
    world.approval = Approval::None;
    world.now += SignedDuration::from_mins(15);
    assert_eq!(world.plan().steps.len(), 6);
}

/// Puts a mark on a step.
type Marking = fn(&mut World, &str);

/// A group that both have left, and one that both are to come into.
fn movers() -> World {
    let mut world = World::new(&["*"]).group("from", &["ana", "ben"]).group("to", &[]);
    world.converge();
    world.groups.get_mut("from").unwrap().users.clear();
    world.groups.get_mut("to").unwrap().users.extend(["ana".to_owned(), "ben".to_owned()]);
    world
}

#[test]
fn a_step_that_waits_for_a_person_is_held_and_the_others_go_on() {
    let (remove, add) = ("remove_member/g-from/u-ana", "add_member/g-to/u-ana");
    let cases: [(Guard, Marking, &[&str]); 3] = [
        (Guard::Fight, World::fought, &[remove, add]),
        // What a change of the rules gives, it gives.
        (Guard::RuleChange, World::rules_changed, &[remove]),
        (Guard::LeftOut, World::left_out, &[remove, add]),
    ];
    for (guard, marks, held) in cases {
        let mut world = movers();
        marks(&mut world, remove);
        marks(&mut world, add);
        let plan = world.plan();
        assert_eq!(plan.steps.len(), 4);
        let ids: Vec<String> =
            plan.steps.iter().filter(|s| s.hold == Some(guard)).map(|s| s.id().to_string()).collect();
        assert_eq!(ids, held, "{guard}");
        assert_eq!(plan.open_steps().count(), 4 - held.len(), "{guard}");
        assert_eq!(plan.held.iter().map(|held| held.guard).collect::<Vec<_>>(), [guard]);
        world.approval = Approval::Held;
        assert_eq!(world.plan().open_steps().count(), 4, "{guard}: a person has approved it");
    }
}

#[test]
fn what_a_person_left_out_stays_out_when_the_rest_is_approved() {
    let mut world = movers();
    world.left_out("remove_member/g-from/u-ana");
    world.fought("remove_member/g-from/u-ben");
    for approval in [Approval::HeldInPart, Approval::EvenEmptyInPart] {
        world.approval = approval;
        let plan = world.plan();
        let held: Vec<&Step> = plan.steps.iter().filter(|step| step.hold.is_some()).collect();
        assert_eq!(held.len(), 1, "{}", render(&plan));
        assert_eq!(
            (held[0].id().as_str(), held[0].hold),
            ("remove_member/g-from/u-ana", Some(Guard::LeftOut))
        );
    }
}

#[test]
fn the_guards_say_how_many_steps_wait_and_whose() {
    let mut world = movers();
    world.fought("add_member/g-to/u-ana");
    world.rules_changed("remove_member/g-from/u-ana");
    world.rules_changed("remove_member/g-from/u-ben");
    world.left_out("add_member/g-to/u-ben");
    let said: Vec<String> = world.plan().held.iter().map(|held| held.reason.clone()).collect();
    assert_eq!(
        said,
        [
            "2 removals come from a change of the rules, not from the directory: “from”",
            "1 step was undone by somebody else three times; settle with them who is right: “to”",
            "1 step was left out when others were approved, and waits: “to”",
        ]
    );
}

#[test]
fn a_step_that_is_held_already_stays_held_for_what_held_it() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).account("ana");
    world.converge();
    world.rules.mode = GroupMode::Authoritative;
    world.put_account("zoe", Some(&mail("zoe")), AccountKind::Person);
    world.by_hand_in("a", "zoe");
    world.fought("remove_member/g-a/account:712020:zoe");
    assert_eq!(steps(&world.plan()), ["remove_member/g-a/account:712020:zoe [authoritative]"]);
}

#[test]
fn marks_of_steps_that_nobody_asks_for_change_nothing() {
    let mut world = new_team();
    let plain = world.plan();
    world.refused("create_user/u-zoe");
    world.fought("create_group/g-z");
    let plan = world.plan();
    assert_eq!(steps(&plan), steps(&plain));
    assert_eq!((asides(&plan), plan.held.len()), (vec![], 0));
}

#[test]
fn what_was_done_by_hand_is_told_by_what_becomes_of_its_own_step() {
    let mut world = new_team();
    world.converge();
    world.groups.get_mut("b").unwrap().users.insert("ana".into());
    world.by_hand_out("a", "ana");
    world.by_hand_out("a", "ben");
    world.by_hand_out("b", "ben");
    let treated = |world: &World| -> Vec<(DriftKind, String, Treatment)> {
        let person = |name: &str| name.trim_start_matches("Name ").to_owned();
        world
            .plan()
            .drift
            .iter()
            .map(|d| {
                (d.kind(), format!("{} {}", person(&d.person().unwrap().name), d.group.name), d.treatment)
            })
            .collect()
    };
    let removed = |of: &str, treatment| (DriftKind::MemberRemoved, of.to_owned(), treatment);
    let undone = Treatment::Undone;
    assert_eq!(
        treated(&world),
        [removed("ana a", undone), removed("ben a", undone), removed("ben b", undone)]
    );
    world.refused("add_member/g-a/u-ana");
    world.fought("add_member/g-b/u-ben");
    assert_eq!(
        treated(&world),
        [removed("ana a", Treatment::SetAside), removed("ben a", undone), removed("ben b", Treatment::Held)],
        "also where steps before it were left out"
    );
}

#[test]
fn a_step_is_a_flip_where_it_puts_right_what_somebody_else_undid() {
    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]).account("ana").account("ben");
    let flips = |world: &World| -> Vec<(StepKind, bool)> {
        world.plan().steps.iter().map(|step| (step.action.kind(), is_flip(step, &world.memory))).collect()
    };
    assert!(flips(&world).iter().all(|(_, flip)| !flip), "a first membership undoes nothing");
    world.converge();
    world.by_hand_out("a", "ana");
    assert_eq!(flips(&world), [(StepKind::AddMember, true)], "the ledger has it, and the site has not");
    world.groups.get_mut("a").unwrap().users.insert("cem".into());
    world = world.user("cem").account("cem");
    assert_eq!(flips(&world), [(StepKind::AddMember, true), (StepKind::AddMember, false)]);

    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]);
    world.converge();
    world.groups.get_mut("a").unwrap().users.remove("ben");
    assert_eq!(flips(&world), [(StepKind::RemoveMember, false)], "our own is taken back");
    world.memory.disown_membership(&sid("a"), &aid("ben"));
    world.rules.mode = GroupMode::Authoritative;
    assert_eq!(flips(&world), [(StepKind::RemoveMember, true)], "a stranger in an authoritative group");
    world.memory.own_membership(&sid("a"), &aid("ben"), Origin::Found);
    assert_eq!(flips(&world), [(StepKind::RemoveMember, false)]);
}
