//! Taking back what a run wrote to accounts: only what still is as the run left it, and only where it is known what was
//! there before.

use std::sync::Arc;

use crate::support::*;
use crate::undo::done;
use entrain_domain::memory::AppliedValues;
use entrain_domain::model::*;
use entrain_domain::plan::{Action, Update};
use entrain_domain::policy::PropertyValues;
use entrain_domain::run::{Intent, JournalEntry};

/// Ana has an account; whoever writes to it, Entrain remembers it.
fn settled() -> World {
    let mut world = World::new(&["Team"]).group("Team", &["ana", "ben"]).account("ana").account("ben");
    world.converge();
    world
}

fn fields(values: &[(ProfileField, &str)]) -> Profile {
    values.iter().map(|(field, value)| (*field, Arc::from(*value))).collect()
}

fn values(department: &str) -> PropertyValues {
    [(Arc::from("department"), AttributeValue::Text(department.into()))].into()
}

fn profile(set: &[(ProfileField, &str)], before: &[(ProfileField, &str)]) -> Update {
    Update::Profile { set: fields(set), before: fields(before) }
}

fn property(now: &str, before: Option<&str>) -> Update {
    Update::Property { key: "entrain".into(), values: values(now), before: before.map(values) }
}

/// What is on the account as far as Entrain remembers.
fn remember(world: &mut World, name: &str, update: &Update) {
    let values = match update {
        Update::Profile { set, .. } => AppliedValues::Profile { values: set.clone() },
        Update::Property { key, values, .. } => {
            AppliedValues::Property { key: key.clone(), values: values.clone() }
        }
    };
    world.memory.apply_attributes(&aid(name), &values);
}

fn wrote(update: Update) -> [JournalEntry; 1] {
    [done(Intent::UpdateUser { user: uid("ana"), account: aid("ana"), update })]
}

/// The update that takes this one back, if there is one.
fn back(world: &World, update: &Update) -> Option<Update> {
    world.undo(&wrote(update.clone())).steps.first().map(|step| match &step.action {
        Action::UpdateUser { update, .. } => (**update).clone(),
        other => panic!("{other:?}"),
    })
}

const TITLE: ProfileField = ProfileField::JobTitle;
const PLACE: ProfileField = ProfileField::Location;

#[test]
fn a_profile_gets_the_fields_back_that_are_as_the_run_left_them() {
    let mut world = settled();
    let run = profile(&[(TITLE, "Baker"), (PLACE, "Berlin")], &[(TITLE, "Cook"), (PLACE, "Bonn")]);
    remember(&mut world, "ana", &run);
    let whole = profile(&[(TITLE, "Cook"), (PLACE, "Bonn")], &[(TITLE, "Baker"), (PLACE, "Berlin")]);
    assert_eq!(back(&world, &run), Some(whole));
    assert_eq!(world.taken_back(&wrote(run.clone())), "update_user Name ana");

    remember(&mut world, "ana", &profile(&[(TITLE, "Baker"), (PLACE, "Ulm")], &[]));
    assert_eq!(back(&world, &run), Some(profile(&[(TITLE, "Cook")], &[(TITLE, "Baker")])), "Ulm came later");
    remember(&mut world, "ana", &profile(&[(TITLE, "Chef"), (PLACE, "Ulm")], &[]));
    assert_eq!(world.taken_back(&wrote(run)), "", "all of it was written anew since");
}

#[test]
fn a_field_that_was_written_for_the_first_time_is_said_and_stays() {
    let mut world = settled();
    let unknown =
        "profile of Name ana: what was there before Entrain wrote it for the first time is not known";
    let first = profile(&[(TITLE, "Baker")], &[]);
    remember(&mut world, "ana", &first);
    assert_eq!(world.taken_back(&wrote(first)), unknown);
    let half = profile(&[(TITLE, "Baker"), (PLACE, "Berlin")], &[(PLACE, "Bonn")]);
    remember(&mut world, "ana", &half);
    assert_eq!(world.taken_back(&wrote(half)), format!("update_user Name ana\n{unknown}"));
}

#[test]
fn a_property_gets_its_last_value_back_unless_it_was_written_since() {
    let mut world = settled();
    let run = property("R&D", Some("Ops"));
    remember(&mut world, "ana", &run);
    assert_eq!(back(&world, &run), Some(property("Ops", Some("R&D"))));
    let first = property("R&D", None);
    assert_eq!(
        world.taken_back(&wrote(first)),
        "property “entrain” of Name ana: what was there before Entrain wrote it for the first time is not known"
    );
    remember(&mut world, "ana", &property("Sales", None));
    assert_eq!(world.taken_back(&wrote(run)), "", "it was written anew since");
    assert_eq!(world.taken_back(&wrote(property("R&D", None))), "");
}

#[test]
fn attributes_of_protected_accounts_and_of_other_people_stay() {
    let run = property("R&D", Some("Ops"));
    let mut protected = settled();
    remember(&mut protected, "ana", &run);
    protected.rules.protected.accounts.insert(aid("ana"));
    assert_eq!(protected.taken_back(&wrote(run.clone())), "");

    let mut other = settled();
    remember(&mut other, "ben", &run);
    let journal = [done(Intent::UpdateUser { user: uid("ana"), account: aid("ben"), update: run })];
    assert_eq!(other.taken_back(&journal), "", "the account is Ben's by now");
}
