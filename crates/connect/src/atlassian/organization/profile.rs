//! The profile of one managed account (User management API, atlassian-cloud.md 8).

use entrain_domain::model::{AccountId, Profile, ProfileField};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Map, Value, json};

use super::super::answers::about;
use super::Organization;
use super::answers::{self, said};
use super::wire::{AccountAnswer, Privileges};
use crate::Error;
use crate::http::{Answer, Call, Target};

const USERS: &str = "/users";
const MANAGE: &str = "/users/manage";
const PROFILE: &str = "/users/manage/profile";

/// Which fields of an account's profile may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manageable {
    /// These fields.
    Fields(Vec<ProfileField>),
    /// The account is not managed by the organization.
    Unmanaged,
    /// The organization does not know the account.
    Unknown,
}

impl Organization {
    /// What may be changed of an account's profile.
    ///
    /// # Errors
    /// When the key may not manage accounts at all, and when the answer cannot be read.
    pub async fn manageable(&self, account: &AccountId) -> Result<Manageable, Error> {
        let target =
            Target::new(USERS).segment(account.as_str()).path("/manage").query("privileges", "profile.write");
        let answer = self.ask(Call::get(MANAGE, target).about(account.as_str())).await?;
        let error = answers::body(&answer);
        match answer.status {
            200 => {
                let rules: Privileges = answer.json()?;
                let may = |field: &ProfileField| {
                    rules.profile_write.get(path_of(*field)).is_some_and(|rule| rule.allowed)
                };
                Ok(Manageable::Fields(ProfileField::ALL.into_iter().filter(may).collect()))
            }
            403 if error.key.as_deref() == Some("forbidden.targetUnverified") => Ok(Manageable::Unmanaged),
            404 if error.key.as_deref() == Some("accountNotFound") => Ok(Manageable::Unknown),
            _ => Err(answers::refused(&answer, &self.redaction)),
        }
    }

    /// Sets these fields of an account's profile and no others. Ends in the same state however often it is made; the
    /// answer must show what was set.
    ///
    /// # Errors
    /// `SiteProtected` before anything is sent; `OrganizationRefused` with the field and the reason; `WriteUnclear`
    /// when the organization failed in the middle of it or answers with something else than was set.
    pub async fn set_profile(&self, account: &AccountId, profile: &Profile) -> Result<(), Error> {
        self.shield.account(account)?;
        let target = Target::new(USERS).segment(account.as_str()).path("/manage/profile");
        let answer = self.ask(Call::patch(PROFILE, target, body(profile)).about(account.as_str())).await?;
        match answer.status {
            200 => {
                let unclear = |reason: &str| Error::Unclear {
                    context: Box::new(answer.context.clone()),
                    reason: reason.to_owned(),
                };
                let shown = answer
                    .json::<AccountAnswer>()
                    .map_err(|_| unclear("the answer cannot be read"))?
                    .account
                    .profile();
                let differs = |(field, value): (&ProfileField, &std::sync::Arc<str>)| {
                    shown.get(field).is_some_and(|now| now.trim() != value.trim())
                };
                if profile.iter().any(differs) {
                    return Err(unclear("the answer shows another profile than was set"));
                }
                Ok(())
            }
            500.. => Err(Error::Unclear {
                context: Box::new(answer.context.clone()),
                reason: format!(
                    "the organization failed while it was changing the profile (status {})",
                    answer.status
                ),
            }),
            400 | 403 | 404 => Err(self.not_set(&answer)),
            _ => Err(answers::refused(&answer, &self.redaction)),
        }
    }

    fn not_set(&self, answer: &Answer) -> Error {
        let error = answers::body(answer);
        let context = error.context.as_ref();
        let (what, remedy) = match error.key.as_deref() {
            Some("forbidden.targetUnverified") => (
                "The account is not managed by the organization, so its profile is the person's own"
                    .to_owned(),
                "Verify the domain of the address at admin.atlassian.com (Settings, Domains) and claim its accounts, or \
                 take [attributes.profile] out",
            ),
            Some("forbidden.fieldMutation") => (
                format!("A field of the profile may not be changed: {}", self.fields(context)),
                "Take the field out of [attributes.profile], or set it where the reason says that it comes from",
            ),
            Some("fieldConstraintsViolated") => (
                format!("Atlassian does not take a value: {}", self.violations(context)),
                "Shorten or mend the value in [attributes.profile], or in the directory",
            ),
            Some("accountNotFound") => (
                "The organization does not know the account".to_owned(),
                "Check that [site.organization] names the organization of this site",
            ),
            _ => return answers::refused(answer, &self.redaction),
        };
        let said = said(answer, &self.redaction);
        about(
            answer,
            Failure::new(
                FailureCode::OrganizationRefused,
                FailureClass::Object,
                format!("{what}{said}"),
                remedy,
            ),
        )
    }

    /// `name (externalDirectory.scim)`: the fields that may not be changed, each with its reason.
    fn fields(&self, context: Option<&Value>) -> String {
        let fields = context.and_then(Value::as_object).into_iter().flatten();
        let refused = fields.filter(|(_, rule)| rule["allowed"] != true).map(|(field, rule)| {
            let reason = rule["reason"]["key"].as_str().unwrap_or("no reason given");
            format!("{field} ({reason})")
        });
        self.redaction.clean(&refused.collect::<Vec<_>>().join(", "))
    }

    fn violations(&self, context: Option<&Value>) -> String {
        let list = context.and_then(|c| c["fieldViolations"].as_array()).into_iter().flatten();
        let said = list.map(|violation| {
            let keys = violation["violations"].as_array().into_iter().flatten();
            let keys: Vec<&str> = keys.filter_map(|v| v["key"].as_str()).collect();
            format!("{} ({})", violation["field"].as_str().unwrap_or("a field"), keys.join(", "))
        });
        self.redaction.clean(&said.collect::<Vec<_>>().join(", "))
    }
}

/// A field as the privileges name it.
fn path_of(field: ProfileField) -> &'static str {
    match field {
        ProfileField::Name => "name",
        ProfileField::Nickname => "nickname",
        ProfileField::TimeZone => "zoneinfo",
        ProfileField::Locale => "locale",
        ProfileField::JobTitle => "extended_profile.job_title",
        ProfileField::Department => "extended_profile.department",
        ProfileField::Organization => "extended_profile.organization",
        ProfileField::Location => "extended_profile.location",
    }
}

fn body(profile: &Profile) -> Value {
    let (mut body, mut extended) = (Map::new(), Map::new());
    for (field, value) in profile {
        match path_of(*field).split_once('.') {
            Some((_, name)) => extended.insert(name.to_owned(), json!(**value)),
            None => body.insert(path_of(*field).to_owned(), json!(**value)),
        };
    }
    if !extended.is_empty() {
        body.insert("extended_profile".to_owned(), extended.into());
    }
    body.into()
}
