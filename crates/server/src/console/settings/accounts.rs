//! People who sign in to the console: who they are, what they may do, and whether they may come in. A password that an
//! administrator hands out is made here and shown once; nobody types another's.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::accounts::{Account, AccountChange, Chosen, Session};
use entrain_domain::run::AuditNote;
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use super::super::parts::{Chip, When, count, icon, sentence};
use super::super::shell::{Shell, encoded, role_word};
use super::super::visit::{Reply, Visit};
use super::{Choice, OncePage, PAGE, Result, Tab, Window, choices, role, tabs};
use crate::accounts::{NewAccount, check_name, given_password, hash_password};
use crate::problem::Problem;
use crate::upkeep::SignIns;

const HERE: &str = "/settings/accounts";

/// When somebody signed in last.
enum Last {
    At(When),
    Never,
    /// Not after this moment; what was before is not known.
    NotSince(When),
}

fn last(account: &Account, known: &SignIns, now: Timestamp) -> Last {
    match (known.at.get(&account.name), known.since) {
        (Some(at), _) => Last::At(When::new(*at, now)),
        (None, Some(since)) if since > account.created_at => Last::NotSince(When::new(since, now)),
        (None, _) => Last::Never,
    }
}

/// Whether the directory signs them in: such an account has no password.
fn of_directory(account: &Account) -> bool {
    account.hash.is_empty()
}

/// Whether somebody can look after the service also when the directory's sign-in does not work.
fn rules(account: &Account) -> bool {
    account.role == Role::Administrator && account.disabled_at.is_none() && !of_directory(account)
}

fn is_alive(visit: &Visit, session: &Session, now: Timestamp) -> bool {
    let idle = SignedDuration::try_from(visit.console.settings.idle).unwrap_or(SignedDuration::MAX);
    now < session.ends_at && now.duration_since(session.seen_at) < idle
}

fn chip(account: &Account, signed_in: bool) -> Option<Chip> {
    match (account.disabled_at, signed_in) {
        (Some(_), _) => Some(Chip::new("", "off", "disabled")),
        (None, true) => Some(Chip::new("ok", "ok", "signed in")),
        (None, false) if account.has_handed_out_password() => {
            Some(Chip::new("info", "key", "password not changed yet"))
        }
        (None, false) => None,
    }
}

struct Row {
    href: String,
    name: String,
    this: bool,
    directory: bool,
    role: &'static str,
    last: Last,
    chip: Option<Chip>,
}

/// A group that gives a role.
struct Grant {
    role: &'static str,
    group: String,
}

#[derive(Template)]
#[template(path = "settings_accounts.html")]
struct AccountsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    rows: Vec<Row>,
    total: usize,
    window: Window,
    roles: Vec<Choice>,
    name: String,
    error: Option<String>,
    /// Groups with their roles, where people may sign in with Microsoft.
    grants: Option<Vec<Grant>>,
}

pub(in super::super) async fn list(visit: Visit) -> Result {
    Reply::page(&listed(&visit, Role::Viewer, None).await?)
}

fn headline(accounts: &[Account]) -> String {
    let able = accounts.iter().filter(|account| account.disabled_at.is_none()).count() as u64;
    let ruling = accounts.iter().filter(|account| rules(account)).count() as u64;
    let who = count(able, "person may", "people may");
    format!(
        "{who} sign in, {} with a password",
        count(ruling, "of them an administrator", "of them administrators")
    )
}

async fn listed(visit: &Visit, chosen: Role, error: Option<String>) -> Result<AccountsPage> {
    let service = &visit.console.service;
    let (now, me) = (service.now(), visit.who()?.account.id.clone());
    let accounts = service.accounts().await?;
    let known = service.sign_ins().await?;
    let sessions = service.sessions(None).await?;
    let window = Window::of(visit, accounts.len());
    let row = |account: &Account| Row {
        href: format!("{HERE}/{}", encoded(&account.id)),
        name: account.name.clone(),
        this: account.id == me,
        directory: of_directory(account),
        role: role_word(account.role),
        last: last(account, &known, now),
        chip: chip(account, sessions.iter().any(|s| s.account == account.id && is_alive(visit, s, now))),
    };
    let grants = visit.console.settings.federation.as_ref().map(|federation| {
        let grant = |(group, role): (&str, Role)| Grant { role: role_word(role), group: group.to_owned() };
        federation.roles().pairs().into_iter().map(grant).collect()
    });
    Ok(AccountsPage {
        shell: visit.shell("Accounts").await?,
        tabs: tabs(visit, HERE)?,
        headline: headline(&accounts),
        rows: accounts.iter().skip(window.from).take(PAGE).map(row).collect(),
        total: accounts.len(),
        window,
        roles: choices(chosen),
        name: if error.is_some() {
            visit.field("name").unwrap_or_default().to_owned()
        } else {
            String::new()
        },
        error,
        grants,
    })
}

pub(in super::super) async fn make(visit: Visit) -> Result {
    let name = visit.field("name").unwrap_or_default().trim().to_owned();
    let role = role(&visit)?;
    let made = if let Err(failure) = check_name(&name) {
        Err(failure)
    } else {
        let password = given_password()?;
        let hash = hash_password(password.expose_secret().to_owned()).await?;
        let new = NewAccount { name: name.clone(), role, hash, chosen: Chosen::ByAnother, link: None };
        visit.console.service.make_account(new, &visit.name()?).await.map(|_| password)
    };
    let password = match made {
        Ok(password) => password,
        Err(failure) => {
            let error = match failure.code {
                FailureCode::AccountExists => {
                    format!("There is an account “{name}” already. Names are never used twice.")
                }
                FailureCode::UsageInvalid => {
                    format!("{} {}", sentence(&failure.message), sentence(&failure.remedy))
                }
                _ => return Err(failure.into()),
            };
            let page = listed(&visit, role, Some(error)).await?;
            return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let title = format!("{name} may sign in");
    Reply::page(&OncePage {
        shell: visit.shell(&title).await?,
        tabs: tabs(&visit, HERE)?,
        headline: title,
        label: format!("Password of {name}"),
        secret: password,
        then: format!(
            "Give it to {name} over a way that others cannot read. The first sign-in asks for another one, and nothing \
             else opens before."
        ),
        back: HERE.to_owned(),
        back_to: "Back to the accounts",
        part: "Accounts",
        part_href: HERE,
    })
}

struct SessionRow {
    began: When,
    seen: When,
    address: String,
    agent: String,
}

#[derive(Template)]
#[template(path = "settings_account.html")]
struct AccountPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    href: String,
    name: String,
    this: bool,
    directory: bool,
    disabled: Option<When>,
    signs_in_with: &'static str,
    /// Whether nobody else could look after the service without them.
    only: bool,
    role: &'static str,
    roles: Vec<Choice>,
    made: When,
    last: Last,
    sessions: Vec<SessionRow>,
    error: Option<String>,
}

/// The account that the address names.
async fn named(visit: &Visit) -> Result<Account> {
    let account = visit.console.service.account(visit.path("account")).await?;
    account.ok_or_else(|| {
        let what = "there is no account of that id";
        Problem::local(FailureCode::AccountUnknown, what, "choose one from the list of accounts")
    })
}

pub(in super::super) async fn page(visit: Visit) -> Result {
    let account = named(&visit).await?;
    Reply::page(&shown(&visit, account, None).await?)
}

async fn shown(visit: &Visit, account: Account, error: Option<String>) -> Result<AccountPage> {
    let service = &visit.console.service;
    let now = service.now();
    let known = service.sign_ins().await?;
    let others = service.accounts().await?;
    let sessions = service.sessions(Some(&account.id)).await?;
    let sessions =
        sessions.into_iter().filter(|session| is_alive(visit, session, now)).map(|session| SessionRow {
            began: When::new(session.began_at, now),
            seen: When::new(session.seen_at, now),
            address: session.address,
            agent: session.agent,
        });
    let headline = match account.disabled_at {
        Some(at) => format!("{} is disabled since {}", account.name, at.strftime("%-d %b %Y")),
        None => format!("{} may sign in", account.name),
    };
    Ok(AccountPage {
        shell: visit.shell(&account.name).await?,
        tabs: tabs(visit, HERE)?,
        headline,
        href: format!("{HERE}/{}", encoded(&account.id)),
        this: account.id == visit.who()?.account.id,
        directory: of_directory(&account),
        signs_in_with: match (of_directory(&account), account.has_handed_out_password()) {
            (true, _) => "Microsoft",
            (false, true) => "password, handed out and not changed yet",
            (false, false) => "password",
        },
        disabled: account.disabled_at.map(|at| When::new(at, now)),
        only: rules(&account) && !others.iter().any(|other| other.id != account.id && rules(other)),
        role: role_word(account.role),
        roles: choices(account.role),
        made: When::new(account.created_at, now),
        last: last(&account, &known, now),
        sessions: sessions.take(PAGE).collect(),
        name: account.name,
        error,
    })
}

/// What changing an account came to: on with a word, or the page again with what is wrong.
async fn told(visit: &Visit, account: Account, done: std::result::Result<(), Failure>, word: &str) -> Result {
    match done {
        Ok(()) => Reply::saying(&format!("{HERE}/{}", encoded(&account.id)), word),
        Err(failure) if failure.code == FailureCode::LastAdministrator => {
            let error = format!(
                "{} is the only administrator with a password. Make somebody else one first.",
                account.name
            );
            let page = shown(visit, account, Some(error)).await?;
            Reply::page_with(StatusCode::CONFLICT, &page)
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn change(visit: &Visit, change: AccountChange, word: &str) -> Result {
    let account = named(visit).await?;
    // Somebody who takes their own rights away cannot give them back
    if account.id == visit.who()?.account.id {
        let what = "nobody changes what they may do themselves";
        return Err(Problem::request(what, "ask another administrator"));
    }
    let done = visit.console.service.change_account(&account.id, change, &visit.name()?).await;
    told(visit, account, done, word).await
}

pub(in super::super) async fn set_role(visit: Visit) -> Result {
    let role = role(&visit)?;
    if of_directory(&named(&visit).await?) {
        let what = "the groups of this person give the role, at each sign-in anew";
        return Err(Problem::request(what, "put the person into another group in Entra ID"));
    }
    change(&visit, AccountChange::Role(role), "role").await
}

pub(in super::super) async fn disable(visit: Visit) -> Result {
    change(&visit, AccountChange::Disable, "account-disabled").await
}

pub(in super::super) async fn enable(visit: Visit) -> Result {
    change(&visit, AccountChange::Enable, "account-enabled").await
}

pub(in super::super) async fn sign_out(visit: Visit) -> Result {
    let account = named(&visit).await?;
    let service = &visit.console.service;
    service.end_sessions(&account.id).await?;
    let note = AuditNote {
        actor: visit.name()?,
        action: "sessions_ended".to_owned(),
        object: account.name.clone(),
        detail: "every session".to_owned(),
    };
    service.note(note).await?;
    Reply::saying(&format!("{HERE}/{}", encoded(&account.id)), "account-signed-out")
}

pub(in super::super) async fn password(visit: Visit) -> Result {
    let account = named(&visit).await?;
    if of_directory(&account) {
        let what = "this person signs in with Microsoft and has no password here";
        return Err(Problem::request(what, "reset the password in Entra ID, if that is what is needed"));
    }
    if account.id == visit.who()?.account.id {
        return Err(Problem::request("this is your own account", "change your password under Your account"));
    }
    let password = given_password()?;
    let hash = hash_password(password.expose_secret().to_owned()).await?;
    let service = &visit.console.service;
    service
        .change_account(&account.id, AccountChange::Password(hash, Chosen::ByAnother), &visit.name()?)
        .await?;
    let name = account.name;
    let title = format!("{name} has a new password");
    Reply::page(&OncePage {
        shell: visit.shell(&title).await?,
        tabs: tabs(&visit, HERE)?,
        headline: title,
        label: format!("New password of {name}"),
        secret: password,
        then: format!(
            "{name} is signed out everywhere, and the old password is worth nothing. Give this one over a way that \
             others cannot read. The next sign-in asks for another one, and nothing else opens before."
        ),
        back: format!("{HERE}/{}", encoded(&account.id)),
        back_to: "Back to the account",
        part: "Accounts",
        part_href: HERE,
    })
}
