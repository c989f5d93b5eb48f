//! People who are invited: for which group, and what they are given once, also where that failed at first.

use crate::support::*;
use entrain_domain::memory::{Mark, MarkKind, MemoryChange};
use entrain_domain::plan::{Plan, StepId, StepKind, plan};
use entrain_domain::policy::{Expr, UserScope};

fn invitations(plan: &Plan) -> Vec<String> {
    let invited = plan.steps.iter().filter(|step| step.action.kind() == StepKind::CreateUser);
    invited.map(|step| step.reason.to_string()).collect()
}

#[test]
fn whoever_is_in_several_groups_is_invited_for_the_first_of_them() {
    let world = World::new(&["*"]).group("b", &["ana"]).group("a", &["ana"]);
    assert_eq!(
        invitations(&world.plan()),
        ["enabled in the directory, member of “a”; in scope; no account of this address"]
    );
}

#[test]
fn where_everybody_takes_part_nobody_is_invited_for_a_group() {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.rules.scope.users = UserScope::All;
    assert_eq!(
        invitations(&world.plan()),
        ["enabled in the directory; everybody takes part; no account of this address"]
    );
}

const WELCOME: &str = "add_member/name:welcome/u-ben";

/// Ben was invited, and the site has refused to put him into the group for newcomers.
fn refused_once() -> World {
    let mut world =
        World::new(&["Jira"]).group("Jira", &["ana", "ben"]).account("ana").site_group("Welcome", &[]);
    world.rules.defaults.newcomers = vec!["Welcome".into()];
    world.converge();
    world.by_hand_out("Welcome", "ben");
    world.memory.mark_step(&StepId::from_stored(WELCOME), Mark::Owed { refused: 1 });
    world
}

fn forgotten(plan: &Plan) -> Vec<&str> {
    let owed = |record| match record {
        &MemoryChange::UnmarkStep { ref step, mark: MarkKind::Owed } => Some(step.as_str()),
        _ => None,
    };
    plan.records.iter().filter_map(owed).collect()
}

#[test]
fn what_a_newcomer_is_owed_is_given_at_the_next_run() {
    let world = refused_once();
    let plan = world.plan();
    let ids: Vec<String> = plan.steps.iter().map(|step| step.id().to_string()).collect();
    assert_eq!(ids, [WELCOME], "and nobody else is given it");
    assert_eq!(forgotten(&plan), [""; 0]);
}

#[test]
fn what_is_owed_to_somebody_who_takes_no_part_any_more_is_forgotten() {
    let mut world = refused_once();
    world.memory.mark_step(
        &StepId::from_stored("add_member/g-Jira/u-ben"),
        Mark::Flipped { times: 1, last: world.now },
    );
    world.groups.get_mut("Jira").unwrap().users.remove("ben");
    assert_eq!(forgotten(&world.plan()), [WELCOME], "and nothing else that is remembered of steps");

    let mut world = refused_once();
    world.rules.defaults.newcomers.clear();
    assert_eq!(forgotten(&world.plan()), [WELCOME], "nothing is for newcomers any more");
}

#[test]
fn what_is_owed_is_not_forgotten_while_it_is_not_known_who_takes_part() {
    let mut unsure = refused_once();
    unsure.groups.get_mut("Jira").unwrap().users.remove("ben");
    unsure.rules.scope.filter = Some(Expr::condition(r#"user.department.startsWith("S")"#).unwrap());
    assert_eq!(forgotten(&unsure.plan()), [""; 0], "the filter fails for Ana");
    let mut unread = refused_once();
    unread.rules.scope.users = UserScope::Assigned(application());
    assert_eq!(forgotten(&unread.plan()), [""; 0], "the assignments were not read");
}

#[test]
fn a_sign_in_of_somebody_else_forgets_nothing() {
    let world = refused_once();
    let directory = world.directory_about("ana");
    let site = world.site(&directory);
    assert_eq!(forgotten(&plan(&world.input(&directory, &site))), [""; 0]);
}

/// No complete read, no removal: what is owed to somebody of whom it is not known whether they still take part is kept.
#[test]
fn what_a_newcomer_is_owed_is_not_forgotten_for_a_group_that_could_not_be_read() {
    let mut world = refused_once();
    world.groups.get_mut("Jira").unwrap().unread = true;
    assert_eq!(forgotten(&world.plan()), [""; 0]);
    world.groups.get_mut("Jira").unwrap().unread = false;
    world.groups.get_mut("Jira").unwrap().users.remove("ben");
    assert_eq!(forgotten(&world.plan()), [WELCOME], "and is when it was read");
}
