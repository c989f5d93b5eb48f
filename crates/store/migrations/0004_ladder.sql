-- The leaver ladder: who is on it, since when and why, with the groups they were in (`groups_before`, as JSON). `since` and `at`
-- are RFC 3339 texts.
CREATE TABLE ladder (
    connection TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    leaving TEXT NOT NULL,
    since TEXT NOT NULL,
    groups_before TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, directory_id)
);

-- The rungs that are behind them, and by whose hand.
CREATE TABLE ladder_rungs (
    connection TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    measure TEXT NOT NULL,
    hand TEXT NOT NULL,
    at TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, directory_id, measure)
);
