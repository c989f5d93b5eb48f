-- Secret keys that a rotation has replaced: nothing is sealed with them any more.
CREATE TABLE retired_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    successor TEXT NOT NULL,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);
