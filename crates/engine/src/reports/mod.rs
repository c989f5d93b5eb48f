//! The use cases behind `entrain report`: read with the least rights, write nothing, and need no rules where none are
//! asked for. A report over a directory that cannot be read to its end is no report.

use entrain_domain::Failure;
use entrain_domain::memory::Memory;
use entrain_domain::model::AccountId;
use entrain_domain::reports::{Holdings, LeaverRow, Roster, SiteEntry, leavers};

use crate::run::side_by_side;

/// Everybody in the directory.
pub trait People: Send + Sync {
    /// The whole list, the recycle bin included.
    fn people(&self) -> impl Future<Output = Result<Roster, Failure>> + Send;
}

/// The accounts of the site: the site itself, or an export of its users.
pub trait Accounts: Send + Sync {
    /// All of them.
    fn accounts(&self) -> impl Future<Output = Result<Vec<SiteEntry>, Failure>> + Send;
    /// What one of them holds; `None` when that cannot be told beyond what the list says.
    fn holdings(&self, account: &AccountId)
    -> impl Future<Output = Result<Option<Holdings>, Failure>> + Send;
}

/// Questions about single accounts that are under way at a time.
const IN_FLIGHT: usize = 8;

/// Who of the active accounts has left, with what they hold. One request for each leaver, beside both lists.
///
/// # Errors
/// When a side cannot be read to its end, or what an account holds cannot be read.
pub async fn report_leavers(
    people: &impl People,
    site: &impl Accounts,
    memory: &Memory,
) -> Result<Vec<LeaverRow>, Failure> {
    let (roster, accounts) = tokio::try_join!(people.people(), site.accounts())?;
    let mut rows = leavers(&roster, &accounts, memory);
    let asked = rows.iter().enumerate().map(|(ix, row)| (ix, row.account_id.clone())).collect::<Vec<_>>();
    let told = side_by_side(IN_FLIGHT, asked, |(ix, account)| async move {
        site.holdings(&account).await.map(|holds| (ix, holds))
    })
    .await;
    for told in told {
        let (ix, holds) = told?;
        if let Some(holds) = holds {
            rows[ix].holding(&holds);
        }
    }
    Ok(rows)
}
