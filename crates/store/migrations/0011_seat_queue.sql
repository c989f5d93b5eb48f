-- Who waits for a seat of which product, and since when (an RFC 3339 text): first come, first served holds over runs.
CREATE TABLE seat_queue (
    connection TEXT NOT NULL,
    product TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    since TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, product, directory_id)
);
