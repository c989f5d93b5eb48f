//! Who asks: API keys as bearer tokens. A key is `entrain_ID_SECRET`; of its secret only a digest is known, and the
//! two digests are compared in constant time, also for an id that nobody has.
//!
//! Whoever sends wrong keys is soon refused without a look (quality.md W-03): five in a minute from one address, and
//! then only keys that were good within a day are let through from there, so that nobody can lock others out who
//! share the address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use entrain_domain::FailureCode;
use entrain_domain::service::Role;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::problem::Problem;
use crate::service::{Revoked, Service};

/// Whoever asked.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Id of the key.
    pub(crate) key: String,
    /// Name of the key, as it stands in decisions and in the audit log.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
}

const WRONG: u32 = 5;
const WINDOW: Duration = Duration::from_mins(1);
const GOOD_FOR: Duration = Duration::from_hours(24);
/// Addresses and keys remembered; beyond that the oldest news is worth less than the memory.
const MOST: usize = 10_000;

/// Lets callers in.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    wrong: Mutex<HashMap<Option<IpAddr>, (u32, Instant)>>,
    good: Mutex<HashMap<[u8; 32], Instant>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn refused() -> Problem {
    Problem::local(
        FailureCode::ApiKeyRefused,
        "the API key is missing, unknown, expired or revoked",
        "send Authorization: Bearer with a key that an administrator made with entrain admin api-key create",
    )
}

impl Gate {
    /// The caller behind the headers of a request, or why there is none.
    pub(crate) async fn enter(
        &self,
        service: &dyn Service,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let Some(token) = bearer(headers) else { return Err(refused()) };
        let whole: [u8; 32] = Sha256::digest(token).into();
        if self.throttled(from) && !self.lately_good(&whole) {
            return Err(Problem::local(
                FailureCode::TooManyRequests,
                "too many wrong API keys came from this address",
                "wait a minute, then send the right one",
            )
            .after(WINDOW.as_secs()));
        }
        if let Some(caller) = look_up(service, token).await? {
            self.note_good(whole);
            return Ok(caller);
        }
        self.note_wrong(from);
        Err(refused())
    }

    fn throttled(&self, from: Option<IpAddr>) -> bool {
        locked(&self.wrong)
            .get(&from)
            .is_some_and(|(times, since)| *times >= WRONG && since.elapsed() < WINDOW)
    }

    fn lately_good(&self, token: &[u8; 32]) -> bool {
        locked(&self.good).get(token).is_some_and(|at| at.elapsed() < GOOD_FOR)
    }

    fn note_wrong(&self, from: Option<IpAddr>) {
        let mut wrong = locked(&self.wrong);
        if wrong.len() >= MOST {
            wrong.retain(|_, (_, since)| since.elapsed() < WINDOW);
        }
        if wrong.len() < MOST || wrong.contains_key(&from) {
            let (times, since) = wrong.entry(from).or_insert((0, Instant::now()));
            if since.elapsed() >= WINDOW {
                (*times, *since) = (0, Instant::now());
            }
            *times += 1;
        }
    }

    fn note_good(&self, token: [u8; 32]) {
        let mut good = locked(&self.good);
        if good.len() >= MOST {
            good.retain(|_, at| at.elapsed() < GOOD_FOR);
        }
        if good.len() < MOST {
            good.insert(token, Instant::now());
        }
    }
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (given.next()?, given.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

async fn look_up(service: &dyn Service, token: &str) -> Result<Option<Caller>, Problem> {
    let Some((id, secret)) = token.strip_prefix("entrain_").and_then(|rest| rest.split_once('_')) else {
        return Ok(None);
    };
    if id.len() > 64 || secret.len() > 256 {
        return Ok(None);
    }
    let key = service.key(id).await?;
    let given = hex::encode(Sha256::digest(secret));
    let nobody = "0".repeat(given.len());
    let known = key.as_ref().map_or(nobody.as_str(), |key| key.hash.as_str());
    let same = bool::from(given.as_bytes().ct_eq(known.as_bytes()));
    let Some(key) = key.filter(|_| same) else { return Ok(None) };
    if key.revoked == Revoked::Yes || service.now() >= key.expires_at {
        return Ok(None);
    }
    service.key_used(&key.id).await?;
    Ok(Some(Caller { key: key.id, name: key.name, role: key.role }))
}
