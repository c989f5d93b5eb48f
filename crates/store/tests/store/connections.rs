//! Connection documents and their sealed secrets.

use std::collections::BTreeMap;

use entrain_domain::FailureCode;
use entrain_domain::why::Why;
use entrain_store::{ConnectionDocument, Error, Signed, Store};
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::on_both;

const CANARY: &str = "canary-8c1d-secret";

fn document(name: &str, text: &str, secret: Option<&str>) -> ConnectionDocument {
    let secrets: BTreeMap<String, SecretString> =
        secret.into_iter().map(|s| ("site.api_token".to_owned(), SecretString::from(s))).collect();
    ConnectionDocument { name: name.into(), document: text.into(), secrets }
}

on_both!(a_document_comes_back_with_its_secrets, |world| {
    let store = world.open().await;
    store.add(&document("Azure AD", "api_token = \"sealed\"", Some(CANARY)), "ana").await.unwrap();
    let stored = store.get("Azure AD").await.unwrap().unwrap();
    assert_eq!(stored.document.document, "api_token = \"sealed\"");
    assert_eq!(stored.document.secrets["site.api_token"].expose_secret(), CANARY);
    assert_eq!((stored.version, stored.author.as_str(), stored.at), (1, "ana", world.now()));
    assert!(store.get("Azure").await.unwrap().is_none());
    // S-01: neither the value nor anything around it prints the secret
    assert!(!format!("{stored:?}").contains(CANARY));
});

on_both!(why_a_version_was_stored_is_kept_with_it_and_in_the_audit_log, |world| {
    let store = world.open().await;
    let why = Why::parse("Sales asked, ünd; DROP TABLE x --").unwrap();
    store.add(&document("Azure AD", "one", None), "ana").await.unwrap();
    let signed = Signed { author: "ben", why: Some(&why) };
    store.set(&document("Azure AD", "two", None), signed).await.unwrap();
    store.close().await;
    let store = world.open().await;
    let versions = store.versions("Azure AD").await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| version.why.as_ref()).collect();
    assert_eq!(told, [None, Some(&why)]);
    let details: Vec<_> = store.audit_list(10).await.unwrap().into_iter().map(|e| e.detail).collect();
    assert_eq!(details, ["version 1".to_owned(), format!("version 2: {why}")]);
    // Nobody puts words into somebody's mouth behind the store's back
    world.tamper("UPDATE connection_versions SET why = 'another reason' WHERE version = 1").await;
    assert!(matches!(store.versions("Azure AD").await, Err(Error::Damaged { .. })));
});

on_both!(versions_are_kept_and_a_removed_connection_can_return, |world| {
    let store = world.open().await;
    store.add(&document("Azure AD", "one", Some(CANARY)), "ana").await.unwrap();
    store.set(&document("Azure AD", "two", None), "ben").await.unwrap();
    assert!(store.get("Azure AD").await.unwrap().unwrap().document.secrets.is_empty());
    store.remove("Azure AD", "cleo").await.unwrap();
    assert!(store.get("Azure AD").await.unwrap().is_none());
    assert!(store.list().await.unwrap().is_empty());
    store.add(&document("Azure AD", "three", None), "ana").await.unwrap();
    let versions = store.versions("Azure AD").await.unwrap();
    let texts: Vec<_> =
        versions.iter().map(|v| (v.version, v.document.as_deref(), v.author.as_str())).collect();
    assert_eq!(
        texts,
        [(1, Some("one"), "ana"), (2, Some("two"), "ben"), (3, None, "cleo"), (4, Some("three"), "ana")]
    );
    let actions: Vec<_> = store.audit_list(10).await.unwrap().into_iter().map(|e| e.action).collect();
    assert_eq!(actions, ["connection_added", "connection_set", "connection_removed", "connection_added"]);
});

on_both!(a_name_is_given_once, |world| {
    let store = world.open().await;
    store.add(&document("Azure AD", "one", None), "ana").await.unwrap();
    for name in ["Azure AD", "azure-ad"] {
        let error = store.add(&document(name, "two", None), "ana").await.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::ConnectionExists);
    }
    let unknown = store.set(&document("Other", "two", None), "ana").await.unwrap_err();
    assert_eq!(unknown.failure().code, FailureCode::ConnectionUnknown);
    assert!(matches!(store.remove("Other", "ana").await, Err(Error::ConnectionUnknown(_))));
    // What was refused left nothing behind
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert_eq!(store.audit_list(10).await.unwrap().len(), 1);
});

on_both!(another_key_opens_no_secret_and_lists_all_the_same, |world| {
    let store = world.open().await;
    store.add(&document("Azure AD", "one", Some(CANARY)), "ana").await.unwrap();
    store.close().await;
    let key = world.data_dir().join("secret.key");
    // A missing key is not made anew over secrets that it sealed
    std::fs::rename(&key, world.dir.path().join("old.key")).unwrap();
    let failure = Store::open(world.options()).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::KeyMismatch);
    assert!(!key.exists());

    let other = crate::support::World::sqlite();
    other.open().await.close().await;
    std::fs::copy(other.data_dir().join("secret.key"), &key).unwrap();
    let store = world.open().await;
    let error = store.get("Azure AD").await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::KeyMismatch);
    assert!(!format!("{error:?} {error}").contains(CANARY));
    assert_eq!(store.list().await.unwrap().len(), 1);
});

#[tokio::test]
async fn s_01_a_sealed_secret_is_in_no_file_of_the_data_directory() {
    let world = crate::support::World::sqlite();
    let store = world.open().await;
    store.add(&document("Azure AD", "api_token = \"sealed\"", Some(CANARY)), "ana").await.unwrap();
    let look = || {
        let mut found_document = false;
        for entry in std::fs::read_dir(world.data_dir()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { continue };
            let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(!has(CANARY), "{}", path.display());
            found_document |= has("api_token = \"sealed\"");
        }
        assert!(found_document, "the search finds what is there");
    };
    look();
    store.close().await;
    look();
}

#[cfg(unix)]
#[tokio::test]
async fn s_03_files_and_folders_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = crate::support::World::sqlite();
    let store = world.open().await;
    let _claim = store.claim("Azure AD", "me").await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.data_dir()), 0o700);
    let mut folders = vec![world.data_dir()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                assert_eq!(mode(&path), 0o700, "{}", path.display());
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 3, "database, key and lock");
    store.close().await;

    // A key that others can read is refused
    let key = world.data_dir().join("secret.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Store::open(world.options()).await.unwrap_err();
    assert!(matches!(error, Error::KeyFile { .. }), "{error}");
    assert!(error.failure().remedy.contains("chmod 600"));
}
