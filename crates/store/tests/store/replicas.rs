//! Several servers over one database: whose claim it is, whose turn, and what a server that was frozen may still
//! write.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use entrain_domain::model::{AccountId, RunId, SiteGroupId};
use entrain_domain::plan::{StepId, StepKind};
use entrain_domain::run::{AuditNote, Intent, RunStatus, Trigger};
use entrain_domain::service::Turn;
use entrain_store::{Claim, ClaimError, Error, Store};
use jiff::SignedDuration;
use sqlx::{Connection as _, PgConnection};

use crate::support::{World, on_both};

const CONNECTION: &str = "Azure AD";

fn run() -> RunId {
    RunId::parse("r1").unwrap()
}

async fn intend(store: &Store, world: &World, step: &str) -> Result<(), Error> {
    let intent = Intent::RemoveMember {
        group: SiteGroupId::parse("g-1").unwrap(),
        account: AccountId::parse("acc-1").unwrap(),
    };
    store.intend(&run(), &StepId::from_stored(step), StepKind::AddMember, &intent, world.now()).await
}

on_both!(of_servers_that_see_the_same_start_due_one_gets_the_turn, |world| {
    let (one, other) = (world.open().await, world.open().await);
    let mut before = None;
    for round in 0..20 {
        let at = world.now().checked_add(SignedDuration::from_mins(round)).unwrap();
        let turns = [one.fired(CONNECTION, before, at), other.fired(CONNECTION, before, at)];
        let [first, second] = turns;
        let (first, second) = tokio::join!(first, second);
        let ours = [first.unwrap(), second.unwrap()].iter().filter(|turn| **turn == Turn::Ours).count();
        assert_eq!(ours, 1, "round {round}");
        before = Some(at);
    }
    assert_eq!(one.fired_at().await.unwrap()[CONNECTION], before.unwrap());
});

on_both!(a_run_without_an_end_is_an_orphan_once_nobody_holds_its_connection, |world| {
    let (one, other) = (world.open().await, world.open().await);
    assert!(other.orphans("other").await.unwrap().is_empty());
    let claim = one.claim(CONNECTION, "one").await.unwrap();
    one.begin(&run(), CONNECTION, Trigger::Schedule, world.now()).await.unwrap();
    assert!(other.orphans("other").await.unwrap().is_empty(), "it is under way");
    claim.release().await.unwrap();
    assert_eq!(other.orphans("other").await.unwrap(), [CONNECTION]);
    // Looking has not taken it
    one.claim(CONNECTION, "one").await.unwrap().release().await.unwrap();
});

on_both!(r_09_a_run_that_ends_while_others_look_is_no_orphan, |world| {
    let (one, other) = (world.open().await, world.open().await);
    let running = async {
        for n in 0..150 {
            let id = RunId::parse(format!("run-{n}")).unwrap();
            // Whoever looks holds the connection for a moment
            let claim = loop {
                match one.claim(CONNECTION, "one").await {
                    Ok(claim) => break claim,
                    Err(ClaimError::Busy { .. }) => tokio::task::yield_now().await,
                    Err(ClaimError::Failed(error)) => panic!("{error}"),
                }
            };
            one.begin(&id, CONNECTION, Trigger::Schedule, world.now()).await.unwrap();
            let note = AuditNote {
                actor: "entrain".into(),
                action: "run_ended".into(),
                object: id.as_str().into(),
                detail: String::new(),
            };
            let report = crate::runs::report(&id, RunStatus::Converged, world.now());
            one.end(&report, note).await.unwrap();
            claim.release().await.unwrap();
        }
    };
    let looking = async {
        loop {
            assert!(other.orphans("other").await.unwrap().is_empty(), "its server is there");
        }
    };
    tokio::select! {
        () = running => {}
        () = looking => {}
    }
});

on_both!(whichever_server_is_asked_the_one_that_does_the_run_learns_that_it_is_to_stop, |world| {
    let (one, other) = (world.open().await, world.open().await);
    let unknown = other.ask_to_stop(&run(), "ana").await;
    assert!(matches!(unknown, Err(Error::RunUnknown(_))), "{unknown:?}");
    one.begin(&run(), CONNECTION, Trigger::Schedule, world.now()).await.unwrap();
    assert!(!one.asked_to_stop(&run()).await.unwrap());
    other.ask_to_stop(&run(), "ana").await.unwrap();
    other.ask_to_stop(&run(), "ben").await.unwrap();
    assert!(one.asked_to_stop(&run()).await.unwrap());
    let entries = one.audit_before(None, 10).await.unwrap();
    let asked: Vec<_> = entries.iter().filter(|e| e.action == "run_stop_asked").collect();
    assert_eq!(asked.len(), 1, "the second asking is none");
    assert_eq!((&*asked[0].actor, &*asked[0].object), ("ana", "r1"));
});

/// Stops or wakes a process.
fn signal(process: &Child, name: &str) {
    let done = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(done.success());
}

/// Stops a process and waits until all its threads stand still: on a busy machine the others go on until the one that got
/// the signal has its turn.
fn freeze(process: &Child) {
    signal(process, "-STOP");
    let tasks = format!("/proc/{}/task", process.id());
    let stands = |stat: &str| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'));
    let all_stand = || {
        let mut tasks = std::fs::read_dir(&tasks).into_iter().flatten().flatten();
        // A thread that has ended meanwhile stands as well
        tasks.all(|task| std::fs::read_to_string(task.path().join("stat")).map_or(true, |stat| stands(&stat)))
    };
    while !all_stand() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the query counts something.
async fn until_one(session: &mut PgConnection, query: &'static str) {
    for _ in 0..3000 {
        if sqlx::query_scalar::<_, i64>(query).fetch_one(&mut *session).await.unwrap() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing came of this within a minute: {query}");
}

async fn claim_in_time(store: &Store) -> Claim {
    for _ in 0..120 {
        match store.claim(CONNECTION, "the second").await {
            Ok(claim) => return claim,
            Err(ClaimError::Busy { holder }) => assert_eq!(holder, "the first process"),
            Err(ClaimError::Failed(error)) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the claim of the frozen process was never given up");
}

/// A process that has begun a run, written one intent, and waits to be told to go on.
struct First {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl First {
    fn start(world: &World) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "replicas::begins_a_run_and_goes_on_when_told", "--ignored", "--nocapture"])
            .env("ENTRAIN_CLAIM_IN", world.dir.path())
            .env("ENTRAIN_CLAIM_URL", world.url.clone().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut first = Self { process, lines };
        first.line("begun");
        first
    }

    /// The rest of the next line that says this.
    fn line(&mut self, what: &str) -> String {
        let mut rest =
            |line: std::io::Result<String>| line.unwrap().split_once(what).map(|(_, rest)| rest.to_owned());
        self.lines.find_map(&mut rest).unwrap()
    }

    fn go_on(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    }

    /// How its further writes ended.
    fn end(mut self) -> String {
        let then = self.line("then: ");
        self.process.wait().unwrap();
        then
    }
}

async fn steps(store: &Store) -> Vec<String> {
    store.journal(&run()).await.unwrap().iter().map(|entry| entry.step.to_string()).collect()
}

/// A process is frozen in the middle of a run; another takes the run over; the first wakes up and may write nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_09_a_holder_that_was_frozen_past_its_lease_is_fenced_when_it_wakes() {
    let Some(world) = World::postgres().await else { return };
    let store = world.open().await;
    let mut first = First::start(&world);
    freeze(&first.process);

    let claim = claim_in_time(&store).await;
    let left = store.unfinished(CONNECTION).await.unwrap().expect("the run of the frozen process");
    assert_eq!(left.id, run());
    assert_eq!(left.journal.len(), 1, "what it had sent stands in its journal");
    intend(&store, &world, "add/second").await.unwrap();

    signal(&first.process, "-CONT");
    first.go_on();
    assert_eq!(first.end(), "fenced, fenced, fenced, busy");
    assert_eq!(steps(&store).await, ["add/first", "add/second"]);
    claim.release().await.unwrap();
}

/// A process is frozen between two statements of a transaction, which keeps the row of the claim locked. The session
/// of the transaction is another than that of the claim: ending the latter does not free the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_09_a_holder_that_was_frozen_within_a_transaction_does_not_keep_its_claim() {
    let Some(world) = World::postgres().await else { return };
    let store = world.open().await;
    let mut first = First::start(&world);

    let mut gate = PgConnection::connect(world.url.as_deref().unwrap()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").execute(&mut gate).await.unwrap();
    first.go_on();
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'journal'::regclass";
    until_one(&mut gate, waiting).await;
    freeze(&first.process);
    sqlx::raw_sql("COMMIT").execute(&mut gate).await.unwrap();
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
        AND datname = current_database()";
    until_one(&mut gate, locked).await;

    let claim = tokio::time::timeout(Duration::from_mins(1), claim_in_time(&store));
    let claim = claim.await.expect("the row of the claim stays locked");
    assert_eq!(steps(&store).await, ["add/first"], "what was not committed is not there");

    signal(&first.process, "-CONT");
    let said = first.end();
    assert!(!said.contains("done") && !said.contains("claimed"), "{said}");
    assert_eq!(steps(&store).await, ["add/first"]);
    claim.release().await.unwrap();
}

/// The first process of the tests above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test"]
async fn begins_a_run_and_goes_on_when_told() {
    let data = std::env::var_os("ENTRAIN_CLAIM_IN").expect("started by another test");
    let world = World::sqlite();
    let mut options = world.options();
    options.data_dir = std::path::Path::new(&data).join("data");
    options.database_url = std::env::var("ENTRAIN_CLAIM_URL").ok();
    let store = Store::open(options).await.unwrap();
    let _claim = store.claim(CONNECTION, "the first process").await.unwrap();
    store.begin(&run(), CONNECTION, Trigger::Schedule, world.now()).await.unwrap();
    intend(&store, &world, "add/first").await.unwrap();
    println!("begun");
    let told = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await.unwrap();
    told.expect("told to go on").unwrap();
    let word = |result: Result<(), Error>| match result {
        Ok(()) => "done".to_owned(),
        Err(Error::Fenced { .. }) => "fenced".to_owned(),
        Err(other) => other.to_string(),
    };
    let mut said = Vec::new();
    for step in ["add/third", "add/fourth"] {
        said.push(word(intend(&store, &world, step).await));
    }
    let phase = entrain_domain::run::Phase::Verifying;
    said.push(word(store.phase(&run(), phase, None).await));
    said.push(match store.claim(CONNECTION, "the first process again").await {
        Ok(_) => "claimed".into(),
        Err(ClaimError::Busy { .. }) => "busy".into(),
        Err(ClaimError::Failed(error)) => error.to_string(),
    });
    println!("then: {}", said.join(", "));
}
