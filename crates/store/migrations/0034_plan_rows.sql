-- A plan told apart, made from the plan the first time that somebody looks at it, so that a page of it is made without the
-- rest: what is said of all of it, and a row for each person and each group, in the order in which they are shown. `find` is
-- what is searched, `body` the row's steps as JSON. A plan that is stored anew throws both away.
CREATE TABLE plan_gists (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE TABLE plan_rows (
    run TEXT NOT NULL REFERENCES runs (id),
    place BIGINT NOT NULL,
    key TEXT NOT NULL,
    held BIGINT NOT NULL,
    find TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (run, place)
);
CREATE INDEX plan_rows_by_key ON plan_rows (run, key);
