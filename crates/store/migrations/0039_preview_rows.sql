-- A preview told apart, as plans of runs are (0034_plan_rows.sql).
CREATE TABLE preview_gists (
    connection TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE TABLE preview_rows (
    connection TEXT NOT NULL,
    place BIGINT NOT NULL,
    key TEXT NOT NULL,
    held BIGINT NOT NULL,
    find TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, place)
);
CREATE INDEX preview_rows_by_key ON preview_rows (connection, key);
