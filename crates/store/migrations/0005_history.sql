-- Who was in which group, as far as the ledger knows: written in the transaction that changes the ledger. A
-- membership that is older than this table is in the ledger alone. `until` is NULL while it goes on, `how` is the ledger's
-- word, `path` the groups from the one in scope down to the one that held the person when it began, `run` the run that began it.
CREATE TABLE membership_history (
    connection TEXT NOT NULL,
    site_group TEXT NOT NULL,
    account TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    how TEXT NOT NULL,
    path TEXT,
    run TEXT,
    ended TEXT,
    ended_by TEXT,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, site_group, account, since)
);
CREATE UNIQUE INDEX membership_history_open ON membership_history (connection, site_group, account)
    WHERE until IS NULL;
