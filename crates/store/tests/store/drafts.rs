//! Drafts of connections: what was said is kept, secrets are sealed, and nothing of a draft stays when it is thrown away.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::support::on_both;

const CANARY: &str = "canary-4e7b-secret";

fn secrets(fields: &[&str]) -> BTreeMap<String, SecretString> {
    fields
        .iter()
        .map(|field| ((*field).to_owned(), SecretString::from(format!("{CANARY} {field}"))))
        .collect()
}

on_both!(a_draft_is_kept_over_a_restart_with_exactly_the_secrets_it_was_given, |world| {
    let store = world.open().await;
    assert!(store.draft("d1").await.unwrap().is_none());
    store.keep_draft("d1", "{\"name\":\"one\"}", &secrets(&["a", "b"]), "ana").await.unwrap();
    store.keep_draft("d2", "{}", &secrets(&[]), "ben").await.unwrap();
    store.keep_draft("d1", "{\"name\":\"two\0\"}", &secrets(&["b", "c"]), "cleo").await.unwrap();
    store.close().await;
    let store = world.open().await;
    let (entry, opened) = store.draft("d1").await.unwrap().unwrap();
    assert_eq!((&*entry.body, &*entry.author, entry.at), ("{\"name\":\"two\u{FFFD}\"}", "cleo", world.now()));
    assert_eq!(opened.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(opened["c"].expose_secret(), format!("{CANARY} c"));
    assert_eq!(store.drafts().await.unwrap().len(), 2);
    store.keep_preview("d1", world.now(), "{}").await.unwrap();
    store.drop_draft("d1").await.unwrap();
    assert!(store.draft("d1").await.unwrap().is_none() && store.preview("d1").await.unwrap().is_none());
    assert_eq!(store.drafts().await.unwrap().remove(0).id, "d2");
    // The same id begins with nothing
    store.keep_draft("d1", "{}", &secrets(&[]), "ana").await.unwrap();
    assert!(store.draft("d1").await.unwrap().unwrap().1.is_empty());
});
