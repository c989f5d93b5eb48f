//! Who can mend what is set aside: only what the directory or the rules alone can mend lets later runs leave the site in
//! peace, and what may be over by itself never does.

use crate::support::*;
use entrain_domain::memory::Mark;
use entrain_domain::model::*;
use entrain_domain::plan::MendedBy::{self, Directory, Itself, Site};
use entrain_domain::plan::{SetAside, StepKind};
use entrain_domain::policy::{Existing, GroupSelector, Import};
use entrain_domain::run::LeftTo;

/// The one thing that is set aside: what its reason says, and who can mend it.
#[track_caller]
fn assert_mended(world: &World, reason: &str, by: MendedBy) {
    let aside = world.plan().set_aside;
    assert!(!aside.is_empty(), "{reason}");
    for aside in aside {
        assert!(aside.reason.contains(reason), "{aside:?}");
        assert_eq!(aside.mended_by, by, "{aside:?}");
    }
}

fn settled() -> World {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.converge();
    world
}

#[test]
fn the_directory_or_the_rules_alone_can_mend_names_addresses_and_scopes() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).group("b", &["ben"]);
    world.groups.get_mut("b").unwrap().name = "a".into();
    assert_mended(&world, "several directory groups", Directory);

    assert_mended(&World::new(&["*"]).group("site-admins", &["ana"]), "administrators' groups", Directory);

    let mut world = World::new(&["*"]).group("a", &["ana", "ben"]);
    world.mails.insert("ben".into(), mail("ana"));
    assert_mended(&world, "share the address", Directory);

    let mut world = settled();
    world.rules.scope.groups.push(GroupSelector::parse("nobody's").unwrap());
    assert_mended(&world, "bears this name", Directory);
}

#[test]
fn the_site_can_mend_who_and_what_is_not_to_be_made_or_taken_and_what_it_keeps_refusing() {
    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.rules.import_users = Import::Report;
    assert_mended(&world, "import_users is off", Site);

    let mut world = World::new(&["*"]).group("a", &["ana"]);
    world.rules.import_groups = Import::Report;
    assert_mended(&world, "import_groups is off", Site);

    let mut world = World::new(&["*"]).group("a", &["ana"]).site_group("a", &[]);
    world.rules.existing = Existing::Skip;
    assert_mended(&world, "existing = \"skip\"", Site);

    let mut world = World::new(&["*"]).group("a", &["ana"]).account("ana");
    world.put_account("old", Some(&mail("ana")), AccountKind::Person);
    assert_mended(&world, "2 accounts on the site", Site);

    let mut world = World::new(&["*"]).group("a", &["ana"]);
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.action.kind() == StepKind::CreateUser).unwrap().id();
    let (reason, remedy) = ("no".to_owned(), "ask".to_owned());
    world.memory.mark_step(&step, Mark::Refused { times: 3, last: world.now, reason, remedy });
    assert_eq!(world.plan().set_aside.len(), 2, "and what waits for it");
    assert!(
        world.plan().set_aside.iter().all(|aside| aside.mended_by == Site),
        "{:?}",
        world.plan().set_aside
    );
}

#[test]
fn what_was_not_read_may_be_over_by_itself() {
    let mut world = settled();
    world.groups.get_mut("a").unwrap().unread = true;
    assert_mended(&world, "not completely known", Itself);
    let mut world = settled();
    world.unread_site_groups.insert(sid("a"));
    assert_mended(&world, "could not be read", Itself);
}

#[test]
fn a_run_leaves_to_others_only_what_all_of_them_can_mend() {
    let aside =
        |mended_by| SetAside { object: "o".into(), reason: "r".into(), remedy: "m".into(), mended_by };
    let at = "2026-11-23T10:00:00Z".parse().unwrap();
    let of = |all: &[MendedBy], looked_at| {
        LeftTo::of(&all.iter().copied().map(aside).collect::<Vec<_>>(), looked_at)
    };
    assert_eq!(of(&[], Some(at)), None);
    assert_eq!(of(&[Directory, Directory], None), Some(LeftTo::Directory));
    assert_eq!(of(&[Directory, Site], Some(at)), Some(LeftTo::Site { looked_at: at }));
    assert_eq!(of(&[Directory, Site], None), None, "nobody knows when it was looked at");
    assert_eq!(of(&[Directory, Site, Itself], Some(at)), None);
    assert_eq!(LeftTo::Site { looked_at: at }.looked_at(), Some(at));
}
