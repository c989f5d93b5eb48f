//! The mapping of groups: what each mode takes away, whom nesting brings, and what becomes of names.

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::Approval;
use entrain_domain::policy::{GroupMode, GroupNames, GroupSelector, Nesting, PerGroup, Rewriting};

pub(crate) fn each<T: Copy>(settings: &[(&str, T)]) -> PerGroup<T> {
    settings.iter().map(|(group, setting)| (GroupSelector::parse(group).unwrap(), *setting)).collect()
}

#[test]
fn each_group_has_the_mode_that_the_rules_give_it() {
    let mut world = World::new(&["*"]);
    for group in ["a", "b", "c"] {
        world = world.group(group, &["ana", "ben"]);
    }
    world.rules.modes = each(&[("b", GroupMode::Additive), ("c*", GroupMode::Authoritative)]);
    world.converge();
    world.put_account("by-hand", Some("by-hand@example.com"), AccountKind::Person);
    for group in ["a", "b", "c"] {
        world.groups.get_mut(group).unwrap().users.remove("ben");
        world.site_groups.get_mut(&sid(group)).unwrap().1.insert(aid("by-hand"));
    }
    world.converge();
    assert_eq!(world.members("a"), ["ana", "by-hand"], "managed: what the ledger owns");
    assert_eq!(world.members("b"), ["ana", "ben", "by-hand"], "additive: nothing");
    assert_eq!(world.members("c"), ["ana", "by-hand"], "authoritative: what is not owned waits for a word");
    world.approval = Approval::Held;
    world.converge();
    assert_eq!(world.members("a"), ["ana", "by-hand"]);
    assert_eq!(world.members("b"), ["ana", "ben", "by-hand"]);
    assert_eq!(world.members("c"), ["ana"], "authoritative: everything that the directory does not have");
}

#[test]
fn a_group_with_direct_members_takes_nobody_from_nested_groups_and_needs_them_not_read() {
    let mut world = World::new(&["Jira *"])
        .group("Jira all", &["ana"])
        .group("Jira leads", &["ana"])
        .group("team", &["ben"])
        .nest("Jira all", "team")
        .nest("Jira leads", "team");
    world.rules.nestings = each(&[("Jira leads", Nesting::Direct)]);
    world.converge();
    assert_eq!(world.members("Jira all"), ["ana", "ben"]);
    assert_eq!(world.members("Jira leads"), ["ana"]);
    // What is nested cannot be read: the flattened group is left alone, the other is not.
    world.groups.get_mut("team").unwrap().unread = true;
    world.users.insert("cem".into(), AccountState::Enabled);
    for group in ["Jira all", "Jira leads"] {
        let group = world.groups.get_mut(group).unwrap();
        group.users.insert("cem".into());
        group.users.remove("ana");
    }
    world.converge();
    assert_eq!(world.members("Jira all"), ["ana", "ben"]);
    assert_eq!(world.members("Jira leads"), ["cem"]);
}

#[test]
fn with_direct_members_only_nobody_nested_is_invited() {
    let mut world = World::new(&["Jira *"]).group("Jira leads", &["ana"]).group("team", &["ben"]);
    world = world.nest("Jira leads", "team");
    world.rules.nesting = Nesting::Direct;
    world.converge();
    assert_eq!(world.accounts.len(), 1, "only Ana");
    // Switched over, the next run brings him; switched back, it takes him out again.
    world.rules.nesting = Nesting::Flatten;
    world.converge();
    assert_eq!(world.members("Jira leads"), ["ana", "ben"]);
    world.rules.nesting = Nesting::Direct;
    world.converge();
    assert_eq!(world.members("Jira leads"), ["ana"]);
}

#[test]
fn names_go_through_the_rewritings_and_then_into_the_template() {
    let mut world = World::new(&["GRP-*"]).group("GRP-Quality", &["ana"]).group("GRP-", &["ana"]);
    world = world.group("GRP-quality ", &["ana"]);
    let rewriting = Rewriting::parse("(?i)^grp-(.*)$", "$1").unwrap();
    world.rules.names = GroupNames::parse("entra-{name}").unwrap().rewritten(vec![rewriting]);
    let plan = world.plan();
    let reasons: Vec<_> = plan.set_aside.iter().map(|a| a.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "no site group can be made of it: the name is empty",
            "several directory groups in scope would bear the name “entra-Quality” on the site",
            "several directory groups in scope would bear the name “entra-quality” on the site",
        ]
    );
    world.groups.remove("GRP-quality ");
    world.converge();
    assert_eq!(world.members("entra-Quality"), ["ana"]);
}

#[test]
fn h_01_a_hostile_name_is_set_aside_and_nothing_said_of_it_has_a_control_byte() {
    let names = [
        "a\rb",
        "a\nb",
        "a\0b",
        "\u{1b}[31mred",
        "a\u{2028}b",
        "\u{202E}txt",
        "a\u{200B}b",
        "\u{FEFF}",
        "",
        "  ",
        "\t",
    ];
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.extend([10_000, 1_000_000].map(|length| "x".repeat(length)));
    for name in names {
        let mut world = World::new(&["*"]).group("g", &["ana"]).account("ana");
        world.groups.get_mut("g").unwrap().name.clone_from(&name);
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{}", render(&plan));
        assert_eq!(plan.set_aside.len(), 1, "{:?}", name.chars().take(20).collect::<String>());
        let aside = &plan.set_aside[0];
        let said = [aside.object.as_str(), &aside.reason, &aside.remedy].concat();
        assert!(said.len() < 2_000, "said at length");
        let unseen =
            |c: char| c.is_control() || matches!(c, '\u{200B}' | '\u{2028}' | '\u{202E}' | '\u{FEFF}');
        assert!(!said.chars().any(unseen), "{said:?}");
    }
}

#[test]
fn h_02_groups_whose_names_differ_only_in_the_encoding_of_accents_clash() {
    let world =
        World::new(&["*"]).group("Café", &["ana"]).group("Cafe\u{301}", &["ben"]).group("Cafe", &["cem"]);
    let plan = world.plan();
    assert_eq!(plan.set_aside.len(), 2, "{}", render(&plan));
    assert!(plan.set_aside.iter().all(|a| a.reason.starts_with("several directory groups")));
    // Letters that merely look alike are different names, of which each gets its group.
    let mut world = World::new(&["*"]).group("admins team", &["ana"]).group("\u{430}dmins team", &["ben"]);
    world.converge();
    assert_eq!(
        (world.members("admins team"), world.members("\u{430}dmins team")),
        (vec!["ana".into()], vec!["ben".into()])
    );
}

#[test]
fn a_group_that_leaves_the_scope_is_left_as_it_is_and_said_so() {
    let mut world =
        World::new(&["Jira a", "Jira b"]).group("Jira a", &["ana"]).group("Jira b", &["ana", "ben"]);
    world.converge();
    world.rules.scope.groups.pop();
    world.groups.get_mut("Jira b").unwrap().users.remove("ben");
    let plan = world.plan();
    assert!(plan.is_empty(), "{:?}", plan.steps);
    let said: Vec<_> = plan.notes.iter().map(|note| (note.object.as_str(), note.reason.as_str())).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].0.contains("Jira b") && said[0].1.contains("no longer in scope"), "{said:?}");
    assert_eq!(world.members("Jira b"), ["ana", "ben"]);
}

#[test]
fn of_groups_that_differ_only_in_case_the_one_of_the_very_name_is_meant() {
    let site = |world: World| world.site_group("Team", &["ben"]).site_group("team", &["ana"]);
    let world = site(World::new(&["*"]).group("team", &["ana"]).account("ana").account("ben"));
    let plan = world.plan();
    let meant: Vec<_> = plan.steps.iter().filter_map(|step| step.action.group()?.site_id.clone()).collect();
    assert!(!meant.is_empty() && meant.iter().all(|id| *id == sid("team")), "{}", render(&plan));

    let neither = site(World::new(&["*"]).group("TEAM", &["ana"]).account("ana").account("ben")).plan();
    assert!(neither.steps.is_empty(), "{}", render(&neither));
    assert!(neither.set_aside[0].reason.contains("but for case or blanks"), "{}", render(&neither));
}
