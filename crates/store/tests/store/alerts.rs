//! The books of alerts: kept, never overwritten by a server that has not seen what another wrote.

use entrain_domain::run::AuditNote;
use entrain_domain::service::Turn;

use crate::support::on_both;

const CONNECTION: &str = "Azure AD";

on_both!(r_09_of_two_servers_that_change_a_book_at_one_moment_one_is_told_to_look_again, |world| {
    let (one, other) = (world.open().await, world.open().await);
    assert_eq!(one.alerts(CONNECTION).await.unwrap(), None);
    let mut before = None;
    for round in 0..20_i64 {
        let bodies = [format!("{{\"one\":{round}}}"), format!("{{\"other\":{round}}}")];
        let turns = tokio::join!(
            one.put_alerts(CONNECTION, before, &bodies[0], None),
            other.put_alerts(CONNECTION, before, &bodies[1], None),
        );
        let (first, second) = (turns.0.unwrap(), turns.1.unwrap());
        assert_ne!(first, second, "round {round}");
        let winner = if first == Turn::Ours { "one" } else { "other" };
        let kept = (round + 1, format!("{{\"{winner}\":{round}}}"));
        assert_eq!(other.alerts(CONNECTION).await.unwrap(), Some(kept));
        before = Some(round + 1);
    }
    assert_eq!(one.put_alerts(CONNECTION, None, "{}", None).await.unwrap(), Turn::Anothers);
});

on_both!(what_a_person_does_with_an_alert_is_in_the_audit_log_or_was_not_done, |world| {
    let store = world.open().await;
    let note = || AuditNote {
        actor: "ana".into(),
        action: "alert_acknowledged".into(),
        object: CONNECTION.into(),
        detail: "ordered ten".into(),
    };
    assert_eq!(store.put_alerts(CONNECTION, Some(7), "{}", Some(note())).await.unwrap(), Turn::Anothers);
    assert!(store.audit_before(None, 10).await.unwrap().is_empty());
    assert_eq!(store.put_alerts(CONNECTION, None, "{\"a\":\"\0\"}", Some(note())).await.unwrap(), Turn::Ours);
    let entry = store.audit_before(None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.actor, &*entry.action), ("ana", "alert_acknowledged"));
    store.close().await;
    let kept = world.open().await.alerts(CONNECTION).await.unwrap();
    assert_eq!(kept, Some((1, "{\"a\":\"\u{FFFD}\"}".to_owned())));
});
