//! S-04: a new secret key in place of the old one, while servers run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entrain_domain::FailureCode;
use entrain_store::{AuditVerdict, ConnectionDocument, Error, Occupied, OpenOptions, SealedSecrets, Store};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::{World, on_both};

const NAME: &str = "Azure AD";
const FIELD: &str = "site.api_token";

fn secrets(text: &str) -> BTreeMap<String, SecretString> {
    BTreeMap::from([(FIELD.to_owned(), SecretString::from(text))])
}

fn document(text: &str) -> ConnectionDocument {
    ConnectionDocument { name: NAME.into(), document: "x".into(), secrets: secrets(text) }
}

async fn fill(store: &Store, text: &str) {
    store.add(&document(text), "ana").await.unwrap();
    store.keep_draft("d1", "{}", &secrets(text), "ana").await.unwrap();
}

/// The secrets of the connection and of the draft, which are the same.
async fn secret(store: &Store) -> Result<String, Error> {
    let stored = store.get(NAME).await?.unwrap().document.secrets[FIELD].expose_secret().to_owned();
    let drafted = store.draft("d1").await?.unwrap().1[FIELD].expose_secret().to_owned();
    assert_eq!(stored, drafted);
    Ok(stored)
}

/// Stores new secrets in both places.
async fn set(store: &Store, text: &str) -> Result<(), Error> {
    store.set(&document(text), "ben").await?;
    store.keep_draft("d1", "{}", &secrets(text), "ben").await
}

fn key_file(world: &World) -> PathBuf {
    world.data_dir().join("secret.key")
}

fn waiting(world: &World) -> PathBuf {
    world.data_dir().join("secret.key.next")
}

/// Another machine over the same database, with a copy of the key file as it is now.
fn machine(world: &World, name: &str) -> OpenOptions {
    let folder = world.dir.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(key_file(world), folder.join("secret.key")).unwrap();
    let database = world.url.clone().unwrap_or_else(|| format!("sqlite:{}", world.file().display()));
    OpenOptions { database_url: Some(database), data_dir: folder, ..world.options() }
}

fn token(store: &Store, text: &str) -> String {
    store.seal_token("cookie", &SecretString::from(text)).unwrap()
}

fn opens(store: &Store, token: &str) -> bool {
    store.open_token("cookie", token).is_some()
}

on_both!(s_04_a_running_server_takes_the_new_key_up_and_nothing_is_lost, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let server = world.open().await;
    let before = token(&server, "who");
    let old = std::fs::read(key_file(&world)).unwrap();

    let rotated = store.rotate_key("ana").await.unwrap();
    assert_eq!(rotated.secrets, 2);
    assert_ne!(std::fs::read(key_file(&world)).unwrap(), old);
    assert_eq!(std::fs::read(&rotated.retired_file).unwrap(), old);
    assert!(!waiting(&world).exists());
    #[cfg(unix)]
    for file in [key_file(&world), rotated.retired_file.clone()] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // What was given away is good on both servers, whichever key it was sealed with
    let after = token(&store, "who");
    for (token, name) in [(&before, "before"), (&after, "after")] {
        assert!(opens(&server, token) && opens(&store, token), "sealed {name} the rotation");
    }
    assert_eq!(secret(&server).await.unwrap(), "hunter2");
    set(&server, "hunter3").await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter3");
    // Again and again
    for round in 0..3 {
        store.rotate_key("ana").await.unwrap();
        let text = format!("round {round}");
        set(&server, &text).await.unwrap();
        assert_eq!(secret(&store).await.unwrap(), text);
    }
    assert_eq!(secret(&world.open().await).await.unwrap(), "round 2");
    assert!(matches!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { .. }));
    let actions: Vec<_> = store.audit_list(100).await.unwrap().into_iter().map(|e| e.action).collect();
    assert_eq!(actions.iter().filter(|action| *action == "key_rotated").count(), 4);

    // A key that was given up opens what was given away for an hour, not for good
    world.set(world.now().checked_add(SignedDuration::from_hours(2)).unwrap());
    assert!(!opens(&server, &before));
    assert!(opens(&server, &token(&store, "who")));
});

#[cfg(unix)]
#[tokio::test]
async fn s_04_a_rotation_by_root_makes_the_key_of_the_service() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let world = World::sqlite();
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    if owner(&key_file(&world)) != 0 {
        println!("skipped: only root gives files away");
        return;
    }
    chown(key_file(&world), Some(4711), Some(4711)).unwrap();
    let rotated = store.rotate_key("ana").await.unwrap();
    assert_eq!((owner(&rotated.key_file), owner(&rotated.retired_file)), (4711, 4711));
}

/// A rotation that was killed, as the files and the database are then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    /// The new key was made.
    Made,
    /// Everything is sealed with it.
    Sealed,
    /// And the old file was kept.
    Kept,
    /// And the new one put in its place.
    Replaced,
}

async fn kill(world: &World, store: &Store, at: Killed) {
    if at == Killed::Made {
        store.prepare_key().await.unwrap();
        return;
    }
    let rotated = store.rotate_key("ana").await.unwrap();
    if at == Killed::Replaced {
        return;
    }
    std::fs::rename(key_file(world), waiting(world)).unwrap();
    std::fs::copy(&rotated.retired_file, key_file(world)).unwrap();
    if at == Killed::Sealed {
        std::fs::remove_file(&rotated.retired_file).unwrap();
    }
}

on_both!(s_04_a_rotation_that_is_killed_at_any_point_loses_nothing, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    for at in [Killed::Made, Killed::Sealed, Killed::Kept, Killed::Replaced] {
        let server = world.open().await;
        let old = std::fs::read(key_file(&world)).unwrap();
        kill(&world, &world.open().await, at).await;
        // Running servers read and write, whatever state the files are in
        assert_eq!(secret(&server).await.unwrap(), "hunter2", "{at:?}");
        set(&server, "hunter2").await.unwrap();
        assert_eq!(secret(&store).await.unwrap(), "hunter2", "{at:?}");
        // Whoever starts finishes what was begun
        let started = world.open().await;
        assert_eq!(secret(&started).await.unwrap(), "hunter2", "{at:?}");
        set(&started, "hunter2").await.unwrap();
        assert_eq!(std::fs::read(key_file(&world)).unwrap() == old, at == Killed::Made, "{at:?}");
        assert_eq!(waiting(&world).exists(), at == Killed::Made, "{at:?}");
        // And the next one begins with that
        started.rotate_key("ana").await.unwrap();
        assert!(!waiting(&world).exists(), "{at:?}");
        for store in [&server, &started, &store] {
            assert_eq!(secret(store).await.unwrap(), "hunter2", "{at:?}");
        }
    }
    let kept = std::fs::read_dir(world.data_dir()).unwrap();
    let kept = kept.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().contains(".retired-"));
    assert_eq!(kept.count(), 7, "every key that ever sealed anything is there");
});

on_both!(s_04_another_machine_refuses_until_it_has_the_new_key_and_goes_on_without_a_restart, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let options = machine(&world, "other");
    let other = Store::open(options.clone()).await.unwrap();
    assert_eq!(secret(&other).await.unwrap(), "hunter2");
    store.rotate_key("ana").await.unwrap();

    // Neither reads, nor seals anything with the key that was given up
    for refused in [secret(&other).await.map(drop), set(&other, "lost").await] {
        let failure = refused.unwrap_err().failure();
        assert_eq!(failure.code, FailureCode::KeyMismatch);
        assert!(failure.remedy.contains("without a restart"), "{}", failure.remedy);
    }
    let draft = other.keep_draft("d2", "{}", &secrets("lost"), "ben").await;
    assert!(matches!(draft, Err(Error::KeyRotated)));
    assert!(matches!(other.rotate_key("ben").await, Err(Error::KeyRotated)), "the old key cannot rotate");
    assert!(!options.data_dir.join("secret.key.next").exists());
    // What needs no key goes on
    assert_eq!(other.list().await.unwrap().len(), 1);
    other.keep_draft("d2", "{}", &BTreeMap::new(), "ben").await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter2");

    std::fs::copy(key_file(&world), options.data_dir.join("secret.key")).unwrap();
    assert_eq!(secret(&other).await.unwrap(), "hunter2");
    set(&other, "hunter3").await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter3");
    assert!(opens(&store, &token(&other, "who")) && opens(&other, &token(&store, "who")));
});

on_both!(s_04_a_key_that_was_prepared_on_every_machine_is_taken_up_at_once, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let options = machine(&world, "other");
    let other = Store::open(options.clone()).await.unwrap();
    let prepared = store.prepare_key().await.unwrap();
    assert_eq!(store.prepare_key().await.unwrap(), prepared, "made once");
    let theirs = options.data_dir.join("secret.key.next");
    std::fs::copy(&prepared.file, &theirs).unwrap();
    // Nothing is sealed with it yet, whoever starts meanwhile
    set(&other, "hunter2").await.unwrap();
    assert_eq!(secret(&Store::open(options.clone()).await.unwrap()).await.unwrap(), "hunter2");
    assert!(theirs.exists() && prepared.file.exists());

    assert_eq!(store.rotate_key("ana").await.unwrap().key_id, prepared.key_id);
    assert_eq!(secret(&other).await.unwrap(), "hunter2");
    set(&other, "hunter3").await.unwrap();
    assert!(opens(&store, &token(&other, "who")) && opens(&other, &token(&store, "who")));
    // At the next start there the files are as they are here
    let started = Store::open(options.clone()).await.unwrap();
    assert_eq!(secret(&started).await.unwrap(), "hunter3");
    assert!(!theirs.exists());
    let read = |path: &Path| std::fs::read(path).unwrap();
    assert_eq!(read(&options.data_dir.join("secret.key")), read(&key_file(&world)));

    // A key that waits for another rotation than the one that came is not taken for the new one
    let stale = other.prepare_key().await.unwrap();
    store.rotate_key("ana").await.unwrap();
    assert!(matches!(secret(&other).await, Err(Error::KeyRotated)));
    assert!(matches!(secret(&Store::open(options).await.unwrap()).await, Err(Error::KeyRotated)));
    assert!(stale.file.exists());
});

on_both!(s_04_writers_and_rotations_at_once_leave_everything_readable, |world| {
    let store = world.open().await;
    fill(&store, "start").await;
    let server = world.open().await;
    let writing = async {
        for round in 0..30 {
            set(&server, &format!("round {round}")).await.unwrap();
        }
    };
    let rotating = async {
        for _ in 0..6 {
            store.rotate_key("ana").await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let reading = async {
        for _ in 0..30 {
            let stored = server.get(NAME).await.unwrap().unwrap();
            assert!(!stored.document.secrets[FIELD].expose_secret().is_empty());
        }
    };
    tokio::join!(writing, rotating, reading);
    for store in [&store, &server, &world.open().await] {
        assert_eq!(secret(store).await.unwrap(), "round 29");
    }
});

on_both!(s_04_a_secret_that_does_not_open_stops_the_rotation_and_nothing_is_changed, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let key = std::fs::read(key_file(&world)).unwrap();
    world.tamper("UPDATE draft_secrets SET key_id = '0123456789abcdef'").await;
    let refused = store.rotate_key("ana").await.unwrap_err();
    assert!(matches!(refused, Error::KeyMismatch { .. }), "{refused}");
    assert_eq!(std::fs::read(key_file(&world)).unwrap(), key);
    assert!(!waiting(&world).exists());
    assert_eq!(store.get(NAME).await.unwrap().unwrap().document.secrets[FIELD].expose_secret(), "hunter2");
    store.drop_draft("d1").await.unwrap();
    assert_eq!(store.rotate_key("ana").await.unwrap().secrets, 1);
});

on_both!(h_05_a_backup_from_before_a_rotation_is_restored_with_the_old_key, |world| {
    let store = world.open().await;
    fill(&store, "hunter2").await;
    let file = world.dir.path().join("before.entrain");
    store.backup(&file, "ana").await.unwrap();
    let rotated = store.rotate_key("ana").await.unwrap();
    set(&store, "hunter3").await.unwrap();
    let later = world.dir.path().join("after.entrain");
    store.backup(&later, "ana").await.unwrap();
    let restore = async |store: &Store, file: &Path, secrets| {
        store.restore(file, Occupied::Replace, secrets, "ben").await
    };
    let refused = restore(&store, &file, SealedSecrets::Keep).await;
    assert!(matches!(refused, Err(Error::BackupKey { .. })));
    assert_eq!(secret(&store).await.unwrap(), "hunter3", "nothing was written");
    store.close().await;

    let new = std::fs::read(key_file(&world)).unwrap();
    std::fs::copy(&rotated.retired_file, key_file(&world)).unwrap();
    let store = world.open().await;
    assert!(matches!(secret(&store).await, Err(Error::KeyRotated)));
    restore(&store, &file, SealedSecrets::Keep).await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter2");
    set(&store, "hunter4").await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter4");
    store.close().await;

    // One from after it needs the new one, and brings along what was retired
    std::fs::write(key_file(&world), new).unwrap();
    let store = world.open().await;
    restore(&store, &later, SealedSecrets::Keep).await.unwrap();
    assert_eq!(secret(&store).await.unwrap(), "hunter3");
    store.close().await;

    // With its key lost, the secrets are stored again under the key that there is
    std::fs::remove_file(key_file(&world)).unwrap();
    let elsewhere = World::sqlite();
    let store = elsewhere.open().await;
    store.restore(&later, Occupied::Refuse, SealedSecrets::LeaveOut, "ben").await.unwrap();
    store.set(&document("hunter5"), "ben").await.unwrap();
    let stored = store.get(NAME).await.unwrap().unwrap();
    assert_eq!(stored.document.secrets[FIELD].expose_secret(), "hunter5");
});
