//! User properties: JSON beside an account, for automation and apps. Nobody sees them in Jira itself.

use entrain_domain::model::AccountId;
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::Jira;
use super::answers::{self, about, said};
use crate::Error;
use crate::http::{Call, Target};

const PROPERTIES: &str = "/rest/api/3/user/properties";

impl Jira {
    /// Sets a property of an account. Ends in the same state however often it is made.
    ///
    /// # Errors
    /// `SiteProtected` before anything is sent; `SiteRightMissing` without *Administer Jira*; `SiteObjectUnknown`;
    /// `SiteRefused`; `WriteUnclear` when Jira failed in the middle of it.
    pub async fn set_property(
        &self,
        account: &AccountId,
        key: &str,
        value: &serde_json::Value,
    ) -> Result<(), Error> {
        self.shield.account(account)?;
        let target = Target::new(PROPERTIES).segment(key).query("accountId", account.as_str());
        let answer = self.ask(Call::put(PROPERTIES, target, value.clone()).about(account.as_str())).await?;
        match answer.status {
            200 | 201 | 204 => Ok(()),
            500.. => Err(Error::Unclear {
                context: Box::new(answer.context.clone()),
                reason: format!("Jira failed while it was setting the property (status {})", answer.status),
            }),
            400 | 413 => Err(about(
                &answer,
                Failure::new(
                    FailureCode::SiteRefused,
                    FailureClass::Object,
                    format!("Jira does not take the property{}", said(&answer, &self.redaction)),
                    "Look at what Jira says; a property holds at most 32,768 bytes of JSON under a key of at most 255 \
                     characters",
                ),
            )),
            _ => Err(answers::refused_read(&answer, &self.redaction)),
        }
    }
}
