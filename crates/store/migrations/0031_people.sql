-- A page about one person asks which memberships their account has and had.
CREATE INDEX membership_history_by_account ON membership_history (connection, account);
