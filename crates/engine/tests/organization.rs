//! Runs with an organization key: hidden accounts matched exactly, groups that follow a new name, and how the plane's
//! own faults keep nothing else from being done.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use entrain_domain::memory::Origin;
use entrain_domain::model::{AccountActivity, AccountState, RenameBy, Unread};
use entrain_domain::plan::StepKind;
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
