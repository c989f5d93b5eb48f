//! Whom a sync of one person is about, and that nobody else is at them meanwhile.

use std::time::Duration;

use entrain_domain::model::{AccountId, DirectoryUserId, PersonKey, PersonReading, RunId};
use entrain_domain::plan::PlanInput;
use entrain_domain::run::Intent;
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::PersonOrder;
use crate::error::EngineError;
use crate::explain::{which, whom};
use crate::ports::{Clock, Directory, Event, Ids, OpenIntent, PersonClaim, Progress, Site, Store};
use crate::run::{Asked, Engine, Only};

/// How long another sync of the same person is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a claim lasts when its process dies.
const CLAIM: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How long calls of another run about the same person are waited for: each ends in its own time.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Whom it is about, claimed.
pub(super) struct Claimed {
    pub(super) user: DirectoryUserId,
    pub(super) run: RunId,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Who is meant, as a directory user; nobody when neither side knows the text.
    pub(super) async fn whom(&self, text: &str) -> Result<Option<DirectoryUserId>, Failure> {
        let text = text.trim();
        if !text.contains('@') {
            let linked = self.ports.store.linked_by(&self.connection, text).await?;
            if let [one] = linked.as_slice() {
                return Ok(Some(one.clone()));
            }
            // Ids of the directory are written in lower case
            let guid = text.len() == 36 && text.split('-').count() == 5;
            let id = if guid { text.to_ascii_lowercase() } else { text.to_owned() };
            return Ok(DirectoryUserId::parse(id).ok());
        }
        let key = PersonKey::Name(text.to_owned());
        match self.ports.directory.person(&key, &self.rules.demand()).await? {
            PersonReading::Found(found) => Ok(Some(found.user.id)),
            PersonReading::Gone(user) | PersonReading::Missing(user) => Ok(Some(user)),
            PersonReading::Several(ids) => Err(several(text, &ids)),
            // Somebody who left: the address under which the link was made.
            PersonReading::Unknown => {
                let linked = self.ports.store.linked_by(&self.connection, text).await?;
                match linked.as_slice() {
                    [] => Ok(None),
                    [one] => Ok(Some(one.clone())),
                    many => Err(several(text, many)),
                }
            }
        }
    }

    /// Claims the person, waiting for another sync of the same person to end.
    pub(super) async fn claim_person(
        &self,
        user: DirectoryUserId,
        order: &PersonOrder,
        progress: &dyn Progress,
    ) -> Result<Claimed, Failure> {
        let (store, clock) = (&self.ports.store, &self.ports.clock);
        let run = self.ports.ids.run_id();
        let mut waited = Duration::ZERO;
        loop {
            let until = clock.now().checked_add(CLAIM).unwrap_or(jiff::Timestamp::MAX);
            match store.claim_person(&self.connection, &user, &run, until).await? {
                PersonClaim::Ours => return Ok(Claimed { user, run }),
                PersonClaim::Run(other) if waited >= PATIENCE => {
                    return Err(EngineError::Busy {
                        connection: self.connection.clone(),
                        holder: format!("run {other}, for the same person"),
                    }
                    .into());
                }
                PersonClaim::Run(other) => {
                    if waited.is_zero() {
                        progress.report(Event::Waiting { what: format!("run {other}, for the same person") });
                    }
                    if !self.pause(LOOK, &order.stop).await {
                        return Err(crate::run::stopped());
                    }
                    waited += LOOK;
                }
            }
        }
    }

    /// Calls of other runs about the person that are under way: claimed as the person is, none is begun any more, and
    /// those that were end soon. What is open then was left by a sync that died, or, second, by a run over everything,
    /// which may yet hear of it.
    pub(super) async fn wait_for_calls(
        &self,
        claimed: &Claimed,
        order: &PersonOrder,
    ) -> Result<(Vec<OpenIntent>, Vec<OpenIntent>), Failure> {
        let store = &self.ports.store;
        let mut waited = Duration::ZERO;
        loop {
            let mut open = store.open_beside(&self.connection, &claimed.user, &claimed.run).await?;
            if !open.is_empty() {
                let memory = store.person_memory(&self.connection, &claimed.user, &[]).await?;
                let account = memory.user(&claimed.user).map(|link| &link.account);
                open.retain(|open| about(&open.entry.intent, &claimed.user, account));
            }
            if open.is_empty() {
                return Ok((Vec::new(), Vec::new()));
            }
            let dead = store.abandoned(&self.connection).await?;
            let (dead, under_way): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|open| dead.iter().any(|run| run.id == open.run));
            if under_way.is_empty() || waited >= UNDER_WAY || !self.pause(LOOK, &order.stop).await {
                return Ok((dead, under_way));
            }
            waited += LOOK;
        }
    }
}

/// Whether a call is about a person.
fn about(intent: &Intent, user: &DirectoryUserId, account: Option<&AccountId>) -> bool {
    match intent {
        Intent::CreateUser { user: other, .. }
        | Intent::UpdateUser { user: other, .. }
        | Intent::TakeRung { user: other, .. }
        | Intent::ComeBack { user: other, .. } => other == user,
        Intent::AddMember { account: other, .. } | Intent::RemoveMember { account: other, .. } => {
            account == Some(other)
        }
        Intent::CreateGroup { .. } | Intent::RenameGroup { .. } | Intent::AdoptGroup { .. } => false,
    }
}

fn several(text: &str, ids: &[DirectoryUserId]) -> Failure {
    let ids: Vec<&str> = ids.iter().map(DirectoryUserId::as_str).collect();
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("“{text}” may be any of {}: {}", ids.len(), ids.join(", ")),
        "name one of them by its id",
    )
    .of(text)
}

/// Whom, or which directory group, somebody means.
pub(crate) fn asked(input: &PlanInput<'_>, only: &Only) -> Result<Asked, Failure> {
    match only {
        Only::User(text) => {
            let who = whom(input, text)?;
            who.user.map(Asked::Person).ok_or_else(|| unlinked(text, "an account that no directory user has"))
        }
        Only::Group(text) => {
            let which = which(input, text)?;
            let linked = which.site.as_ref().and_then(|site| input.memory.group_of(site));
            let group = which.directory.clone().or_else(|| linked.cloned());
            group
                .map(Asked::Group)
                .ok_or_else(|| unlinked(text, "a site group that no directory group fills"))
        }
    }
}

fn unlinked(text: &str, what: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("“{text}” is {what}"),
        "entrain explain says what is known of it",
    )
    .of(text)
}

/// Nobody on either side is meant.
pub fn unknown_person(text: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("neither the directory nor the site knows a user “{text}”"),
        "name the person by object id, user principal name, e-mail address or Atlassian account id",
    )
    .of(text)
}
