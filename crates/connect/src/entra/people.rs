//! Everybody in the directory, for reports: the whole list and the recycle bin, whatever the rules of a connection select.
//! Needs `User.Read.All` and nothing else.

use std::collections::{BTreeSet, HashSet};

use entrain_domain::model::{AccountState, DirectoryUser, DirectoryUserId};
use entrain_domain::reports::Roster;
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::Entra;
use super::graph::{Graph, consent};
use super::paging::{self, Fresh, Round};
use super::wire::{Selection, UserWire};
use crate::Error;
use crate::http::Target;

const USERS: &str = "/users";
const DELETED: &str = "/directory/deletedItems/microsoft.graph.user";

impl Entra {
    /// Everybody, live or in the recycle bin (30 days), with every address that Graph knows of them: ⌈U/999⌉ + ⌈D/999⌉
    /// requests (microsoft-graph.md 3.1).
    ///
    /// # Errors
    /// When a page cannot be read; when nobody is listed, or of nobody it is said whether the account is enabled: of such
    /// a list it must not be said that somebody is not in it.
    pub async fn people(&self) -> Result<Roster, Error> {
        let further: BTreeSet<String> = ["otherMails", "proxyAddresses"].map(str::to_owned).into();
        let selection = Selection::of(&further);
        // First who is there: whoever is deleted in between is then in both, and taken for live
        let live = listed(&self.graph, USERS, &selection).await?;
        if live.iter().all(|user| user.account == AccountState::Unknown) {
            let what = if live.is_empty() {
                "Graph lists no user at all"
            } else {
                "Graph lists users without saying of any whether the account is enabled"
            };
            return Err(Failure::new(
                FailureCode::DirectoryPropertiesHidden,
                FailureClass::Connection,
                what,
                consent("User.Read.All"),
            )
            .into());
        }
        let deleted = listed(&self.graph, DELETED, &selection).await?;
        Ok(Roster::new(live, deleted))
    }
}

async fn listed(
    graph: &Graph,
    endpoint: &'static str,
    selection: &Selection,
) -> Result<Vec<DirectoryUser>, Error> {
    let first = String::from(Target::new(endpoint).query("$select", &selection.text).query("$top", "999"));
    let (mut users, mut seen) = (Vec::new(), HashSet::<DirectoryUserId>::new());
    paging::read::<UserWire>(graph, endpoint, &first, Round::List, |page| {
        let before = users.len();
        for wire in page {
            if seen.insert(wire.id.clone()) {
                users.push(wire.into_user(None, selection));
            }
        }
        Fresh(users.len() - before)
    })
    .await?;
    Ok(users)
}
