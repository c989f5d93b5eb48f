//! What Entrain remembers: connections with their sealed secrets, links and ledger, the mirror of both sides, runs
//! with their journal, and the audit log; in SQLite by default, in PostgreSQL by URL, with one SQL text and one set of
//! migrations.
//!
//! | module | holds |
//! |---|---|
//! | `store` | opening: a damaged, foreign or newer database is refused and left as it is |
//! | `pool` | the two databases behind one type |
//! | `writer` | the one writer: operations of many callers share a transaction |
//! | `connections`, `key` | versioned documents; their secrets, sealed |
//! | `keyring`, `rotate` | the keys a process knows; a new key in place of the old one |
//! | `ladder` | people on the leaver ladder |
//! | `memory`, `marks`, `mirror` | links and ledger; what is remembered of steps; both sides as they were last read |
//! | `history` | who was in which group, from when until when |
//! | `figures` | what each run came to, in numbers |
//! | `runs`, `decisions` | runs and journals; what people said of held plans |
//! | `audit` | the chain of audit entries |
//! | `backup` | everything as one file, and back |
//! | `accounts` | people who sign in: accounts, sessions, links that work once |
//! | `drafts` | connections that somebody is setting up |
//! | `plan_rows`, `ticks` | plans told apart, for pages; what somebody has ticked in a held one |
//! | `alerts` | what people are told of each connection |
//! | `claim` | one run per connection at a time, also between processes |
//! | `persons`, `about` | one person's sync beside a run over everything, and what it begins with |
//! | `service` | modes, starts by schedule, previews, API keys, requests that may come twice |
//! | `notifications` | subscriptions, hints, and how long changes took |
//! | `upkeep` | what whoever looks after the service asks |
//! | `sum` | checksums of rows |
//! | `token` | sealed texts that are given away and come back |
//!
//! Everything that a method has written is on disk when it returns.

mod about;
mod accounts;
mod alerts;
mod audit;
mod backup;
mod claim;
mod connections;
mod decisions;
mod drafts;
mod error;
mod figures;
mod files;
mod history;
mod identities;
mod key;
mod keyring;
mod ladder;
mod lease;
mod lookup;
mod marks;
mod memory;
mod mirror;
mod notifications;
mod persons;
mod plan_rows;
mod pool;
mod presence;
mod queue;
mod replicas;
mod rotate;
mod runs;
mod service;
mod store;
mod sum;
mod ticks;
mod token;
mod upkeep;
mod writer;

pub use about::AboutPerson;
pub use audit::{AuditEntry, AuditFilter, AuditVerdict};
pub use backup::{Backup, Occupied, SealedSecrets};
pub use claim::Claim;
pub use connections::{ConnectionDocument, ConnectionEntry, Signed, StoredConnection};
pub use drafts::DraftEntry;
pub use error::{ClaimError, Error, Result};
pub use mirror::{Basis, Learnt, MirrorHead, SiteState, Watermark};
pub use notifications::{FreshnessRow, NotificationState};
pub use persons::PersonClaim;
pub use presence::{Load, Presence};
pub use rotate::{Prepared, Rotated};
pub use runs::UnfinishedRun;
pub use service::{ApiKey, KeptRequest};
pub use store::{ClockFn, OpenOptions, Store};
pub use upkeep::{DatabaseFacts, DatabaseKind, LastSignIns};
