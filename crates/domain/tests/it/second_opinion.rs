//! The second opinion must find what a wrong planner would do: plans are sabotaged here, one invariant at a time.

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::{Approval, Guard, Held, Plan, PlanInput, plan};
use entrain_domain::policy::{GroupMode, GroupSelector, Nesting};
use entrain_domain::verify::verify;

fn leaver() -> World {
    let mut world = World::new(&["Jira *"]).group("Jira a", &["ana", "ben"]).group("Jira b", &["ana"]);
    world.converge();
    world.groups.get_mut("Jira a").unwrap().users.remove("ana");
    world.users.insert("cem".into(), AccountState::Enabled);
    world.groups.get_mut("Jira b").unwrap().users.insert("cem".into());
    world
}

/// Plans in one world and has the plan judged in another, after it was tampered with.
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
    let directory = judged_in.directory();
    let site = judged_in.site(&directory);
    let input = PlanInput {
        directory: &directory,
        site: &site,
        rules: &judged_in.rules,
        memory: &judged_in.memory,
        approval: judged_in.approval,
        ..input
    };
    verify(&input, &made).into_iter().map(|f| f.what).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_honest_plan_passes() {
    let world = leaver();
    assert_eq!(judged(&world, &world, |_| {}), "");
}

#[test]
fn a_removal_without_a_complete_read_is_found() {
    let (made, mut real) = (leaver(), leaver());
    real.groups.get_mut("Jira a").unwrap().unread = true;
    assert!(judged(&made, &real, |_| {}).contains("not completely known"));
    let mut real = leaver();
    real.users_coverage = Coverage::Partial(Unread { reason: "page 3".into(), remedy: "again".into() });
    assert!(judged(&made, &real, |_| {}).contains("not read completely"));
}

#[test]
fn a_removal_of_somebody_entitled_is_found() {
    let (made, mut real) = (leaver(), leaver());
    real.groups.get_mut("Jira a").unwrap().users.insert("ana".into());
    assert!(judged(&made, &real, |_| {}).contains("whom the directory has in the group"));
}

#[test]
fn a_removal_of_what_the_ledger_does_not_own_is_found() {
    let (made, mut real) = (leaver(), leaver());
    real.memory.disown_membership(&sid("Jira a"), &aid("ana"));
    assert!(judged(&made, &real, |_| {}).contains("does not own"));
    let mut real = leaver();
    real.rules.mode = GroupMode::Additive;
    assert!(judged(&made, &real, |_| {}).contains("additive"));
}

#[test]
fn the_mode_and_the_nesting_of_each_group_are_looked_at() {
    let each = |group: &str| GroupSelector::parse(group).unwrap();
    let (made, mut real) = (leaver(), leaver());
    real.rules.modes = [(each("Jira a"), GroupMode::Additive)].into_iter().collect();
    assert!(judged(&made, &real, |_| {}).contains("additive"));
    let nested = || leaver().group("team", &["dan", "ana"]).nest("Jira a", "team");
    let (mut made, real) = (nested(), nested());
    made.rules.nesting = Nesting::Direct;
    assert!(judged(&made, &real, |_| {}).contains("whom the directory has in the group"));
    let (made, mut real) = (nested(), nested());
    real.rules.nestings = [(each("Jira a"), Nesting::Direct)].into_iter().collect();
    assert!(judged(&made, &real, |_| {}).contains("not in the directory group"));
}

#[test]
fn protected_principals_are_found() {
    let (made, mut real) = (leaver(), leaver());
    real.rules.protected.accounts.insert(aid("ana"));
    assert!(judged(&made, &real, |_| {}).contains("protected account"));
    let mut real = leaver();
    real.administrative.insert(sid("Jira a"));
    assert!(judged(&made, &real, |_| {}).contains("privileged group"));
    let mut real = leaver();
    real.rules.protected.group_names.insert("jira b".into());
    assert!(judged(&made, &real, |_| {}).contains("protected list"));
}

#[test]
fn wrong_order_doubles_and_lost_holds_are_found() {
    let world = leaver();
    assert!(judged(&world, &world, |p| p.steps.reverse()).contains("does not come before"));
    assert!(judged(&world, &world, |p| p.steps.push(p.steps[0].clone())).contains("twice"));
    assert!(
        judged(&world, &world, |p| p.held.push(Held { guard: Guard::Removals, reason: String::new() }))
            .contains("holds the whole plan")
    );
    assert!(
        judged(&world, &world, |p| p.steps[0].hold = Some(Guard::EmptyGroup)).contains("is not reported")
    );
}

#[test]
fn removals_beyond_the_limit_are_found() {
    let people: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut made = World::new(&["*"]).group("a", &names);
    made.converge();
    for name in &names[..12] {
        made.groups.get_mut("a").unwrap().users.remove(*name);
    }
    let mut real = made.clone();
    made.approval = Approval::Held;
    real.approval = Approval::None;
    assert!(judged(&made, &real, |_| {}).contains("pass the limit"));
}

#[test]
fn an_invitation_of_somebody_who_has_an_account_is_found() {
    let (made, real) = (leaver(), leaver().account("cem"));
    assert!(judged(&made, &real, |_| {}).contains("an account on the site shows"));
    let mut real = leaver();
    real.disable("cem");
    assert!(judged(&made, &real, |_| {}).contains("not an enabled user"));
}

#[test]
fn a_group_that_is_out_of_scope_or_exists_is_found() {
    let made = World::new(&["*"]).group("x", &["ana"]);
    let mut real = World::new(&["Jira *"]).group("x", &["ana"]);
    assert!(judged(&made, &real, |_| {}).contains("the scope does not name"));
    real = World::new(&["*"]).group("x", &["ana"]).site_group("x", &[]);
    assert!(judged(&made, &real, |_| {}).contains("of a name that the site has"));
}

#[test]
fn a_new_name_that_nobody_asked_for_is_found() {
    use entrain_domain::plan::Action;
    let made = {
        let mut world = leaver();
        world.rename_by = Some(RenameBy::Organization);
        world.groups.get_mut("Jira a").unwrap().name = "Jira z".into();
        world
    };
    let rename = |to: &'static str| {
        move |plan: &mut Plan| {
            for step in &mut plan.steps {
                if let Action::RenameGroup { renaming, .. } = &mut step.action {
                    renaming.name = to.into();
                }
            }
        }
    };
    assert_eq!(judged(&made, &made, |_| {}), "");
    assert!(judged(&made, &made, rename("Jira y")).contains("not the directory's"));
    assert!(judged(&made, &made, rename("jira B")).contains("another one bears"));
    assert!(judged(&made, &made, rename("site-admins")).contains("privileged or protected"));
    let mut real = made.clone();
    real.rename_by = None;
    assert!(judged(&made, &real, |_| {}).contains("nobody can rename"));
    let mut real = made.clone();
    real.memory = entrain_domain::memory::Memory::new();
    assert!(judged(&made, &real, |_| {}).contains("not linked"));
}

#[test]
fn a_step_that_is_there_twice_is_found_once() {
    let made = World::new(&["*"]).group("x", &["ana", "ben"]);
    let twice = |plan: &mut Plan| {
        let again: Vec<_> = plan.steps.iter().skip(1).take(2).cloned().collect();
        plan.steps.extend(again);
    };
    assert_eq!(judged(&made, &made, |_| {}), "");
    let found = judged(&made, &made, twice);
    assert_eq!(found.matches("in the plan twice").count(), 2, "{found}");
}
