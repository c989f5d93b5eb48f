//! `entrain admin account`: people who sign in to the console. A password is read from standard input, never from an
//! argument, where others could see it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Subcommand;
use entrain_domain::accounts::{Account, AccountChange, Chosen};
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_server::accounts::{check_name, hash_password};
use entrain_store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{Context, Exit};
use crate::ui::{Page, table};
use crate::wire;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Makes an account; the password is the first line of standard input, and is changed at the first sign-in
    Create {
        /// Name, unique whatever the case: it stands in decisions and in the audit log
        name: String,
        /// What it may do: viewer, operator, approver or administrator
        #[arg(long, default_value = "viewer", value_parser = super::admin::role)]
        role: Role,
        /// Whoever signs in with it has chosen the password themselves: it need not be changed
        #[arg(long)]
        own: bool,
    },
    /// Lists accounts, disabled ones included
    List,
    /// Changes what somebody may do, from their next request on
    SetRole {
        /// Name
        name: String,
        /// viewer, operator, approver or administrator
        #[arg(value_parser = super::admin::role)]
        role: Role,
    },
    /// Disables an account and ends its sessions; the name stays taken
    Disable {
        /// Name
        name: String,
    },
    /// Lets a disabled account sign in again
    Enable {
        /// Name
        name: String,
    },
    /// Gives an account another password and ends its sessions; the password is the first line of standard input, and is
    /// changed at the next sign-in
    ResetPassword {
        /// Name
        name: String,
        /// Whoever signs in with it has chosen the password themselves: it need not be changed
        #[arg(long)]
        own: bool,
    },
}

fn shown(account: &Account) -> serde_json::Value {
    json!({
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
        "disabled_at": account.disabled_at,
        "password_handed_out": account.has_handed_out_password(),
    })
}

/// Whether a terminal shows what is typed, as `stty` calls it.
fn echo(word: &str) {
    // Where there is no stty, what is typed is shown; it counts all the same
    let _ = std::process::Command::new("stty").arg(word).status();
}

/// The first line of standard input. On a terminal it is asked for, and not shown.
fn password() -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let asks = stdin.is_terminal();
    if asks {
        let mut out = std::io::stderr();
        // A terminal that takes no question still takes the password
        let _ = write!(out, "Password: ").and_then(|()| out.flush());
        echo("-echo");
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if asks {
        echo("echo");
    }
    read.map_err(|error| {
        Failure::new(
            FailureCode::UsageInvalid,
            FailureClass::Local,
            format!("standard input cannot be read: {error}"),
            "give the password as the first line of standard input",
        )
    })?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn hashed() -> Result<String, Failure> {
    hash_password(password()?.expose_secret().to_owned()).await
}

/// Who chose a password, by the flag `--own`.
const fn chosen(own: bool) -> Chosen {
    if own { Chosen::ByHolder } else { Chosen::ByAnother }
}

/// What comes of a password that was handed out, after the sentence about the account.
fn then(account: &Account) -> &'static str {
    if account.has_handed_out_password() { " The next sign-in asks for a password of their own." } else { "" }
}

async fn named(store: &Store, name: &str) -> Result<Account, Failure> {
    store.account_named(name).await.map_err(|e| e.failure())?.ok_or_else(|| {
        Failure::new(
            FailureCode::AccountUnknown,
            FailureClass::Local,
            format!("there is no account named “{name}”"),
            "`entrain admin account list` shows those that there are",
        )
        .of(name)
    })
}

async fn change(cx: &Context<'_>, name: &str, change: AccountChange) -> Result<(), Failure> {
    let store = wire::open_store(cx).await?;
    let account = named(&store, name).await?;
    store.change_account(&account.id, change, &wire::person(cx)).await.map_err(|e| e.failure())?;
    let account = named(&store, name).await?;
    cx.printer.result(&shown(&account), || {
        let mut page = Page::new();
        let state = if account.disabled_at.is_some() { "disabled" } else { "may sign in" };
        let (name, role) = (&account.name, account.role.as_str());
        page.line(format!("“{name}” has the role {role} and {state}.{}", then(&account)));
        page
    });
    Ok(())
}

pub(super) async fn run(cx: &Context<'_>, command: AccountCommand) -> Result<Exit, Failure> {
    match command {
        AccountCommand::Create { name, role, own } => {
            check_name(&name)?;
            let hash = hashed().await?;
            let store = wire::open_store(cx).await?;
            let made = store.make_account(&name, role, (hash, chosen(own)), None, &wire::person(cx)).await;
            let account = made.map_err(|e| e.failure())?;
            cx.printer.result(&shown(&account), || {
                let mut page = Page::new();
                let role = role.as_str();
                page.line(format!(
                    "“{name}” may sign in to the console, with the role {role}.{}",
                    then(&account)
                ));
                page
            });
        }
        AccountCommand::List => {
            let store = wire::open_store(cx).await?;
            let accounts = store.accounts().await.map_err(|e| e.failure())?;
            let json: Vec<_> = accounts.iter().map(shown).collect();
            cx.printer.result(&json, || {
                let row = |account: Account| {
                    let state = account.disabled_at.map_or_else(
                        || "may sign in".to_owned(),
                        |at| format!("disabled since {}", at.strftime("%F")),
                    );
                    let state = if account.has_handed_out_password() && account.disabled_at.is_none() {
                        "may sign in, and changes the password first".to_owned()
                    } else {
                        state
                    };
                    let role = account.role.as_str().to_owned();
                    vec![account.name, role, state, account.created_at.strftime("%F").to_string()]
                };
                table(&["name", "role", "state", "since"], accounts.into_iter().map(row))
            });
        }
        AccountCommand::SetRole { name, role } => change(cx, &name, AccountChange::Role(role)).await?,
        AccountCommand::Disable { name } => change(cx, &name, AccountChange::Disable).await?,
        AccountCommand::Enable { name } => change(cx, &name, AccountChange::Enable).await?,
        AccountCommand::ResetPassword { name, own } => {
            let hash = hashed().await?;
            change(cx, &name, AccountChange::Password(hash, chosen(own))).await?;
        }
    }
    Ok(Exit::Done)
}
