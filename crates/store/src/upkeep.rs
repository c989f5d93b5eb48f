//! What whoever looks after the service asks of the database: who signed in when.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;

/// So many of the newest entries of the audit log are looked through: a page does not read a log of years.
const LOOKED_THROUGH: i64 = 200_000;

const BEFORE_THAT: &str = "SELECT at FROM audit WHERE seq = \
    (SELECT audit_seq FROM store_marker WHERE id = 1) - $1";
const SIGN_INS: &str = "SELECT actor, max(at) FROM audit \
    WHERE seq > (SELECT audit_seq FROM store_marker WHERE id = 1) - $1 AND action = 'signed_in' GROUP BY actor";

/// When accounts signed in last, as far back as the newest entries of the audit log go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastSignIns {
    /// By the name of the account.
    pub at: BTreeMap<String, Timestamp>,
    /// What was before this moment was not looked at; nothing where everything was.
    pub since: Option<Timestamp>,
}

fn instant(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| Error::row("audit", ms))
}

impl Store {
    /// When accounts signed in last.
    pub async fn last_sign_ins(&self) -> Result<LastSignIns> {
        let doing = "reading the audit log";
        let before: Option<i64> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(BEFORE_THAT).bind(LOOKED_THROUGH).fetch_optional(db).await)
        .map_err(Error::database(doing))?;
        let rows: Vec<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SIGN_INS).bind(LOOKED_THROUGH).fetch_all(db).await)
        .map_err(Error::database(doing))?;
        let at = rows.into_iter().map(|(name, at)| Ok((name, instant(at)?))).collect::<Result<_>>()?;
        Ok(LastSignIns { at, since: before.map(instant).transpose()? })
    }
}
