-- What somebody has ticked so far in a held plan, to approve a part of it, as JSON.
CREATE TABLE ticks (
    run TEXT NOT NULL REFERENCES runs (id),
    account TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (run, account)
);
