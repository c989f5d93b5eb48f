//! The words of steps, reasons and plans: what people read, what programs compare, and what a step costs and allows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use entrain_domain::memory::{Anchor, Origin};
use entrain_domain::model::*;
use entrain_domain::plan::{
    DriftKind, GroupRef, Guard, Keeping, Left, PerKind, Plan, Reason, Step, StepKind, Treatment, Undo,
    Waiting,
};
use entrain_domain::policy::attributes::{FieldRule, PropertyRule, Source, When};
use entrain_domain::policy::expr::Expr;
use entrain_domain::policy::{Delays, Leavers, Measure};

/// A step of every kind there is, out of the life of a small company.
fn one_of_each() -> BTreeMap<StepKind, Step> {
    let mut all = BTreeMap::new();
    let mut learn = |plan: &Plan| all.extend(plan.steps.iter().map(|s| (s.action.kind(), s.clone())));
    let mut world = World::new(&["*"])
        .group("Team", &["ana", "ben"])
        .group("There", &[])
        .site_group("There", &[])
        .account("ben");
    let department = Source::From(Expr::compile("user.department").unwrap());
    let rule = FieldRule { source: department, default: None, when: When::Always };
    world.rules.attributes.property = Some(PropertyRule {
        key: "entrain".into(),
        fields: BTreeMap::from([("department".to_owned(), rule)]),
    });
    world.attributes.insert("ben".into(), vec![("department", "R&D".into())]);
    let at_once = Some(Duration::ZERO);
    world.rules.leavers = Leavers {
        disabled: Delays { suspend: at_once, deactivate: at_once, remove: None },
        deleted: Delays { remove: at_once, ..Delays::default() },
        ..Leavers::default()
    };
    learn(&world.converge());

    world.rename_by = Some(RenameBy::Organization);
    world.groups.get_mut("Team").unwrap().name = "The team".into();
    world.profiles.insert(aid("ana"), ProfileStanding::Managed(Profile::new()));
    world.disable("ana");
    learn(&world.converge());

    world.users.insert("ana".into(), AccountState::Enabled);
    learn(&world.converge());

    world.users.remove("ana");
    world.groups.get_mut("Team").unwrap().users.remove("ana");
    world.gone.insert("ana".into());
    learn(&world.converge());
    all
}

#[test]
fn each_kind_of_step_has_its_cost_and_says_whether_it_can_be_undone() {
    let steps = one_of_each();
    let told: Vec<(StepKind, usize, Undo)> =
        steps.iter().map(|(kind, step)| (*kind, step.action.requests(), step.undo())).collect();
    assert_eq!(
        told,
        [
            (StepKind::CreateUser, 1, Undo::MailGoesOut),
            (StepKind::UpdateUser, 1, Undo::Possible),
            (StepKind::CreateGroup, 1, Undo::Possible),
            (StepKind::RenameGroup, 1, Undo::Possible),
            (StepKind::AdoptGroup, 0, Undo::Possible),
            (StepKind::AddMember, 1, Undo::Possible),
            (StepKind::RemoveMember, 1, Undo::Possible),
            (StepKind::SuspendUser, 2, Undo::Possible),
            (StepKind::RestoreUser, 2, Undo::FollowsTheDirectory),
            (StepKind::DeactivateUser, 3, Undo::Possible),
            (StepKind::ReactivateUser, 3, Undo::FollowsTheDirectory),
            (StepKind::RemoveUser, 2, Undo::NeedsInvitation),
        ]
    );
}

#[test]
fn only_invitations_and_memberships_lead_through_groups() {
    let steps = one_of_each();
    let through: Vec<(StepKind, String)> =
        steps.iter().filter_map(|(kind, step)| Some((*kind, step.reason.path()?.join(" › ")))).collect();
    assert_eq!(
        through,
        [(StepKind::CreateUser, "Team".to_owned()), (StepKind::AddMember, "The team".to_owned())]
    );
}

#[test]
fn a_kind_of_step_is_found_by_its_word_and_by_no_other() {
    for kind in StepKind::ALL {
        assert_eq!(StepKind::from_word(kind.as_str()), Some(kind));
    }
    assert_eq!(StepKind::from_word("delete_group"), None);
    assert_eq!(StepKind::from_word(""), None);
}

#[test]
fn numbers_of_one_kind_add_up() {
    let counted: PerKind = [(StepKind::AddMember, 2), (StepKind::RemoveMember, 1), (StepKind::AddMember, 3)]
        .into_iter()
        .collect();
    assert_eq!(counted.get(StepKind::AddMember), 5);
    assert_eq!(counted.get(StepKind::RemoveMember), 1);
    assert_eq!(counted.get(StepKind::CreateUser), 0);
}

#[test]
fn the_words_that_people_read_are_those_of_the_json() {
    let json = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for kind in
        [DriftKind::MemberAdded, DriftKind::MemberRemoved, DriftKind::GroupRenamed, DriftKind::GroupDeleted]
    {
        assert_eq!(json(serde_json::to_value(kind).unwrap()), kind.as_str());
    }
    for treatment in [Treatment::LeftAlone, Treatment::Undone, Treatment::Held, Treatment::SetAside] {
        assert_eq!(json(serde_json::to_value(treatment).unwrap()), treatment.as_str());
    }
    for guard in [Guard::EmptyDirectory, Guard::RuleChange, Guard::Fight, Guard::LeftOut] {
        assert_eq!(json(serde_json::to_value(guard).unwrap()), guard.to_string());
    }
}

#[test]
fn a_group_names_its_sources_only_where_there_are_several() {
    let group = |anchor: Anchor, filled_from: &[&str]| {
        let filled_from: Vec<DirectoryGroupId> = filled_from.iter().map(|name| gid(name)).collect();
        let (name, keeping) = (Arc::from("Jira"), Keeping::Ledger);
        let group = GroupRef { name, anchor, filled_from: filled_from.into(), site_id: None, keeping };
        serde_json::to_value(group).unwrap()
    };
    assert_eq!(
        group(gid("a").into(), &[]),
        serde_json::json!({"name": "Jira", "directory_id": "g-a", "site_id": null})
    );
    assert_eq!(
        group(Anchor::named("Jira"), &["a"]),
        serde_json::json!({"name": "Jira", "directory_id": "g-a", "site_id": null})
    );
    assert_eq!(
        group(Anchor::named("Jira"), &["a", "b"]),
        serde_json::json!({"name": "Jira", "directory_id": null, "site_id": null, "sources": ["g-a", "g-b"]})
    );
    assert_eq!(
        group(Anchor::named("Jira"), &[]),
        serde_json::json!({"name": "Jira", "directory_id": null, "site_id": null})
    );
}

#[test]
fn a_rung_is_due_since_a_day_and_after_a_span_in_the_words_of_the_document() {
    let reason = |minutes: u64| {
        Reason::Left(Box::new(Left {
            leaving: Leaving::Disabled,
            since: "2026-11-02T23:30:00Z".parse().unwrap(),
            measure: Measure::Suspend,
            delay: Duration::from_secs(minutes * 60),
            origin: Origin::Created,
            leads: Vec::new(),
        }))
        .to_string()
    };
    assert_eq!(
        reason(7 * 1440),
        "disabled in the directory since 2026-11-02; suspend_after = 7d; invited by Entrain"
    );
    for (minutes, span) in [
        (0, "0h"),
        (45, "45m"),
        (60, "1h"),
        (90, "90m"),
        (12 * 60, "12h"),
        (1440, "1d"),
        (36 * 60, "1d 12h"),
        (1440 + 30, "1d 0h 30m"),
        (30 * 1440, "30d"),
    ] {
        assert!(reason(minutes).contains(&format!("suspend_after = {span}; ")), "{}", reason(minutes));
    }
}

#[test]
fn the_place_in_line_is_an_ordinal() {
    for (place, ordinal) in [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (10, "10th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (101, "101st"),
        (111, "111th"),
        (112, "112th"),
        (123, "123rd"),
    ] {
        let waiting = Waiting {
            product: "jira-software".into(),
            product_name: "Jira Software".into(),
            place,
            user: "Ana".into(),
            directory_id: None,
            since: "2026-11-02T08:00:00Z".parse().unwrap(),
            groups: Vec::new(),
        };
        assert_eq!(waiting.in_words(), format!("waits for a seat of Jira Software, {ordinal} in line"));
    }
}
