//! Attributes that go to the site: planned only where they differ from what was last written.

use std::collections::BTreeMap;

use crate::support::*;
use entrain_domain::memory::Memory;
use entrain_domain::model::*;
use entrain_domain::plan::{Action, Plan, StepKind, Update, profiles_to_ask};
use entrain_domain::policy::attributes::{AttributeRules, FieldRule, PropertyRule, Source, When};
use entrain_domain::policy::expr::Expr;
use entrain_domain::verify::verify;

fn from(expression: &str) -> FieldRule {
    let source = Source::From(Expr::compile(expression).unwrap());
    FieldRule { source, default: None, when: When::Always }
}

fn mapped() -> World {
    let mut world = World::new(&["*"]).group("g", &["ana", "ben"]).account("ana").account("ben");
    world.rules.attributes = AttributeRules {
        profile: BTreeMap::from([(ProfileField::JobTitle, from("user.jobTitle"))]),
        property: Some(PropertyRule {
            key: "entrain".into(),
            fields: BTreeMap::from([
                ("department".to_owned(), from("user.department")),
                ("first".to_owned(), FieldRule { when: When::Create, ..from("user.department") }),
            ]),
        }),
    };
    for name in ["ana", "ben"] {
        world
            .attributes
            .insert(name.into(), vec![("jobTitle", "Baker".into()), ("department", "R&D".into())]);
        world.profiles.insert(aid(name), ProfileStanding::Managed(Profile::new()));
    }
    world
}

fn updates(plan: &Plan) -> Vec<String> {
    let update = |action: &Action| match action {
        Action::UpdateUser { person, update } => {
            Some(format!("{} {} {}", person.name, update.part(), update.changed().join("+")))
        }
        _ => None,
    };
    plan.steps.iter().filter_map(|step| update(&step.action)).collect()
}

#[test]
fn attributes_are_written_once_and_again_only_where_they_change() {
    let mut world = mapped();
    let plan = world.converge();
    assert_eq!(
        updates(&plan),
        [
            "Name ana property department+first",
            "Name ana profile job_title",
            "Name ben property department+first",
            "Name ben profile job_title",
        ]
    );
    assert_eq!(plan.steps.iter().filter(|s| s.action.kind() == StepKind::UpdateUser).count(), 4);
    let reason = plan.steps.iter().find(|s| s.action.kind() == StepKind::UpdateUser).unwrap();
    assert_eq!(
        reason.reason.to_string(),
        "attributes of the directory: department, first; mapped under [attributes.property]; nothing was written yet"
    );
    assert_eq!(reason.id().as_str(), "update_user/u-ana/property");

    world.attributes.insert("ana".into(), vec![("jobTitle", "Baker".into()), ("department", "Ops".into())]);
    let plan = world.converge();
    assert_eq!(updates(&plan), ["Name ana property department"], "one request for the changed object");
    let Action::UpdateUser { update, .. } = &plan.steps[0].action else { panic!() };
    let Update::Property { before: Some(before), .. } = &**update else { panic!("{update:?}") };
    assert_eq!(before["department"], AttributeValue::Text("R&D".into()), "what takes it back");
    let now = &world.properties[&aid("ana")];
    assert_eq!(now["department"], AttributeValue::Text("Ops".into()));
    assert_eq!(now["first"], AttributeValue::Text("R&D".into()), "written once");
}

#[test]
fn an_invited_person_gets_attributes_after_the_invitation() {
    let mut world = mapped();
    world.accounts.remove(&aid("ben"));
    let plan = world.converge();
    let invited = plan.steps.iter().position(|s| s.action.kind() == StepKind::CreateUser).unwrap();
    let after: Vec<usize> = plan
        .steps
        .iter()
        .filter(|s| s.action.kind() == StepKind::UpdateUser && !s.after.is_empty())
        .map(|s| s.after[0] as usize)
        .collect();
    assert_eq!(after, [invited, invited]);
}

#[test]
fn a_profile_that_shows_the_values_already_is_only_recorded() {
    let mut world = mapped();
    let shown: Profile = [(ProfileField::JobTitle, "Baker".into())].into();
    world.profiles.insert(aid("ana"), ProfileStanding::Managed(shown.clone()));
    let plan = world.converge();
    assert!(!updates(&plan).contains(&"Name ana profile job_title".to_owned()), "{:?}", updates(&plan));
    assert_eq!(world.memory.applied_profile(&aid("ana")), Some(&shown));
}

#[test]
fn unmanaged_accounts_keep_their_profile_and_get_the_property_and_one_entry_tells_it() {
    let mut world = mapped();
    world.profiles.insert(aid("ana"), ProfileStanding::Unmanaged);
    world.profiles.insert(aid("ben"), ProfileStanding::Unmanaged);
    let plan = world.plan();
    assert_eq!(updates(&plan).len(), 2, "{:?}", updates(&plan));
    assert_eq!(plan.set_aside.len(), 1);
    assert_eq!(plan.set_aside[0].object, "profiles of 2 accounts of example.com");
    assert!(plan.set_aside[0].remedy.contains("verify the domain example.com"));
    // An identity provider's profiles are nobody's fault
    world.profiles.insert(aid("ana"), ProfileStanding::Synced);
    let plan = world.plan();
    assert_eq!(plan.set_aside[0].object, "profiles of 1 account of example.com");
    assert!(plan.notes.iter().any(|n| n.reason.contains("identity provider")));
    // What was not found out is said with its reason
    world.profiles.insert(
        aid("ana"),
        ProfileStanding::Unread(Unread { reason: "the key has expired".into(), remedy: "make one".into() }),
    );
    assert!(world.plan().set_aside.iter().any(|a| a.reason == "the key has expired"));
}

#[test]
fn a_profile_that_was_written_before_is_written_again_where_it_changed() {
    let mut world = mapped();
    world.converge();
    world.attributes.insert("ana".into(), vec![("jobTitle", "Chef".into()), ("department", "R&D".into())]);
    let plan = world.converge();
    assert_eq!(updates(&plan), ["Name ana profile job_title"]);
    let Action::UpdateUser { update, .. } = &plan.steps[0].action else { panic!() };
    let title = |value: &str| Profile::from([(ProfileField::JobTitle, value.into())]);
    assert_eq!(**update, Update::Profile { set: title("Chef"), before: title("Baker") }, "with the way back");
}

#[test]
fn profiles_that_stay_are_counted_by_why_they_stay() {
    let unread = Unread { reason: "the key has expired".into(), remedy: "make one".into() };
    let both = |standing: &ProfileStanding| {
        let mut world = mapped();
        for name in ["ana", "ben"] {
            world.guests.insert(name.into());
            world.profiles.insert(aid(name), standing.clone());
        }
        let plan = world.plan();
        let told = plan.set_aside.iter().chain(&plan.notes);
        told.map(|told| format!("{}: {}", told.object, told.reason)).collect::<Vec<_>>()
    };
    assert_eq!(
        both(&ProfileStanding::Unmanaged),
        [
            "profiles of 2 accounts of guests: left as they are: accounts of guests belong to other organizations"
        ]
    );
    assert_eq!(
        both(&ProfileStanding::Synced),
        [
            "profiles of 2 accounts of people: left as they are: their profiles come from an identity provider already"
        ]
    );
    assert_eq!(both(&ProfileStanding::Unread(unread)), ["profiles of 2 accounts: the key has expired"]);
    assert_eq!(both(&ProfileStanding::Managed(Profile::new())), [""; 0]);
}

#[test]
fn nothing_is_told_of_profiles_that_would_not_change() {
    let mut world = mapped();
    world.converge();
    for name in ["ana", "ben"] {
        world.profiles.insert(aid(name), ProfileStanding::Synced);
    }
    let plan = world.plan();
    assert!(plan.notes.is_empty() && plan.set_aside.is_empty(), "{plan:?}");
}

#[test]
fn a_guest_who_is_invited_keeps_the_profile_of_the_own_organization() {
    let mut world = mapped();
    world.accounts.clear();
    world.guests.insert("ben".into());
    assert_eq!(
        updates(&world.plan()),
        [
            "Name ana property department+first",
            "Name ana profile job_title",
            "Name ben property department+first"
        ]
    );
}

#[test]
fn only_profiles_that_would_change_and_may_be_touched_are_asked_for() {
    let mut world = mapped().account("cem");
    world.converge();
    world = world.group("g", &["ana", "ben", "cem"]);
    for name in ["ben", "cem"] {
        world.attributes.insert(name.into(), vec![("jobTitle", "Chef".into())]);
    }
    world.rules.protected.accounts.insert(aid("ben"));
    let directory = world.directory();
    let site = world.site(&directory);
    let asked = profiles_to_ask(&directory, &site, &world.rules, &world.memory, &world.lookups);
    assert_eq!(asked, [aid("cem")], "Ana's is as it was written, Ben's is protected");
}

#[test]
fn protected_accounts_and_our_own_are_left_alone() {
    let mut world = mapped();
    world.rules.protected.accounts.insert(aid("ana"));
    world.rules.protected.addresses.insert(mail("ben"));
    assert!(updates(&world.plan()).is_empty());
}

#[test]
fn a_value_that_does_not_fit_is_set_aside_and_the_rest_goes_on() {
    let mut world = mapped();
    world.rules.attributes.profile.insert(ProfileField::Nickname, from("user.department"));
    world.attributes.insert("ana".into(), vec![("jobTitle", "Baker".into()), ("department", "x".repeat(31))]);
    let plan = world.plan();
    assert!(plan.set_aside[0].reason.contains("nickname is longer than 30"), "{:?}", plan.set_aside);
    assert!(updates(&plan).contains(&"Name ana profile job_title".to_owned()));
}

#[test]
fn another_account_starts_anew() {
    let mut world = mapped();
    world.converge();
    world.memory = {
        let mut memory = Memory::new();
        for (account, values) in world.memory.all_applied() {
            if *account != aid("ana") {
                memory.apply_attributes(account, &values);
            }
        }
        memory
    };
    assert_eq!(updates(&world.plan()).len(), 1, "the property; the profile shows the value already");
}

#[test]
fn the_second_opinion_finds_attributes_that_nobody_asked_for() {
    let world = mapped();
    let judged = |tamper: fn(&mut Plan), change: fn(&mut World)| {
        let mut real = world.clone();
        change(&mut real);
        let mut plan = world.plan();
        tamper(&mut plan);
        let directory = real.directory();
        let site = real.site(&directory);
        let input = entrain_domain::plan::PlanInput {
            directory: &directory,
            site: &site,
            rules: &real.rules,
            memory: &real.memory,
            lookups: &real.lookups,
            history: real.history,
            approval: real.approval,
            now: real.now,
            focus: entrain_domain::plan::Focus::Everything,
        };
        verify(&input, &plan).into_iter().map(|f| f.what).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(judged(|_| {}, |_| {}), "");
    let swap_accounts = |plan: &mut Plan| {
        for step in &mut plan.steps {
            if let Action::UpdateUser { person, .. } = &mut step.action {
                let mut other = (**person).clone();
                other.site_id = Some(aid(if other.site_id == Some(aid("ana")) { "ben" } else { "ana" }));
                *person = other.into();
            }
        }
    };
    assert!(judged(swap_accounts, |_| {}).contains("not the person's"));
    assert!(judged(|_| {}, |w| w.rules.attributes = AttributeRules::default()).contains("do not ask for"));
    assert!(
        judged(
            |_| {},
            |w| {
                w.profiles.insert(aid("ana"), ProfileStanding::Unmanaged);
            }
        )
        .contains("not managed")
    );
    assert!(
        judged(
            |_| {},
            |w| {
                w.rules.protected.accounts.insert(aid("ana"));
            }
        )
        .contains("protected account")
    );
    assert!(
        judged(
            |_| {},
            |w| {
                w.disable("ana");
            }
        )
        .contains("no enabled user")
    );
}
