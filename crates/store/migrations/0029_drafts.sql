-- Connections that somebody is setting up: what was said so far, as JSON, without its secrets.
CREATE TABLE drafts (
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);

-- Secrets of drafts, sealed.
CREATE TABLE draft_secrets (
    draft TEXT NOT NULL REFERENCES drafts (id),
    field TEXT NOT NULL,
    key_id TEXT NOT NULL,
    nonce BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (draft, field)
);
