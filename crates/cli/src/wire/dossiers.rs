//! Dossiers out of the store: no cloud is asked.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::model::{AttributeValue, DirectoryUser, DirectoryUserId, RunId};
use entrain_domain::plan::ladder_rows;
use entrain_domain::policy::AttributeRules;
use entrain_domain::run::{Decided, Decision, JournalEntry, Relation};
use entrain_server::dossiers::{Dossier, Dossiers, Mapped};
use entrain_server::service::Answer;

use super::service::Wired;
use super::stored;
use crate::config::Document;

/// Entries of journals on the page of one person.
const TOLD: u32 = 50;
/// Memberships, past ones with them.
const MEMBERSHIPS: u32 = 500;

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Flag(flag) => flag.to_string(),
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::List(list) => list.join(", "),
    }
}

fn mapped(rules: &AttributeRules, user: &DirectoryUser) -> Vec<Mapped> {
    let profile = rules.profile.iter().map(|(field, rule)| (field.as_str().to_owned(), rule));
    let property = rules.property.iter().flat_map(|property| {
        property.fields.iter().map(|(field, rule)| (format!("{} · {field}", property.key), rule))
    });
    profile
        .chain(property)
        .map(|(field, rule)| Mapped { field, value: rule.compute(user).value.as_ref().map(text) })
        .collect()
}

impl Wired {
    /// The person meant, as far as the store knows.
    pub(super) async fn meant(
        &self,
        connection: &str,
        who: &str,
    ) -> Result<Option<DirectoryUserId>, Failure> {
        let who = who.trim();
        let linked = self.store.linked_by(connection, who).await.map_err(|e| e.failure())?;
        if let [one] = linked.as_slice() {
            return Ok(Some(one.clone()));
        }
        if !who.contains('@') {
            return Ok(DirectoryUserId::parse(who).ok());
        }
        let found = self.store.find_people(connection, who, 2).await.map_err(|e| e.failure())?;
        Ok(match found.unwrap_or_default().as_slice() {
            [one] => Some(one.id.clone()),
            _ => None,
        })
    }

    /// Who approved what these runs wrote: in the run itself, or in the held one that it did.
    async fn approvals(&self, journal: &[(RunId, JournalEntry)]) -> Result<Vec<(RunId, Decided)>, Failure> {
        let runs: BTreeSet<&RunId> = journal.iter().map(|(run, _)| run).collect();
        let mut all = Vec::new();
        for run in runs {
            let earlier = match self.store.relation(run).await.map_err(|e| e.failure())? {
                Some(Relation::Approves(earlier)) => earlier,
                Some(Relation::Undoes(_)) | None => run.clone(),
            };
            let decisions = self.store.decisions(&earlier).await.map_err(|e| e.failure())?;
            let approved = decisions.into_iter().filter(|decided| decided.decision == Decision::Approved);
            all.extend(approved.map(|decided| (run.clone(), decided)));
        }
        Ok(all)
    }

    async fn tell_dossier(&self, connection: &str, who: &str) -> Result<Option<Dossier>, Failure> {
        let Some(user) = self.meant(connection, who).await? else { return Ok(None) };
        let store = &self.store;
        let (person, _) = store.mirrored_user(connection, &user).await.map_err(|e| e.failure())?;
        let link = store.link_of(connection, &user).await.map_err(|e| e.failure())?;
        if person.is_none() && link.is_none() {
            return Ok(None);
        }
        let (mut account, mut owned, mut memberships) = (None, Vec::new(), Vec::new());
        if let Some(link) = &link {
            account = store.mirrored_account(connection, &link.account).await.map_err(|e| e.failure())?;
            owned = store.owned_memberships(connection, &link.account).await.map_err(|e| e.failure())?;
            memberships = store
                .memberships_of_account(connection, &link.account, MEMBERSHIPS)
                .await
                .map_err(|e| e.failure())?;
        }
        // Without rules that can be read there are neither rungs nor fields to tell
        let text = stored(store, connection).await?.document.document;
        let (mut ladder, mut fields) = (None, Vec::new());
        if let Ok(document) = Document::parse(&text, connection) {
            let rules = &document.meaning().rules;
            let places = store.ladder(connection).await.map_err(|e| e.failure())?;
            ladder = ladder_rows(places.iter().filter(|place| place.user == user), rules).into_iter().next();
            fields = person.as_ref().map(|person| mapped(&rules.attributes, person)).unwrap_or_default();
        }
        let journal = store.journal_about(connection, user.as_str(), TOLD).await.map_err(|e| e.failure())?;
        let decided = self.approvals(&journal).await?;
        let since = match &link {
            Some(link) => {
                store.known_since(connection, &user, &link.account).await.map_err(|e| e.failure())?
            }
            None => None,
        };
        Ok(Some(Dossier {
            user,
            person,
            link,
            account,
            mapped: fields,
            owned,
            memberships,
            ladder,
            journal,
            since,
            decided,
        }))
    }
}

impl Dossiers for Wired {
    fn dossier<'a>(&'a self, connection: &'a str, who: &'a str) -> Answer<'a, Option<Dossier>> {
        Box::pin(self.tell_dossier(connection, who))
    }
    fn approved<'a>(&'a self, journal: &'a [(RunId, JournalEntry)]) -> Answer<'a, Vec<(RunId, Decided)>> {
        Box::pin(self.approvals(journal))
    }
    fn written_about<'a>(
        &'a self,
        connection: &'a str,
        object: &'a str,
        limit: u32,
    ) -> Answer<'a, Vec<(RunId, JournalEntry)>> {
        Box::pin(
            async move { self.store.journal_about(connection, object, limit).await.map_err(|e| e.failure()) },
        )
    }
}
