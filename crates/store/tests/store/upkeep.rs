//! What whoever looks after the service asks: who signed in when, the newest backup, what the database is, and a backup
//! that is given away part by part.

use entrain_domain::accounts::Session;
use entrain_domain::service::Role;
use entrain_store::{DatabaseKind, Occupied, SealedSecrets};
use jiff::SignedDuration;
use tokio::sync::mpsc;

use super::backup::{filled, holds_the_same, take_key};
use crate::support::{World, on_both};

on_both!(the_last_sign_in_of_an_account_is_the_newest_that_the_log_tells_of, |world| {
    let store = world.open().await;
    let ana = store.make_account("Ana", Role::Viewer, crate::accounts::own("h1"), None, "cli").await.unwrap();
    store.make_account("Bo", Role::Viewer, crate::accounts::own("h2"), None, "cli").await.unwrap();
    assert_eq!(store.last_sign_ins().await.unwrap(), entrain_store::LastSignIns::default());
    for (id, hour) in [("s1", 1), ("s2", 3)] {
        let at = world.now().checked_add(SignedDuration::from_hours(hour)).unwrap();
        let session = Session {
            id: id.into(),
            account: ana.id.clone(),
            began_at: at,
            seen_at: at,
            ends_at: at.checked_add(SignedDuration::from_hours(1)).unwrap(),
            address: String::new(),
            agent: String::new(),
        };
        store.begin_session(session, None).await.unwrap();
    }
    let known = store.last_sign_ins().await.unwrap();
    let newest = world.now().checked_add(SignedDuration::from_hours(3)).unwrap();
    assert_eq!(known.at, [("Ana".to_owned(), newest)].into(), "Bo never signed in");
    assert_eq!(known.since, None, "the whole log was looked through");
    let noted = store.last_noted("signed_in").await.unwrap().unwrap();
    assert_eq!((noted.at, noted.object.as_str()), (newest, "Ana"));
    assert_eq!(store.last_noted("backup_made").await.unwrap(), None);
});

on_both!(a_backup_that_is_given_away_part_by_part_is_restored_like_a_file, |world| {
    let store = filled(&world).await;
    let (send, mut parts) = mpsc::channel(1);
    let taking = async {
        let mut bytes = Vec::new();
        while let Some(part) = parts.recv().await {
            bytes.extend(part);
        }
        bytes
    };
    let (made, bytes) = tokio::join!(store.backup_away(send, "ana"), taking);
    let made = made.unwrap();
    let file = world.dir.path().join("download");
    std::fs::write(&file, bytes).unwrap();
    let other = World::sqlite();
    take_key(&world, &other);
    let target = other.open().await;
    let found = target.restore(&file, Occupied::Refuse, SealedSecrets::Keep, "ben").await.unwrap();
    assert_eq!(found, made);
    holds_the_same(&store, &target).await;
    let noted = store.last_noted("backup_made").await.unwrap().unwrap();
    assert_eq!((noted.actor.as_str(), noted.object.as_str()), ("ana", "download"));
    assert!(noted.detail.contains(&made.sha256), "{}", noted.detail);

    let (send, parts) = mpsc::channel(1);
    drop(parts);
    let refused = store.backup_away(send, "ana").await.unwrap_err().to_string();
    assert!(refused.contains("went away"), "{refused}");
});

on_both!(the_database_says_what_it_is, |world| {
    let facts = world.open().await.facts().await.unwrap();
    let digit = facts.version.starts_with(|c: char| c.is_ascii_digit());
    assert!(digit && facts.tables >= 31 && facts.bytes > 10_000, "{facts:?}");
    assert!(matches!(facts.kind, DatabaseKind::Sqlite | DatabaseKind::Postgres));
});
