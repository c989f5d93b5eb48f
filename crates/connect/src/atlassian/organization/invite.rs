//! Invitations through the organization: several people at once, with a mail or without one (atlassian-cloud.md 7.2).

use entrain_domain::model::{AccountId, EmailAddress, SiteGroupId};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Value, json};

use super::super::answers::{about, product_of};
use super::Organization;
use super::answers::{self, said};
use super::wire::{Assignment, Invitations};
use crate::Error;
use crate::http::{Answer, Call, Repeat, Target};

const INVITE: &str = "/admin/v2/orgs/users/invite";

/// Addresses in one invitation (the documented most).
pub const MOST_INVITED: usize = 25;

/// Whether Atlassian writes to the people who are invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationMail {
    /// With this text. Without one nothing is sent, whatever else is asked for.
    Text(String),
    /// Nobody is written to.
    None,
}

/// What became of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The address.
    pub address: EmailAddress,
    /// The account; `None` when the person was not invited.
    pub account: Option<AccountId>,
    /// Products and groups that were not given, each with the reason: an answer of 200 or 206 may hold some.
    pub refused: Vec<String>,
}

impl Organization {
    /// Invites up to 25 people, into these groups. Never repeated by itself.
    ///
    /// # Errors
    /// `SiteProtected`; `SiteSeatsExhausted`; `OrganizationRefused`, also when the organization has no paid
    /// subscription (402); `WriteUnclear` when the people may have been invited all the same.
    pub async fn invite(
        &self,
        people: &[EmailAddress],
        groups: &[SiteGroupId],
        mail: &InvitationMail,
    ) -> Result<Vec<Invitation>, Error> {
        for address in people {
            self.shield.invitation(address)?;
        }
        let mut body = json!({"emails": people.iter().map(EmailAddress::as_str).collect::<Vec<_>>()});
        if !groups.is_empty() {
            body["additionalGroups"] = groups.iter().map(|group| Value::from(group.as_str())).collect();
        }
        match mail {
            InvitationMail::Text(text) => {
                body["sendNotification"] = true.into();
                body["notificationText"] = text.as_str().into();
            }
            InvitationMail::None => body["sendNotification"] = false.into(),
        }
        let object = match people {
            [one] => one.to_string(),
            many => format!("{} people", many.len()),
        };
        let target = Target::new(super::ORGANIZATIONS).segment(&self.id).path("/users/invite");
        let answer = self.ask(Call::post(INVITE, target, body, Repeat::Never).about(object)).await?;
        match answer.status {
            200 | 206 => self.invited(&answer, people),
            409 => Err(self.no_seat(&answer)),
            500.. => Err(unclear(&answer, "the organization failed while it was inviting")),
            _ => Err(answers::refused(&answer, &self.redaction)),
        }
    }

    fn invited(&self, answer: &Answer, people: &[EmailAddress]) -> Result<Vec<Invitation>, Error> {
        let told: Invitations =
            answer.json().map_err(|_| unclear(answer, "the answer does not say who was invited"))?;
        people
            .iter()
            .map(|address| {
                let of = |email: &str| email.eq_ignore_ascii_case(address.as_str());
                let Some(entry) = told.data.iter().find(|entry| of(&entry.email)) else {
                    // 206 leaves out whom it could not invite; 200 leaves out nobody.
                    if answer.status == 206 {
                        return Ok(Invitation {
                            address: address.clone(),
                            account: None,
                            refused: Vec::new(),
                        });
                    }
                    return Err(unclear(answer, "the answer does not say what became of an address"));
                };
                let account = match &entry.id {
                    Some(id) => Some(
                        AccountId::parse(id)
                            .map_err(|_| unclear(answer, "the account's id cannot be used"))?,
                    ),
                    None => None,
                };
                if let Some(account) = &account {
                    self.shield.remember_address(account, Some(address));
                }
                let assignments = entry.results.iter().flat_map(|results| {
                    results.role_assignment_result.iter().chain(&results.group_assignment_result)
                });
                let refused =
                    assignments.filter(|a| a.status.as_deref() != Some("INVITED")).map(|a| self.why(a));
                Ok(Invitation { address: address.clone(), account, refused: refused.collect() })
            })
            .collect()
    }

    fn why(&self, assignment: &Assignment) -> String {
        let what = assignment.group.as_deref().or(assignment.resource.as_deref()).unwrap_or("access");
        let why = assignment.status_reason.as_deref().unwrap_or("no reason given");
        self.redaction.clean(&format!("{what}: {why}"))
    }

    fn no_seat(&self, answer: &Answer) -> Error {
        let said = said(answer, &self.redaction);
        let named = product_of(&said);
        let product = named.as_ref().map_or_else(String::new, |product| format!(" for {product}"));
        about(
            answer,
            Failure::new(
                FailureCode::SiteSeatsExhausted,
                FailureClass::Object,
                format!("The organization has no seat left{product}{said}"),
                "Buy seats or free some at admin.atlassian.com (Billing); the next run tries again",
            )
            .for_seats_of(named.as_deref()),
        )
    }
}

fn unclear(answer: &Answer, reason: &str) -> Error {
    Error::Unclear { context: Box::new(answer.context.clone()), reason: reason.to_owned() }
}
