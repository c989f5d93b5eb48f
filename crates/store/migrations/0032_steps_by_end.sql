-- What was done in the last 24 hours is counted before each plan. The index has all that the count needs, so that its time
-- goes with the steps of a day and not with the length of the journal.
CREATE INDEX journal_by_end ON journal (outcome, at, run, kind);
DROP INDEX journal_by_outcome;
