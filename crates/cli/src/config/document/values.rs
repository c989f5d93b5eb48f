//! From sections to what they mean: addresses, credentials by kind, times, and the rules of the domain.

use std::time::Duration;

use entrain_connect::http::BaseUrl;
use entrain_domain::model::EmailAddress;
use entrain_domain::policy::Rules;
use entrain_engine::notifications::hints::Patience;
use entrain_engine::schedule::Schedule;
use jiff::Timestamp;

use super::credential::DirectoryCredential;
use super::lines::Lines;
use super::notify::Notify;
use super::problem::{Problem, ProblemKind};
use super::sections::Sections;
use crate::wire::Renames;

/// What a valid document means, beyond its text.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    /// Credential.
    pub(crate) credential: DirectoryCredential,
    /// `authority_url`
    pub(crate) authority_url: Option<BaseUrl>,
    /// `graph_url`
    pub(crate) graph_url: Option<BaseUrl>,
    /// `site.url`
    pub(crate) site_url: BaseUrl,
    /// `site.admin_email`
    pub(crate) admin_email: EmailAddress,
    /// `site.organization`
    pub(crate) organization: Option<OrganizationMeaning>,
    /// `network.timeout`
    pub(crate) timeout: Option<Duration>,
    /// `schedule.full_every`
    pub(crate) full_every: Duration,
    /// `schedule`
    pub(crate) schedule: Schedule,
    /// `notifications`, where they are enabled.
    pub(crate) notifications: Option<Patience>,
    /// When credentials end, as far as the document says.
    pub(crate) expires: Expires,
    /// `notify`
    pub(crate) notify: Notify,
    /// The rules.
    pub(crate) rules: Rules,
    /// `doors`
    pub(crate) doors: super::doors::DoorsMeaning,
}

impl Meaning {
    /// Whether seats of Confluence are limited, so that they have to be counted.
    pub(crate) fn limits_confluence(&self) -> bool {
        super::seats::limits_confluence(&self.rules.seats)
    }
}

/// When credentials end, as far as the document says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expires {
    /// `directory.client_secret_expires`
    pub(crate) client_secret: Option<Timestamp>,
    /// `site.api_token_expires`
    pub(crate) api_token: Option<Timestamp>,
    /// `site.organization.api_key_expires`
    pub(crate) api_key: Option<Timestamp>,
}

/// The organization plane.
#[derive(Debug, Clone)]
pub(crate) struct OrganizationMeaning {
    /// `url`, or Atlassian's own.
    pub(crate) url: BaseUrl,
    /// `id`
    pub(crate) id: String,
    /// `directory_id`
    pub(crate) directory_id: Option<String>,
    /// `rename_groups`
    pub(crate) renames: Renames,
}

/// Reads the sections; every mistake is reported.
pub(super) fn read(sections: &Sections, lines: &Lines) -> Result<Meaning, Vec<Problem>> {
    let mut reader = Reader { lines, problems: Vec::new() };
    let meaning = reader.meaning(sections);
    reader.problems.sort_by_key(|p| p.line);
    match meaning {
        Some(meaning) if reader.problems.is_empty() => Ok(meaning),
        _ => Err(reader.problems),
    }
}

pub(super) struct Reader<'a> {
    lines: &'a Lines,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn found(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let line = self.lines.line(key);
        let (what, remedy) = (what.into(), remedy.into());
        self.problems.push(Problem { key: key.to_owned(), line, what, remedy, kind: ProblemKind::Document });
    }

    fn meaning(&mut self, s: &Sections) -> Option<Meaning> {
        if s.name.chars().any(char::is_control) || s.name.trim() != s.name || s.name.chars().count() > 100 {
            self.found(
                "name",
                "has control characters, blanks at its ends, or more than 100 characters",
                "write a short name",
            );
        }
        let credential = self.credential(&s.directory);
        let authority_url = self.address("directory.authority_url", s.directory.authority_url.as_deref());
        let graph_url = self.address("directory.graph_url", s.directory.graph_url.as_deref());
        let site_url = self.address("site.url", Some(&s.site.url));
        let organization = s.site.organization.as_ref();
        let organization_url = organization
            .map_or("https://api.atlassian.com", |o| o.url.as_deref().unwrap_or("https://api.atlassian.com"));
        let organization_url = self.address("site.organization.url", Some(organization_url));
        let ids = organization.map(|o| [("id", Some(&o.id)), ("directory_id", o.directory_id.as_ref())]);
        for (key, id) in ids.into_iter().flatten() {
            if id.is_some_and(|id| !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
                let key = format!("site.organization.{key}");
                self.found(&key, "is not an id", "copy it from the address of admin.atlassian.com");
            }
        }
        let admin_email = EmailAddress::parse(&s.site.admin_email).ok();
        if admin_email.is_none() {
            self.found(
                "site.admin_email",
                "is not an e-mail address",
                "write the address of the technical account",
            );
        }
        let expires = Expires {
            client_secret: self
                .day("directory.client_secret_expires", s.directory.client_secret_expires.as_deref()),
            api_token: self.day("site.api_token_expires", s.site.api_token_expires.as_deref()),
            api_key: self.day(
                "site.organization.api_key_expires",
                organization.and_then(|o| o.api_key_expires.as_deref()),
            ),
        };
        let (schedule, full_every) = self.schedule(&s.schedule);
        let notifications = self.notifications(&s.notifications);
        let timeout = self.span("network.timeout", s.network.timeout.as_deref(), Duration::from_secs(1));
        if let Some(proxy) = &s.network.proxy {
            let url = url::Url::parse(proxy)
                .ok()
                .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
            match url {
                None => self.found("network.proxy", "is not an address", "write it as http://host:port"),
                Some(url) if !url.username().is_empty() || url.password().is_some() => self.found(
                    "network.proxy",
                    "carries a user name or password",
                    "let the proxy know this host in another way; documents keep no secret in an address",
                ),
                Some(_) => {}
            }
        }
        let notify = super::notify::read(self, &s.notify);
        let rules = self.rules(s);
        let doors = super::doors::read(self, s);
        Some(Meaning {
            credential: credential?,
            authority_url,
            graph_url,
            site_url: site_url?,
            admin_email: admin_email?,
            organization: match (organization, organization_url) {
                (Some(section), Some(url)) => Some(OrganizationMeaning {
                    url,
                    id: section.id.clone(),
                    directory_id: section.directory_id.clone(),
                    renames: if section.rename_groups { Renames::Follow } else { Renames::Keep },
                }),
                _ => None,
            },
            timeout,
            full_every,
            schedule,
            notifications,
            expires,
            notify,
            rules: rules?,
            doors,
        })
    }

    /// A day: the credential is taken to end with its first second.
    fn day(&mut self, key: &str, text: Option<&str>) -> Option<Timestamp> {
        let day = text?.trim().parse::<jiff::civil::Date>().ok();
        let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        if day.is_none() {
            self.found(key, "is not a day", "write it as year-month-day, such as 2027-01-31");
        }
        day.map(|day| day.timestamp())
    }

    pub(super) fn address(&mut self, key: &str, text: Option<&str>) -> Option<BaseUrl> {
        match BaseUrl::parse(text?) {
            Ok(url) => Some(url),
            Err(error) => {
                // The reason only: the address itself may carry a password
                let message = error.to_string();
                let why =
                    message.rsplit_once("cannot be used: ").map_or("it is not an address", |(_, why)| why);
                self.found(
                    key,
                    format!("cannot be used: {why}"),
                    "write it as https://host (http only for this machine)",
                );
                None
            }
        }
    }

    pub(super) fn span(&mut self, key: &str, text: Option<&str>, least: Duration) -> Option<Duration> {
        let parsed = text?.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
        match parsed {
            Some(time) if time >= least => Some(time),
            Some(_) => {
                self.found(key, "is too short", format!("write at least {}s", least.as_secs()));
                None
            }
            None => {
                self.found(key, "is not a length of time", "write it as 90s, 15m or 24h");
                None
            }
        }
    }
}
