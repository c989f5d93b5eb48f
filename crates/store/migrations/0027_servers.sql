-- The servers over this database, each with a beat that it counts up and a weight: how much of the clouds' limits it asks for.
CREATE TABLE servers (
    id TEXT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    weight BIGINT NOT NULL
);
