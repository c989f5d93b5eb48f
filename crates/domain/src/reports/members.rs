//! Who was in a group at a moment, and through which path: the ledger's memberships with their history.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::memory::{GroupLink, Memory, Origin};
use crate::model::{Account, AccountId, RunId, SiteGroupId};

/// A membership of the ledger, past or present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMembership {
    /// Group.
    pub group: SiteGroupId,
    /// Account.
    pub account: AccountId,
    /// When it began.
    pub since: Timestamp,
    /// When it ended; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// Whether Entrain granted it or found it.
    pub how: Origin,
    /// From the group in scope down to the one that held the person when it began, where that was known.
    pub path: Option<Arc<str>>,
    /// The run that began it, where it is known.
    pub run: Option<RunId>,
    /// `removed` by a step, or `gone` when a run looked; empty while it goes on.
    pub ended: Option<Arc<str>>,
    /// The run that ended it, where it is known.
    pub ended_by: Option<RunId>,
}

/// A member of a group at a moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MemberRow {
    /// Name of the group when last seen.
    pub group: Arc<str>,
    /// Its id on the site.
    pub group_id: SiteGroupId,
    /// Account.
    pub account_id: AccountId,
    /// Its name, where the site was read.
    pub name: Option<Arc<str>>,
    /// The address under which the person was matched or invited.
    pub email: Option<Arc<str>>,
    /// When the membership began; nothing where it is older than the history.
    pub since: Option<Timestamp>,
    /// When it ended; nothing while it goes on.
    pub until: Option<Timestamp>,
    /// `granted` by Entrain, `found` on both sides, or `adopted`.
    pub how: &'static str,
    /// Through which groups, when it began.
    pub path: Option<Arc<str>>,
    /// The run that began it.
    pub run: Option<RunId>,
}

/// Who was in the group then, by name. Only memberships that Entrain granted or found on both sides are known: what
/// people did by hand is not recorded.
pub fn members_at(
    link: &GroupLink,
    history: &[PastMembership],
    memory: &Memory,
    accounts: &[Account],
    at: Timestamp,
) -> Vec<MemberRow> {
    let names: HashMap<&AccountId, &Arc<str>> = accounts.iter().map(|a| (&a.id, &a.display_name)).collect();
    let addresses: HashMap<&AccountId, &Arc<str>> =
        memory.users().filter_map(|user| Some((&user.account, user.address.as_ref()?))).collect();
    let row = |account: &AccountId, how: Origin| MemberRow {
        group: link.name.clone(),
        group_id: link.group.clone(),
        account_id: account.clone(),
        name: names.get(account).map(|name| (*name).clone()),
        email: addresses.get(account).map(|address| (*address).clone()),
        since: None,
        until: None,
        how: if how == Origin::Created { "granted" } else { how.as_str() },
        path: None,
        run: None,
    };
    let then = history.iter().filter(|m| m.since <= at && m.until.is_none_or(|until| until > at));
    let mut rows: Vec<MemberRow> = then
        .map(|m| MemberRow {
            since: Some(m.since),
            until: m.until,
            path: m.path.clone(),
            run: m.run.clone(),
            ..row(&m.account, m.how)
        })
        .collect();
    // What the ledger had before there was a history is taken to have been there always
    let recorded: HashSet<&AccountId> = history.iter().map(|m| &m.account).collect();
    let older = memory.memberships(&link.group).filter(|(account, _)| !recorded.contains(account));
    rows.extend(older.map(|(account, how)| row(account, how)));
    rows.sort_by(|a, b| (&a.name, &a.email, &a.account_id).cmp(&(&b.name, &b.email, &b.account_id)));
    rows
}
