//! Backup and restore, on both databases and from one to the other.

use std::collections::BTreeMap;
use std::path::Path;

use entrain_domain::FailureCode;
use entrain_store::{AuditVerdict, ConnectionDocument, Error, Occupied, SealedSecrets, Store};
use rand::{RngExt as _, SeedableRng as _};
use secrecy::{ExposeSecret as _, SecretString};

use super::runs::half_a_run;
use crate::support::{World, on_both};

const CANARY: &str = "canary-77aa-secret";

pub(super) async fn filled(world: &World) -> Store {
    let store = world.open().await;
    let secrets = BTreeMap::from([("site.api_token".to_owned(), SecretString::from(CANARY))]);
    let document = ConnectionDocument { name: "Azure AD".into(), document: "sealed\n\"é\"".into(), secrets };
    store.add(&document, "ana").await.unwrap();
    half_a_run(&store, world).await;
    store
}

pub(super) fn take_key(from: &World, to: &World) {
    std::fs::create_dir_all(to.data_dir()).unwrap();
    std::fs::copy(from.data_dir().join("secret.key"), to.data_dir().join("secret.key")).unwrap();
}

async fn restore(store: &Store, file: &Path) -> Result<entrain_store::Backup, Error> {
    store.restore(file, Occupied::Refuse, SealedSecrets::Keep, "ben").await
}

pub(super) async fn holds_the_same(store: &Store, other: &Store) {
    assert_eq!(store.list().await.unwrap(), other.list().await.unwrap());
    assert_eq!(store.runs(None, 10).await.unwrap(), other.runs(None, 10).await.unwrap());
    let journal = async |store: &Store| store.unfinished("Azure AD").await.unwrap().unwrap().journal;
    assert_eq!(format!("{:?}", journal(store).await), format!("{:?}", journal(other).await));
    let secret = other.get("Azure AD").await.unwrap().unwrap().document.secrets["site.api_token"].clone();
    assert_eq!(secret.expose_secret(), CANARY);
    assert!(matches!(other.audit_verify().await.unwrap(), AuditVerdict::Sound { .. }));
    let last = other.audit_list(1).await.unwrap().remove(0);
    assert_eq!((last.action.as_str(), last.actor.as_str()), ("backup_restored", "ben"));
}

on_both!(a_backup_is_restored_into_either_database, |world| {
    let store = filled(&world).await;
    let file = world.dir.path().join("b.entrain");
    let made = store.backup(&file, "ana").await.unwrap();
    assert!(made.rows > 5);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(CANARY), "S-01: sealed secrets stay sealed");
    let key = std::fs::read_to_string(world.data_dir().join("secret.key")).unwrap();
    assert!(!text.contains(key.trim().rsplit(' ').next().unwrap()), "the key is not in it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for other in [Some(World::sqlite()), World::postgres().await].into_iter().flatten() {
        take_key(&world, &other);
        let target = other.open().await;
        assert_eq!(restore(&target, &file).await.unwrap(), made);
        holds_the_same(&store, &target).await;
        // What goes on afterwards goes on in the chain
        target.remove("Azure AD", "cleo").await.unwrap();
        assert!(matches!(target.audit_verify().await.unwrap(), AuditVerdict::Sound { .. }));
        // It is not empty any more, and is replaced only on demand
        let refused = restore(&target, &file).await.unwrap_err();
        assert_eq!(refused.failure().code, FailureCode::UsageInvalid, "{refused}");
        assert!(target.list().await.unwrap().is_empty());
        target.restore(&file, Occupied::Replace, SealedSecrets::Keep, "ben").await.unwrap();
        holds_the_same(&store, &target).await;
        target.close().await;
        // The tables are in order for an opening too
        assert_eq!(other.open().await.list().await.unwrap().len(), 1);
    }
});

on_both!(a_backup_is_one_moment_while_others_write, |world| {
    let store = filled(&world).await;
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for at in 0..60 {
            let document = ConnectionDocument {
                name: "Azure AD".into(),
                document: format!("version {at}"),
                secrets: BTreeMap::new(),
            };
            writing.set(&document, "writer").await.unwrap();
        }
    });
    for at in 0..5 {
        let file = world.dir.path().join(format!("b{at}"));
        store.backup(&file, "ana").await.unwrap();
        let other = World::sqlite();
        take_key(&world, &other);
        let target = other.open().await;
        restore(&target, &file).await.unwrap();
        // Each version has its entry: half a transaction would show here
        let versions = target.versions("Azure AD").await.unwrap().len();
        let entries = target.audit_list(1000).await.unwrap();
        let told = entries.iter().filter(|entry| entry.action.starts_with("connection_")).count();
        assert_eq!(versions, told);
        assert!(matches!(target.audit_verify().await.unwrap(), AuditVerdict::Sound { .. }));
    }
    writer.await.unwrap();
});

#[tokio::test]
async fn r_06_a_flipped_or_cut_off_backup_is_refused_and_nothing_is_written() {
    let world = World::sqlite();
    let store = filled(&world).await;
    let file = world.dir.path().join("b");
    store.backup(&file, "ana").await.unwrap();
    let good = std::fs::read(&file).unwrap();
    let other = World::sqlite();
    take_key(&world, &other);
    let target = other.open().await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let bad = other.dir.path().join("bad");
    for at in 0..220 {
        let mut bytes = good.clone();
        if at < 200 {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
        } else {
            bytes.truncate(random.random_range(0..bytes.len()));
        }
        std::fs::write(&bad, &bytes).unwrap();
        let error = restore(&target, &bad).await.unwrap_err();
        let code = error.failure().code;
        assert!(
            matches!(code, FailureCode::StoreUnreadable | FailureCode::StoreNewer),
            "seed {seed}, {at}: {error}"
        );
        assert!(error.failure().message.contains("bad"), "{error}");
    }
    assert!(target.list().await.unwrap().is_empty());
    assert!(target.audit_list(10).await.unwrap().is_empty());
    // The file itself was good
    restore(&target, &file).await.unwrap();
}

#[tokio::test]
async fn a_backup_of_another_version_or_program_is_refused() {
    let world = World::sqlite();
    let store = filled(&world).await;
    let file = world.dir.path().join("b");
    store.backup(&file, "ana").await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let other = World::sqlite();
    take_key(&world, &other);
    let target = other.open().await;
    let bad = other.dir.path().join("bad");
    for (content, code) in [
        (text.replacen("entrain-backup-1", "entrain-backup-2", 1), FailureCode::StoreNewer),
        (text.replacen("\"tables_version\":[", "\"tables_version\":[9999,", 1), FailureCode::StoreNewer),
        ("{}\n".into(), FailureCode::StoreUnreadable),
        (String::new(), FailureCode::StoreUnreadable),
        ("\u{1F4A9}".into(), FailureCode::StoreUnreadable),
    ] {
        std::fs::write(&bad, content).unwrap();
        let error = restore(&target, &bad).await.unwrap_err();
        assert_eq!(error.failure().code, code, "{error}");
    }
    let folder = restore(&target, other.dir.path()).await.unwrap_err();
    assert!(folder.to_string().contains("not a file"), "{folder}");
    assert!(target.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn secrets_of_another_key_are_restored_only_without_them() {
    let world = World::sqlite();
    let store = filled(&world).await;
    let file = world.dir.path().join("b");
    store.backup(&file, "ana").await.unwrap();
    let other = World::sqlite();
    let target = other.open().await;
    let error = restore(&target, &file).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::KeyMismatch);
    assert!(target.list().await.unwrap().is_empty());
    target.restore(&file, Occupied::Refuse, SealedSecrets::LeaveOut, "ben").await.unwrap();
    assert!(target.get("Azure AD").await.unwrap().unwrap().document.secrets.is_empty());
    assert!(matches!(target.audit_verify().await.unwrap(), AuditVerdict::Sound { .. }));
}

#[tokio::test]
async fn nothing_is_restored_under_a_server_or_a_run() {
    let world = World::sqlite();
    let store = filled(&world).await;
    let file = world.dir.path().join("b");
    store.backup(&file, "ana").await.unwrap();
    let replace = async || store.restore(&file, Occupied::Replace, SealedSecrets::Keep, "ben").await;
    let server = store.claim_server("a server").await.unwrap();
    assert_eq!(replace().await.unwrap_err().failure().code, FailureCode::ServerRunning);
    drop(server);
    let run = store.claim("Azure AD", "a run").await.unwrap();
    assert_eq!(replace().await.unwrap_err().failure().code, FailureCode::ServerRunning);
    drop(run);
    replace().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn h_05_a_backup_goes_into_no_file_that_is_there() {
    let world = World::sqlite();
    let store = filled(&world).await;
    let folder = world.dir.path();
    std::fs::write(folder.join("there"), "mine").unwrap();
    std::os::unix::fs::symlink(folder.join("nowhere"), folder.join("link")).unwrap();
    for path in ["there", "link", "data", "data/../there", "no/such/folder/b", "..", "/dev/null", ""] {
        let path = if path.is_empty() { path.into() } else { folder.join(path) };
        let error = store.backup(&path, "ana").await.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::StoreFailed, "{}: {error}", path.display());
    }
    assert_eq!(std::fs::read_to_string(folder.join("there")).unwrap(), "mine");
    assert!(!folder.join("nowhere").exists());
    // No unfinished file stays behind
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["data", "link", "there"]);
}

on_both!(r_14_an_older_server_makes_no_backup_of_newer_tables, |world| {
    let store = filled(&world).await;
    // While this server runs, a newer one adds to the tables: a backup by these columns would leave some of it out
    world.tamper("ALTER TABLE runs ADD COLUMN later TEXT").await;
    world.tamper("UPDATE _sqlx_migrations SET version = 99999 WHERE version = 1").await;
    let file = world.dir.path().join("b.entrain");
    let failure = store.backup(&file, "ana").await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::StoreNewer);
    assert!(!file.exists());
    assert_eq!(store.list().await.unwrap().len(), 1, "it works on, beside the newer one");
});
