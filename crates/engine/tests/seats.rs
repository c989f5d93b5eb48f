//! Seats in whole runs: nobody is let in beyond the budget, also when the site lags; a site that refuses for want of a seat
//! is asked once for each product; the line holds over runs and ends by itself.

#![expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]

mod support;

use entrain_domain::model::{AccountState, ProductKey, SiteGroupId};
use entrain_domain::plan::StepKind;
use entrain_domain::policy::{Existing, SeatRule};
use entrain_domain::run::RunStatus;
use support::Fixture;
use support::site::ByHand;

const JIRA: &str = "jira-software";

/// Twelve people with accounts: four in each of the groups A and B, which grant Jira, and in C, which grants nothing.
fn company() -> (Fixture, Vec<SiteGroupId>) {
    let mut fixture = Fixture::new();
    fixture.options.in_flight = 1;
    fixture.rules.existing = Existing::Adopt;
    let mut groups = Vec::new();
    for (at, name) in ["Jira A", "Jira B", "Jira C"].into_iter().enumerate() {
        let people: Vec<u32> = (1..=4).map(|n| n + 4 * u32::try_from(at).unwrap()).collect();
        for n in &people {
            fixture.directory.person(*n, AccountState::Enabled);
            fixture.site.account(*n);
        }
        fixture.directory.group(name, &people);
        groups.push(fixture.site.group(name, &[]));
    }
    groups.push(fixture.site.group("by hand", &[]));
    (fixture, groups)
}

fn names(report: &entrain_domain::run::RunReport) -> Vec<usize> {
    report.waiting.iter().map(|waiting| waiting.place).collect()
}

#[tokio::test(start_paused = true)]
async fn a_site_that_has_no_seat_left_is_asked_once_for_a_product_and_everything_else_goes_on() {
    let (fixture, groups) = company();
    fixture.site.product(JIRA, &[&groups[0], &groups[1]], 100, 3);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    assert_eq!(
        report.steps[&StepKind::AddMember].done,
        3 + 4,
        "three seats, and the group that costs nothing"
    );
    assert_eq!(
        fixture.site.calls(StepKind::AddMember),
        3 + 4 + 1,
        "one more call found out, for both groups"
    );
    assert_eq!(report.steps[&StepKind::AddMember].failed, 1);
    assert_eq!(names(&report), [1, 2, 3, 4, 5], "{report:?}");
    let told = report.set_aside.iter().filter(|aside| aside.reason.starts_with("waits for a seat")).count();
    assert_eq!(told, 4, "and the one that was refused says so: {report:?}");
    let line: Vec<_> = fixture.store.state().memory.queue().map(|(_, user, _)| user.clone()).collect();
    assert_eq!(line.len(), 5);

    fixture.site.product(JIRA, &[&groups[0], &groups[1]], 100, 100);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    assert_eq!(fixture.store.state().memory.queue().len(), 0);
    for group in &groups[..3] {
        assert_eq!(fixture.site.members_of(group).len(), 4, "seats for everybody");
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_kept_over_runs_and_the_line_with_it() {
    let (mut fixture, groups) = company();
    fixture.site.product(JIRA, &[&groups[0], &groups[1]], 100, 100);
    let rule = SeatRule { budget: Some(6), reserve: 0 };
    fixture.rules.seats.products.insert(ProductKey(JIRA.into()), rule);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.seats[JIRA].after, 6, "not one more in the second look either");
    assert_eq!(names(&report), [1, 2]);
    let first: Vec<_> = report.waiting.iter().map(|w| (w.user.clone(), w.since)).collect();
    tokio::time::advance(std::time::Duration::from_hours(2)).await;
    let report = fixture.run().await;
    let again: Vec<_> = report.waiting.iter().map(|w| (w.user.clone(), w.since)).collect();
    assert_eq!(first, again, "same people, same time");
    assert!(report.steps.get(&StepKind::AddMember).is_none_or(|steps| steps.done == 0));

    // A leaver's seat goes to the first in line within the run, behind the removal.
    fixture.directory.person(1, AccountState::Disabled);
    let report = fixture.run().await;
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 1);
    assert_eq!(report.steps[&StepKind::AddMember].done, 1);
    assert_eq!((report.seats[JIRA].after, names(&report)), (6, vec![1]));
    assert_eq!(report.waiting[0].user, first[1].0, "the second is the first now");
}

#[tokio::test(start_paused = true)]
async fn who_has_the_product_by_hand_is_let_in_and_only_short_products_are_read() {
    let (fixture, groups) = company();
    fixture.site.by_hand("by hand", &fixture.site.account_of(4), ByHand::In);
    fixture.site.by_hand("by hand", &fixture.site.account_of(8), ByHand::In);
    let granting = [&groups[0], &groups[1], &groups[3]];
    fixture.site.product(JIRA, &granting, 100, 100);
    let reads = fixture.site.member_reads();
    fixture
        .engine()
        .preview(
            entrain_domain::plan::Approval::None,
            entrain_engine::Freshness::Full,
            &support::Told::default(),
        )
        .await
        .unwrap();
    assert_eq!(fixture.site.member_reads() - reads, 3, "nobody has to wait: the group by hand is not read");
    fixture.site.product(JIRA, &granting, 5, 5);
    let report = fixture.run().await;
    assert_eq!(report.seats[JIRA].after, 5);
    assert_eq!(report.waiting.len(), 3);
    let waiting: Vec<bool> =
        report.waiting.iter().map(|w| w.user.contains("Person 4") || w.user.contains("Person 8")).collect();
    assert!(!waiting.contains(&true), "who has a seat waits for none: {report:?}");
}
