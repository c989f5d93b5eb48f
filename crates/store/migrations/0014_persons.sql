-- The sync of one person, and of one group, beside the runs over everything. `subject` says whom or which group a run is
-- about, NULL for everything; `gate` is the number of the connection's gate when a person's sync last passed it.
ALTER TABLE runs ADD COLUMN subject TEXT;
ALTER TABLE runs ADD COLUMN gate BIGINT;

-- Counts every beginning and end of a person's sync, so that order needs no clock.
CREATE TABLE person_gates (
    connection TEXT NOT NULL PRIMARY KEY,
    n BIGINT NOT NULL
);

-- The last sync of each person: its run while it is under way, else NULL; a run that has not ended by `until` is dead.
CREATE TABLE person_claims (
    connection TEXT NOT NULL,
    person TEXT NOT NULL,
    account TEXT,
    run TEXT,
    n BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (connection, person)
);
CREATE INDEX person_claims_account ON person_claims (connection, account);
CREATE INDEX person_claims_run ON person_claims (run);
CREATE INDEX ledger_by_account ON ledger (connection, account);
CREATE INDEX runs_about ON runs (connection, subject, gate);
