//! To whom an enterprise application is assigned (microsoft-graph.md 4.4). There is no delta for it: it is listed in
//! full each time.

use std::collections::HashSet;

use entrain_domain::model::{ApplicationId, Assignments, DirectoryGroupId, DirectoryUserId};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde::Deserialize;

use super::graph::{Graph, refusal};
use super::paging::{self, Fresh, Round};
use crate::Error;
use crate::http::{Call, Target};

const ENDPOINT: &str = "/servicePrincipals(appId='{id}')/appRoleAssignedTo";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentWire {
    id: String,
    principal_id: String,
    principal_type: String,
}

fn listing(application: &ApplicationId) -> Target {
    Target::new("/servicePrincipals").key("appId", application.as_str()).path("/appRoleAssignedTo")
}

/// Everybody to whom the application is assigned; service principals have no place on a site.
///
/// # Errors
/// Whatever keeps the list from being complete: absence from it means something.
pub(super) async fn read(graph: &Graph, application: &ApplicationId) -> Result<Assignments, Error> {
    let first = String::from(listing(application).query("$top", "999"));
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let (mut seen, mut whole) = (HashSet::new(), true);
    paging::read::<AssignmentWire>(graph, ENDPOINT, &first, Round::List, |page| {
        let mut fresh = 0;
        for wire in page {
            fresh += usize::from(seen.insert(wire.id));
            match wire.principal_type.as_str() {
                "User" => match DirectoryUserId::parse(&wire.principal_id) {
                    Ok(id) => users.push(id),
                    Err(_) => whole = false,
                },
                "Group" => match DirectoryGroupId::parse(&wire.principal_id) {
                    Ok(id) => groups.push(id),
                    Err(_) => whole = false,
                },
                _ => {}
            }
        }
        Fresh(fresh)
    })
    .await?;
    if whole {
        return Ok(Assignments::new(application.clone(), users, groups));
    }
    Err(Failure::new(
        FailureCode::DirectoryAnswerInvalid,
        FailureClass::Transient,
        "Graph names somebody to whom the application is assigned without a usable id",
        "Run it again later",
    )
    .into())
}

/// What a look at the assignments of an application shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// They can be read.
    Clear,
    /// Not by this application.
    Denied,
    /// The directory has no such application.
    Unknown,
}

/// Whether the assignments can be read, with one request.
///
/// # Errors
/// Whatever keeps that from being judged. A missing permission or application is an answer, not an error.
pub(super) async fn look(graph: &Graph, application: &ApplicationId) -> Result<Sight, Error> {
    let answer = graph.send(Call::get(ENDPOINT, listing(application).query("$top", "1"))).await?;
    match answer.status {
        200..=299 => Ok(Sight::Clear),
        403 => Ok(Sight::Denied),
        404 => Ok(Sight::Unknown),
        _ => Err(refusal(&answer).error),
    }
}
