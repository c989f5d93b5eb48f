-- What people said of held plans, the last word of each; and what a run is to an earlier one.
CREATE TABLE decisions (
    run TEXT NOT NULL REFERENCES runs (id),
    actor TEXT NOT NULL,
    decision TEXT NOT NULL,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (run, actor)
);

CREATE TABLE run_relations (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    relation TEXT NOT NULL,
    earlier TEXT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE INDEX run_relations_earlier ON run_relations (earlier);
