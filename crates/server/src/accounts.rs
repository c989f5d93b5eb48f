//! People who sign in: what the service needs of them from behind it, and how secrets of theirs are made and checked.
//! Passwords are argon2id, away from the threads that serve; sessions and links are 256 random bits, of which only a
//! digest is stored.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use entrain_domain::accounts::{Account, AccountChange, Chosen, DirectoryPerson, LinkFor, Session};
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::service::Answer;

/// Fewest characters of a password.
pub const SHORTEST_PASSWORD: usize = 12;
/// Most characters of a password: hashing takes longer with longer ones.
pub const LONGEST_PASSWORD: usize = 256;
/// Most characters of a name.
pub const LONGEST_NAME: usize = 100;

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// The password's hash.
    pub hash: String,
    /// Who chose that password.
    pub chosen: Chosen,
    /// Digest of the link that allows the first account.
    pub link: Option<String>,
}

/// What the service needs about the people who sign in.
pub trait Accounts: Send + Sync {
    /// All accounts by name, disabled ones included.
    fn accounts(&self) -> Answer<'_, Vec<Account>>;
    /// An account by id.
    fn account<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>>;
    /// An account by name, whatever the case.
    fn account_named<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Account>>;
    /// Makes an account.
    fn make_account<'a>(&'a self, new: NewAccount, by: &'a str) -> Answer<'a, Account>;
    /// Changes an account.
    fn change_account<'a>(&'a self, id: &'a str, change: AccountChange, by: &'a str) -> Answer<'a, ()>;
    /// Begins a session; `link` is the digest of the link that stands in for a password.
    fn begin_session(&self, session: Session, link: Option<String>) -> Answer<'_, ()>;
    /// A session by its digest.
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Session>>;
    /// Sessions of an account, or of all, the newest first.
    fn sessions<'a>(&'a self, account: Option<&'a str>) -> Answer<'a, Vec<Session>>;
    /// Notes that a session was used.
    fn session_seen<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// Ends a session.
    fn end_session<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// Ends every session of an account.
    fn end_sessions<'a>(&'a self, account: &'a str) -> Answer<'a, ()>;
    /// Keeps the digest of a link that works once.
    fn make_link<'a>(
        &'a self,
        digest: &'a str,
        account: Option<&'a str>,
        ends_at: Timestamp,
    ) -> Answer<'a, ()>;
    /// Whom a link is for; nothing where it is no good.
    fn link<'a>(&'a self, digest: &'a str) -> Answer<'a, Option<LinkFor>>;
    /// The account of somebody whom the directory has signed in, made at their first time, with the role they have now.
    fn admit(&self, person: DirectoryPerson, role: Role) -> Answer<'_, Account>;
    /// Somebody whom the directory has signed in gets no further: noted in the audit log, and their sessions end.
    fn turn_away<'a>(&'a self, person: DirectoryPerson, why: &'a str) -> Answer<'a, ()>;
}

/// Passwords hashed or checked at one time: each takes 19 MiB.
static ROOM: Semaphore = Semaphore::const_new(4);

/// What nobody's password hashes to: an unknown name takes as long as a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hashed("nobody").unwrap_or_default());

fn hashed(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

fn broken(what: &str) -> Failure {
    Failure::new(
        FailureCode::Internal,
        FailureClass::Local,
        what,
        "look at the log of the service, and report it",
    )
}

/// The hash of a password that is fit for use.
///
/// # Errors
/// When it is too short or too long.
pub async fn hash_password(password: String) -> Result<String, Failure> {
    let length = password.chars().count();
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
        return Err(Failure::new(
            FailureCode::UsageInvalid,
            FailureClass::Local,
            format!("the password is not between {SHORTEST_PASSWORD} and {LONGEST_PASSWORD} characters long"),
            "take several words that nobody would put together",
        ));
    }
    let _room = ROOM.acquire().await;
    let hash = tokio::task::spawn_blocking(move || hashed(&password)).await;
    hash.ok().flatten().ok_or_else(|| broken("the password could not be hashed"))
}

/// Whether a password fits a hash; without a hash nothing fits, and it takes as long to say so.
pub(crate) async fn fits(password: String, hash: Option<String>) -> bool {
    if password.chars().count() > LONGEST_PASSWORD {
        return false;
    }
    let _room = ROOM.acquire().await;
    let check = move || {
        // Whoever signs in through the directory has none
        let hash = hash.filter(|hash| !hash.is_empty());
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let Ok(hash) = PasswordHash::new(&hash) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && known
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}

/// A name that an account may have.
///
/// # Errors
/// When it is empty, too long, or has blanks at its ends or control characters.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let good = !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::UsageInvalid,
        FailureClass::Local,
        "the name is empty, too long, or has blanks at its ends or control characters",
        "give the name of a person; it stands in decisions and in the audit log",
    ))
}

/// 256 random bits, in hex.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| broken("the system gives no random numbers"))?;
    Ok(hex::encode(bytes))
}

/// A password that somebody is given, to change it: 20 letters and digits that look like no others, in groups of four
/// (100 random bits).
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn given_password() -> Result<SecretString, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 20];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| broken("the system gives no random numbers"))?;
    let mut text = String::with_capacity(24);
    for (at, byte) in bytes.into_iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Ok(SecretString::from(text))
}

/// What is stored of a random secret.
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(fits("correct horse battery".into(), Some(hash.clone())).await);
        assert!(!fits("correct horse batter".into(), Some(hash)).await);
        assert!(!fits("nobody".into(), None).await, "nobody's password is nobody's");
        for password in ["", "nobody"] {
            assert!(!fits(password.into(), Some(String::new())).await, "of the directory: no password fits");
        }
    }

    #[tokio::test]
    async fn a_given_password_is_fit_for_use_and_never_the_same() {
        use secrecy::ExposeSecret as _;
        let (one, other) = (given_password().unwrap(), given_password().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        let groups: Vec<&str> = one.expose_secret().split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4; 5]);
        let hash = hash_password(one.expose_secret().to_owned()).await.unwrap();
        assert!(fits(one.expose_secret().to_owned(), Some(hash)).await);
    }

    #[tokio::test]
    async fn short_passwords_are_refused() {
        assert_eq!(hash_password("short".into()).await.unwrap_err().code, FailureCode::UsageInvalid);
    }
}
