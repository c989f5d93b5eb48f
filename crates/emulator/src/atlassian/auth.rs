//! Who calls: Basic with e-mail and API token on the site and the gateway, a bearer key on the organization side.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::world::atlassian::Atlassian;

/// Through which door a Jira request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The site host: classic tokens only.
    Site,
    /// `api.atlassian.com/ex/jira/{cloudId}`: tokens with scopes only.
    Gateway,
}

/// Who calls Jira.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// No credentials.
    Nobody,
    /// Wrong, expired or misplaced credentials.
    Failed,
    /// An account, with the scopes of its token (none of a classic one).
    Account(String, Option<BTreeSet<String>>),
}

/// Resolves the `Authorization` header of a Jira request.
pub(super) fn caller(world: &Atlassian, headers: &HeaderMap, door: Door, now: Timestamp) -> Caller {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Caller::Nobody };
    known(world, value.to_str().unwrap_or_default(), door, now).unwrap_or(Caller::Failed)
}

fn known(world: &Atlassian, value: &str, door: Door, now: Timestamp) -> Option<Caller> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (email, secret) = decoded.split_once(':')?;
    let token = world.api_tokens.iter().find(|t| t.token == secret && !secret.is_empty())?;
    let account = world.accounts.get(&token.account_id)?;
    let its_own = account.email.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(email));
    let fits = match door {
        Door::Site => token.scopes.is_none(),
        Door::Gateway => token.scopes.is_some(),
    };
    let lives = token.expires.is_none_or(|at| at > now) && account.active();
    (its_own && fits && lives).then(|| Caller::Account(account.account_id.clone(), token.scopes.clone()))
}

/// An organization API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Opens everything.
    WithoutScopes,
    /// Opens what its scopes name.
    Scoped(BTreeSet<String>),
}

/// The organization API key that a request carries, if it is one.
pub(super) fn organization_key(world: &Atlassian, headers: &HeaderMap) -> Option<Key> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, key) = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))?;
    let key = key.trim();
    if world.api_keys.iter().any(|known| known == key) {
        return Some(Key::WithoutScopes);
    }
    world.scoped_keys.get(key).map(|scopes| Key::Scoped(scopes.clone()))
}

/// Member of a group that administers the site: may write groups and remove people.
pub(super) fn is_site_admin(world: &Atlassian, account_id: &str) -> bool {
    world.groups_of(account_id).any(|g| g.access.contains("site-admin"))
}

/// *Administer Jira*.
pub(super) fn is_admin(world: &Atlassian, account_id: &str) -> bool {
    world.groups_of(account_id).any(|g| g.access.contains("admin") || g.access.contains("site-admin"))
}

/// *Browse users and groups*: administrators and everybody with access to a product.
pub(super) fn may_browse(world: &Atlassian, account_id: &str) -> bool {
    world
        .groups_of(account_id)
        .any(|g| !g.access.is_empty() || world.products.iter().any(|p| p.groups.contains(&g.name)))
}
