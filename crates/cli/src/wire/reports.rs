//! What reports read: the directory alone, or both sides; accounts from the site, or from the export of users that an
//! administrator of Jira has taken. Nothing here can write.

use std::collections::BTreeMap;
use std::sync::Arc;

use entrain_connect::atlassian::{Jira, Organization};
use entrain_connect::entra::Entra;
use entrain_domain::memory::Memory;
use entrain_domain::model::{AccountId, EmailAddress, Product};
use entrain_domain::reports::{Credential, Expiry, Holdings, Roster, SiteEntry};
use entrain_domain::run::RunReport;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::error::EngineError;
use entrain_engine::reports::{Accounts, People};
use entrain_store::Store;
use jiff::Timestamp;

use super::adapters::confluence;
use super::{
    Lasting, directory_client, http_options, only_connection, open_store, organization_client, site_client,
    stored,
};
use crate::commands::{Context, Target, read_document, read_for_directory};
use crate::config::document::{DirectoryCredential, Scoped, Secrets};
use crate::config::{Document, Environment};

/// Which sides a report needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// The directory: a document needs neither `[site]` nor `[scope]`, and no secret of the site is looked up.
    Directory,
    /// Both.
    Both,
}

/// What a report may ask.
pub(crate) struct Reporting {
    /// The connection.
    pub(crate) document: Document,
    /// Whether its document says who takes part.
    pub(crate) scoped: Scoped,
    /// The directory.
    pub(crate) directory: DirectoryPeople,
    /// The site, where both sides were asked for.
    pub(crate) site: Option<Arc<Jira>>,
    organization: Option<Arc<Organization>>,
    store: Store,
}

impl Reporting {
    /// Confluence, where the document limits its seats; nothing otherwise.
    pub(crate) async fn confluence(&self) -> Result<Option<Product>, Failure> {
        let meaning = self.document.meaning();
        match &self.organization {
            Some(organization) if meaning.limits_confluence() => {
                confluence(organization, &meaning.site_url).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A stored connection, for a report about both sides.
    pub(crate) fn of_both(
        document: Document,
        kept: &Secrets,
        environment: Environment<'_>,
        lasting: &Lasting,
        store: Store,
    ) -> Result<Self, Failure> {
        let secrets = document.resolve_sides(environment, kept)?;
        Self::with((document, Scoped::ByDocument), &secrets, Sides::Both, lasting, store)
    }

    fn with(
        (document, scoped): (Document, Scoped),
        secrets: &Secrets,
        sides: Sides,
        lasting: &Lasting,
        store: Store,
    ) -> Result<Self, Failure> {
        let http = http_options(&document, lasting)?;
        let (entra, _) = directory_client(&document, secrets, lasting, &http)?;
        let site = match sides {
            Sides::Directory => None,
            Sides::Both => Some(site_client(&document, secrets, &http)?),
        };
        let organization = match &site {
            Some(jira) if document.meaning().limits_confluence() => {
                organization_client(&document, secrets, &http, jira)?
            }
            _ => None,
        };
        Ok(Self { document, scoped, directory: DirectoryPeople(entra), site, organization, store })
    }

    /// Links and ledger; empty for a connection that never ran.
    pub(crate) async fn memory(&self) -> Result<Memory, Failure> {
        self.store.memory(self.document.name()).await.map_err(|e| e.failure())
    }

    /// What the last run said; nothing for a connection that never ran.
    pub(crate) async fn last_report(&self) -> Result<Option<RunReport>, Failure> {
        let last = self.store.last_ended(self.document.name()).await.map_err(|e| e.failure())?;
        Ok(last.and_then(|run| run.report))
    }

    /// The site's accounts.
    pub(crate) fn accounts(&self) -> Result<SiteAccounts, Failure> {
        let jira = self.site.clone().ok_or(EngineError::RightMissing("a connection to the site"))?;
        Ok(SiteAccounts { jira, technical: self.document.meaning().admin_email.clone() })
    }
}

/// Opens a connection for a report.
pub(crate) async fn open(cx: &Context<'_>, target: &Target, sides: Sides) -> Result<Reporting, Failure> {
    let (document, scoped, kept, store) = choose(cx, target, sides).await?;
    let section = if sides == Sides::Directory { "directory." } else { "" };
    let secrets = document.resolve_below(section, cx.environment(), &kept)?;
    Reporting::with((document, scoped), &secrets, sides, &Lasting::new(), store)
}

/// The document of a connection and its database; no secret is looked up and nothing is asked of a cloud.
pub(crate) async fn choose(
    cx: &Context<'_>,
    target: &Target,
    sides: Sides,
) -> Result<(Document, Scoped, Secrets, Store), Failure> {
    if let Some(file) = &target.connection_file {
        let (document, scoped) = match sides {
            Sides::Directory => read_for_directory(file)?,
            Sides::Both => (read_document(file)?, Scoped::ByDocument),
        };
        let store = open_store(cx).await?;
        let kept = store.get(document.name()).await.map_err(|e| e.failure())?;
        return Ok((document, scoped, kept.map(|c| c.document.secrets).unwrap_or_default(), store));
    }
    let store = open_store(cx).await?;
    let name = match &target.name {
        Some(name) => name.clone(),
        None => only_connection(&store).await?,
    };
    let stored = stored(&store, &name).await?.document;
    let document = Document::parse(&stored.document, &format!("stored document of “{name}”"))?;
    Ok((document, Scoped::ByDocument, stored.secrets, store))
}

/// Everybody in the directory.
pub(crate) struct DirectoryPeople(pub(crate) Arc<Entra>);

impl People for DirectoryPeople {
    async fn people(&self) -> Result<Roster, Failure> {
        self.0.people().await.map_err(|e| e.failure())
    }
}

/// The accounts of the site, without the technical one.
pub(crate) struct SiteAccounts {
    jira: Arc<Jira>,
    technical: EmailAddress,
}

impl Accounts for SiteAccounts {
    async fn accounts(&self) -> Result<Vec<SiteEntry>, Failure> {
        let standing = self.jira.standing().await.map_err(|e| e.failure())?;
        if standing.browse_users == Some(false) {
            return Err(EngineError::RightMissing("Browse users and groups").into());
        }
        let accounts = self.jira.accounts().await.map_err(|e| e.failure())?;
        let others = accounts
            .into_iter()
            .filter(|a| a.id != standing.own_account && a.email.as_ref() != Some(&self.technical));
        Ok(others.map(SiteEntry::from).collect())
    }
    async fn holdings(&self, account: &AccountId) -> Result<Option<Holdings>, Failure> {
        self.jira.holdings(account).await.map_err(|e| e.failure())
    }
}

/// The accounts of an export, without the technical one.
pub(crate) struct ExportedAccounts {
    entries: BTreeMap<AccountId, SiteEntry>,
}

impl ExportedAccounts {
    /// From a file as the administration of Jira exports users. The document's technical account is left out.
    pub(crate) fn read(path: &std::path::Path, document: &Document) -> Result<Self, Failure> {
        let bytes = std::fs::read(path)
            .map_err(|e| crate::commands::file_failure("the list of accounts", path, &e))?;
        let mut entries = super::export::read(&bytes, &path.display().to_string())?;
        let technical = &document.meaning().admin_email;
        entries.retain(|entry| entry.email.as_ref() != Some(technical));
        Ok(Self { entries: entries.into_iter().map(|entry| (entry.account.clone(), entry)).collect() })
    }
}

impl Accounts for ExportedAccounts {
    async fn accounts(&self) -> Result<Vec<SiteEntry>, Failure> {
        Ok(self.entries.values().cloned().collect())
    }
    async fn holdings(&self, _: &AccountId) -> Result<Option<Holdings>, Failure> {
        // Whatever the file says is in the list already
        Ok(None)
    }
}

/// The credentials of a document and when they end. A certificate's end is read from its file; ends of secrets come from
/// the document, because reading them would take a right that nothing else needs.
pub(crate) fn credentials(document: &Document) -> Result<Vec<Credential>, Failure> {
    let meaning = document.meaning();
    let told = |at: Option<Timestamp>| at.map_or(Expiry::Unknown, Expiry::Told);
    let mut all = vec![match &meaning.credential {
        DirectoryCredential::Secret => Credential {
            what: "client secret of the app registration",
            key: "directory.client_secret",
            expiry: told(meaning.expires.client_secret),
            renew: "make a new client secret under Certificates & secrets, put it into the document, and write its \
                    last day into directory.client_secret_expires",
        },
        DirectoryCredential::Certificate { certificate, .. } => {
            let pem = document.read_file("directory.certificate_file", certificate)?;
            Credential {
                what: "certificate of the app registration",
                key: "directory.certificate_file",
                expiry: Expiry::Read(not_after(&pem, "directory.certificate_file")?),
                renew: "make a new certificate and key, register the certificate with the application, and name both \
                        files in the document",
            }
        }
        DirectoryCredential::Pem { certificate } => Credential {
            what: "certificate of the app registration",
            key: "directory.certificate",
            expiry: Expiry::Read(not_after(certificate.as_bytes(), "directory.certificate")?),
            renew: "make a new certificate and key, register the certificate with the application, and write both into \
                    the document",
        },
        DirectoryCredential::Federated(_) => Credential {
            what: "federated token of this host",
            key: "directory.federated_token_file",
            expiry: Expiry::Never,
            renew: "",
        },
        DirectoryCredential::ManagedIdentity => Credential {
            what: "managed identity of this host",
            key: "directory.managed_identity",
            expiry: Expiry::Never,
            renew: "",
        },
    }];
    all.push(Credential {
        what: "API token of the technical account",
        key: "site.api_token",
        expiry: told(meaning.expires.api_token),
        renew: "make a new API token at id.atlassian.com, put it into the document, and write its last day into \
                site.api_token_expires",
    });
    if meaning.organization.is_some() {
        all.push(Credential {
            what: "organization API key",
            key: "site.organization.api_key",
            expiry: told(meaning.expires.api_key),
            renew: "make a new API key at admin.atlassian.com, put it into the document, and write its last day into \
                    site.organization.api_key_expires",
        });
    }
    Ok(all)
}

fn not_after(pem: &[u8], key: &str) -> Result<Timestamp, Failure> {
    let refuse = || {
        Failure::new(
            FailureCode::SecretUnavailable,
            FailureClass::Local,
            "the end of the certificate cannot be read",
            "give the certificate as PEM, beginning with BEGIN CERTIFICATE",
        )
        .of(key)
    };
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).map_err(|_| refuse())?;
    let certificate = pem.parse_x509().map_err(|_| refuse())?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).map_err(|_| refuse())
}
