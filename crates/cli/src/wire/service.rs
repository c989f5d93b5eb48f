//! What stands behind the service: the store, and engines wired afresh for each piece of work, so that new documents and
//! rotated secrets count from the next one on.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use entrain_connect::http::Shared;
use entrain_domain::model::RunId;
use entrain_domain::plan::explain::Explanation;
use entrain_domain::plan::{Approval, ladder_rows};
use entrain_domain::reports::credentials;
use entrain_domain::run::{AuditNote, Decision, JournalPage, JournalPart, RunStatus, RunSummary};
use entrain_domain::service::{Mode, Role, Turn};
use entrain_domain::why::Why;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::alerts::Looked;
use entrain_engine::check::Check;
use entrain_engine::notifications::hints::Waiting;
use entrain_engine::person::{PersonOrder, PersonOutcome};
use entrain_engine::ports::{Clock as _, Progress, Unwatched};
use entrain_engine::schedule::{Health, Past};
use entrain_engine::{Approved, Freshness, Only, Purpose, Question, RunOptions};
use entrain_server::reports::{ExportForm, ExportPart, Report, Reported};
use entrain_server::service::{
    Answer, Connection, Kept, Key, Order, Revoked, Searched, Service, Standing, Story, Tried, What,
};
use entrain_store::{AuditVerdict, Signed, Store};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::alerts;
use super::notifications::Counting;
use super::{Connected, Lasting, SystemClock, build, stored};
use crate::config::Document;
use crate::config::document::{Secrets, schema};

/// The service's other side.
pub(crate) struct Wired {
    pub(super) store: Store,
    pub(super) lasting: Lasting,
    /// Where people reach the console; links in alerts begin with it.
    public_url: Option<String>,
    /// Where the directory reaches the doors, without a slash at the end.
    pub(super) doors_url: Option<String>,
    /// Hints that were taken for a run that begins.
    pub(super) taken: std::sync::Mutex<std::collections::BTreeMap<String, Waiting>>,
    /// Directories of drafts.
    pub(super) readings: super::drafts::Readings,
    persons: super::persons::Persons,
    /// Where rules are tried.
    pub(super) bench: super::rulebook::Bench,
    /// This server and those beside it.
    pub(super) house: super::upkeep::House,
}

/// The environment that secrets of documents refer to.
pub(super) fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// A document, which must bear the name of its connection.
pub(super) fn named(text: &str, name: &str) -> Result<Document, Failure> {
    let document = Document::parse(text, "the document")?;
    if document.name() != name && entrain_domain::service::slug(document.name()) != name {
        return Err(Failure::new(
            FailureCode::DocumentInvalid,
            FailureClass::Local,
            "the document bears another name than the address",
            "send it to the address of its own name",
        )
        .of(document.name()));
    }
    Ok(document)
}

impl Wired {
    pub(crate) fn new(store: Store) -> Self {
        let taken = std::sync::Mutex::default();
        let readings = super::drafts::Readings::default();
        let lasting = Lasting::new();
        let persons = super::persons::Persons::new(store.clone(), lasting.clone());
        let bench = super::rulebook::Bench::default();
        let house = super::upkeep::House::new();
        Self { store, lasting, public_url: None, doors_url: None, taken, readings, persons, bench, house }
    }

    /// The same, with doors that the internet reaches under this address.
    pub(crate) fn with_doors_at(mut self, url: Option<String>) -> Self {
        self.doors_url = url;
        self
    }

    /// The same, reached by people under this address.
    pub(crate) fn reached_under(mut self, public_url: &str) -> Self {
        self.public_url = Some(public_url.to_owned());
        self
    }

    /// Waits until every sync of a person has been read back.
    pub(crate) async fn persons_ended(&self) {
        self.persons.ended().await;
    }

    /// What its clients share.
    pub(crate) fn shared(&self) -> Shared {
        self.lasting.shared.clone()
    }

    /// What is known of the servers beside this one.
    pub(crate) fn house(&self) -> super::upkeep::House {
        self.house.clone()
    }

    /// What outlives its pieces of work.
    pub(crate) fn lasting(&self) -> Lasting {
        self.lasting.clone()
    }

    pub(super) async fn connect(&self, name: &str) -> Result<Connected, Failure> {
        self.connect_with(name, &self.lasting).await
    }

    async fn connect_with(&self, name: &str, lasting: &Lasting) -> Result<Connected, Failure> {
        let stored = stored(&self.store, name).await?.document;
        let document = Document::parse(&stored.document, &format!("stored document of “{name}”"))?;
        build(&environment, lasting, self.store.clone(), &document, &stored.secrets)
    }

    async fn all(&self) -> Result<Vec<Connection>, Failure> {
        let entries = self.store.list().await.map_err(|e| e.failure())?;
        let modes = self.store.modes().await.map_err(|e| e.failure())?;
        let fired = self.store.fired_at().await.map_err(|e| e.failure())?;
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            let text = entry.document.as_deref().unwrap_or_default();
            // A document of an older version that this one refuses is shown all the same, and not run
            let document = Document::parse(text, &entry.name).ok();
            let last = self.store.last_ended(&entry.name).await.map_err(|e| e.failure())?;
            let report = last.as_ref().and_then(|run| run.report.as_ref());
            let sick = report.is_some_and(|report| report.quarantine.is_some());
            let resume_at = report.and_then(|report| report.resume_at);
            let waits = self.waits(last.as_ref()).await?;
            let site = document.as_ref().map_or("?", |d| d.meaning().site_url.as_str()).to_owned();
            all.push(Connection {
                site,
                mode: modes.get(&entry.name).copied().unwrap_or_default(),
                version: entry.version,
                schedule: document.map(|d| d.meaning().schedule.clone()),
                past: Past {
                    known_since: entry.at,
                    fired_at: fired.get(&entry.name).copied(),
                    health: if sick { Health::Quarantined } else { Health::Well },
                    resume_at,
                },
                last,
                waits,
                name: entry.name,
            });
        }
        Ok(all)
    }

    async fn put_document(&self, name: &str, text: &str, by: Signed<'_>) -> Result<i64, Failure> {
        let document = named(text, name)?;
        // A path is read by the service, with its rights: whoever may store documents is an administrator
        let known = self.store.get(document.name()).await.map_err(|e| e.failure())?;
        let kept = known.map(|stored| stored.document.secrets);
        document.resolve(&environment, kept.as_ref().unwrap_or(&Secrets::new()))?;
        let new = crate::commands::to_store(&document, kept.as_ref().unwrap_or(&Secrets::new()));
        match kept {
            Some(_) => self.store.set(&new, by).await,
            None => self.store.add(&new, by).await,
        }
        .map_err(|e| e.failure())?;
        Ok(stored(&self.store, document.name()).await?.version)
    }

    /// The run, where what guards held in it still waits for a person.
    async fn waits(&self, run: Option<&RunSummary>) -> Result<Option<RunId>, Failure> {
        let Some(run) = run.filter(|run| run.status == RunStatus::Held) else { return Ok(None) };
        let decisions = self.store.decisions(&run.id).await.map_err(|e| e.failure())?;
        let rejected = decisions.iter().any(|decided| decided.decision == Decision::Rejected);
        Ok((!rejected).then(|| run.id.clone()))
    }

    async fn tell_story(&self, id: &RunId) -> Result<Story, Failure> {
        let store = &self.store;
        Ok(Story {
            run: store.run(id).await.map_err(|e| e.failure())?,
            decisions: store.decisions(id).await.map_err(|e| e.failure())?,
            relation: store.relation(id).await.map_err(|e| e.failure())?,
            later: store.later_runs(id).await.map_err(|e| e.failure())?,
        })
    }

    async fn how_it_stands(&self, connection: &str, since: Timestamp) -> Result<Standing, Failure> {
        let now = SystemClock.now();
        let day = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(since);
        let text = stored(&self.store, connection).await?.document.document;
        // A document that this version refuses has no rules to tell rungs by
        let document = Document::parse(&text, connection).ok();
        let places = self.store.ladder(connection).await.map_err(|e| e.failure())?;
        let (mut ladder, mut rows) = (Vec::new(), Vec::new());
        if let Some(document) = document {
            ladder = ladder_rows(&places, &document.meaning().rules);
            // A certificate that cannot be read is told by the check
            rows = super::reports::credentials(&document)
                .map_or_else(|_| Vec::new(), |all| credentials(&all, now));
        }
        Ok(Standing {
            linked: self.store.linked(connection).await.map_err(|e| e.failure())?,
            figures: self.store.run_figures(connection, since, day).await.map_err(|e| e.failure())?,
            credentials: rows,
            ladder,
        })
    }

    async fn do_run(
        &self,
        order: Order,
        stop: CancellationToken,
        progress: &dyn Progress,
    ) -> Result<Approved, Failure> {
        let connected = self.connect(&order.connection).await?;
        let engine = &connected.engine;
        let mut options = RunOptions::new(order.trigger);
        (options.by, options.stop, options.freshness) = (order.by.clone(), stop, order.freshness);
        match order.what {
            What::Sync => {
                Box::pin(engine.run(options, progress)).await.map(|report| Approved::Run(Box::new(report)))
            }
            What::Only(Only::User(who)) => Box::pin(engine.sync_user(&who, options, progress))
                .await
                .map(|report| Approved::Run(Box::new(report))),
            What::Only(only) => {
                options.purpose = Purpose::Only(only);
                Box::pin(engine.run(options, progress)).await.map(|report| Approved::Run(Box::new(report)))
            }
            What::Approve(run, approval, selection) => {
                Box::pin(engine.approve_part(&run, &order.by, approval, &selection, options, progress)).await
            }
            What::Undo(run) => Box::pin(engine.undo(&run, options, progress))
                .await
                .map(|report| Approved::Run(Box::new(report))),
        }
    }

    async fn run_detail(&self, id: &RunId) -> Result<Value, Failure> {
        let store = &self.store;
        let run = store.run(id).await.map_err(|e| e.failure())?;
        let mut json = match &run.report {
            Some(report) => json!(report),
            None => json!({
                "run_id": run.id, "connection": run.connection, "trigger": run.trigger,
                "status": run.status, "phase": run.phase, "started_at": run.started_at,
            }),
        };
        json["journal"] = json!(store.journal(id).await.map_err(|e| e.failure())?);
        json["decisions"] = json!(store.decisions(id).await.map_err(|e| e.failure())?);
        if let Some(relation) = store.relation(id).await.map_err(|e| e.failure())? {
            json[relation.as_str()] = json!(relation.run());
        }
        Ok(json)
    }

    async fn search_mirror(
        &self,
        connection: &str,
        what: Searched,
        text: &str,
        limit: usize,
    ) -> Result<Value, Failure> {
        let found = match what {
            Searched::Users => {
                let people = self.store.find_people(connection, text, limit + 1).await;
                let row = |user: &entrain_domain::model::DirectoryUser| json!({ "directory_id": user.id, "name": user.label(), "mail": user.address() });
                people.map_err(|e| e.failure())?.map(|all| all.iter().map(row).collect::<Vec<_>>())
            }
            Searched::Groups => {
                let groups = self.store.find_groups(connection, text, limit + 1).await;
                groups.map_err(|e| e.failure())?.map(|all| {
                    all.iter().map(|(id, name)| json!({ "directory_id": id, "name": name })).collect()
                })
            }
        };
        let Some(mut found) = found else {
            return Ok(json!({ "read": false, "found": [], "more": false }));
        };
        let more = found.len() > limit;
        found.truncate(limit);
        Ok(json!({ "read": true, "found": found, "more": more }))
    }
}

impl Service for Wired {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(async { self.store.modes().await.map(drop).map_err(|e| e.failure()) })
    }
    fn connections(&self) -> Answer<'_, Vec<Connection>> {
        Box::pin(self.all())
    }
    fn document<'a>(&'a self, connection: &'a str) -> Answer<'a, String> {
        Box::pin(async move { Ok(stored(&self.store, connection).await?.document.document) })
    }
    fn put<'a>(
        &'a self,
        connection: &'a str,
        document: String,
        by: &'a str,
        why: Option<Why>,
    ) -> Answer<'a, i64> {
        Box::pin(async move {
            let by = Signed { author: by, why: why.as_ref() };
            self.put_document(connection, &document, by).await
        })
    }
    fn remove<'a>(&'a self, connection: &'a str, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let connect = |document: &Document, secrets: &Secrets| {
                build(&environment, &self.lasting, self.store.clone(), document, secrets)
            };
            super::notifications::remove(&self.store, connection, by, connect).await?;
            Ok(())
        })
    }
    fn set_mode<'a>(&'a self, connection: &'a str, mode: Mode, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.set_mode(connection, mode, by).await.map_err(|e| e.failure()) })
    }
    fn schema(&self) -> Value {
        schema().clone()
    }
    fn check<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<Check>> {
        Box::pin(async move {
            let connected = self.connect_with(connection, &self.lasting.signed_out()).await?;
            Ok(Box::pin(crate::commands::findings(&connected)).await)
        })
    }
    fn plan<'a>(&'a self, connection: &'a str, freshness: Freshness) -> Answer<'a, Value> {
        Box::pin(async move {
            let engine = self.connect(connection).await?.engine;
            Ok(Box::pin(engine.preview(Approval::None, freshness, &Unwatched)).await?.document)
        })
    }
    fn explain<'a>(
        &'a self,
        connection: &'a str,
        question: Question,
        freshness: Freshness,
    ) -> Answer<'a, Explanation> {
        Box::pin(async move {
            let engine = self.connect(connection).await?.engine;
            Ok(Box::pin(engine.explain(&question, freshness, &Unwatched)).await?.explanation)
        })
    }
    fn what_if<'a>(&'a self, connection: &'a str, document: String) -> Answer<'a, Option<Tried>> {
        Box::pin(async move {
            let document = named(&document, connection)?;
            let stored = stored(&self.store, connection).await?.document;
            let before = Document::parse(&stored.document, connection)?;
            let tried = build(&environment, &self.lasting, self.store.clone(), &document, &stored.secrets)?;
            let what_if = Box::pin(tried.engine.what_if(&before.meaning().rules)).await?;
            Ok(what_if.map(|what_if| Tried {
                plan: what_if.preview.document,
                new: what_if.new.iter().map(ToString::to_string).collect(),
                gone: what_if.gone.len() as u64,
            }))
        })
    }
    fn report<'a>(&'a self, connection: &'a str, report: Report) -> Answer<'a, Reported> {
        Box::pin(self.report_of(connection, report))
    }
    fn export_audit(&self, form: ExportForm, after: Option<i64>) -> Answer<'_, ExportPart> {
        Box::pin(self.export_part(form, after))
    }
    fn search<'a>(
        &'a self,
        connection: &'a str,
        what: Searched,
        text: &'a str,
        limit: usize,
    ) -> Answer<'a, Value> {
        Box::pin(self.search_mirror(connection, what, text, limit))
    }
    fn run(
        &self,
        order: Order,
        stop: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Answer<'_, Approved> {
        Box::pin(async move {
            let known = self.known_before(&order.connection, order.trigger).await;
            let counting = Counting { inner: progress.as_ref(), changed: AtomicUsize::new(0) };
            let result = self.do_run(order, stop, &counting).await;
            if let Ok(Approved::Run(report)) = &result {
                let changed = counting.changed.load(std::sync::atomic::Ordering::Relaxed);
                // What is measured of a run never makes it fail
                if let Err(failure) = self.ran(report, changed, known).await {
                    tracing::warn!(code = %failure.code, "it cannot be noted how fresh the site is: {failure}");
                }
            }
            result
        })
    }
    fn note(&self, note: AuditNote) -> Answer<'_, ()> {
        Box::pin(async move { self.store.note(note).await.map_err(|e| e.failure()) })
    }
    fn sync_person<'a>(
        &'a self,
        connection: &'a str,
        order: PersonOrder,
        progress: Arc<dyn Progress>,
    ) -> Answer<'a, PersonOutcome> {
        Box::pin(self.persons.sync(connection, order, progress))
    }
    fn reject<'a>(&'a self, connection: &'a str, run: &'a RunId, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.connect(connection).await?.engine.reject(run, by).await })
    }
    fn runs<'a>(
        &'a self,
        connection: Option<&'a str>,
        before: Option<&'a RunId>,
        limit: u32,
    ) -> Answer<'a, Vec<RunSummary>> {
        Box::pin(
            async move { self.store.runs_before(connection, before, limit).await.map_err(|e| e.failure()) },
        )
    }
    fn summary<'a>(&'a self, run: &'a RunId) -> Answer<'a, RunSummary> {
        Box::pin(async move { self.store.run(run).await.map_err(|e| e.failure()) })
    }
    fn story<'a>(&'a self, run: &'a RunId) -> Answer<'a, Story> {
        Box::pin(self.tell_story(run))
    }
    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        part: JournalPart,
        from: usize,
        limit: u32,
    ) -> Answer<'a, JournalPage> {
        Box::pin(
            async move { self.store.journal_page(run, part, from, limit).await.map_err(|e| e.failure()) },
        )
    }
    fn standing<'a>(&'a self, connection: &'a str, since: Timestamp) -> Answer<'a, Standing> {
        Box::pin(self.how_it_stands(connection, since))
    }
    fn detail<'a>(&'a self, run: &'a RunId) -> Answer<'a, Value> {
        Box::pin(self.run_detail(run))
    }
    fn planned<'a>(&'a self, run: &'a RunId) -> Answer<'a, Option<String>> {
        Box::pin(async move { self.store.plan(run).await.map_err(|e| e.failure()) })
    }
    fn verify_audit(&self) -> Answer<'_, Value> {
        Box::pin(async move {
            Ok(match self.store.audit_verify().await.map_err(|e| e.failure())? {
                AuditVerdict::Sound { entries } => json!({ "intact": true, "entries": entries }),
                AuditVerdict::Broken { seq, why } => json!({ "intact": false, "seq": seq, "why": why }),
            })
        })
    }
    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Key>> {
        Box::pin(async move {
            let key = self.store.api_key(id).await.map_err(|e| e.failure())?;
            Ok(key.map(|key| Key {
                revoked: if key.revoked_at.is_some() { Revoked::Yes } else { Revoked::No },
                id: key.id,
                name: key.name,
                role: key.role,
                hash: key.hash,
                expires_at: key.expires_at,
            }))
        })
    }
    fn key_used<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.store.api_key(id).await.map_err(|e| e.failure())? {
                Some(key) => self.store.api_key_used(&key).await.map_err(|e| e.failure()),
                None => Ok(()),
            }
        })
    }
    fn keys(&self) -> Answer<'_, Vec<Value>> {
        Box::pin(async move {
            let keys = self.store.api_keys().await.map_err(|e| e.failure())?;
            Ok(keys.iter().map(crate::commands::shown_key).collect())
        })
    }
    fn make_key<'a>(
        &'a self,
        name: &'a str,
        role: Role,
        expires_at: Timestamp,
        by: &'a str,
    ) -> Answer<'a, Value> {
        Box::pin(async move {
            let (key, token) =
                self.store.make_api_key(name, role, expires_at, by).await.map_err(|e| e.failure())?;
            let mut json = crate::commands::shown_key(&key);
            json["key"] = json!(token.expose_secret());
            Ok(json)
        })
    }
    fn revoke_key<'a>(&'a self, id: &'a str, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.revoke_api_key(id, by).await.map_err(|e| e.failure()) })
    }
    fn keep_request<'a>(&'a self, key: &'a str, name: &'a str, request: &'a str) -> Answer<'a, Option<Kept>> {
        Box::pin(async move {
            let kept = self.store.keep_request(key, name, request).await.map_err(|e| e.failure())?;
            Ok(kept.map(|kept| Kept { request: kept.request, answer: kept.answer }))
        })
    }
    fn keep_answer<'a>(
        &'a self,
        key: &'a str,
        name: &'a str,
        answer: Option<(u16, String)>,
    ) -> Answer<'a, ()> {
        Box::pin(async move { self.store.keep_answer(key, name, answer).await.map_err(|e| e.failure()) })
    }
    fn fired<'a>(
        &'a self,
        connection: &'a str,
        before: Option<Timestamp>,
        at: Timestamp,
    ) -> Answer<'a, Turn> {
        Box::pin(async move { self.store.fired(connection, before, at).await.map_err(|e| e.failure()) })
    }
    fn orphans(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { self.store.orphans(&super::holder()).await.map_err(|e| e.failure()) })
    }
    fn ask_to_stop<'a>(&'a self, run: &'a RunId, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.ask_to_stop(run, by).await.map_err(|e| e.failure()) })
    }
    fn asked_to_stop<'a>(&'a self, run: &'a RunId) -> Answer<'a, bool> {
        Box::pin(async move { self.store.asked_to_stop(run).await.map_err(|e| e.failure()) })
    }
    fn look_after_alerts<'a>(&'a self, connection: &'a str) -> Answer<'a, Looked> {
        Box::pin(alerts::look(&self.store, connection, &environment, self.public_url.as_deref()))
    }
    fn alerts<'a>(&'a self, connection: Option<&'a str>) -> Answer<'a, Vec<Value>> {
        Box::pin(alerts::list(&self.store, connection))
    }
    fn acknowledge_alert<'a>(&'a self, alert: &'a str, by: &'a str, note: &'a str) -> Answer<'a, Value> {
        Box::pin(alerts::acknowledged(&self.store, alert, by, note))
    }
    fn test_alerts<'a>(
        &'a self,
        connection: &'a str,
        channel: Option<&'a str>,
        by: &'a str,
    ) -> Answer<'a, Vec<Value>> {
        let public_url = self.public_url.as_deref();
        Box::pin(alerts::test(&self.store, (connection, channel), by, &environment, public_url))
    }
}
