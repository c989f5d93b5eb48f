-- Why whoever stored a version did so, in one line, where they said it.
ALTER TABLE connection_versions ADD COLUMN why TEXT;
