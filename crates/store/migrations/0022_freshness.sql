-- How long changes of the directory took to be done on the site, one row for each run that did something.
CREATE TABLE freshness (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    connection TEXT NOT NULL,
    at BIGINT NOT NULL,
    known_by TEXT NOT NULL,
    waits TEXT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE INDEX freshness_by_connection ON freshness (connection, at);
