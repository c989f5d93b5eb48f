//! Connections that somebody is setting up: judged by the parser of documents, tried out on the clouds, planned, and
//! stored as `entrain connection add` would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entrain_connect::atlassian::{CheckState, SiteCheck};
use entrain_connect::entra::{Entra, PermissionVerdict};
use entrain_domain::model::{AccountState, Closure, DirectorySnapshot, Nesting};
use entrain_domain::plan::Approval;
use entrain_domain::policy::{Audience, Demand, GroupSelector, Scope, UserScope};
use entrain_domain::service::slug;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::Freshness;
use entrain_engine::ports::{Clock as _, Unwatched};
use entrain_server::drafts::{
    Draft, Drafts, Fault, Finding, GroupSeen, Part, Said, Secrets, Seen, State, Tested,
};
use entrain_server::service::Answer;
use entrain_store::DraftEntry;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::drafts_toml::{toml, write};
use super::service::{Wired, environment};
use super::{SystemClock, build, directory_client, http_options, organization_client, site_client};
use crate::config::Document;
use crate::config::document::DocumentError;

/// For how long a page waits for the directory to be read.
const PATIENCE: Duration = Duration::from_secs(8);

/// For how long what was read is shown before it is read again.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// Where documents of drafts come from, in messages.
const ORIGIN: &str = "the draft";

/// Stands for the directory where only the site is asked for.
const NO_DIRECTORY: &str = "name = \"draft\"\n\n[directory]\ntenant_id = \"directory.invalid\"\n\
    client_id = \"none\"\nclient_secret = \"sealed\"\n\n";

/// A read of a directory: under way, or done.
type Read = watch::Receiver<Option<Result<Arc<Snapshot>, Failure>>>;

/// What was read.
struct Snapshot {
    at: Timestamp,
    directory: DirectorySnapshot,
}

/// Directories of drafts, each read once for what its draft says of it.
#[derive(Default)]
pub(super) struct Readings(Mutex<BTreeMap<String, (String, Read)>>);

fn unknown(id: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        "there is no draft of that id: it was thrown away, or has become a connection",
        "begin a new connection",
    )
    .of(id)
}

fn read(entry: DraftEntry, stored: impl Iterator<Item = String>) -> Result<Draft, Failure> {
    let said: Said = serde_json::from_str(&entry.body).map_err(|_| {
        let what = "the draft was written by another version and cannot be read";
        let remedy = "throw it away and begin anew";
        Failure::new(FailureCode::ObjectUnknown, FailureClass::Local, what, remedy).of(&*entry.id)
    })?;
    Ok(Draft { id: entry.id, said, stored: stored.collect(), author: entry.author, at: entry.at })
}

fn parsed(draft: &Draft, part: Part) -> Result<Document, DocumentError> {
    let text = toml(draft, part);
    let sides = |text: &str| Document::parse_for_directory(text, ORIGIN).map(|(document, _)| document);
    match part {
        Part::Whole => Document::parse(&text, ORIGIN),
        Part::Directory => sides(&text),
        Part::Site => sides(&format!("{NO_DIRECTORY}{text}")),
    }
}

/// What is refused, by key.
fn faults(error: DocumentError) -> Vec<Fault> {
    let fault = |problem: crate::config::document::Problem| Fault {
        key: problem.key,
        what: problem.what,
        remedy: problem.remedy,
    };
    error.problems.into_iter().map(fault).collect()
}

/// Whether a fault is about a part, and not about what comes later.
fn concerns(fault: &Fault, part: Part) -> bool {
    let directory = fault.key.is_empty() || fault.key == "name" || fault.key.starts_with("directory");
    match part {
        Part::Directory => directory,
        Part::Site => fault.key.starts_with("site"),
        Part::Whole => true,
    }
}

/// The key of a document that a failure is about.
fn cause(failure: &Failure, draft: &Draft) -> Option<&'static str> {
    use entrain_server::drafts::Proof;
    Some(match failure.code {
        FailureCode::DirectoryCredentialRefused => match draft.said.proof {
            Proof::Secret => "directory.client_secret",
            Proof::Certificate => "directory.certificate",
            Proof::Federated => "directory.federated_token_file",
            Proof::Managed => "directory.client_id",
        },
        FailureCode::DirectoryAppUnknown => "directory.client_id",
        FailureCode::DirectoryRequestInvalid => "directory.cloud",
        FailureCode::SiteCredentialRefused | FailureCode::SiteTokenScoped => "site.api_token",
        FailureCode::SiteNotCloud | FailureCode::SiteUnavailable => "site.url",
        _ => return None,
    })
}

fn failed(what: &str, failure: &Failure, draft: &Draft) -> Finding {
    Finding {
        what: what.to_owned(),
        state: State::Bad,
        detail: failure.message.clone(),
        remedy: failure.remedy.clone(),
        permission: None,
        key: cause(failure, draft).map(str::to_owned),
    }
}

fn good(what: &str, detail: impl Into<String>) -> Finding {
    Finding {
        what: what.to_owned(),
        state: State::Good,
        detail: detail.into(),
        remedy: String::new(),
        permission: None,
        key: None,
    }
}

fn told(plane: &str, check: SiteCheck) -> Finding {
    let (state, detail) = match check.state {
        CheckState::Good => (State::Good, ""),
        CheckState::Missing => (State::Bad, "It is missing"),
        CheckState::Notice => (State::Notice, ""),
        CheckState::NotKnown => (State::Notice, "It cannot be asked"),
    };
    let what = format!("{plane}: {}", check.what);
    Finding { what, state, detail: detail.into(), remedy: check.remedy, permission: None, key: None }
}

impl Wired {
    async fn opened(&self, id: &str) -> Result<(Draft, Secrets), Failure> {
        let found = self.store.draft(id).await.map_err(|e| e.failure())?;
        let (entry, secrets) = found.ok_or_else(|| unknown(id))?;
        let draft = read(entry, secrets.keys().cloned())?;
        Ok((draft, secrets))
    }

    async fn keep(&self, draft: &Draft, mut typed: Secrets, by: &str) -> Result<(), Failure> {
        let known = self.store.draft(&draft.id).await.map_err(|e| e.failure())?;
        for (key, secret) in known.map(|(_, secrets)| secrets).unwrap_or_default() {
            if draft.stored.contains(&key) {
                typed.entry(key).or_insert(secret);
            }
        }
        let body = serde_json::to_string(&draft.said).unwrap_or_default();
        self.store.keep_draft(&draft.id, &body, &typed, by).await.map_err(|e| e.failure())
    }

    async fn judge(&self, id: &str, part: Part) -> Result<Vec<Fault>, Failure> {
        let (draft, secrets) = self.opened(id).await?;
        let document = match parsed(&draft, part) {
            Ok(document) => document,
            Err(error) => {
                let faults = faults(error).into_iter().filter(|fault| concerns(fault, part));
                return Ok(faults.collect());
            }
        };
        let section = match part {
            Part::Directory => "directory.",
            Part::Site => "site.",
            Part::Whole => "",
        };
        let mut found = match document.resolve_below(section, &environment, &secrets) {
            Ok(_) => Vec::new(),
            Err(error) => faults(error),
        };
        if part == Part::Site {
            return Ok(found);
        }
        let name = document.name();
        let taken = self.store.list().await.map_err(|e| e.failure())?;
        if draft.said.connection.as_deref() != Some(name)
            && taken.iter().any(|entry| slug(&entry.name) == slug(name))
        {
            found.push(Fault {
                key: "name".into(),
                what: "is the name of another connection, or differs from it in signs alone".into(),
                remedy: "choose another name".into(),
            });
        }
        found.retain(|fault| concerns(fault, part));
        Ok(found)
    }

    /// The directory's client of a draft, without tokens of before.
    fn draft_directory(&self, draft: &Draft, secrets: &Secrets) -> Result<(Arc<Entra>, Document), Failure> {
        let document = parsed(draft, Part::Directory)?;
        let secrets = document.resolve_below("directory.", &environment, secrets)?;
        let lasting = self.lasting().signed_out();
        let http = http_options(&document, &lasting)?;
        let (entra, _) = directory_client(&document, &secrets, &lasting, &http)?;
        Ok((entra, document))
    }

    async fn test_directory(&self, id: &str) -> Result<Tested, Failure> {
        let (draft, secrets) = self.opened(id).await?;
        let (entra, document) = self.draft_directory(&draft, &secrets)?;
        let mut findings = Vec::new();
        match entra.check(&document.meaning().rules.scope).await {
            Ok(found) => {
                findings.push(good("Sign-in works", "Entra ID gave a token for the application"));
                for finding in found {
                    let (state, permission) = match finding.verdict {
                        PermissionVerdict::Granted => (State::Good, None),
                        PermissionVerdict::Excessive => (State::Notice, None),
                        PermissionVerdict::Missing => (State::Bad, Some(finding.permission.clone())),
                    };
                    findings.push(Finding {
                        what: finding.permission,
                        state,
                        detail: finding.what,
                        remedy: finding.remedy,
                        permission,
                        key: None,
                    });
                }
            }
            Err(error) => {
                findings.push(failed("Microsoft Entra ID could not be read", &error.failure(), &draft));
            }
        }
        Ok(Tested { at: SystemClock.now(), findings, products: Vec::new() })
    }

    async fn test_site(&self, id: &str) -> Result<Tested, Failure> {
        let (draft, secrets) = self.opened(id).await?;
        let document = parsed(&draft, Part::Site)?;
        let secrets = document.resolve_below("site.", &environment, &secrets)?;
        let http = http_options(&document, &self.lasting().signed_out())?;
        let jira = site_client(&document, &secrets, &http)?;
        let organization = organization_client(&document, &secrets, &http, &jira)?;
        let mut tested = Tested { at: SystemClock.now(), findings: Vec::new(), products: Vec::new() };
        match jira.standing().await {
            Ok(standing) => {
                tested.findings.extend(SiteCheck::of(&standing).into_iter().map(|check| told("Jira", check)));
                if let Some(organization) = organization {
                    let checks = organization.check(&standing.own_account).await;
                    tested.findings.extend(checks.into_iter().map(|check| told("Organization", check)));
                }
                let seats = standing.products.iter().map(|product| {
                    let used = product.seats.used().unwrap_or_default();
                    (product.name.to_string(), used, product.seats.limit())
                });
                tested.products = seats.collect();
            }
            Err(error) => {
                tested.findings.push(failed("Jira could not be read", &error.failure(), &draft));
            }
        }
        Ok(tested)
    }

    /// The directory of a draft, read once for what the draft says of it.
    fn reading(&self, draft: &Draft, secrets: &Secrets) -> Result<Read, Failure> {
        let assigned = match draft.text("scope.users") {
            "assigned" => draft.text("scope.assigned_to"),
            _ => "",
        };
        // A secret that was typed anew reads nothing else
        let place = format!("{:?} {assigned}", draft.lines(Part::Directory));
        let mut readings = self.readings.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((known, read)) = readings.get(&draft.id)
            && *known == place
            && is_fresh(read.borrow().as_ref())
        {
            return Ok(read.clone());
        }
        let (entra, _) = self.draft_directory(draft, secrets)?;
        let everything = GroupSelector::parse("*").map_err(|_| unknown(&draft.id))?;
        let mut scope = Scope::in_groups(vec![everything]);
        scope.users = match entrain_domain::model::ApplicationId::parse(assigned) {
            Ok(application) if !assigned.is_empty() => UserScope::Assigned(application),
            _ => UserScope::All,
        };
        let demand = Demand { scope, attributes: [].into(), asides: Vec::new() };
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let read = entra.read(&demand, &[]).await;
            let read =
                read.map(|read| Arc::new(Snapshot { at: SystemClock.now(), directory: read.snapshot }));
            tell.send_replace(Some(read.map_err(|e| e.failure())));
        });
        readings.insert(draft.id.clone(), (place, told.clone()));
        Ok(told)
    }

    async fn look(&self, id: &str) -> Result<Seen, Failure> {
        let (draft, secrets) = self.opened(id).await?;
        let mut read = self.reading(&draft, &secrets)?;
        let read = match tokio::time::timeout(PATIENCE, read.wait_for(Option::is_some)).await {
            Ok(Ok(read)) => read.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        let Some(read) = read else { return Ok(Seen::Reading) };
        let read = read?;
        Ok(tokio::task::spawn_blocking(move || seen(&draft, &read)).await.unwrap_or(Seen::Reading))
    }

    async fn plan_of_draft(&self, id: &str) -> Result<Value, Failure> {
        let (draft, secrets) = self.opened(id).await?;
        let document = parsed(&draft, Part::Whole)?;
        let lasting = self.lasting();
        let connected = build(&environment, &lasting, self.store.clone(), &document, &secrets)?;
        Ok(Box::pin(connected.engine.preview(Approval::None, Freshness::Full, &Unwatched)).await?.document)
    }

    async fn become_connection(&self, id: &str, by: &str) -> Result<String, Failure> {
        let (mut draft, mut secrets) = self.opened(id).await?;
        let mut document = parsed(&draft, Part::Whole)?;
        let ours = draft.said.connection.as_deref() == Some(document.name());
        let known = if ours { self.store.get(document.name()).await.map_err(|e| e.failure())? } else { None };
        let again = known.is_some();
        if let Some(known) = known {
            // What somebody has added to its rules since stays
            if let Ok(before) = known.document.document.parse() {
                document = Document::parse(&write(before, &draft, Part::Whole), ORIGIN)?;
            }
            for (key, secret) in known.document.secrets {
                secrets.entry(key).or_insert(secret);
            }
        }
        document.resolve(&environment, &secrets)?;
        let new = crate::commands::to_store(&document, &secrets);
        if again {
            self.store.set(&new, by).await.map_err(|e| e.failure())?;
        } else {
            self.store.add(&new, by).await.map_err(|e| e.failure())?;
        }
        draft.said.connection = Some(document.name().to_owned());
        self.keep(&draft, Secrets::new(), by).await?;
        Ok(document.name().to_owned())
    }
}

/// Whether a read is still of use: it is under way, or it is not long ago.
fn is_fresh(read: Option<&Result<Arc<Snapshot>, Failure>>) -> bool {
    match read {
        None => true,
        Some(Ok(read)) => SystemClock.now().duration_since(read.at) < FRESH,
        Some(Err(_)) => false,
    }
}

/// What a directory holds, as far as a draft asks.
fn seen(draft: &Draft, read: &Snapshot) -> Seen {
    let directory = &read.directory;
    let document = parsed(draft, Part::Whole).ok();
    let rules = document.as_ref().map(|document| &document.meaning().rules);
    let enabled = |ix| directory.user_at(ix).is_some_and(|user| user.account == AccountState::Enabled);
    let mut groups: Vec<GroupSeen> = directory
        .groups()
        .map(|group| GroupSeen {
            id: group.id.to_string(),
            name: group.display_name.to_string(),
            people: match directory.closure(&group.id, Nesting::Flatten) {
                Closure::Complete(closure) => {
                    Some(closure.members().filter(|ix| enabled(*ix)).count() as u64)
                }
                Closure::Unknown(_) => None,
            },
            selected: rules.is_some_and(|rules| rules.scope.selects(&group.id, &group.display_name)),
        })
        .collect();
    groups.sort_by_cached_key(|group| (group.name.to_lowercase(), group.id.clone()));
    Seen::Read {
        at: read.at,
        groups,
        enabled: directory.users().filter(|user| user.account == AccountState::Enabled).count() as u64,
        taking_part: rules.map(|rules| Audience::of(directory, rules).people().len() as u64),
    }
}

impl Drafts for Wired {
    fn drafts(&self) -> Answer<'_, Vec<Draft>> {
        Box::pin(async {
            let entries = self.store.drafts().await.map_err(|e| e.failure())?;
            // One that another version wrote is not in the way of the others
            Ok(entries.into_iter().filter_map(|entry| read(entry, std::iter::empty()).ok()).collect())
        })
    }
    fn draft<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Draft>> {
        Box::pin(async move {
            match self.store.draft(id).await.map_err(|e| e.failure())? {
                Some((entry, secrets)) => read(entry, secrets.into_keys()).map(Some),
                None => Ok(None),
            }
        })
    }
    fn keep_draft<'a>(&'a self, draft: &'a Draft, typed: Secrets, by: &'a str) -> Answer<'a, ()> {
        Box::pin(self.keep(draft, typed, by))
    }
    fn drop_draft<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            self.readings.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(id);
            self.store.drop_draft(id).await.map_err(|e| e.failure())
        })
    }
    fn judge_draft<'a>(&'a self, id: &'a str, part: Part) -> Answer<'a, Vec<Fault>> {
        Box::pin(self.judge(id, part))
    }
    fn try_directory<'a>(&'a self, id: &'a str) -> Answer<'a, Tested> {
        Box::pin(self.test_directory(id))
    }
    fn try_site<'a>(&'a self, id: &'a str) -> Answer<'a, Tested> {
        Box::pin(self.test_site(id))
    }
    fn draft_groups<'a>(&'a self, id: &'a str) -> Answer<'a, Seen> {
        Box::pin(self.look(id))
    }
    fn plan_draft<'a>(&'a self, id: &'a str) -> Answer<'a, Value> {
        Box::pin(self.plan_of_draft(id))
    }
    fn store_draft<'a>(&'a self, id: &'a str, by: &'a str) -> Answer<'a, String> {
        Box::pin(self.become_connection(id, by))
    }
}
