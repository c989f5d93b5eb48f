//! the audit log alone cannot be written, while the rest of the database and the disk work. Nothing is written to
//! the site, whichever command asks for it; and where the log gives up in the middle of a run, no more is sent than was
//! under way, and every write gets its entry when the log works again.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::support::{Ran, command};
use crate::town::Town;

/// Makes the log refuse each entry once it holds so many.
fn full_at(town: &Town, entries: usize) {
    meddle(
        town,
        format!(
            "CREATE TRIGGER full_up BEFORE INSERT ON audit WHEN (SELECT count(*) FROM audit) >= {entries} \
             BEGIN SELECT RAISE(ABORT, 'the audit log takes no more'); END"
        ),
    );
}

/// Makes the log take entries, and nothing move the end of its chain.
fn chain_stuck(town: &Town) {
    let sql = "CREATE TRIGGER full_up BEFORE UPDATE ON store_marker BEGIN SELECT RAISE(ABORT, 'stuck'); END";
    meddle(town, sql.to_owned());
}

fn mended(town: &Town) {
    meddle(town, "DROP TRIGGER full_up".to_owned());
}

/// Does something to the database behind the program's back.
fn meddle(town: &Town, sql: String) {
    let file = format!("sqlite:{}", town.bench.folder.path().join("data/entrain.db").display());
    town.bench.runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&file).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Entries of the log: all, and those about writes to the site.
fn entries(town: &Town) -> (usize, usize) {
    let log = town.bench.entrain(&["audit", "export"]).expect(0).out();
    let about = |kind: &str| log.matches(&format!("\"action\":\"{kind}\"")).count();
    let writes = ["add_member", "remove_member", "create_user", "create_group"];
    (log.lines().count(), writes.into_iter().map(about).sum())
}

#[track_caller]
fn assert_refused(town: &Town, ran: &Ran) {
    assert_eq!(ran.output.status.code(), Some(1), "entrain {}: {}\n{}", ran.args, ran.out(), ran.err());
    let error = &ran.json()["error"];
    assert_eq!(error["code"], "store_failed", "entrain {}: {error:#}", ran.args);
    assert!(error["message"].as_str().unwrap().contains("audit log"), "entrain {}: {error:#}", ran.args);
    assert!(error["remedy"].as_str().unwrap().len() > 10, "entrain {}: {error:#}", ran.args);
    assert_eq!(town.writes(), Vec::<String>::new(), "entrain {}", ran.args);
}

/// Runs a command, and breaks the log once it has opened the database: a database that is not as it was made is not even
/// opened. The clouds take their time, so that nothing is written before.
fn run_with(town: &Town, args: &[&str], break_it: impl Fn(&Town)) -> Ran {
    let slow = |ms: u64| {
        let mut settings = (*town.bench.emulator.state().settings()).clone();
        (settings.latency.authority_ms, settings.latency.graph_ms) = (ms, ms);
        town.bench.emulator.state().set_settings(settings);
    };
    slow(700);
    town.forget_requests();
    let child = command(town.bench.folder.path(), args).spawn().unwrap();
    let start = Instant::now();
    while town.requests(|_| true).is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1), "{args:?} asks for nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
    break_it(town);
    assert_eq!(town.writes(), Vec::<String>::new(), "broken in time");
    slow(0);
    let ran = Ran { args: args.join(" "), output: child.wait_with_output().unwrap() };
    mended(town);
    ran
}

#[test]
fn r_07_where_only_the_audit_log_takes_nothing_no_command_writes_to_the_site() {
    let mut town = Town::settled();
    let first = town.bench.entrain(&["runs", "list", "--json"]).expect(0).json();
    let first = first[0]["run_id"].as_str().unwrap().to_owned();
    town.a_day_passes();
    let saved = town.bench.folder.path().join("saved.plan");
    let saved = saved.to_str().unwrap();
    town.bench.entrain(&["plan", "--out", saved, "--json"]).expect(0);
    let joiner = {
        let world = town.bench.emulator.state().world();
        let joins = |mail: &&String| mail.starts_with("joiner");
        world.tenant.users.values().filter_map(|user| user.mail.as_ref()).find(joins).unwrap().clone()
    };
    let commands: [&[&str]; 5] = [
        &["sync", "--json"],
        &["sync", "--json", "--full", "--yes"],
        &["sync", "--json", "--user", &joiner],
        &["apply", saved, "--json"],
        &["runs", "undo", &first, "--yes", "--json"],
    ];
    for break_it in [|town: &Town| full_at(town, 0), chain_stuck] {
        for args in commands {
            let had = entries(&town);
            assert_refused(&town, &run_with(&town, args, break_it));
            assert_eq!(entries(&town).1, had.1, "no entry about a write that was not made");
        }
    }
    town.bench.entrain(&["audit", "verify"]).expect(0);
    town.assert_recovers();
    town.assert_exact();
}

#[test]
fn r_07_a_log_that_gives_up_in_the_middle_of_a_run_gets_an_entry_for_each_write_later() {
    let mut sent_some = 0;
    // The end of the run is an entry as well
    for room in [1, 2, 3, 5] {
        let mut town = Town::settled();
        town.a_day_passes();
        let (all, before) = entries(&town);
        let ran = run_with(&town, &["sync", "--json", "--full"], |town| full_at(town, all + room));
        let sent = town.writes().len();
        println!("room for {room}: exit {:?}, {sent} writes", ran.output.status.code());
        let journal = {
            let runs = town.bench.entrain(&["runs", "list", "--json"]).expect(0).json();
            let id = runs[0]["run_id"].as_str().unwrap().to_owned();
            let run = town.bench.entrain(&["runs", "show", &id, "--json"]).expect(0).json();
            run["journal"].as_array().unwrap().len()
        };
        assert!(sent <= journal, "room for {room}: {sent} sent, {journal} in the journal");
        town.forget_requests();
        let ran = town.sync(&[]).expect(0);
        assert_eq!(ran.json()["status"], "converged", "room for {room}: {}", ran.out());
        let sent = sent + town.writes().len();
        assert_eq!(entries(&town).1 - before, sent, "room for {room}: one entry for each write");
        town.bench.entrain(&["audit", "verify"]).expect(0);
        town.assert_recovers();
        sent_some += usize::from(sent > 0);
    }
    assert_eq!(sent_some, 4, "each day had something to do");
}
