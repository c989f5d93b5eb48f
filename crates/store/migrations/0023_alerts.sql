-- What people are told of a connection: one book each, as JSON. Its version tells two servers apart that change it at
-- one moment.
CREATE TABLE alerts (
    connection TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);
