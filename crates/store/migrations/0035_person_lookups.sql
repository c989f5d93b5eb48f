-- What the sync of a person looks up is found in an index alone, whatever has piled up beside it: the groups of an account
-- in the ledger, and the runs that have no end.
CREATE INDEX ledger_of_account ON ledger (connection, account, site_group);
DROP INDEX ledger_by_account;
CREATE INDEX runs_without_end ON runs (connection, started_at, id, subject) WHERE phase <> 'ended';
