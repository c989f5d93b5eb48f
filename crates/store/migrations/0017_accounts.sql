-- People who sign in to the console. `folded` is the name as it is compared; names stand in decisions and in the audit
-- log, so an account is disabled and never removed. `hash` is the password's, by argon2id, as a PHC string.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    sum BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_folded ON accounts (folded);

-- `id` is SHA-256 of what the browser holds, in hex; that itself is nowhere.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    began_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account);

-- Links that work once: with an account, whoever opens it is signed in as that; without, makes the first administrator.
-- `hash` is SHA-256 of the link's secret, in hex.
CREATE TABLE one_time_links (
    hash TEXT NOT NULL PRIMARY KEY,
    account TEXT REFERENCES accounts (id),
    ends_at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);
