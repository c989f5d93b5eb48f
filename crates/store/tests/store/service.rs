//! What the service keeps: modes, starts by schedule, previews, API keys, requests that may come twice.

use std::collections::BTreeMap;

use entrain_domain::service::{Mode, Role, Turn};
use entrain_store::{ConnectionDocument, Error};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::support::on_both;

fn document() -> ConnectionDocument {
    ConnectionDocument {
        name: "Azure AD".into(),
        document: "name = \"Azure AD\"".into(),
        secrets: BTreeMap::new(),
    }
}

on_both!(modes_starts_and_previews_are_kept_by_connection, |world| {
    let store = world.open().await;
    let unknown = store.set_mode("Azure AD", Mode::Apply, "ana").await;
    assert!(matches!(unknown, Err(Error::ConnectionUnknown(_))), "{unknown:?}");
    store.add(&document(), "ana").await.unwrap();
    assert!(store.modes().await.unwrap().is_empty() && store.fired_at().await.unwrap().is_empty());
    assert_eq!(store.preview("Azure AD").await.unwrap(), None);
    store.set_mode("Azure AD", Mode::Apply, "ana").await.unwrap();
    assert_eq!(store.fired("Azure AD", None, world.now()).await.unwrap(), Turn::Ours);
    store.keep_preview("Azure AD", world.now(), "{\"n\":1}").await.unwrap();
    store.keep_preview("Azure AD", world.now(), "{\"n\":2}").await.unwrap();
    store.close().await;
    let store = world.open().await;
    assert_eq!(store.modes().await.unwrap(), [("Azure AD".to_owned(), Mode::Apply)].into());
    assert_eq!(store.fired_at().await.unwrap(), [("Azure AD".to_owned(), world.now())].into());
    assert_eq!(store.preview("Azure AD").await.unwrap(), Some((world.now(), "{\"n\":2}".to_owned())));
    let head = store.preview_head("Azure AD").await.unwrap();
    assert_eq!(head, Some((world.now(), Some("{\"n\":2}".to_owned()))), "as small as that of a failure");
    let large = "ä".repeat(40_000);
    store.keep_preview("Large", world.now(), &large).await.unwrap();
    assert_eq!(store.preview_head("Large").await.unwrap(), Some((world.now(), None)), "80,000 bytes");
    let entry = store.audit_before(None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.actor, &*entry.action, &*entry.detail), ("ana", "connection_mode", "mode apply"));
    assert!(store.audit_before(Some(1), 10).await.unwrap().is_empty());
});

on_both!(an_api_key_is_stored_as_a_digest_and_its_name_is_never_used_again, |world| {
    let store = world.open().await;
    let until = world.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let (key, token) = store.make_api_key("nightly", Role::Viewer, until, "ana").await.unwrap();
    let (id, secret) = token.expose_secret().strip_prefix("entrain_").unwrap().split_once('_').unwrap();
    assert_eq!((id, secret.len()), (&*key.id, 64));
    assert_eq!(key.hash, hex::encode(Sha256::digest(secret)));
    assert_eq!(store.api_key(id).await.unwrap(), Some(key.clone()));
    store.api_key_used(&key).await.unwrap();
    assert_eq!(store.api_key(id).await.unwrap().unwrap().used_at, Some(world.now()));
    store.revoke_api_key(id, "ana").await.unwrap();
    store.revoke_api_key(id, "ana").await.unwrap();
    assert_eq!(store.api_key(id).await.unwrap().unwrap().revoked_at, Some(world.now()));
    let taken = store.make_api_key("nightly", Role::Viewer, until, "ana").await;
    assert!(matches!(taken, Err(Error::ApiKeyExists(_))), "{taken:?}");
    let unknown = store.revoke_api_key("nobody", "ana").await;
    assert!(matches!(unknown, Err(Error::ApiKeyUnknown(_))), "{unknown:?}");
    let actions: Vec<String> =
        store.audit_before(None, 10).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["api_key_revoked", "api_key_created"], "a second revocation is none");

    // whoever raises a role behind the store's back is found out
    world.tamper("UPDATE api_keys SET role = 'administrator'").await;
    let raised = store.api_key(id).await;
    assert!(matches!(raised, Err(Error::Damaged { .. })), "{raised:?}");
});

on_both!(a_request_that_comes_twice_gets_the_first_answer, |world| {
    let store = world.open().await;
    assert_eq!(store.keep_request("k", "one", "digest").await.unwrap(), None);
    let under_way = store.keep_request("k", "one", "digest").await.unwrap().unwrap();
    assert_eq!((&*under_way.request, &under_way.answer), ("digest", &None));
    store.keep_answer("k", "one", Some((202, "{}".into()))).await.unwrap();
    let again = store.keep_request("k", "one", "other").await.unwrap().unwrap();
    assert_eq!((&*again.request, again.answer), ("digest", Some((202, "{}".to_owned()))));
    assert_eq!(
        store.keep_request("l", "one", "digest").await.unwrap(),
        None,
        "another key's requests are its own"
    );
    store.keep_answer("l", "one", None).await.unwrap();
    assert_eq!(
        store.keep_request("l", "one", "digest").await.unwrap(),
        None,
        "forgotten, it may be sent again"
    );
});

#[tokio::test]
async fn one_server_at_a_time_has_a_sqlite_database_wherever_it_is_reached_from() {
    let world = crate::support::World::sqlite();
    let first = world.open().await;
    let claim = first.claim_server("process 1 on here").await.unwrap().unwrap();
    let mut elsewhere = world.options();
    elsewhere.database_url = Some(format!("sqlite:{}", world.file().display()));
    elsewhere.data_dir = world.dir.path().join("other");
    elsewhere.secret_key_file = Some(world.data_dir().join("secret.key"));
    let second = entrain_store::Store::open(elsewhere).await.unwrap();
    match second.claim_server("process 2 on here").await {
        Err(Error::ServerRunning { holder, .. }) => assert_eq!(holder, "process 1 on here"),
        other => panic!("{other:?}"),
    }
    drop(claim);
    assert!(second.claim_server("process 2 on here").await.unwrap().is_some());
}
