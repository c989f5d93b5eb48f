//! Made-up credentials in the form of the real ones, from a seed.

use rand::{Rng, RngExt};

use crate::state::uuid_from;
use crate::world::atlassian::ApiToken;
use crate::world::tenant::{Application, ClientSecret};

/// Graph application permissions that a directory sync needs.
const ROLES: [&str; 2] = ["User.Read.All", "GroupMember.Read.All"];

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn letters(rng: &mut impl Rng, count: usize) -> String {
    (0..count).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}

/// An application with one secret and the least roles.
pub(crate) fn application(rng: &mut impl Rng) -> Application {
    Application {
        client_id: uuid_from(rng),
        display_name: "Directory sync".into(),
        object_id: uuid_from(rng),
        secrets: vec![ClientSecret { value: client_secret(rng), expires: None }],
        roles: ROLES.iter().map(|role| (*role).to_owned()).collect(),
        ..Application::default()
    }
}

/// A client secret: 40 characters with a `~`, as Entra makes them.
pub(crate) fn client_secret(rng: &mut impl Rng) -> String {
    format!("{}~{}", letters(rng, 5), letters(rng, 34))
}

/// A classic API token of an account.
pub(crate) fn api_token(rng: &mut impl Rng, account_id: &str) -> ApiToken {
    let token = format!("ATATT3xFfGF0{}={}", letters(rng, 100), letters(rng, 8));
    ApiToken { token, account_id: account_id.to_owned(), scopes: None, expires: None }
}

/// An organization API key.
pub(crate) fn api_key(rng: &mut impl Rng) -> String {
    format!("ATCTT3xFfGN0{}={}", letters(rng, 100), letters(rng, 8))
}

/// An account id of today's form.
pub(crate) fn account_id(rng: &mut impl Rng) -> String {
    format!("712020:{}", uuid_from(rng))
}
