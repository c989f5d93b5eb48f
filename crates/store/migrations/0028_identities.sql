-- Accounts whose holder signs in through the directory: `subject` is tenant id and object id, which nobody else ever gets.
-- Such an account has no password; its role is looked at again at each sign-in.
CREATE TABLE account_identities (
    subject TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL UNIQUE REFERENCES accounts (id),
    sum BIGINT NOT NULL
);
