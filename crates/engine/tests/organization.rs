//! Runs with an organization key: hidden accounts matched exactly, groups that follow a new name, and how the plane's
//! own faults keep nothing else from being done.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use entrain_domain::memory::Origin;
use entrain_domain::model::{
    AccountActivity, AccountId, AccountState, AttributeValue, Profile, ProfileField, ProfileStanding,
    RenameBy, Unread,
};
use entrain_domain::plan::StepKind;
use entrain_domain::policy::attributes::{AttributeRules, FieldRule, PropertyRule, Source, When};
use entrain_domain::policy::expr::Expr;
use entrain_domain::run::{Outcome, RunStatus};
use entrain_domain::{FailureClass, FailureCode};
use support::site::{Fault, refusal};
use support::{Fixture, group_id, user_id};

fn company() -> Fixture {
    let fixture = Fixture::company();
    fixture.site.with_organization();
    fixture
}

#[tokio::test(start_paused = true)]
async fn n_13_hidden_addresses_are_matched_exactly_whatever_the_name_and_in_one_request() {
    let fixture = company();
    let four = fixture.site.account(4);
    fixture.site.call_account(&four, "Somebody Else Entirely", AccountActivity::Inactive);
    let five = fixture.site.account(5);
    fixture.site.call_account(&five, "Person 3", AccountActivity::Active);
    for account in [&four, &five] {
        fixture.site.hide(account);
    }
    fixture.directory.group("Jira B", &[3, 4, 5]);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.requests.organization, 1);
    assert_eq!(report.steps[&StepKind::CreateUser].done, 1, "only person 3 has no account");
    let memory = fixture.store.state().memory.clone();
    assert_eq!(memory.user(&user_id(4)).unwrap().account, four);
    assert_eq!(memory.user(&user_id(5)).unwrap().account, five);
    assert_eq!(memory.user(&user_id(5)).unwrap().origin, Origin::Found);
    fixture.assert_in_step("hidden").await;
    let before = fixture.site.addresses_asked();
    fixture.run().await;
    assert_eq!(fixture.site.addresses_asked(), before, "who is linked is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn n_13_two_accounts_of_one_hidden_address_are_never_guessed() {
    let fixture = company();
    for account in [fixture.site.account(4), fixture.site.twin(4)] {
        fixture.site.hide(&account);
    }
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.set_aside.len(), 1, "{:?}", report.set_aside);
    assert!(report.set_aside[0].reason.starts_with("2 accounts"), "{:?}", report.set_aside);
    assert!(!fixture.site.mails().contains_key("person4@example.com"));
}

#[tokio::test(start_paused = true)]
async fn n_13_a_changed_address_is_the_same_person_and_the_new_holder_of_it_is_nobody_else() {
    let fixture = company();
    let four = fixture.site.account(4);
    fixture.site.hide(&four);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    // Person 4 has a new address, and person 7 took the old one over.
    fixture.directory.address(4, "person4.new@example.com");
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.address(7, "person4@example.com");
    fixture.directory.group("Jira B", &[3, 4, 7]);
    fixture.site.hide(&fixture.site.account(99));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    let said = &report.set_aside[0].reason;
    assert!(said.contains("linked to another directory user"), "{said}");
    let memory = fixture.store.state().memory.clone();
    assert_eq!(memory.user(&user_id(4)).unwrap().account, four);
    assert_eq!(memory.user(&user_id(4)).unwrap().address.as_deref(), Some("person4.new@example.com"));
    assert!(memory.user(&user_id(7)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_sets_those_aside_who_needed_it_and_nothing_else() {
    let fixture = company();
    fixture.site.hide(&fixture.site.account(99));
    fixture.site.organization_fails(Some(refusal(
        FailureCode::OrganizationCredentialRefused,
        FailureClass::Connection,
    )));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.steps[&StepKind::CreateGroup].done, 3);
    assert_eq!(report.steps[&StepKind::AddMember].done, 2, "those whose account shows");
    assert_eq!(report.set_aside.len(), 2, "{:?}", report.set_aside);
    assert!(fixture.site.mails().is_empty(), "nobody is invited who may have an account");
    fixture.site.organization_fails(None);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn n_13_a_renamed_group_is_renamed_once_read_back_and_remembered() {
    let fixture = company();
    fixture.run().await;
    fixture.directory.rename("Jira A", "Jira Alpha");
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::RenameGroup].done, 1);
    assert_eq!(report.steps.len(), 1, "members follow the link");
    let memory = fixture.store.state().memory.clone();
    let link = memory.group(&group_id("Jira A")).unwrap();
    assert_eq!((&*link.name, link.origin), ("Jira Alpha", Origin::Created));
    fixture.assert_in_step("renamed").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_rename_keeps_the_name_and_the_rest_goes_on() {
    for code in [FailureCode::OrganizationRefused, FailureCode::OrganizationCredentialRefused] {
        let class = if code == FailureCode::OrganizationRefused {
            FailureClass::Object
        } else {
            FailureClass::Connection
        };
        let fixture = company();
        fixture.run().await;
        fixture.directory.rename("Jira A", "Jira Alpha");
        fixture.directory.group("Jira B", &[1, 3, 4]);
        fixture.site.fault(StepKind::RenameGroup, Fault::Refuse(refusal(code, class)));
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Partial);
        assert_eq!(report.steps[&StepKind::RenameGroup].failed, 1);
        assert_eq!(report.steps[&StepKind::AddMember].done, 1, "{report:?}");
        assert_eq!(report.set_aside[0].object, "group “Jira A” to “Jira Alpha”");
        let memory = fixture.store.state().memory.clone();
        assert_eq!(&*memory.group(&group_id("Jira A")).unwrap().name, "Jira A");
        assert_eq!(fixture.run().await.status, RunStatus::Converged, "tried again by the next run");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_renames_the_plan_is_empty_and_says_why() {
    let fixture = company();
    fixture.run().await;
    fixture.directory.rename("Jira A", "Jira Alpha");
    fixture.site.renames(RenameBy::Nobody(Unread {
        reason: "the group is owned by an identity provider".into(),
        remedy: "rename it there".into(),
    }));
    let before = fixture.site.writes();
    let report = fixture.run().await;
    assert_eq!((report.status, report.steps.len()), (RunStatus::Converged, 0), "{report:?}");
    // Neither can it be found out: the name stays as well.
    fixture
        .site
        .organization_fails(Some(refusal(FailureCode::OrganizationUnavailable, FailureClass::Transient)));
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    assert_eq!(fixture.site.writes(), before);
}

#[expect(clippy::unwrap_used, reason = "literals")]
fn mapped() -> Fixture {
    let mut fixture = company();
    let from = |text: &str| FieldRule {
        source: Source::From(Expr::compile(text).unwrap()),
        default: None,
        when: When::Always,
    };
    fixture.rules.attributes = AttributeRules {
        profile: [(ProfileField::JobTitle, from("user.jobTitle"))].into(),
        property: Some(PropertyRule {
            key: "entrain".into(),
            fields: [("department".to_owned(), from("user.department"))].into(),
        }),
    };
    for n in 1..=6 {
        fixture.directory.attributes(n, &[("jobTitle", "Baker"), ("department", "R&D")]);
    }
    for n in [1, 2] {
        let account = AccountId::parse(format!("acc-{n}")).unwrap();
        fixture.site.profile(&account, ProfileStanding::Managed(Profile::new()));
    }
    fixture
}

#[tokio::test(start_paused = true)]
async fn attributes_are_written_with_one_request_each_and_a_second_run_writes_nothing() {
    let fixture = mapped();
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    // Four people in groups, two of them invited by this run
    assert_eq!(report.steps[&StepKind::UpdateUser].done, 8);
    assert_eq!(fixture.site.calls(StepKind::UpdateUser), 8);
    let one = AccountId::parse("acc-1").unwrap();
    let property = fixture.site.property(&one, "entrain").unwrap();
    assert_eq!(property["department"], AttributeValue::Text("R&D".into()));
    let shown: Profile = [(ProfileField::JobTitle, "Baker".into())].into();
    assert_eq!(fixture.site.profile_now(&one), Some(ProfileStanding::Managed(shown)));
    fixture.assert_in_step("attributes").await;

    fixture.directory.attributes(1, &[("jobTitle", "Baker"), ("department", "Ops")]);
    let report = fixture.run().await;
    assert_eq!((report.status, report.steps.len()), (RunStatus::Converged, 1), "{report:?}");
    assert_eq!(report.steps[&StepKind::UpdateUser].done, 1);
    assert_eq!(fixture.site.calls(StepKind::UpdateUser), 9);
    fixture.assert_in_step("one changed").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_profile_harms_neither_the_property_nor_the_rest() {
    let fixture = mapped();
    let two = AccountId::parse("acc-2").unwrap();
    fixture.site.profile(&two, ProfileStanding::Unmanaged);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.set_aside.len(), 1, "{:?}", report.set_aside);
    assert_eq!(report.set_aside[0].object, "profiles of 1 account of example.com");
    assert_eq!(report.steps[&StepKind::UpdateUser].done, 7);
    assert!(fixture.site.property(&two, "entrain").is_some());
    // The key is refused in the middle of it: memberships and properties go on.
    let fixture = mapped();
    for _ in 0..4 {
        fixture.site.fault(
            StepKind::UpdateUser,
            Fault::Refuse(refusal(FailureCode::OrganizationCredentialRefused, FailureClass::Object)),
        );
    }
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.steps[&StepKind::AddMember].done, 5, "{report:?}");
    assert_eq!(fixture.run().await.status, RunStatus::Converged, "the rest is written by the next run");
}

#[tokio::test(start_paused = true)]
async fn r_01_attributes_killed_at_any_write_point_are_written_by_the_next_start() {
    for nth in 1.. {
        let fixture = mapped();
        fixture.run().await;
        fixture.live_on();
        fixture.directory.rename("Jira A", "Jira Alpha");
        for n in 1..=7 {
            fixture.directory.attributes(n, &[("jobTitle", "Smith"), ("department", "Ops")]);
        }
        fixture.kill.arm(nth);
        if fixture.run_until_killed().await.is_some() {
            assert!(nth > 60, "{nth}");
            return;
        }
        let report = fixture.run().await;
        let context = format!("killed at write point {nth}");
        assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
        fixture.assert_in_step(&context).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_attributes_of_one_person_are_shown_without_a_write() {
    let fixture = mapped();
    let engine = fixture.engine();
    let shown = engine.attributes("PERSON1@example.com").await.unwrap();
    assert_eq!(shown.fields.len(), 2);
    assert_eq!(shown.fields[0].from.as_deref(), Some("user.jobTitle"));
    assert_eq!(shown.fields[0].value, Some(AttributeValue::Text("Baker".into())));
    assert_eq!(shown.fields[0].last_written, None);
    assert_eq!(fixture.site.writes(), 0);
    fixture.run().await;
    let shown = engine.attributes("acc-1").await.unwrap();
    assert_eq!(shown.fields[1].last_written, Some(AttributeValue::Text("R&D".into())));
    let failure = engine.attributes("nobody@example.com").await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ObjectUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_rename_is_repeated_once_and_then_looked_up_by_the_next_run() {
    let fixture = company();
    fixture.run().await;
    fixture.directory.rename("Jira A", "Jira Alpha");
    fixture.site.fault(StepKind::RenameGroup, Fault::LoseAnswer);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    fixture.assert_in_step("lost once").await;

    fixture.directory.rename("Jira A", "Jira Omega");
    for _ in 0..2 {
        fixture.site.fault(StepKind::RenameGroup, Fault::LoseAnswer);
    }
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    let outcomes: Vec<Outcome> = {
        let state = fixture.store.state();
        let entries = state.runs.values().flat_map(|run| &run.journal);
        entries.filter(|e| e.kind == StepKind::RenameGroup).map(|e| e.outcome).collect()
    };
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done], "the second was found renamed");
    fixture.assert_in_step("lost twice").await;
}
