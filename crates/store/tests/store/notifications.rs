//! The state of change notifications, which servers change in turn; and how long changes took.

use entrain_domain::model::RunId;
use entrain_domain::run::Trigger;
use entrain_domain::service::Turn;
use entrain_store::FreshnessRow;
use jiff::SignedDuration;

use crate::support::on_both;

on_both!(of_servers_that_change_the_state_of_notifications_at_once_one_does, |world| {
    let store = world.open().await;
    assert_eq!(store.notification_state("Azure AD", "users").await.unwrap(), None);
    let keep =
        async |before, body| store.keep_notification_state("Azure AD", "users", before, body).await.unwrap();
    assert_eq!(keep(None, "{\"n\":1}").await, Turn::Ours);
    assert_eq!(keep(None, "{\"n\":2}").await, Turn::Anothers);
    assert_eq!(keep(Some(1), "{\"n\":3}").await, Turn::Ours);
    assert_eq!(keep(Some(1), "{\"n\":4}").await, Turn::Anothers);
    let state = store.notification_state("Azure AD", "users").await.unwrap().unwrap();
    assert_eq!((state.revision, &*state.body), (2, "{\"n\":3}"));
    assert_eq!(store.notification_states().await.unwrap(), [state]);
    world.tamper("UPDATE notification_state SET body = 'x'").await;
    assert!(store.notification_states().await.is_err(), "a changed row is noticed");
});

on_both!(how_long_changes_took_is_kept_for_thirty_days, |world| {
    let store = world.open().await;
    let start = world.now();
    for (run, day) in [("run-1", 0), ("run-2", 20), ("run-3", 40)] {
        let at = start.checked_add(SignedDuration::from_hours(24 * day)).unwrap();
        world.set(at);
        let run = RunId::parse(run).unwrap();
        store.begin(&run, "Azure AD", Trigger::Notification, at).await.unwrap();
        let row = FreshnessRow { run, at, known_by: "notification".into(), waits: vec![1200, 3400] };
        store.keep_freshness("Azure AD", row.clone()).await.unwrap();
        store.keep_freshness("Azure AD", row).await.unwrap();
    }
    let kept = store.freshness("Azure AD", start).await.unwrap();
    let runs: Vec<&str> = kept.iter().map(|row| row.run.as_str()).collect();
    assert_eq!(runs, ["run-2", "run-3"]);
    assert_eq!(kept[0].waits, [1200, 3400]);
    assert!(store.freshness("Another", start).await.unwrap().is_empty());
});
