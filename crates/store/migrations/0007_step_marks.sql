-- What is remembered of single steps: refusals in a row, flips, removals that a change of the rules asks for. `body` is
-- the mark as JSON.
CREATE TABLE step_marks (
    connection TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, step, kind)
);
