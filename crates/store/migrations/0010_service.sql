-- What the service keeps: whether a connection may write by itself and when it last began by schedule, the newest plan
-- of those that may not, keys of the API, and answers to writes that may be sent twice.
CREATE TABLE connection_modes (
    connection TEXT NOT NULL PRIMARY KEY,
    mode TEXT NOT NULL,
    sum BIGINT NOT NULL
);

CREATE TABLE schedule_marks (
    connection TEXT NOT NULL PRIMARY KEY,
    fired_at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);

CREATE TABLE previews (
    connection TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);

-- `hash` is SHA-256 of the secret part, in hex; the secret itself is nowhere.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    sum BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name);

CREATE TABLE api_key_uses (
    id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
    used_at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);

-- A row without an answer belongs to a request under way, or to one whose process ended in the middle.
CREATE TABLE api_requests (
    api_key TEXT NOT NULL,
    name TEXT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT,
    answer TEXT,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (api_key, name)
);
