//! The organization plane: the Organizations API and the User management API with an organization key
//! (atlassian-cloud.md 7 and 8).
//!
//! | module | holds |
//! |---|---|
//! | `wire` | the answers as they come |
//! | `answers` | what statuses, codes and keys mean to a person |
//! | `people` | exact search by address, and whose profile can be changed |
//! | `groups` | which groups can be renamed, and renaming |
//! | `lifecycle` | suspending, restoring and removing people; deactivating and activating managed accounts |
//! | `invite` | invitations, with or without a mail |
//! | `profile` | writing the profile of a managed account |
//! | `seats` | seats of Confluence, and the groups that grant it |
//! | `findings` | what `entrain check` says about the key |
//!
//! The plane is an addition: whatever fails here is said of the objects that needed it, and the site is kept in step
//! without it.

mod answers;
mod findings;
mod groups;
mod invite;
mod lifecycle;
mod people;
mod profile;
mod seats;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use entrain_domain::model::SiteGroupId;
use entrain_domain::run::RequestCounts;
use entrain_domain::{Failure, FailureCode};
use secrecy::SecretString;

use super::Jira;
use super::answers::Redaction;
use super::shield::Shield;
use crate::Error;
use crate::http::{Answer, Authorization, Call, Http, HttpOptions, Target};

pub use invite::{Invitation, InvitationMail, MOST_INVITED};
pub use lifecycle::{Access, Activity};
pub use people::OrganizationUser;
pub use profile::Manageable;
pub use seats::ConfluenceSeats;

/// Stands for all directories that the key may manage, on paths that read.
const ALL_DIRECTORIES: &str = "-";

const ORGANIZATIONS: &str = "/admin/v2/orgs";

/// What an organization client is built from.
#[derive(Clone)]
pub struct OrganizationOptions {
    /// Root of the API and everything the HTTP client needs.
    pub http: HttpOptions,
    /// Organization id.
    pub id: String,
    /// The directory to look in; all that the key may manage when it is not given.
    pub directory_id: Option<String>,
    /// Organization key, without scopes.
    pub api_key: SecretString,
}

impl fmt::Debug for OrganizationOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationOptions")
            .field("http", &self.http)
            .field("id", &self.id)
            .field("directory_id", &self.directory_id)
            .finish_non_exhaustive()
    }
}

/// The client of one organization. Its writes pass the same protection as those of the site's client.
#[derive(Debug)]
pub struct Organization {
    http: Http,
    id: String,
    directory_id: Option<String>,
    authorization: Authorization,
    redaction: Redaction,
    shield: Arc<Shield>,
    /// The directory each group was found in: writes want the real one.
    homes: Mutex<HashMap<SiteGroupId, String>>,
    /// Once the key was refused, nothing further is sent with it.
    refused: OnceLock<Failure>,
}

impl Organization {
    /// A client beside the site's, whose protection it shares; no request is made.
    ///
    /// # Errors
    /// `Error::Configuration` when the HTTP client cannot be built.
    pub fn new(options: OrganizationOptions, site: &Jira) -> Result<Self, Error> {
        let OrganizationOptions { http, id, directory_id, api_key } = options;
        Ok(Self {
            http: Http::new(http)?,
            id,
            directory_id,
            authorization: Authorization::bearer(&api_key),
            redaction: Redaction::of(&[api_key]),
            shield: site.shield.clone(),
            homes: Mutex::default(),
            refused: OnceLock::new(),
        })
    }

    /// Requests made so far, over everything that shares the meter.
    pub fn requests(&self) -> RequestCounts {
        self.http.requests()
    }

    /// Sends a call, unless the key was refused before. Every status comes back but 401.
    async fn ask(&self, call: Call) -> Result<Answer, Error> {
        if let Some(failure) = self.refused.get() {
            return Err(failure.clone().into());
        }
        let answer = self.http.send(call, &self.authorization).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let error = answers::refused(&answer, &self.redaction);
        if error.failure().code == FailureCode::OrganizationCredentialRefused {
            let _ = self.refused.set(error.failure());
        }
        Err(error)
    }

    /// Sends a read and takes its answer only with status 200.
    async fn read(&self, call: Call) -> Result<Answer, Error> {
        let answer = self.ask(call).await?;
        if answer.status == 200 { Ok(answer) } else { Err(answers::refused(&answer, &self.redaction)) }
    }

    /// A path below the organization's directories that reads.
    fn in_directory(&self, path: &'static str) -> Target {
        let directory = self.directory_id.as_deref().unwrap_or(ALL_DIRECTORIES);
        Target::new(ORGANIZATIONS).segment(&self.id).path("/directories").segment(directory).path(path)
    }

    fn home(&self, group: &SiteGroupId) -> Option<String> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned()
    }
}
