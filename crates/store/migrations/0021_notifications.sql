-- Change notifications: by connection, the subscriptions it holds (`users`, `groups`) and the hints that wait (`hints`).
-- `revision` grows with each change, so that of several servers one makes it.
CREATE TABLE notification_state (
    connection TEXT NOT NULL,
    part TEXT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (connection, part)
);
