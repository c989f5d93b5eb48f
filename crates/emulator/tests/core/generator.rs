//! Generated worlds.

use std::collections::{BTreeMap, BTreeSet};

use entrain_emulator::world::World;
use entrain_emulator::world::file::{build, export};
use entrain_emulator::world::generate::{GenerateOptions, demo_world, generate};
use entrain_emulator::world::tenant::Member;

fn world(people: usize, groups: usize, seed: u64) -> World {
    generate(&GenerateOptions { people, groups, seed, ..GenerateOptions::default() })
}

fn memberships(world: &World) -> usize {
    world.tenant.groups.values().map(|group| group.members.len()).sum()
}

fn assert_sound(world: &World) {
    let tenant = &world.tenant;
    for group in tenant.groups.values() {
        for member in &group.members {
            match member {
                Member::User(id) => assert!(tenant.users.contains_key(id)),
                Member::Group(id) => assert!(tenant.groups.contains_key(id)),
                other => panic!("{other:?} was not asked for"),
            }
        }
    }
    let names: BTreeSet<&String> = tenant.users.values().map(|user| &user.user_principal_name).collect();
    assert_eq!(names.len(), tenant.users.len(), "principal names are unique");
    let mails: Vec<&String> = tenant.users.values().filter_map(|user| user.mail.as_ref()).collect();
    assert_eq!(mails.iter().collect::<BTreeSet<_>>().len(), mails.len(), "addresses are unique");
    assert!(mails.iter().all(|mail| mail.is_ascii()), "addresses are plain");
    let site = &world.atlassian;
    for group in site.groups.values() {
        assert!(group.members.iter().all(|id| site.accounts.contains_key(id)), "{}", group.name);
    }
    let group_names: BTreeSet<&String> = site.groups.values().map(|group| &group.name).collect();
    for product in &site.products {
        assert!(product.groups.union(&product.default_groups).all(|name| group_names.contains(name)));
        let seats = product.seats.unwrap_or(u64::MAX);
        assert!(site.seats_used(&product.key) <= seats, "{} has seats for those who are there", product.key);
    }
    let admin = &site.accounts[&site.api_tokens[0].account_id];
    assert!(admin.org_admin && admin.email.is_some());
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_one_does_not() {
    assert_eq!(export(&world(200, 20, 5)), export(&world(200, 20, 5)));
    assert_ne!(export(&world(200, 20, 5)), export(&world(200, 20, 6)));
    assert_eq!(export(&demo_world()), export(&demo_world()));
}

#[test]
fn worlds_of_every_size_hang_together() {
    for (people, groups) in [(0, 0), (1, 1), (2, 3), (10, 12), (100, 10), (1000, 50)] {
        let world = world(people, groups, 3);
        assert_eq!((world.tenant.users.len(), world.tenant.groups.len()), (people, groups));
        assert_sound(&world);
    }
    assert_sound(&demo_world());
}

#[test]
fn a_group_has_sixty_members_on_average_at_every_size() {
    for (people, groups) in [(1_000, 50), (10_000, 500)] {
        let average = memberships(&world(people, groups, 1)) / groups;
        assert!((48..=72).contains(&average), "{people} people: {average}");
        let largest = world(people, groups, 1).tenant.groups.values().map(|g| g.members.len()).max();
        assert!(largest < Some(999), "a group is one page");
    }
}

#[test]
fn an_extra_large_world_is_made_whole() {
    let world = world(100_000, 5_000, 1);
    assert_eq!((world.tenant.users.len(), world.tenant.groups.len()), (100_000, 5_000));
    let average = memberships(&world) / 5_000;
    assert!((55..=65).contains(&average), "{average}");
    assert!(world.tenant.log.is_empty(), "what was there from the beginning is no change");
}

#[test]
fn a_world_has_what_makes_a_sync_hard() {
    let world = world(1_000, 50, 1);
    let users: Vec<_> = world.tenant.users.values().collect();
    let share = |count: usize| count * 100 / users.len();
    assert!(
        (2..=7).contains(&share(users.iter().filter(|u| u.user_type.as_deref() == Some("Guest")).count()))
    );
    assert!((1..=6).contains(&share(users.iter().filter(|u| u.account_enabled == Some(false)).count())));
    assert!(users.iter().any(|user| user.mail.is_none()));
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for user in &users {
        *names.entry(user.display_name.as_deref().unwrap_or_default()).or_default() += 1;
    }
    assert!(names.values().any(|count| *count > 1), "two people of one name");

    let groups: Vec<_> = world.tenant.groups.values().collect();
    let called = |name: &str| groups.iter().filter(|g| g.display_name.as_deref() == Some(name)).count();
    assert_eq!(called("jira-administrators"), 1);
    assert!(
        groups.iter().any(|g| called(g.display_name.as_deref().unwrap_or_default()) == 2),
        "two groups of one name"
    );
    let taken =
        world.atlassian.groups.values().map(|g| g.name.as_str()).filter(|name| called(name) > 0).count();
    assert_eq!(taken, 2, "jira-administrators and a group made by hand");
    assert!(groups.iter().any(|g| g.members.is_empty()));
    let inner = |id: &String| {
        let group = &world.tenant.groups[id];
        group
            .members
            .iter()
            .filter_map(|m| if let Member::Group(id) = m { Some(id.clone()) } else { None })
            .collect()
    };
    let in_a_ring = world.tenant.groups.keys().any(|start| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = inner(start);
        while let Some(id) = open.pop() {
            if id == *start {
                return true;
            }
            if seen.insert(id.clone()) {
                open.extend::<Vec<String>>(inner(&id));
            }
        }
        false
    });
    assert!(in_a_ring);

    let accounts: Vec<_> = world.atlassian.accounts.values().collect();
    for kind in ["app", "customer"] {
        assert!(accounts.iter().any(|account| account.account_type == kind), "{kind}");
    }
    let people = || accounts.iter().filter(|account| account.account_type == "atlassian");
    assert!(people().any(|account| account.email_visible) && people().any(|account| !account.email_visible));
}

#[test]
fn the_demo_company_is_small_and_untidy() {
    let world = demo_world();
    assert!((50..=70).contains(&world.tenant.users.len()));
    assert_eq!(world.tenant.groups.len(), 12);
    let named =
        |name: &str| world.tenant.groups.values().find(|g| g.display_name.as_deref() == Some(name)).unwrap();
    let everyone = &named("Jira Everyone").members;
    assert_eq!(everyone.iter().filter(|member| matches!(member, Member::Group(_))).count(), 4);
    assert!(named("Jira Engineering").members.len() > 10);
    // Somebody left the company and is still in Jira.
    let leaver = world.tenant.users.values().find(|u| {
        u.account_enabled == Some(false)
            && world.atlassian.accounts.values().any(|account| account.email == u.mail && account.active())
    });
    assert!(leaver.is_some());
}

#[test]
fn an_exported_world_is_built_again_as_it_was() {
    for world in [world(120, 25, 9), demo_world()] {
        let file = export(&world);
        let again = build(file.clone(), 1).unwrap();
        assert_eq!(export(&again), file);
    }
}

/// An id drawn while serving once met an account of the same seed, and an invitation was answered with 500.
#[tokio::test]
async fn ids_drawn_while_serving_are_none_of_the_world() {
    let world = world(200, 20, 1);
    let known: BTreeSet<String> =
        world.atlassian.accounts.keys().filter_map(|id| Some(id.split_once(':')?.1.to_owned())).collect();
    assert!(known.len() > 20);
    let options = entrain_emulator::Options { seed: 1, ..entrain_emulator::Options::with_world(world) };
    let emulator = entrain_emulator::start(options).await.unwrap();
    for _ in 0..20_000 {
        let drawn = emulator.state().uuid();
        assert!(!known.contains(&drawn), "{drawn}");
    }
}
