//! One run per connection at a time.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrain_store::{ClaimError, Store};

use crate::support::{World, on_both};

on_both!(r_08_of_many_racing_tasks_one_gets_the_connection_and_the_others_hear_its_name, |world| {
    let (rounds, tasks) = if world.url.is_none() { (32, 32) } else { (6, 12) };
    let store = world.open().await;
    let other_process = world.open().await;
    for round in 0..rounds {
        let holders = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(tokio::sync::Barrier::new(tasks));
        let mut racers = tokio::task::JoinSet::new();
        for n in 0..tasks {
            let store = if n % 2 == 0 { store.clone() } else { other_process.clone() };
            let (holders, start) = (holders.clone(), start.clone());
            racers.spawn(async move {
                start.wait().await;
                match store.claim("Azure AD", &format!("round {round}")).await {
                    Ok(claim) => {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it in round {round}");
                        Some(claim)
                    }
                    Err(ClaimError::Busy { holder }) => {
                        assert_eq!(holder, format!("round {round}"));
                        None
                    }
                    Err(ClaimError::Failed(error)) => panic!("{error}"),
                }
            });
        }
        let claims: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
        assert_eq!(claims.len(), 1, "nobody or two in round {round}");
        // Another connection is free meanwhile
        store.claim("Other", "me").await.unwrap().release().await.unwrap();
        for claim in claims {
            claim.release().await.unwrap();
        }
    }
});

on_both!(r_08_a_second_process_is_refused_until_the_first_is_killed, |world| {
    let store = world.open().await;
    let mut first = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "claims::holds_a_claim_until_killed", "--ignored", "--nocapture"])
        .env("ENTRAIN_CLAIM_IN", world.dir.path())
        .env("ENTRAIN_CLAIM_URL", world.url.clone().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("claimed")), "the first process claims");
    match store.claim("Azure AD", "the second").await {
        Err(ClaimError::Busy { holder }) => assert_eq!(holder, "the first process"),
        other => panic!("{other:?}"),
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let _claim = store.claim("Azure AD", "the second").await.unwrap();
});

/// The claim is the database's, whatever data directory a process has beside it.
#[tokio::test]
async fn r_08_two_data_directories_over_one_file_share_its_claims() {
    let world = World::sqlite();
    let one = world.open().await;
    let options = entrain_store::OpenOptions {
        database_url: Some(format!("sqlite:{}", world.file().display())),
        data_dir: world.dir.path().join("another"),
        secret_key_file: Some(world.data_dir().join("secret.key")),
        ..world.options()
    };
    let other = Store::open(options).await.unwrap();
    let claim = one.claim("Azure AD", "the first").await.unwrap();
    match other.claim("Azure AD", "the second").await {
        Err(ClaimError::Busy { holder }) => assert_eq!(holder, "the first"),
        free => panic!("{free:?}"),
    }
    claim.release().await.unwrap();
    other.claim("Azure AD", "the second").await.unwrap().release().await.unwrap();
}

/// The first process of the test above: holds its claim until it is killed, or its input ends.
#[tokio::test]
#[ignore = "started by another test"]
async fn holds_a_claim_until_killed() {
    let data = std::env::var_os("ENTRAIN_CLAIM_IN").expect("started by another test");
    let world = World::sqlite();
    let mut options = world.options();
    options.data_dir = std::path::Path::new(&data).join("data");
    options.database_url = std::env::var("ENTRAIN_CLAIM_URL").ok().filter(|url| !url.is_empty());
    let store = Store::open(options).await.unwrap();
    let _claim = store.claim("Azure AD", "the first process").await.unwrap();
    println!("claimed");
    std::io::stdin().lines().for_each(drop);
}
