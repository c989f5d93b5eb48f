-- What somebody is looked for by, in small letters, so that a search reads an index of names and not every object; `find_sum`
-- is the sum of the body that it was made from. Where both differ, or there is none, the object was written by an Entrain
-- that does not know of it, and the next full read puts that right.
ALTER TABLE mirror_objects ADD COLUMN find TEXT;
ALTER TABLE mirror_objects ADD COLUMN find_sum BIGINT;
CREATE INDEX mirror_objects_by_name ON mirror_objects (connection, side, kind, find);
-- Who signed in last, which backup is the newest
CREATE INDEX audit_by_action ON audit (action, seq);
