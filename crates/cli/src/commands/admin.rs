//! `entrain admin`: keys of the API, accounts of the console, alerts, backup and restore, the secret key.

use clap::Subcommand;
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::Clock as _;
use entrain_store::ApiKey;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::account::AccountCommand;
use super::alerts::{self, AlertsCommand};
use super::{Context, Exit};
use crate::ui::{Page, Tone, table};
use crate::wire::{self, SystemClock};

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Keys of the API
    ApiKey {
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
    /// Accounts of the console
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// What people are told of, and whether it reaches them
    Alerts {
        #[command(subcommand)]
        command: Option<AlertsCommand>,
    },
    /// Writes everything in the database into one new file, also while the service runs; the secret key is not in it
    Backup(super::backup::BackupArgs),
    /// Puts a backup into an empty database, which may be of the other kind
    Restore(super::backup::RestoreArgs),
    /// Makes a new secret key and seals every stored secret anew with it; servers go on
    RotateKey(super::rotate_key::RotateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Makes a key and prints it, this once; only a digest of it is stored
    Create {
        /// Name, never used before: it stands in decisions and in the audit log
        name: String,
        /// What it may do: viewer, operator, approver or administrator
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
        /// Days until it expires
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// Lists keys, revoked and expired ones included
    List,
    /// Revokes a key; it is refused from now on
    Revoke {
        /// Id, as `list` shows it
        id: String,
    },
}

pub(super) fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "it is viewer, operator, approver or administrator".to_owned())
}

/// A key for programs, without its secret.
pub(crate) fn shown(key: &ApiKey) -> serde_json::Value {
    json!({
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "used_at": key.used_at,
    })
}

pub(super) async fn run(cx: &Context<'_>, command: AdminCommand) -> Result<Exit, Failure> {
    let command = match command {
        AdminCommand::Account { command } => return super::account::run(cx, command).await,
        AdminCommand::ApiKey { command } => command,
        AdminCommand::Alerts { command } => return alerts::run(cx, command).await,
        AdminCommand::Backup(args) => return super::backup::backup(cx, &args).await,
        AdminCommand::RotateKey(args) => return super::rotate_key::run(cx, &args).await,
        AdminCommand::Restore(args) => return super::backup::restore(cx, &args).await,
    };
    let store = wire::open_store(cx).await?;
    match command {
        ApiKeyCommand::Create { name, role, days } => {
            if name.trim() != name
                || name.is_empty()
                || name.chars().count() > 100
                || name.chars().any(char::is_control)
            {
                return Err(Failure::new(
                    FailureCode::UsageInvalid,
                    FailureClass::Local,
                    "the name is empty, too long, or has blanks at its ends or control characters",
                    "give a short name, such as that of the person or program that will use the key",
                ));
            }
            let expires = SystemClock.now().saturating_add(SignedDuration::from_hours(24 * i64::from(days)));
            let expires = expires.unwrap_or(jiff::Timestamp::MAX);
            let made = store.make_api_key(&name, role, expires, &wire::person(cx)).await;
            let (key, token) = made.map_err(|e| e.failure())?;
            let mut json = shown(&key);
            json["key"] = json!(token.expose_secret());
            cx.printer.result(&json, || {
                let mut page = Page::new();
                page.parts(&[(Tone::Strong, token.expose_secret())]);
                page.line(format!(
                    "This is the key “{name}” with the role {}, until {}. It is not shown again.",
                    role.as_str(),
                    key.expires_at.strftime("%F")
                ));
                page
            });
        }
        ApiKeyCommand::List => {
            let keys = store.api_keys().await.map_err(|e| e.failure())?;
            let json: Vec<_> = keys.iter().map(shown).collect();
            cx.printer.result(&json, || {
                let day = |at: Option<jiff::Timestamp>| {
                    at.map_or_else(|| "–".to_owned(), |at| at.strftime("%F %R").to_string())
                };
                let row = |key: ApiKey| {
                    let state = if key.revoked_at.is_some() {
                        "revoked"
                    } else if SystemClock.now() >= key.expires_at {
                        "expired"
                    } else {
                        "good"
                    };
                    let role = key.role.as_str().to_owned();
                    vec![
                        key.id,
                        key.name,
                        role,
                        state.to_owned(),
                        day(Some(key.expires_at)),
                        day(key.used_at),
                    ]
                };
                table(&["id", "name", "role", "state", "until", "last used"], keys.into_iter().map(row))
            });
        }
        ApiKeyCommand::Revoke { id } => {
            store.revoke_api_key(&id, &wire::person(cx)).await.map_err(|e| e.failure())?;
            cx.printer.result(&json!({ "id": id, "result": "revoked" }), || {
                let mut page = Page::new();
                page.line(format!("Revoked the key {id}."));
                page
            });
        }
    }
    Ok(Exit::Done)
}
