//! Writes. Each either is known to have happened, is known not to have, or fails as unclear.

use entrain_domain::model::{Account, AccountId, EmailAddress, SiteGroup};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::json;

use super::answers::{self, about, said, words};
use super::shield::Membership;
use super::wire::{GroupName, User};
use super::{Added, Jira, Removed};
use crate::Error;
use crate::http::{Answer, Call, Repeat, Target};

const USER: &str = "/rest/api/3/user";
const GROUP: &str = "/rest/api/3/group";
const GROUP_USER: &str = "/rest/api/3/group/user";

impl Jira {
    /// Invites a person with these products (`[]`: an account without a product of its own). A mail goes out to
    /// addresses new to Atlassian. 201 is no proof of a new account: the person may have been on the site.
    ///
    /// # Errors
    /// `WriteUnclear` when the person may have been invited all the same: no answer, a server error, an answer that
    /// cannot be read, and the 400 *User not found* that some sites give although the mail went out
    /// (atlassian-cloud.md 4.1); look the address up before inviting again. `SiteAccountWithoutAccess`,
    /// `SiteSeatsExhausted`, `SiteOrgAdminMissing`, `SiteProtected`, `SiteRefused`.
    pub async fn invite(&self, email: &EmailAddress, products: &[String]) -> Result<Account, Error> {
        self.shield.invitation(email)?;
        let body = json!({"emailAddress": email.as_str(), "products": products});
        let call = Call::post(USER, USER, body, Repeat::Never).about(email.as_str());
        let answer = self.ask(call).await?;
        match answer.status {
            200 | 201 => {}
            401 => return Err(answers::refused_read(&answer, &self.redaction)),
            403 if words(&answer).to_lowercase().contains("administer jira") => {
                return Err(answers::refused_read(&answer, &self.redaction));
            }
            403 => {
                return Err(self.reported(
                    &answer,
                    FailureCode::SiteOrgAdminMissing,
                    FailureClass::Connection,
                    "Jira does not let the technical account invite people",
                    "Make the technical account an organization admin (admin.atlassian.com, Settings, Administrators), \
                     or set import_users = false and create accounts by hand",
                ));
            }
            409 if answers::seats_used_up(&words(&answer)) => {
                return Err(self.seats(&answer, &words(&answer)));
            }
            400 => return Err(self.invitation_refused(&answer)),
            // Of the same person at the same moment, by another hand: whether they are invited now is looked up
            409 => {
                return Err(unclear(&answer, "Jira says that the invitation conflicts with another change"));
            }
            500.. => return Err(unclear(&answer, "Jira failed while it was inviting")),
            _ => return Err(self.refused(&answer)),
        }
        let account = answer.json::<User>().ok().and_then(|user| user.reading().account());
        let account =
            account.ok_or_else(|| unclear(&answer, "Jira's answer does not say which account it is"))?;
        if account.email.as_ref().is_some_and(|shown| shown != email) {
            return Err(unclear(&answer, "Jira's answer is about another address"));
        }
        self.shield.remember(std::slice::from_ref(&account));
        self.shield.remember_found(email, std::slice::from_ref(&account));
        Ok(account)
    }

    fn invitation_refused(&self, answer: &Answer) -> Error {
        let text = words(answer);
        let lower = text.to_lowercase();
        if lower.contains("user not found") || lower.contains("httperrorcode 404") {
            return unclear(
                answer,
                "Jira says that the user is not found, as it does for people it has just invited",
            );
        }
        if answers::seats_used_up(&text) {
            return self.seats(answer, &text);
        }
        if lower.contains("specify the products") {
            return self.reported(
                answer,
                FailureCode::SiteRefused,
                FailureClass::Connection,
                "Jira wants to be told the products of an invitation",
                "Name at least one product in [operations] products, such as \"jira-software\"",
            );
        }
        let carries_account = answer.json::<User>().ok().and_then(|user| user.reading().account()).is_some();
        let exists =
            ["already exist", "does not have access", "no access", "suspended", "deactivated", "inactive"];
        if carries_account || exists.iter().any(|fragment| lower.contains(fragment)) {
            return self.reported(
                answer,
                FailureCode::SiteAccountWithoutAccess,
                FailureClass::Object,
                "An account of this address exists, and Jira does not invite it",
                "Restore it or give it access to Jira at admin.atlassian.com (Directory, Users); the next run goes on \
                 with it",
            );
        }
        self.refused(answer)
    }

    /// Creates a group.
    ///
    /// # Errors
    /// `SiteNameTaken`, `SiteRightMissing` (site administration), `SiteProtected` for names of privileged groups,
    /// `SiteRefused`, and `WriteUnclear` when it is not known whether the group is there now.
    pub async fn create_group(&self, name: &str) -> Result<SiteGroup, Error> {
        self.shield.new_group(name)?;
        let call = Call::post(GROUP, GROUP, json!({"name": name}), Repeat::Never).about(name);
        let answer = self.ask(call).await?;
        match answer.status {
            200 | 201 => {
                let group = answer.json::<GroupName>().ok().and_then(|group| group.group());
                group.ok_or_else(|| unclear(&answer, "Jira's answer does not say which group it is"))
            }
            400 | 409 if words(&answer).to_lowercase().contains("already exist") => Err(self.reported(
                &answer,
                FailureCode::SiteNameTaken,
                FailureClass::Object,
                "A group of this name is on the site already",
                "The next run finds it and treats it as [groups] existing says",
            )),
            401 => Err(answers::refused_read(&answer, &self.redaction)),
            403 => Err(self.site_admin_missing(&answer)),
            409 => Err(unclear(&answer, "Jira says that the new group conflicts with another change")),
            500.. => Err(unclear(&answer, "Jira failed while it was creating the group")),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Puts an account into a group.
    ///
    /// # Errors
    /// `SiteSeatsExhausted` with the product, which need not be one of Jira's; `SiteObjectUnknown`,
    /// `SiteRightMissing`, `SiteProtected`, `SiteRefused`; `WriteUnclear` when Jira failed in the middle of it.
    pub async fn add_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Added, Error> {
        self.shield.membership(group, account, Membership::Add)?;
        let target = Target::new(GROUP_USER).query("groupId", group.id.as_str());
        let body = json!({"accountId": account.as_str()});
        let call = Call::post(GROUP_USER, target, body, Repeat::Safe).about(pair(group, account));
        let answer = self.ask(call).await?;
        let text = words(&answer);
        match answer.status {
            200 | 201 | 204 => Ok(Added::Now),
            400.. if answers::seats_used_up(&text) => Err(self.seats(&answer, &text)),
            400 | 409 if answers::already_a_member(&text) => Ok(Added::Already),
            // A text that we cannot read, perhaps in another language, or a conflict with another change: the state decides.
            400 | 409 => match self.groups_of(account).await? {
                Some(groups) if groups.contains(&group.id) => Ok(Added::Already),
                _ => Err(self.refused(&answer)),
            },
            404 => Err(self.unknown(&answer)),
            // The identity service gives up in these words when a licence is used up (atlassian-cloud.md 11); whether it
            // did is looked up.
            500.. if answers::identity_service_gave_up(&text) => match self.groups_of(account).await? {
                Some(groups) if groups.contains(&group.id) => Ok(Added::Now),
                _ => Err(self.seats(&answer, &text)),
            },
            _ => Err(self.membership_refused(&answer)),
        }
    }

    /// Takes an account out of a group. A 404 counts as done only when the account's own groups confirm it: it may
    /// as well mean the wrong site (atlassian-cloud.md 12).
    ///
    /// # Errors
    /// `SiteObjectUnknown`, `SiteRightMissing`, `SiteProtected`, `SiteRefused`; `WriteUnclear` when Jira failed in the
    /// middle of it.
    pub async fn remove_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Removed, Error> {
        self.shield.membership(group, account, Membership::Remove)?;
        let target =
            Target::new(GROUP_USER).query("groupId", group.id.as_str()).query("accountId", account.as_str());
        let answer = self.ask(Call::delete(GROUP_USER, target).about(pair(group, account))).await?;
        match answer.status {
            200 | 204 => Ok(Removed::Now),
            400 | 409 if words(&answer).to_lowercase().contains("not a member") => Ok(Removed::Already),
            400 | 404 | 409 => match self.groups_of(account).await? {
                Some(groups) if !groups.contains(&group.id) => Ok(Removed::Already),
                _ if answer.status == 404 => Err(self.unknown(&answer)),
                _ => Err(self.refused(&answer)),
            },
            _ => Err(self.membership_refused(&answer)),
        }
    }

    fn membership_refused(&self, answer: &Answer) -> Error {
        match answer.status {
            401 => answers::refused_read(answer, &self.redaction),
            // A site administrator who is refused meets a group that belongs to somebody else.
            403 if self.shield.site_admin() => self.reported(
                answer,
                FailureCode::SiteRefused,
                FailureClass::Object,
                "Jira does not let this group be changed",
                "It is probably owned by an identity provider or by Atlassian; take it out of the rules, or bind \
                 another group",
            ),
            403 => self.site_admin_missing(answer),
            500.. => unclear(answer, "Jira failed while it was changing the membership"),
            _ => self.refused(answer),
        }
    }

    fn site_admin_missing(&self, answer: &Answer) -> Error {
        self.reported(
            answer,
            FailureCode::SiteRightMissing,
            FailureClass::Connection,
            "Jira does not let the technical account change groups",
            "Put the technical account into the group of site administrators (site-admins, at admin.atlassian.com); \
             Administer Jira alone does not allow it",
        )
    }

    fn seats(&self, answer: &Answer, text: &str) -> Error {
        let product = answers::product_of(text);
        let named = product.as_ref().map_or_else(String::new, |product| format!(" for {product}"));
        let failure = self.reported(
            answer,
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
            &format!("The site has no seat left{named}"),
            "Buy seats or free some at admin.atlassian.com (Billing), or map people to a group that does not grant the \
             product; the next run tries again",
        );
        failure.failure().for_seats_of(product.as_deref()).into()
    }

    fn unknown(&self, answer: &Answer) -> Error {
        let text = words(answer).to_lowercase();
        let what = match (text.contains("group"), text.contains("user")) {
            (true, false) => "The site does not know the group",
            (false, true) => "The site does not know the account",
            _ => "The site does not know the group or the account",
        };
        self.reported(
            answer,
            FailureCode::SiteObjectUnknown,
            FailureClass::Object,
            what,
            "It was deleted on the site, or the right to see it is missing; the next run reads the site anew",
        )
    }

    fn refused(&self, answer: &Answer) -> Error {
        self.reported(
            answer,
            FailureCode::SiteRefused,
            FailureClass::Object,
            "Jira refuses it",
            "Look at what Jira says, mend it on the site or take the object out of the rules; the next run tries again",
        )
    }

    fn reported(
        &self,
        answer: &Answer,
        code: FailureCode,
        class: FailureClass,
        what: &str,
        remedy: &str,
    ) -> Error {
        about(answer, Failure::new(code, class, format!("{what}{}", said(answer, &self.redaction)), remedy))
    }
}

fn unclear(answer: &Answer, reason: &str) -> Error {
    Error::Unclear { context: Box::new(answer.context.clone()), reason: reason.to_owned() }
}

fn pair(group: &SiteGroup, account: &AccountId) -> String {
    format!("{account} in {}", group.name)
}
