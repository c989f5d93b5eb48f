//! Access of one person to everything in the directory: suspended, restored, removed; and the account itself, where the
//! organization manages it: deactivated and activated (atlassian-cloud.md 7.2 and 8).
//!
//! Each act begins with a look at the person. It says whether they may be touched at all, and whether the act is done
//! already, which the answers to the acts themselves do not tell.

use entrain_domain::model::{AccountId, AccountKind, EmailAddress, SiteGroup, SiteGroupId};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::json;

use super::super::Changed;
use super::super::answers::about;
use super::super::shield::{PlatformRoles, Seen};
use super::Organization;
use super::answers::{self, said};
use super::wire::{Privileges, User};
use crate::Error;
use crate::http::{Answer, Call, Repeat, Target};

const USER: &str = "/admin/v2/orgs/directories/users";
const SUSPEND: &str = "/admin/v2/orgs/directories/users/suspend";
const RESTORE: &str = "/admin/v2/orgs/directories/users/restore";
const USERS: &str = "/users";
const MANAGE: &str = "/users/manage";
const DISABLE: &str = "/users/manage/lifecycle/disable";
const ENABLE: &str = "/users/manage/lifecycle/enable";

/// No account has this id; a request about it changes nothing.
const NOBODYS: &str = "000000:00000000-0000-0000-0000-000000000000";

/// What everybody may have; every other platform role is taken for an administrator's.
const NO_ADMINISTRATION: &str = "atlassian/ai-access";

/// Whether an account, or a membership of the organization's directories, works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It does.
    Active,
    /// It is deactivated, or suspended.
    Inactive,
}

/// What the organization shows of somebody's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// In the directories: suspended or not. Whoever is in none counts as active.
    pub membership: Activity,
    /// The account itself: deactivated or not.
    pub account: Activity,
}

/// What somebody has in the directories of the organization.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Membership {
    /// Not invited, or removed: in none of them.
    None,
    /// In some, and suspended in all of these.
    Suspended,
    Active,
}

/// The person that an act is about, as the organization shows them.
struct Person {
    membership: Membership,
    inactive: bool,
    managed: bool,
}

/// What the rows about one person say together.
fn membership(rows: &[User]) -> Membership {
    let is = |status| rows.iter().any(|row| row.membership_status.as_deref() == Some(status));
    if rows.iter().all(|row| row.membership_status.as_deref() == Some("no_membership")) {
        Membership::None
    } else if is("suspended") && !is("active") {
        Membership::Suspended
    } else {
        Membership::Active
    }
}

impl Person {
    fn is_member(&self) -> bool {
        self.membership != Membership::None
    }
}

impl Organization {
    /// What somebody's access is at present, whoever changed it; `None` when the organization does not know the account.
    ///
    /// # Errors
    /// When the organization cannot be asked.
    pub async fn access(&self, account: &AccountId) -> Result<Option<Access>, Error> {
        let asked = json!({"accountIds": [account.as_str()], "limit": 100});
        let mut rows = self.rows(asked, "one person of the organization").await?;
        rows.retain(|row| row.account_id == account.as_str());
        let inactive = |is: bool| if is { Activity::Inactive } else { Activity::Active };
        Ok((!rows.is_empty()).then(|| Access {
            membership: inactive(membership(&rows) == Membership::Suspended),
            account: inactive(rows.iter().any(|row| row.account_status.as_deref() == Some("inactive"))),
        }))
    }

    /// Takes a person's access to all products and sites of the directory away for a time. Roles and groups are kept,
    /// and nothing is billed meanwhile.
    ///
    /// # Errors
    /// `SiteProtected` before anything is written; `OrganizationRefused` with what was said; `WriteUnclear` when the
    /// organization failed in the middle of it.
    pub async fn suspend(&self, account: &AccountId) -> Result<Changed, Error> {
        let person = self.person(account).await?.ok_or_else(|| not_there(account))?;
        // Whoever is in no directory has no access that could be suspended.
        if person.membership != Membership::Active {
            return Ok(Changed::Already);
        }
        let target = self.user(account).await?.path("/suspend");
        let answer = self.ask(Call::act(SUSPEND, target).about(account.as_str())).await?;
        self.acted(&answer, "suspend the person")
    }

    /// Gives a suspended person the access back, with the roles and groups from before.
    ///
    /// # Errors
    /// As [`Organization::suspend`].
    pub async fn restore(&self, account: &AccountId) -> Result<Changed, Error> {
        let person =
            self.person(account).await?.filter(Person::is_member).ok_or_else(|| not_there(account))?;
        if person.membership != Membership::Suspended {
            return Ok(Changed::Already);
        }
        let target = self.user(account).await?.path("/restore");
        let answer = self.ask(Call::act(RESTORE, target).about(account.as_str())).await?;
        self.acted(&answer, "restore the person's access")
    }

    /// Takes a person out of the directory: access, roles and groups are gone, and an invitation is needed to come
    /// back. The account itself stays the person's.
    ///
    /// # Errors
    /// As [`Organization::suspend`].
    pub async fn remove(&self, account: &AccountId) -> Result<Changed, Error> {
        if !self.person(account).await?.is_some_and(|person| person.is_member()) {
            return Ok(Changed::Already);
        }
        let target = self.user(account).await?;
        let answer = self.ask(Call::delete(USER, target).about(account.as_str())).await?;
        // They were there a moment ago: a repetition after a lost answer finds them gone. Anything else that says so
        // may as well mean another directory, and only another look tells.
        if answer.status == 404 {
            return match self.person(account).await? {
                Some(person) if person.is_member() => Err(self.not_done(&answer, "remove the person")),
                _ if answer.attempts > 1 => Ok(Changed::Now),
                _ => Ok(Changed::Already),
            };
        }
        self.acted(&answer, "remove the person")
    }

    /// Deactivates a managed account: nobody signs in with it anywhere, whatever else it belongs to.
    ///
    /// # Errors
    /// As [`Organization::suspend`]; `OrganizationRefused` also where the account is not managed, or belongs to an
    /// identity provider.
    pub async fn deactivate(&self, account: &AccountId) -> Result<Changed, Error> {
        let person = self.managed(account).await?;
        if person.inactive {
            return Ok(Changed::Already);
        }
        self.may_enable(account).await?;
        let target = Target::new(USERS).segment(account.as_str()).path("/manage/lifecycle/disable");
        let body = json!({"message": "Deactivated because the person has left"});
        let call = Call::post(DISABLE, target, body, Repeat::Safe);
        let answer = self.ask(call.about(account.as_str())).await?;
        self.enabled_or_not(account, &answer, Activity::Inactive).await
    }

    /// Activates a deactivated managed account.
    ///
    /// # Errors
    /// As [`Organization::deactivate`].
    pub async fn reactivate(&self, account: &AccountId) -> Result<Changed, Error> {
        let person = self.managed(account).await?;
        if !person.inactive {
            return Ok(Changed::Already);
        }
        self.may_enable(account).await?;
        let target = Target::new(USERS).segment(account.as_str()).path("/manage/lifecycle/enable");
        let answer = self.ask(Call::act(ENABLE, target).about(account.as_str())).await?;
        self.enabled_or_not(account, &answer, Activity::Active).await
    }

    /// Whether the key may change people's access, tried out without changing anything: the access of an account that
    /// cannot exist is restored.
    pub(super) async fn try_changing_access(&self) -> Result<(), Error> {
        let nobody = AccountId::parse(NOBODYS).expect("a literal id");
        let target = self.user(&nobody).await?.path("/restore");
        let answer = self.ask(Call::act(RESTORE, target).about("access of people")).await?;
        let body = answers::body(&answer);
        match answer.status {
            400 | 404 if body.is_structured() => Ok(()),
            // An empty body is known of writes; the first real one will tell
            400 | 404 if answer.body.is_empty() => Ok(()),
            _ => Err(answers::refused(&answer, &self.redaction)),
        }
    }

    /// The person, after the protection has had its word; `None` when the organization does not know the account.
    async fn person(&self, account: &AccountId) -> Result<Option<Person>, Error> {
        self.shield.account(account)?;
        let asked =
            json!({"accountIds": [account.as_str()], "expand": ["platformRoles", "groups"], "limit": 100});
        let mut rows = self.rows(asked, "one person of the organization").await?;
        rows.retain(|row| row.account_id == account.as_str());
        for row in &rows {
            self.shield.leaving(account, &seen(row))?;
        }
        let is = |field: fn(&User) -> Option<&str>, value| rows.iter().any(|row| field(row) == Some(value));
        Ok((!rows.is_empty()).then(|| Person {
            membership: membership(&rows),
            inactive: is(|row| row.account_status.as_deref(), "inactive"),
            managed: is(|row| row.claim_status.as_deref(), "managed"),
        }))
    }

    async fn managed(&self, account: &AccountId) -> Result<Person, Error> {
        let person = self.person(account).await?.ok_or_else(|| not_there(account))?;
        if person.managed {
            return Ok(person);
        }
        Err(refusal(
            account,
            "The account is not managed by the organization, so it is the person's own",
            "Verify the domain of the address at admin.atlassian.com (Settings, Domains) and claim its accounts, or take \
             deactivate_after out of [leavers]",
        ))
    }

    /// Asks whether this account may be deactivated and activated, as the documentation wants.
    async fn may_enable(&self, account: &AccountId) -> Result<(), Error> {
        let target = Target::new(USERS)
            .segment(account.as_str())
            .path("/manage")
            .query("privileges", "lifecycle.enablement");
        let answer = self.ask(Call::get(MANAGE, target).about(account.as_str())).await?;
        if answer.status != 200 {
            return Err(self.not_enabled(&answer, "deactivate or activate the account"));
        }
        match answer.json::<Privileges>()?.enablement {
            Some(rule) if !rule.allowed => {
                let why =
                    rule.reason.and_then(|reason| reason.key).unwrap_or_else(|| "no reason given".into());
                Err(refusal(
                    account,
                    &format!(
                        "The account may not be deactivated or activated here ({})",
                        self.redaction.clean(&why)
                    ),
                    "An identity provider owns the account: do it there",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The path of a user in the directory that is written to.
    async fn user(&self, account: &AccountId) -> Result<Target, Error> {
        let directory = self.a_directory().await?;
        Ok(Target::new(super::ORGANIZATIONS)
            .segment(&self.id)
            .path("/directories")
            .segment(&directory)
            .path("/users")
            .segment(account.as_str()))
    }

    fn acted(&self, answer: &Answer, what: &str) -> Result<Changed, Error> {
        match answer.status {
            200..300 => Ok(Changed::Now),
            500.. => Err(unclear(answer, what)),
            400 | 403 | 404 | 409 => Err(self.not_done(answer, what)),
            _ => Err(answers::refused(answer, &self.redaction)),
        }
    }

    /// A conflict may say that the account is so already: it was not when it was looked at, so another look tells.
    async fn enabled_or_not(
        &self,
        account: &AccountId,
        answer: &Answer,
        wanted: Activity,
    ) -> Result<Changed, Error> {
        let what = match wanted {
            Activity::Inactive => "deactivate the account",
            Activity::Active => "activate the account",
        };
        match answer.status {
            200..300 => Ok(Changed::Now),
            409 => {
                let now = self.person(account).await?;
                match now.filter(|person| person.inactive == (wanted == Activity::Inactive)) {
                    Some(_) if answer.attempts > 1 => Ok(Changed::Now),
                    Some(_) => Ok(Changed::Already),
                    None => Err(self.not_enabled(answer, what)),
                }
            }
            500.. => Err(unclear(answer, what)),
            _ => Err(self.not_enabled(answer, what)),
        }
    }

    fn not_done(&self, answer: &Answer, what: &str) -> Error {
        let error = answers::body(answer);
        // The key's own lack of rights is no matter of this person
        if answer.status == 403 && (error.has("ADMIN-403-3") || error.has("ADMIN-UAM-403-2"))
            || answer.status == 404 && !error.has("ADMIN-404-8")
        {
            return answers::refused(answer, &self.redaction);
        }
        about(
            answer,
            Failure::new(
                FailureCode::OrganizationRefused,
                FailureClass::Object,
                format!("The organization does not {what}{}", said(answer, &self.redaction)),
                "Organization administrators are refused, and so may be people with access to another site of the \
                 organization: do it at admin.atlassian.com (Directory, Users)",
            ),
        )
    }

    fn not_enabled(&self, answer: &Answer, what: &str) -> Error {
        let error = answers::body(answer);
        let said = said(answer, &self.redaction);
        match (answer.status, error.key.as_deref()) {
            (403, Some("forbidden.targetUnverified" | "forbidden.action")) | (404 | 409, _) => about(
                answer,
                Failure::new(
                    FailureCode::OrganizationRefused,
                    FailureClass::Object,
                    format!("The organization does not {what}{said}"),
                    "Look at the account at admin.atlassian.com (Directory, Managed accounts)",
                ),
            ),
            _ => answers::refused(answer, &self.redaction),
        }
    }
}

/// What the protection wants to know.
fn seen(row: &User) -> Seen {
    let kind = match row.account_type.as_deref() {
        None | Some("atlassian") => AccountKind::Person,
        Some("app") => AccountKind::App,
        Some("customer") => AccountKind::Customer,
        Some(_) => AccountKind::Unknown,
    };
    let roles = match &row.platform_roles {
        None => PlatformRoles::NotKnown,
        Some(roles) if roles.iter().all(|role| role == NO_ADMINISTRATION) => PlatformRoles::None,
        Some(_) => PlatformRoles::Administrator,
    };
    let groups = row.groups.iter().flatten().filter_map(|group| {
        let id = SiteGroupId::parse(group.id.rsplit('/').next().unwrap_or_default()).ok()?;
        Some(SiteGroup { id, name: group.name.as_deref().unwrap_or_default().into() })
    });
    let email = row.email.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    Seen { kind, email, groups: groups.collect(), roles }
}

fn unclear(answer: &Answer, what: &str) -> Error {
    Error::Unclear {
        context: Box::new(answer.context.clone()),
        reason: format!("the organization failed while it was to {what} (status {})", answer.status),
    }
}

fn not_there(account: &AccountId) -> Error {
    refusal(
        account,
        "The organization does not know the account in its directory",
        "Check that [site.organization] names the organization and the directory of this site",
    )
}

fn refusal(account: &AccountId, what: &str, remedy: &str) -> Error {
    Failure::new(FailureCode::OrganizationRefused, FailureClass::Object, what, remedy)
        .of(account.as_str())
        .into()
}
