//! Explanations over fakes: read only, true to the plan, with the site's last answer from the journal.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use entrain_domain::plan::explain::{Explanation, Related};
use entrain_domain::policy::{GroupSelector, Scope};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::{Freshness, Question};
use support::site::{ByHand, refusal};
use support::{Fixture, Told, address, group_id, user_id};

async fn ask(fixture: &Fixture, question: Question) -> Result<Explanation, Failure> {
    let (writes, runs) = (fixture.site.writes(), fixture.store.state().runs.len());
    let explained = fixture.engine().explain(&question, Freshness::Incremental, &Told::default()).await;
    assert_eq!(fixture.site.writes(), writes, "an explanation writes nothing");
    assert_eq!(fixture.store.state().runs.len(), runs, "and is no run");
    explained.map(|explained| {
        assert!(explained.requests.directory > 0);
        explained.explanation
    })
}

fn user(n: u32) -> Question {
    Question::User(address(n).to_string())
}

fn last(explanation: &Explanation) -> &str {
    let link = explanation.chain.last().expect("no explanation is empty");
    assert_eq!(link.what, "answer");
    &link.text
}

#[tokio::test(start_paused = true)]
async fn the_same_question_before_and_after_the_first_run() {
    let fixture = Fixture::company();
    let before = ask(&fixture, user(3)).await.unwrap();
    assert!(before.verdict.starts_with("Person 3 is invited at the next sync"), "{}", before.verdict);
    assert_eq!(last(&before), "no run has written anything about it yet");
    fixture.run().await;
    let after = ask(&fixture, user(3)).await.unwrap();
    assert!(after.verdict.starts_with("Person 3 is in “Jira A” and “Jira B”"), "{}", after.verdict);
    let answer = last(&after);
    assert!(answer.starts_with("add_member “Jira "), "{answer}");
    assert!(answer.contains("done on 2026-11-02") && answer.ends_with("(run run-0001)"), "{answer}");
    let Related::Groups(groups) = &after.related else { panic!("{after:?}") };
    let is_in: Vec<_> = groups.iter().map(|g| (&*g.name, g.member)).collect();
    assert_eq!(is_in, [("Jira A", true), ("Jira B", true), ("Jira C", false)]);

    let group = ask(&fixture, Question::Group("jira b".into())).await.unwrap();
    assert!(group.verdict.starts_with("“Jira B” is in step with its 2 members"), "{}", group.verdict);
    let pair = Question::Membership { user: user_id(3).to_string(), group: group_id("Jira A").to_string() };
    let pair = ask(&fixture, pair).await.unwrap();
    assert!(
        last(&pair).starts_with("add_member “Jira A” done"),
        "the answer about this group: {}",
        last(&pair)
    );
    let pair = Question::Membership { user: address(4).to_string(), group: "Jira A".into() };
    let pair = ask(&fixture, pair).await.unwrap();
    assert!(pair.verdict.contains("is not in “Jira A”, because they are not in"), "{}", pair.verdict);
    assert_eq!(last(&pair), "no run has written anything about it yet");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_did_on_the_site_shows_although_the_directory_has_not_changed() {
    let fixture = Fixture::company();
    fixture.run().await;
    let memory = fixture.store.state().memory.clone();
    let account = |n| memory.user(&user_id(n)).map(|link| link.account.clone()).expect("linked by the run");
    fixture.site.by_hand("Jira B", &account(4), ByHand::Out);
    fixture.site.by_hand("Jira A", &account(4), ByHand::In);
    let pair = |group: &str| Question::Membership { user: address(4).to_string(), group: group.into() };
    let why = ask(&fixture, pair("Jira B")).await.unwrap();
    assert!(why.verdict.contains("because somebody else took them out on the site"), "{}", why.verdict);
    let why = ask(&fixture, pair("Jira A")).await.unwrap();
    assert!(why.verdict.contains("because somebody else put them there on the site"), "{}", why.verdict);
    let why = ask(&fixture, user(4)).await.unwrap();
    assert!(why.verdict.contains("is to be added at the next sync to “Jira B”"), "{}", why.verdict);
    assert!(ask(&fixture, Question::Group("Jira B".into())).await.unwrap().verdict.contains("1 step to do"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_site_is_the_last_answer() {
    let fixture = Fixture::company();
    fixture.site.refuse_group("Jira B", refusal(FailureCode::SiteRefused, FailureClass::Object));
    fixture.run().await;
    let why = ask(&fixture, user(4)).await.unwrap();
    assert!(last(&why).starts_with("add_member “Jira B” failed on"), "{}", last(&why));
    assert!(last(&why).contains("site_refused"), "{}", last(&why));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_a_failure_that_says_how_to_ask() {
    let fixture = Fixture::company();
    let failure = ask(&fixture, Question::User("nobody@example.com".into())).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ObjectUnknown);
    assert_eq!(failure.object.as_deref(), Some("nobody@example.com"));
    assert!(failure.remedy.contains("object id"), "{failure:?}");
    let failure = ask(&fixture, Question::Group("Jira Z".into())).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ObjectUnknown);
    assert!(failure.message.contains("Jira Z"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_outside_a_scope_of_a_few_groups_is_said_to_be_unread_and_not_unknown() {
    let mut fixture = Fixture::company();
    fixture.rules.scope = Scope::in_groups(vec![GroupSelector::parse("Jira A").unwrap()]);
    for question in [Question::User("nobody@example.com".into()), Question::Group("Jira Z".into())] {
        let failure = ask(&fixture, question).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::ObjectUnknown);
        assert!(failure.message.contains("names its groups one by one"), "{failure:?}");
        assert!(failure.message.contains("were read"), "{failure:?}");
        assert!(failure.remedy.contains("[scope] groups"), "{failure:?}");
    }
}
