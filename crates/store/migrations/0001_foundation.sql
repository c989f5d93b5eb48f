-- One text for SQLite and PostgreSQL. Instants are milliseconds since 1970 in UTC, JSON is TEXT.
-- `sum` is a checksum over the row (src/sum.rs): what a database's own check does not see, a changed value, it does.

CREATE TABLE store_marker (
    id BIGINT NOT NULL PRIMARY KEY,
    product TEXT NOT NULL,
    audit_seq BIGINT NOT NULL,
    audit_hash TEXT NOT NULL
);

INSERT INTO store_marker (id, product, audit_seq, audit_hash)
VALUES (1, 'entrain', 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Versions of connection documents; one without a document says that the connection was removed.
CREATE TABLE connection_versions (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    document TEXT,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

-- Secrets of the newest version, sealed.
CREATE TABLE connection_secrets (
    connection TEXT NOT NULL,
    field TEXT NOT NULL,
    key_id TEXT NOT NULL,
    nonce BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (connection, field)
);

CREATE TABLE user_links (
    connection TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    account TEXT NOT NULL,
    address TEXT,
    origin TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, directory_id)
);
CREATE UNIQUE INDEX user_links_account ON user_links (connection, account);

CREATE TABLE group_links (
    connection TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    site_group TEXT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, directory_id)
);
CREATE UNIQUE INDEX group_links_site_group ON group_links (connection, site_group);

-- The ledger of memberships.
CREATE TABLE ledger (
    connection TEXT NOT NULL,
    site_group TEXT NOT NULL,
    account TEXT NOT NULL,
    origin TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, site_group, account)
);

-- What each side looked like at the last complete read and what has changed since; the objects are in mirror_objects.
-- The directory's row says what it was read for (demand, rules) and when in full; the site's whether writes may have
-- followed that are not in it.
CREATE TABLE mirrors (
    connection TEXT NOT NULL,
    side TEXT NOT NULL,
    at BIGINT NOT NULL,
    users_link TEXT,
    groups_link TEXT,
    demand TEXT,
    rules TEXT,
    full_at BIGINT,
    people BIGINT NOT NULL,
    writing BIGINT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, side)
);

CREATE TABLE mirror_objects (
    connection TEXT NOT NULL,
    side TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, side, kind, id)
);

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    cause TEXT NOT NULL,
    status TEXT NOT NULL,
    phase TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    report TEXT,
    sum BIGINT NOT NULL
);
CREATE INDEX runs_by_connection ON runs (connection, started_at);

CREATE TABLE run_plans (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    plan_json TEXT NOT NULL,
    sum BIGINT NOT NULL
);

CREATE TABLE journal (
    run TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    intent TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (run, step)
);
CREATE UNIQUE INDEX journal_in_order ON journal (run, seq);
CREATE INDEX journal_by_kind ON journal (kind, outcome, at);
CREATE INDEX journal_by_outcome ON journal (outcome, run);

-- Append-only; each hash covers the one before it.
CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);

-- Who holds a connection, for people; the lock itself is the database server's.
CREATE TABLE claims (
    connection TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    since BIGINT NOT NULL
);
