//! A dossier in which everything is there that can be.

use std::sync::Arc;

use entrain_domain::memory::{Origin, UserLink};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, AttributeValue, DirectoryUser,
    DirectoryUserId, EmailAddress, Leaving, RunId, SiteGroupId, UserKind,
};
use entrain_domain::plan::{LadderRow, StepId, StepKind};
use entrain_domain::policy::Measure;
use entrain_domain::reports::PastMembership;
use entrain_domain::run::{Decided, Decision, Intent, JournalEntry, Outcome};

use super::{Fake, now};
use crate::dossiers::{Dossier, Dossiers, Mapped};
use crate::service::Answer;

pub(super) fn entry(said: &str, n: usize) -> (RunId, JournalEntry) {
    let intent = Intent::CreateUser {
        user: DirectoryUserId::parse("u").unwrap(),
        address: EmailAddress::parse("ana@acme.example").unwrap(),
        name: said.into(),
    };
    let entry = JournalEntry {
        step: StepId::from_stored(&format!("create_user/u{n}")),
        kind: StepKind::CreateUser,
        outcome: Outcome::Failed,
        attempts: 1,
        answer: said.into(),
        at: now(),
        intent,
    };
    (RunId::parse("r1").unwrap(), entry)
}

fn decided(said: &str) -> Decided {
    Decided { actor: said.into(), decision: Decision::Approved, at: now(), part: None }
}

fn dossier(said: &str, rows: usize) -> Dossier {
    let text: Arc<str> = said.into();
    let user = DirectoryUserId::parse("u").unwrap();
    let account = AccountId::parse("acc-1").unwrap();
    let past = |n: usize| PastMembership {
        group: SiteGroupId::parse(format!("g{n}")).unwrap(),
        account: account.clone(),
        since: now(),
        until: Some(now()),
        how: Origin::Created,
        path: Some(text.clone()),
        run: RunId::parse("r1").ok(),
        ended: Some("removed".into()),
        ended_by: RunId::parse("r1").ok(),
    };
    Dossier {
        person: Some(DirectoryUser {
            id: user.clone(),
            display_name: Some(text.clone()),
            mail: Some("ana@acme.example".into()),
            user_principal_name: Some(text.clone()),
            other_mail: None,
            account: AccountState::Disabled,
            kind: UserKind::Member,
            attributes: [(text.clone(), AttributeValue::Text(text.clone()))].into_iter().collect(),
        }),
        link: Some(UserLink {
            user: user.clone(),
            account: account.clone(),
            address: Some(text.clone()),
            origin: Origin::Found,
        }),
        account: Some(Account {
            id: account.clone(),
            email: None,
            display_name: text.clone(),
            activity: AccountActivity::Active,
            kind: AccountKind::Person,
        }),
        mapped: vec![Mapped { field: said.into(), value: Some(said.into()) }],
        owned: vec![(SiteGroupId::parse("g0").unwrap(), Origin::Created)],
        memberships: (0..rows).map(past).collect(),
        ladder: Some(LadderRow {
            name: text.clone(),
            directory_id: user.clone(),
            site_id: account.clone(),
            trigger: Leaving::Disabled,
            since: now(),
            reached: "groups",
            next: Some(Measure::Suspend),
            due: Some(now()),
            note: "",
            groups: vec![text; rows],
        }),
        // As many as the store gives at most
        journal: (0..rows.min(50)).map(|n| entry(said, n)).collect(),
        since: Some(now()),
        decided: RunId::parse("r1").ok().into_iter().map(|run| (run, decided(said))).collect(),
        user,
    }
}

impl Dossiers for Fake {
    fn dossier<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, Option<Dossier>> {
        self.give(Some(dossier(self.hostile, self.rows)))
    }
    fn approved<'a>(&'a self, journal: &'a [(RunId, JournalEntry)]) -> Answer<'a, Vec<(RunId, Decided)>> {
        self.give(journal.iter().take(1).map(|(run, _)| (run.clone(), decided(self.hostile))).collect())
    }
    fn written_about<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        limit: u32,
    ) -> Answer<'a, Vec<(RunId, JournalEntry)>> {
        let most = self.rows.min(usize::try_from(limit).unwrap());
        self.give((0..most).map(|n| entry(self.hostile, n)).collect())
    }
}
