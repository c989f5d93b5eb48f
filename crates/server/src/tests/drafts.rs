//! One draft, `d1`, with everything said that can be said.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fake, now};
use crate::drafts::{Draft, Drafts, Fault, Finding, GroupSeen, Part, Said, Secrets, Seen, State, Tested};
use crate::service::Answer;

fn tested(said: &str) -> Tested {
    let finding = Finding {
        what: said.into(),
        state: State::Notice,
        detail: said.into(),
        remedy: said.into(),
        permission: None,
        key: Some("directory.client_id".into()),
    };
    Tested { at: now(), findings: vec![finding], products: vec![(said.into(), 3, Some(10))] }
}

/// The draft, in these words.
fn draft(said: &str) -> Draft {
    let values = ["name", "directory.tenant_id", "directory.client_id", "site.url", "scope.assigned_to"];
    let mut values: std::collections::BTreeMap<String, Value> =
        values.map(|key| (key.to_owned(), Value::from(said))).into();
    values.insert("scope.groups".into(), json!([said, "g1"]));
    let said = Said {
        values,
        names: [("g1".to_owned(), said.to_owned())].into(),
        directory: Some(tested(said)),
        site: Some(tested(said)),
        chosen: Some(Timestamp::UNIX_EPOCH),
        planned: Some(Timestamp::UNIX_EPOCH),
        run: Some("r1".into()),
        ..Said::default()
    };
    Draft { id: "d1".into(), said, stored: ["site.api_token".into()].into(), author: "Ana".into(), at: now() }
}

impl Drafts for Fake {
    fn drafts(&self) -> Answer<'_, Vec<Draft>> {
        self.give(vec![draft(self.hostile)])
    }
    fn draft<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Draft>> {
        self.give((id == "d1").then(|| draft(self.hostile)))
    }
    fn keep_draft<'a>(&'a self, _: &'a Draft, _: Secrets, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn drop_draft<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn judge_draft<'a>(&'a self, _: &'a str, _: Part) -> Answer<'a, Vec<Fault>> {
        self.give(Vec::new())
    }
    fn try_directory<'a>(&'a self, _: &'a str) -> Answer<'a, Tested> {
        self.give(tested(self.hostile))
    }
    fn try_site<'a>(&'a self, _: &'a str) -> Answer<'a, Tested> {
        self.give(tested(self.hostile))
    }
    fn draft_groups<'a>(&'a self, _: &'a str) -> Answer<'a, Seen> {
        let group =
            GroupSeen { id: self.hostile.into(), name: self.hostile.into(), people: Some(3), selected: true };
        self.give(Seen::Read { at: now(), groups: vec![group], enabled: 9, taking_part: Some(3) })
    }
    fn plan_draft<'a>(&'a self, _: &'a str) -> Answer<'a, Value> {
        self.give(json!({}))
    }
    fn store_draft<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, String> {
        self.change("Azure AD".into())
    }
}
