-- 1 where somebody else chose the password and handed it out: whoever signs in with it chooses another one first.
ALTER TABLE accounts ADD COLUMN handed_out BIGINT NOT NULL DEFAULT 0;
