//! What is refused at opening, and left as it is (R-06).

use entrain_domain::FailureCode;
use entrain_domain::memory::{MemoryChange, Origin};
use entrain_domain::model::{
    AccountId, Coverage, DirectoryReading, DirectoryUser, DirectoryUserId, SiteGroupId,
};
use entrain_domain::run::{AuditNote, RunStatus};
use entrain_store::{AuditVerdict, ConnectionDocument, Result, Store, Watermark};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::ExposeSecret as _;

use crate::memory::picture;
use crate::support::{World, on_both};

/// Some of everything.
async fn fill(world: &World) {
    let store = world.open().await;
    let document = ConnectionDocument {
        name: "Azure AD".into(),
        document: "name = \"Azure AD\"".into(),
        secrets: [("site.api_token".to_owned(), "hunter2".into())].into(),
    };
    store.add(&document, "ana").await.unwrap();
    let mut reading = DirectoryReading::new();
    for n in 0..60 {
        reading.put_user(DirectoryUser {
            id: DirectoryUserId::parse(format!("user-{n}")).unwrap(),
            display_name: Some(format!("Ana {n}").into()),
            mail: None,
            user_principal_name: None,
            other_mail: None,
            account: entrain_domain::model::AccountState::Enabled,
            kind: entrain_domain::model::UserKind::Member,
            attributes: entrain_domain::model::Attributes::NONE,
        });
    }
    let own = |n| MemoryChange::OwnMembership {
        group: SiteGroupId::parse("g").unwrap(),
        account: AccountId::parse(format!("account-{n}")).unwrap(),
        origin: Origin::Created,
        path: None,
    };
    let changes: Vec<_> = (0..60).map(own).collect();
    let watermark =
        Watermark { users: "https://a".into(), groups: "https://b".into(), issued_at: world.now() };
    let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
    crate::mirror::learn_all(&store, "Azure AD", &changes, &snapshot, &watermark).await;
    let id = crate::runs::half_a_run(&store, world).await;
    let note = AuditNote {
        actor: "entrain".into(),
        action: "run_ended".into(),
        object: "r".into(),
        detail: "d".into(),
    };
    store.end(&crate::runs::report(&id, RunStatus::Converged, world.now()), note).await.unwrap();
    store.close().await;
}

/// Everything there is, as text.
async fn everything(store: &Store, world: &World) -> Result<Vec<String>> {
    let mut lines = picture(&store.memory("Azure AD").await?);
    for entry in store.list().await? {
        lines.push(format!("{:?}", store.versions(&entry.name).await?));
        let stored = store.get(&entry.name).await?.unwrap();
        lines.extend(stored.document.secrets.values().map(|secret| secret.expose_secret().to_owned()));
    }
    let mirror = store.directory_mirror("Azure AD").await?;
    let mirror = mirror.map(|reading| reading.finish(Coverage::Complete, Coverage::Complete));
    let mut users: Vec<_> = mirror.iter().flat_map(|s| s.users().map(|user| format!("{user:?}"))).collect();
    users.sort();
    lines.extend(users);
    lines.push(format!("{:?}", store.mirror_head("Azure AD").await?));
    if let Some(site) = store.site_mirror("Azure AD").await? {
        lines.push(format!("{:?} {:?}", site.accounts, site.groups));
        lines.extend(site.members.iter().map(|members| format!("{members:?}")));
    }
    for run in store.runs(None, 100).await? {
        lines.push(format!("{run:?} {:?} {:?}", store.journal(&run.id).await?, store.plan(&run.id).await?));
    }
    lines.push(format!("{:?}", store.history("Azure AD", world.now()).await?));
    lines.push(format!("{:?} {:?}", store.audit_list(100).await?, store.audit_verify().await?));
    Ok(lines)
}

/// Puts these bytes in place of the database. `Err` is the refusal, at opening or at reading.
async fn try_with(world: &World, bytes: &[u8]) -> Result<Vec<String>> {
    for rest in ["entrain.db-wal", "entrain.db-shm", "entrain.db-journal"] {
        let _ = std::fs::remove_file(world.data_dir().join(rest));
    }
    std::fs::write(world.file(), bytes).unwrap();
    match Store::open(world.options()).await {
        Ok(store) => {
            let result = everything(&store, world).await;
            store.close().await;
            result
        }
        Err(error) => {
            assert_eq!(std::fs::read(world.file()).unwrap(), bytes, "a refused file is left as it is");
            Err(error)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_06_a_flipped_bit_is_refused_or_harmless() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::sqlite();
    fill(&world).await;
    let good = std::fs::read(world.file()).unwrap();
    let intact = try_with(&world, &good).await.unwrap();
    let good = std::fs::read(world.file()).unwrap();
    let flips: usize = std::env::var("ENTRAIN_FLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let mut refused = 0;
    for n in 0..flips {
        let mut bytes = good.clone();
        let (mut at, bit) = (random.random_range(0..bytes.len()), random.random_range(0..8));
        // Every other flip looks for a byte in use; a young database is mostly zeros
        while n % 2 == 0 && bytes[at] == 0 {
            at = random.random_range(0..bytes.len());
        }
        bytes[at] ^= 1 << bit;
        match try_with(&world, &bytes).await {
            Ok(lines) if lines.iter().any(|line| line.contains("Broken {")) => refused += 1,
            Ok(lines) => {
                assert_eq!(lines, intact, "seed {seed}, flip {n}: bit {bit} of byte {at} passed in silence");
            }
            Err(_) => refused += 1,
        }
    }
    println!("{refused} of {flips} flips refused, the others were in unused space");
    assert!(refused > flips / 4, "the test reaches data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_06_a_truncated_file_is_refused_and_left_as_it_is() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::sqlite();
    fill(&world).await;
    let good = std::fs::read(world.file()).unwrap();
    let mut lengths = vec![0, 1, 15, 16, 99, 100, 4095, 4096, 4097, good.len() - 4096, good.len() - 1];
    lengths.extend((0..20).map(|_| random.random_range(0..good.len())));
    for length in lengths {
        let error = try_with(&world, &good[..length]).await.expect_err("a part is not the whole");
        let failure = error.failure();
        assert_eq!(failure.code, FailureCode::StoreUnreadable, "seed {seed}, {length} bytes: {error}");
        assert!(error.to_string().contains("entrain.db"), "{error}");
    }
    assert!(try_with(&world, &good).await.is_ok());
}

#[tokio::test]
async fn r_06_a_file_of_another_program_is_refused_and_left_as_it_is() {
    let world = World::sqlite();
    world.open().await.close().await;
    for bytes in [&b"{\"users\": []}"[..], &[b'x'; 5000]] {
        assert_eq!(try_with(&world, bytes).await.unwrap_err().failure().code, FailureCode::StoreUnreadable);
    }
    // A sound SQLite file that is not ours
    std::fs::remove_file(world.file()).unwrap();
    {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(world.file()).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE store_marker (id BIGINT)").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let bytes = std::fs::read(world.file()).unwrap();
    let error = try_with(&world, &bytes).await.unwrap_err();
    assert!(error.to_string().contains("not a database of Entrain"), "{error}");
}

#[tokio::test]
async fn a_half_made_database_of_a_killed_start_is_made_anew() {
    let world = World::sqlite();
    std::fs::create_dir(world.data_dir()).unwrap();
    std::fs::write(world.data_dir().join("entrain.db.new"), b"half").unwrap();
    let store = world.open().await;
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 0 });
}

#[tokio::test]
async fn two_first_starts_at_once_make_one_database() {
    let world = World::sqlite();
    let (one, two) = tokio::join!(Store::open(world.options()), Store::open(world.options()));
    let (one, two) = (one.unwrap(), two.unwrap());
    let document = ConnectionDocument {
        name: "A".into(),
        document: "d".into(),
        secrets: [("k".to_owned(), "s".into())].into(),
    };
    one.add(&document, "ana").await.unwrap();
    assert_eq!(two.get("A").await.unwrap().unwrap().document.secrets["k"].expose_secret(), "s");
}

on_both!(r_14_a_database_of_a_newer_entrain_is_refused, |world| {
    world.open().await.close().await;
    world.tamper("UPDATE _sqlx_migrations SET version = 99999 WHERE version = 1").await;
    let failure = Store::open(world.options()).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::StoreNewer);
    assert!(failure.message.contains("99999"), "{}", failure.message);
});

#[tokio::test]
async fn tables_of_another_program_on_the_server_are_refused() {
    let Some(world) = World::postgres().await else { return };
    world.tamper("CREATE TABLE customers (id BIGINT)").await;
    let error = Store::open(world.options()).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::StoreUnreadable);
    assert!(error.to_string().contains("customers"), "{error}");
}

#[tokio::test]
async fn an_address_that_names_no_database_is_refused_without_repeating_it() {
    let world = World::sqlite();
    for url in ["mysql://root:hunter2@db", "sqlite::memory:", "postgres://u:hunter2@["] {
        let mut options = world.options();
        options.database_url = Some(url.into());
        let error = Store::open(options).await.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::UsageInvalid);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

/// All tables of a file but those of the migrations and of SQLite.
async fn tables(connection: &mut sqlx::SqliteConnection, schema: &str) -> Vec<String> {
    let text = format!(
        "SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
         AND name <> '_sqlx_migrations' ORDER BY rowid"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_all(connection).await.unwrap()
}

/// What is in `full`, as far as these migrations have room for it, in a file as they made it.
async fn as_of(full: &std::path::Path, migrations: Vec<sqlx::migrate::Migration>, path: &std::path::Path) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(false)
        .pragma("application_id", 0x456e_7472.to_string());
    let mut connection = options.connect().await.unwrap();
    let old = sqlx::migrate::Migrator { migrations: migrations.into(), ..sqlx::migrate::Migrator::DEFAULT };
    old.run(&mut connection).await.unwrap();
    let attach = format!("ATTACH '{}' AS entire", full.display());
    sqlx::query(sqlx::AssertSqlSafe(attach)).execute(&mut connection).await.unwrap();
    for table in tables(&mut connection, "main").await {
        let columns = format!("SELECT group_concat(name) FROM pragma_table_info('{table}', 'main')");
        let columns: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(columns)).fetch_one(&mut connection).await.unwrap();
        let copy = format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM entire.{table}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(copy)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_14_a_database_of_every_older_format_is_brought_up_to_date_and_loses_nothing() {
    let world = World::sqlite();
    fill(&world).await;
    let full = world.dir.path().join("full.db");
    std::fs::copy(world.file(), &full).unwrap();
    let intact = try_with(&world, &std::fs::read(&full).unwrap()).await.unwrap();
    let all = sqlx::migrate!("./migrations").migrations.to_vec();
    let mut formats: Vec<_> = (1..all.len()).map(|first| all[..first].to_vec()).collect();
    // Numbers are not given in their order: the last one may be there, and a lower one not yet
    formats.push(all.iter().filter(|migration| migration.version != 25).cloned().collect());
    for (number, format) in formats.into_iter().enumerate() {
        let old = world.dir.path().join(format!("format-{number}.db"));
        let last = format.last().unwrap().version;
        as_of(&full, format, &old).await;
        let lines = try_with(&world, &std::fs::read(&old).unwrap()).await;
        assert_eq!(lines.unwrap(), intact, "format {number}, of migration {last}");
    }
}
