//! What the attribute rules make of one person, before anything is saved or written: for `entrain attributes`. Reads
//! the directory and what is remembered; asks nothing of the site.

use entrain_domain::model::{AttributeValue, DirectoryUser, ProfileField};
use entrain_domain::plan::Person;
use entrain_domain::policy::attributes::{Computed, FieldRule, Source, When};
use entrain_domain::{Failure, FailureClass, FailureCode};

use crate::ports::{Clock, Directory, Ids, Site, Store};
use crate::run::Engine;

/// What came of the rules for one person.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AttributePreview {
    /// The person.
    pub user: Person,
    /// Each mapped field.
    pub fields: Vec<FieldPreview>,
}

/// One mapped field.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FieldPreview {
    /// `profile`, or `property`.
    pub part: &'static str,
    /// Field, as the document names it.
    pub field: String,
    /// The expression, or nothing for a constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it is written.
    pub when: When,
    /// What the source gave.
    pub source: Option<AttributeValue>,
    /// What is written; nothing where the field is left out.
    pub value: Option<AttributeValue>,
    /// What was last written.
    pub last_written: Option<AttributeValue>,
    /// Why there is nothing, or why it cannot be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

fn row(
    part: &'static str,
    field: &str,
    rule: &FieldRule,
    computed: Computed,
    last_written: Option<AttributeValue>,
) -> FieldPreview {
    let from = match &rule.source {
        Source::From(expression) => Some(expression.as_str().to_owned()),
        Source::Constant(_) => None,
    };
    let Computed { source, mut value, problem } = computed;
    if rule.when == When::Create && last_written.is_some() {
        value.clone_from(&last_written);
    }
    FieldPreview {
        part,
        field: field.to_owned(),
        from,
        when: rule.when,
        source,
        value,
        last_written,
        problem,
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// What the rules make of one person, named by object id, UPN, mail or `accountId`.
    ///
    /// # Errors
    /// `ObjectUnknown` when nobody, or more than one, answers to it; whatever keeps the directory from being read.
    pub async fn attributes(&self, who: &str) -> Result<AttributePreview, Failure> {
        let memory = self.ports.store.memory(&self.connection).await?;
        let read = self.ports.directory.read(&self.rules.demand(), &[]).await?;
        let who = who.trim();
        let same = |text: &str| text.eq_ignore_ascii_case(who);
        let answers = |user: &&DirectoryUser| {
            let names = [&user.mail, &user.user_principal_name];
            same(user.id.as_str())
                || names.into_iter().flatten().any(|name| same(name))
                || user.address().is_some_and(|address| same(address.as_str()))
                || memory.user(&user.id).is_some_and(|link| link.account.as_str() == who)
        };
        let found: Vec<&DirectoryUser> = read.snapshot.users().filter(answers).collect();
        let user = match found.as_slice() {
            [one] => *one,
            [] => {
                return Err(unknown(
                    who,
                    "the directory, as far as the scope reads it, has nobody of this id or address",
                ));
            }
            several => {
                return Err(unknown(who, &format!("{} people of the directory answer to it", several.len())));
            }
        };
        let account = memory.user(&user.id).map(|link| link.account.clone());
        let rules = &self.rules.attributes;
        let mut fields = Vec::new();
        let applied = account.as_ref().and_then(|account| memory.applied_profile(account));
        for field in ProfileField::ALL {
            if let (Some(rule), Some(computed)) =
                (rules.profile.get(&field), rules.profile_field(field, user))
            {
                let last = applied.and_then(|applied| applied.get(&field)).cloned().map(AttributeValue::Text);
                fields.push(row("profile", field.as_str(), rule, computed, last));
            }
        }
        if let Some(property) = &rules.property {
            let applied =
                account.as_ref().and_then(|account| memory.applied_property(account, &property.key));
            for (name, rule) in &property.fields {
                let last = applied.and_then(|applied| applied.get(name.as_str())).cloned();
                fields.push(row("property", name, rule, rule.compute(user), last));
            }
        }
        let user = Person {
            name: user.label().into(),
            directory_id: Some(user.id.clone()),
            site_id: account,
            mail: user.address(),
        };
        Ok(AttributePreview { user, fields })
    }
}

fn unknown(who: &str, message: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("“{who}”: {message}"),
        "name the person by object id, user principal name, mail address or account id",
    )
    .of(who)
}
