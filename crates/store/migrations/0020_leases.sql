-- On PostgreSQL a claim is a lease: its number grows with every holder, and its beat while the holder is alive.
ALTER TABLE claims ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE claims ADD COLUMN beat BIGINT NOT NULL DEFAULT 0;

-- Runs that somebody asked to stop; the server that does the run looks here, whichever server was asked.
CREATE TABLE run_stops (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    sum BIGINT NOT NULL
);
