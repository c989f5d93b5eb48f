//! Plans that are asked for one person, or for one group, or without groups that are not there yet.

use crate::support::*;
use entrain_domain::memory::MemoryChange;
use entrain_domain::plan::{Digest, Focus, Plan, PlanInput, Step, plan};
use entrain_domain::policy::Existing;

impl World {
    fn plan_about(&self, focus: Focus<'_>) -> Plan {
        let directory = self.directory();
        let site = self.site(&directory);
        plan(&PlanInput { focus, ..self.input(&directory, &site) })
    }
    fn plan_about_person(&self, name: &str) -> Plan {
        self.plan_about(Focus::Person(&uid(name)))
    }
    fn plan_about_group(&self, name: &str) -> Plan {
        self.plan_about(Focus::Group(&gid(name)))
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    let one = |step: &Step| {
        let after: String = step.after.iter().fold(String::new(), |all, at| format!("{all} after {at}"));
        format!("{}{after}", step.id())
    };
    plan.steps.iter().map(one).collect()
}

/// What is to be remembered, in short, in the order of texts.
fn records(plan: &Plan) -> Vec<String> {
    let short = |record: &MemoryChange| match record {
        MemoryChange::LinkUser(link) => format!("link {}", link.user),
        MemoryChange::LinkGroup(link) => format!("link {}", link.anchor),
        MemoryChange::OwnMembership { group, account, .. } => format!("own {group} {account}"),
        MemoryChange::DisownMembership { group, account } => format!("disown {group} {account}"),
        other => format!("{other:?}"),
    };
    let mut all: Vec<String> = plan.records.iter().map(short).collect();
    all.sort();
    all
}

/// Two groups; Ana is to be invited to both, Ben to one.
fn two_groups() -> World {
    World::new(&["*"]).group("a", &["ana"]).group("b", &["ana", "ben"])
}

/// Two groups that both sides have. In each, Cem is a member on both sides without the ledger knowing, Dan has left both
/// sides, and somebody renamed the group on the site.
fn news_in_two_groups() -> World {
    let mut world = World::new(&["*"]).group("a", &["ana", "dan"]).group("b", &["ben", "dan"]);
    world.converge();
    world = world.user("cem").account("cem");
    for group in ["a", "b"] {
        world.by_hand_in(group, "cem");
        world.by_hand_out(group, "dan");
        let users = &mut world.groups.get_mut(group).unwrap().users;
        users.remove("dan");
        users.insert("cem".into());
        world.site_groups.get_mut(&sid(group)).unwrap().0 = format!("{group} of the site");
    }
    world
}

#[test]
fn a_plan_about_a_group_has_its_steps_and_the_invitations_that_they_wait_for() {
    let world = two_groups();
    assert_eq!(
        steps(&world.plan_about_group("a")),
        ["create_group/g-a", "create_user/u-ana", "add_member/g-a/u-ana after 0 after 1"]
    );
    assert_eq!(steps(&world.plan_about_group("b")).len(), 5, "both people, and no group but this one");
    assert!(steps(&world.plan_about_group("no such group")).is_empty());
}

#[test]
fn a_plan_about_a_group_reaches_the_site_groups_that_it_is_bound_to() {
    let mut world = two_groups().site_group("Of a", &[]).site_group("Of b", &[]);
    world.bind("a", "Of a");
    world.bind("b", "Of b");
    world.rules.existing = Existing::Adopt;
    let ids = steps(&world.plan_about_group("a"));
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids[0].starts_with("create_user/u-ana"), "{ids:?}");
    assert!(ids[1].starts_with("add_member/name:of a/u-ana"), "{ids:?}");
}

#[test]
fn a_plan_about_a_group_learns_about_that_group_and_about_people() {
    let world = news_in_two_groups();
    assert_eq!(
        records(&world.plan()),
        [
            "disown s-a 712020:dan",
            "disown s-b 712020:dan",
            "link g-a",
            "link g-b",
            "link u-cem",
            "own s-a 712020:cem",
            "own s-b 712020:cem",
        ]
    );
    assert_eq!(
        records(&world.plan_about_group("a")),
        ["disown s-a 712020:dan", "link g-a", "link u-cem", "own s-a 712020:cem"]
    );
}

#[test]
fn a_plan_about_a_group_tells_of_the_group_and_of_whoever_is_in_it() {
    let mut world =
        World::new(&["*"]).group("a", &["ana", "ann"]).group("b", &["ben", "bea"]).group("c", &[]);
    for (name, address) in [("ana", "a"), ("ann", "a"), ("ben", "b"), ("bea", "b")] {
        world.mails.insert(name.into(), mail(address));
    }
    let about = |plan: &Plan| -> Vec<String> { plan.set_aside.iter().map(|s| s.object.clone()).collect() };
    let everything = about(&world.plan());
    assert_eq!(everything.len(), 4, "{everything:?}");
    let plan = world.plan_about_group("a");
    assert_eq!(
        about(&plan),
        ["user “Name ana” <a@example.com> (u-ana)", "user “Name ann” <a@example.com> (u-ann)"]
    );
    world.groups.get_mut("c").unwrap().unread = true;
    assert_eq!(about(&world.plan_about_group("a")).len(), 2, "another group's trouble is not told");
    let told = about(&world.plan_about_group("c"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("“c”"), "{told:?}");
}

#[test]
fn a_plan_about_a_person_has_their_steps_and_makes_the_groups_for_them() {
    let world = two_groups();
    assert_eq!(
        steps(&world.plan_about_person("ben")),
        ["create_group/g-b", "create_user/u-ben", "add_member/g-b/u-ben after 0 after 1"]
    );
    let plan = world.plan_about_person("zoe");
    assert_eq!((steps(&plan), records(&plan)), (vec![], vec![]));
}

#[test]
fn a_plan_about_a_person_adopts_no_group_and_says_what_waits() {
    let mut world = two_groups().site_group("b", &[]);
    world.rules.existing = Existing::Adopt;
    let plan = world.plan_about_person("ana");
    assert_eq!(
        steps(&plan),
        ["create_group/g-a", "create_user/u-ana", "add_member/g-a/u-ana after 0 after 1"]
    );
    let told: Vec<String> =
        plan.set_aside.iter().map(|aside| format!("{}: {}", aside.object, aside.reason)).collect();
    assert_eq!(
        told,
        [
            "Name ana <ana@example.com> in group “b”: waits for the next run over everything: the group is there already \
          and is not managed yet"
        ]
    );
}

#[test]
fn a_plan_about_a_person_learns_about_nobody_else() {
    let world = news_in_two_groups();
    assert_eq!(
        records(&world.plan_about_person("cem")),
        ["link u-cem", "own s-a 712020:cem", "own s-b 712020:cem"],
        "an account that was found just now"
    );
    assert_eq!(
        records(&world.plan_about_person("dan")),
        ["disown s-a 712020:dan", "disown s-b 712020:dan"],
        "an account that is linked"
    );
    assert_eq!(records(&world.plan_about_person("ana")), [""; 0]);
}

#[test]
fn a_plan_about_a_leaver_takes_nothing_from_others_who_leave() {
    let mut world = two_groups();
    world.converge();
    world.disable("ana");
    world.disable("ben");
    assert_eq!(steps(&world.plan_about_person("ben")), ["remove_member/g-b/u-ben"]);
}

#[test]
fn new_groups_can_be_left_to_a_run_over_everything() {
    let mut world = two_groups();
    world.converge();
    world.groups.get_mut("a").unwrap().users.insert("ben".into());
    world = world.group("new", &["ana", "eve"]);
    let mut plan = world.plan();
    let whole = plan.digest.clone();
    let aside = plan.leave_out_new_groups(&world.rules, "it is made then");
    assert_eq!(steps(&plan), ["create_user/u-eve", "add_member/g-a/u-ben"]);
    let told: Vec<String> = aside.iter().map(|aside| format!("{}: {}", aside.object, aside.reason)).collect();
    assert_eq!(
        told,
        [
            "Name ana <ana@example.com> in group “new”: waits for the next run over everything: it is made then",
            "Name eve <eve@example.com> in group “new”: waits for the next run over everything: it is made then",
        ]
    );
    assert_ne!(plan.digest, whole);
    assert_eq!(plan.digest, Digest::of(&plan.steps, &world.rules));
    assert_eq!(plan.digest.to_string(), plan.digest.as_str());
}
