//! What a migration may do: add. A server of the version before goes on beside one that has brought the tables up to
//! date, so that an upgrade of several servers stops nothing.

/// The statements of a migration in capitals, without comments, each in one line.
fn statements(sql: &str) -> Vec<String> {
    let told: Vec<&str> = sql.lines().filter_map(|line| line.split("--").next()).collect();
    let parts = told.join(" ").to_uppercase();
    let one_line = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    parts.split(';').map(one_line).filter(|part| !part.is_empty()).collect()
}

/// The statements of a migration that disturb somebody who does not know of it.
fn takes(sql: &str) -> Vec<String> {
    let all = statements(sql);
    let made: Vec<&str> =
        all.iter().filter_map(|s| s.strip_prefix("CREATE TABLE ")?.split(' ').next()).collect();
    let adds = |statement: &&String| {
        let words: Vec<&str> = statement.split([' ', '(']).collect();
        match words[..] {
            ["CREATE", "TABLE" | "INDEX", ..] | ["DROP", "INDEX", ..] | ["INSERT", "INTO", ..] => true,
            ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..] => made.contains(&table),
            ["ALTER", "TABLE", _, "ADD", "COLUMN", ..] => {
                !statement.contains("NOT NULL") || statement.contains("DEFAULT")
            }
            _ => false,
        }
    };
    all.iter().filter(|statement| !adds(statement)).cloned().collect()
}

#[test]
fn what_disturbs_a_server_of_the_version_before_is_known() {
    for good in [
        "ALTER TABLE runs ADD COLUMN gate BIGINT;",
        "ALTER TABLE claims ADD COLUMN beat BIGINT NOT NULL DEFAULT 0",
        "CREATE TABLE a (b TEXT NOT NULL); -- DROP TABLE a\nCREATE UNIQUE INDEX c ON a (b);",
        "DROP INDEX x",
    ] {
        assert_eq!(takes(good), Vec::<String>::new());
    }
    for bad in [
        "DROP TABLE runs",
        "ALTER TABLE runs DROP COLUMN gate",
        "ALTER TABLE runs RENAME TO r",
        "ALTER TABLE runs RENAME COLUMN a TO b",
        "ALTER TABLE runs ADD COLUMN gate BIGINT NOT NULL",
        "CREATE UNIQUE INDEX a ON runs (gate)",
        "DELETE FROM runs",
        "UPDATE runs SET sum = 0",
    ] {
        assert_eq!(takes(bad).len(), 1, "{bad}");
    }
}

#[test]
fn r_14_every_migration_adds_and_takes_nothing_away() {
    for migration in sqlx::migrate!("./migrations").iter() {
        let taken = takes(migration.sql.as_str());
        assert!(
            taken.is_empty(),
            "migration {} disturbs a server of the version before: {taken:#?}",
            migration.version
        );
    }
}
