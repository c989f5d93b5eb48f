-- What was last written to an account from attributes of the directory: its profile, and properties by key. `body` is
-- the values as JSON.
CREATE TABLE applied_attributes (
    connection TEXT NOT NULL,
    account TEXT NOT NULL,
    part TEXT NOT NULL,
    property TEXT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, account, part, property)
);
