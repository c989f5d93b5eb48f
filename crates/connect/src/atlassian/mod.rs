//! The site over Jira Cloud REST v3, with the admin e-mail and API token of a technical account (the site plane).
//!
//! | module | holds |
//! |---|---|
//! | `wire` | the answers as they come, and how an account is read from one |
//! | `answers` | what every answer is checked for, and what statuses and texts mean to a person |
//! | `pages` | pages with a total, read whole or not at all |
//! | `standing` | the start-up checks, and the diagnosis of a refused token |
//! | `roll` | accounts, groups, members, and look-ups of one of them |
//! | `writes` | invitations, groups, memberships |
//! | `shield` | what must never be written to, refused before a request is made |
//! | `departures` | what people who leave lead, and removing them from the site |
//! | `properties` | user properties |
//! | `findings` | what `entrain check` says about the technical account |
//! | `organization` | the organization plane: exact look-ups, renaming groups, profiles of managed accounts |
//!
//! Jira's texts are localized and change, so a status is read first and a short fragment second; where neither is
//! enough, the state is looked up (atlassian-cloud.md 5).

mod answers;
mod departures;
mod findings;
pub mod organization;
mod pages;
mod properties;
mod roll;
mod shield;
mod standing;
mod wire;
mod writes;

use std::fmt;
use std::sync::Arc;

use entrain_domain::run::RequestCounts;
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::http::{Answer, Authorization, BaseUrl, Call, Http, HttpOptions};

use answers::Redaction;
use shield::Shield;

pub use findings::{CheckState, SiteCheck};
pub use organization::{Organization, OrganizationOptions};

/// What a site client is built from.
#[derive(Clone)]
pub struct JiraOptions {
    /// Address of the site and everything the HTTP client needs.
    pub http: HttpOptions,
    /// E-mail address of the technical account.
    pub admin_email: String,
    /// Its API token, without scopes.
    pub api_token: SecretString,
    /// Where a token with scopes would work. Asked only when the site refuses the token, to tell the person which of
    /// the two it is; `None` leaves it out. The token goes there and to the site, and nowhere else.
    pub gateway: Option<BaseUrl>,
}

impl JiraOptions {
    /// Options for a site; the gateway is Atlassian's own when the site is one of Atlassian's addresses, and none
    /// otherwise, so that a token for another address (the emulator's) never leaves it.
    pub fn new(http: HttpOptions, admin_email: impl Into<String>, api_token: SecretString) -> Self {
        let gateway = http
            .base
            .host()
            .ends_with(".atlassian.net")
            .then(|| BaseUrl::parse("https://api.atlassian.com").expect("a literal address"));
        Self { http, admin_email: admin_email.into(), api_token, gateway }
    }
}

impl fmt::Debug for JiraOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JiraOptions")
            .field("http", &self.http)
            .field("admin_email", &self.admin_email)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

/// What `POST /group/user` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// A member from now on.
    Now,
    /// Was a member already.
    Already,
}

/// What `DELETE /group/user` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// No member from now on.
    Now,
    /// Was no member.
    Already,
}

/// What an act on a person's access did: suspended, restored, removed, deactivated or activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// So from now on.
    Now,
    /// Was so already, by somebody else's hand.
    Already,
}

/// The client of one site. Its writes are refused until [`Jira::protect`] has said what must never be touched.
#[derive(Debug)]
pub struct Jira {
    http: Http,
    gateway: Option<Http>,
    authorization: Authorization,
    redaction: Redaction,
    shield: Arc<Shield>,
}

impl Jira {
    /// A client; no request is made.
    ///
    /// # Errors
    /// `Error::Configuration` when the HTTP client cannot be built.
    pub fn new(options: JiraOptions) -> Result<Self, Error> {
        let JiraOptions { http, admin_email, api_token, gateway } = options;
        let gateway = gateway.map(|base| Http::new(HttpOptions { base, ..http.clone() })).transpose()?;
        let authorization = Authorization::basic(&admin_email, &api_token);
        let redaction = Redaction::of(&[
            SecretString::from(api_token.expose_secret()),
            SecretString::from(authorization.value().unwrap_or_default().trim_start_matches("Basic ")),
        ]);
        Ok(Self { http: Http::new(http)?, gateway, authorization, redaction, shield: Arc::default() })
    }

    /// Requests made so far, over everything that shares the meter.
    pub fn requests(&self) -> RequestCounts {
        self.http.requests()
    }

    /// Sends a call with the credential of the technical account. Any answer that says the credential did not count
    /// is a failure, whatever its status (the dead-token trap, atlassian-cloud.md 3.4).
    async fn ask(&self, call: Call) -> Result<Answer, Error> {
        let answer = self.http.send(call, &self.authorization).await?;
        answers::refuse_anonymous(&answer)?;
        Ok(answer)
    }

    /// Sends a read and takes its answer only with status 200.
    async fn read(&self, call: Call) -> Result<Answer, Error> {
        let answer = self.ask(call).await?;
        if answer.status == 200 { Ok(answer) } else { Err(answers::refused_read(&answer, &self.redaction)) }
    }
}
