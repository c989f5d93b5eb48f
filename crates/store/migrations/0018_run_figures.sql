-- What each run came to, in numbers: counted once, when it ends, so that the overview of months is quick to draw.
-- Joined, moved and left are people: who only gained, gained and lost, only lost something by it.
CREATE TABLE run_figures (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    connection TEXT NOT NULL,
    at BIGINT NOT NULL,
    planned BIGINT NOT NULL,
    done BIGINT NOT NULL,
    held BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    joined BIGINT NOT NULL,
    moved BIGINT NOT NULL,
    left_by BIGINT NOT NULL,
    sum BIGINT NOT NULL
);
CREATE INDEX run_figures_at ON run_figures (connection, at);
