//! An upgrade of several servers, one after the other: a newer server has brought the tables up to date, and those of
//! the version before go on beside it until their turn comes.

use std::fmt::Write as _;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::replicas::{Database, SOON, Served, within};
use crate::support::Bench;
use crate::town::{Town, company, unthrottled};

/// What a newer version may do to the tables: columns that may be empty, columns with a value of their own, new tables.
fn a_newer_server_starts(bench: &Bench, database: &Database) {
    bench.runtime.block_on(async {
        let mut db = PgConnection::connect(&database.url(&database.socket)).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.tables \
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> '_sqlx_migrations'",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        assert!(tables.len() > 20, "{tables:?}");
        let mut migration = String::from("CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY); ");
        for table in &tables {
            let _ = write!(
                migration,
                "ALTER TABLE \"{table}\" ADD COLUMN later TEXT; \
                 ALTER TABLE \"{table}\" ADD COLUMN more BIGINT NOT NULL DEFAULT 7; "
            );
        }
        migration += "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                      VALUES (9001, 'later', true, '\\x00', 0)";
        sqlx::raw_sql(AssertSqlSafe(migration)).execute(&mut db).await.unwrap();
    });
}

/// Asks a server as an operator.
struct Asker {
    runtime: tokio::runtime::Handle,
    key: String,
    http: reqwest::Client,
}

impl Asker {
    fn send(&self, method: reqwest::Method, server: &Served, path: &str) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", server.url)).bearer_auth(&self.key);
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
        })
    }

    fn get(&self, server: &Served, path: &str) -> Value {
        let (status, body) = self.send(reqwest::Method::GET, server, path);
        assert_eq!(status, 200, "{path}: {body:#}");
        body
    }

    /// A run over everything, to its end.
    fn sync(&self, server: &Served) -> Value {
        let (status, run) =
            self.send(reqwest::Method::POST, server, "/api/v1/connections/azure-ad/sync?wait");
        assert_eq!(status, 200, "{run:#}");
        run
    }
}

#[test]
fn r_14_servers_of_the_version_before_go_on_while_a_newer_one_has_changed_the_tables() {
    let mut town = Town::of(unthrottled(company(60, 8, 20)));
    let Some(database) = Database::make(&town.bench) else { return };
    let url = database.url(&database.socket);
    let key = {
        let entrain = |args: &[&str]| town.bench.entrain_with(args, &[("ENTRAIN_DATABASE_URL", &url)]);
        let path = town.bench.file("connection.toml", &town.bench.document("\"*\""));
        entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
        let made = entrain(&["admin", "api-key", "create", "the operator", "--role", "operator", "--json"]);
        made.expect(0).json()["key"].as_str().unwrap().to_owned()
    };
    let mut servers: Vec<Served> =
        (0..2).map(|_| Served::with(&town.bench, &database, "127.0.0.1:0", &[])).collect();
    let http = reqwest::Client::builder().build().unwrap();
    let asker = Asker { runtime: town.bench.runtime.handle().clone(), key, http };
    assert_eq!(asker.sync(&servers[0])["status"], "converged");
    // Both have looked at everything once, so that what they remember of the tables is from before
    for server in &servers {
        asker.get(server, "/api/v1/runs");
        asker.get(server, "/api/v1/connections/azure-ad/users?limit=3");
    }
    town.assert_exact();

    a_newer_server_starts(&town.bench, &database);

    town.a_day_passes();
    let run = asker.sync(&servers[1]);
    assert_eq!(run["status"], "converged", "{run:#}");
    town.assert_exact();
    let run = format!("/api/v1/runs/{}", run["run_id"].as_str().unwrap());
    let steps = asker.get(&servers[0], &run)["journal"].as_array().unwrap().len();
    assert!(steps > 3, "the other server reads what was written: {steps}");
    let page = asker.get(&servers[0], "/api/v1/connections/azure-ad/users?limit=3");
    assert_eq!(page["found"].as_array().unwrap().len(), 3, "{page:#}");

    // A server that stops at its turn does not come back as it was; the message says what to do
    servers[0].signal("-TERM");
    drop(servers.remove(0));
    let refused = town.bench.entrain_with(&["serve", "--json"], &[("ENTRAIN_DATABASE_URL", &url)]);
    assert!(!refused.output.status.success());
    assert!(refused.out().contains("store_newer") || refused.err().contains("store_newer"), "{refused:?}");

    // The last one has it all to itself
    assert_eq!(asker.sync(&servers[0])["status"], "converged");
    within(SOON, "readiness", || {
        (asker.send(reqwest::Method::GET, &servers[0], "/health/ready").0 == 200).then_some(())
    });
}
