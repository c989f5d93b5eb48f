//! N-12: the site is slow to show what was just made. Within a minute it is waited for; what takes longer is left to a
//! later run, and nothing is ever made twice.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::model::AccountActivity;
use entrain_domain::plan::StepKind;
use entrain_domain::run::RunStatus;
use support::Fixture;
use support::site::Fault;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const LAGS: [Duration; 4] = [Duration::ZERO, SECOND, Duration::from_secs(30), Duration::from_mins(10)];

#[track_caller]
fn assert_nobody_twice(fixture: &Fixture, context: &str) {
    let mails = fixture.site.mails();
    assert!(!mails.is_empty() && mails.values().all(|n| *n == 1), "{context}: {mails:?}");
}

#[tokio::test(start_paused = true)]
async fn n_12_a_new_account_that_nobody_knows_yet_is_waited_for_or_left_to_a_later_run() {
    for lag in LAGS {
        for fault in [None, Some(Fault::LoseAnswer)] {
            let context = format!("{lag:?}, {fault:?}");
            let fixture = Fixture::company();
            fixture.site.lag(lag);
            if let Some(fault) = fault.clone() {
                fixture.site.fault(StepKind::CreateUser, fault);
            }
            let start = Instant::now();
            let report = fixture.run().await;
            assert!(start.elapsed() < Duration::from_mins(5), "{context}: waited {:?}", start.elapsed());
            assert_nobody_twice(&fixture, &context);
            if lag < Duration::from_mins(1) {
                assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            } else {
                assert_eq!(report.status, RunStatus::Partial, "{context}: {report:?}");
                assert!(
                    report.set_aside.iter().all(|aside| !aside.remedy.is_empty()),
                    "{context}: {report:?}"
                );
                // Asked again and again meanwhile: still nobody is invited a second time
                for _ in 0..3 {
                    assert_eq!(fixture.run().await.status, RunStatus::Partial, "{context}");
                    assert_nobody_twice(&fixture, &context);
                }
                tokio::time::advance(lag).await;
                assert_eq!(fixture.run().await.status, RunStatus::Converged, "{context}");
            }
            assert_nobody_twice(&fixture, &context);
            fixture.assert_in_step(&context).await;
        }
    }
}

/// N-12, N-13: whoever was invited may hide the address and bear no name yet.
#[tokio::test(start_paused = true)]
async fn n_12_a_new_account_is_found_by_what_stands_in_for_the_name_before_the_first_sign_in() {
    let fixture = Fixture::company();
    fixture.site.newcomers_hide();
    for _ in 3..=4 {
        fixture.site.fault(StepKind::CreateUser, Fault::LoseAnswer);
    }
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_nobody_twice(&fixture, "hidden");
    fixture.assert_in_step("hidden").await;
}

/// N-13: a portal customer of the same address is another account; it is neither the person nor in the person's way.
#[tokio::test(start_paused = true)]
async fn n_13_a_portal_customer_of_the_same_address_is_not_in_the_way() {
    let fixture = Fixture::company();
    fixture.site.call_account(&fixture.site.account_of(2), "Person 2", AccountActivity::Active);
    fixture.site.hide(&fixture.site.account_of(2));
    let customers = [fixture.site.customer(2), fixture.site.customer(3)];
    for customer in &customers {
        fixture.site.call_account(customer, "Person 3", AccountActivity::Active);
    }
    fixture.site.newcomers_hide();
    fixture.site.fault(StepKind::CreateUser, Fault::LoseAnswer);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(fixture.site.mails().keys().filter(|mail| mail.as_str() == "person2@example.com").count(), 0);
    let inside: Vec<_> = fixture.site.picture().into_values().flatten().flatten().collect();
    assert!(inside.contains(&"person3@example.com".to_owned()), "{inside:?}");
    for group in fixture.store.state().memory.groups() {
        assert!(customers.iter().all(|customer| !fixture.site.members_of(&group.group).contains(customer)));
    }
}

#[tokio::test(start_paused = true)]
async fn n_12_a_membership_that_shows_late_is_waited_for_or_told_and_not_made_twice() {
    for lag in LAGS {
        let context = format!("{lag:?}");
        let fixture = Fixture::company();
        fixture.site.memberships_show_after(lag);
        let report = fixture.run().await;
        let written = fixture.site.written()[&StepKind::AddMember];
        if lag <= SECOND {
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
        } else {
            assert!(
                matches!(report.status, RunStatus::Converged | RunStatus::Partial),
                "{context}: {report:?}"
            );
        }
        tokio::time::advance(lag).await;
        assert_eq!(fixture.run().await.status, RunStatus::Converged, "{context}");
        assert_eq!(
            fixture.site.written()[&StepKind::AddMember],
            written,
            "{context}: a membership was made twice"
        );
        assert_nobody_twice(&fixture, &context);
        fixture.assert_in_step(&context).await;
    }
}
