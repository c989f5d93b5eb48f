//! The signed webhook, for any other broker of identities: Standard Webhooks with HMAC-SHA256. A call names one user; it
//! is good for five minutes around its time, and counts once.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrain_domain::FailureCode;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::behind::{Arrival, SecretKey};
use super::{House, body, fresh, unsigned};
use crate::problem::Problem;

const DOOR: &str = "webhook";
/// How far the time of a call may be from ours, in seconds.
const AROUND_S: i64 = 5 * 60;
/// Signatures that are looked at: several stand there while a key is changed.
const MOST: usize = 16;

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    data: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    user: Option<String>,
}

pub(super) async fn call(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    content: Body,
) -> Response {
    match taken(&house, &slug, &headers, content).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn taken(house: &House, slug: &str, headers: &HeaderMap, content: Body) -> Result<Response, Problem> {
    let doors = house.doors(slug).await?;
    let door = doors.webhook.as_ref().ok_or_else(Problem::not_here)?;
    let connection = &doors.connection;
    let content = body(content).await?;
    let id = match signed(&door.keys, headers, &content, house.service.now()) {
        Ok(id) => id,
        Err(why) => return Ok(unsigned(DOOR, connection, &why)),
    };
    let named = serde_json::from_slice::<Call>(&content).ok();
    let named = named.and_then(|call| call.user.or(call.data.and_then(|data| data.user)));
    let named = named.map(|user| user.trim().to_owned());
    let sane = |user: &String| !user.is_empty() && user.len() <= 320 && !user.chars().any(char::is_control);
    let user = named.filter(sane).ok_or_else(|| {
        Problem::request(
            "the body names no user",
            "send {\"user\": \"…\"} with an object id, a user principal name or an e-mail address",
        )
    })?;
    // Whether the user exists is not told: the answer is the same for everybody
    let (keeper, request) = (format!("webhook of {connection}"), hex::encode(Sha256::digest(&content)));
    match house.service.keep_request(&keeper, &id, &request).await? {
        Some(kept) if kept.request != request => {
            return Err(Problem::local(
                FailureCode::RequestRepeated,
                "another call has come under this webhook-id",
                "give each call an id of its own",
            ));
        }
        Some(kept) if kept.answer.is_some() => {}
        _ => {
            let address = user.contains('@').then(|| user.clone());
            house.queue.add(connection, DOOR, Arrival { who: user, address, by: "signed webhook" });
            let answer = (StatusCode::ACCEPTED.as_u16(), String::new());
            house.service.keep_answer(&keeper, &id, Some(answer)).await?;
        }
    }
    Ok(fresh((StatusCode::ACCEPTED, Json(json!({ "status": "accepted" })))))
}

/// The id of a call that is signed, and of now.
fn signed(
    keys: &[SecretKey],
    headers: &HeaderMap,
    content: &[u8],
    now: Timestamp,
) -> Result<String, &'static str> {
    let one = |name: &str| {
        let mut given = headers.get_all(name).iter();
        let (only, None) = (given.next()?, given.next()) else { return None };
        only.to_str().ok()
    };
    let id =
        one("webhook-id").filter(|id| !id.is_empty() && id.len() <= 256).ok_or("it has no webhook-id")?;
    let at = one("webhook-timestamp").ok_or("it has no webhook-timestamp")?;
    let signatures = one("webhook-signature").ok_or("it has no webhook-signature")?;
    let digits = at.len() <= 20 && at.bytes().all(|b| b.is_ascii_digit());
    let seconds = at.parse::<i64>().ok().filter(|_| digits).ok_or("its webhook-timestamp is no number")?;
    if (now.as_second() - seconds).abs() > AROUND_S {
        return Err("its webhook-timestamp is more than five minutes from now");
    }
    let mut good = false;
    for signature in signatures.split(' ').take(MOST) {
        let Some(signature) = signature.strip_prefix("v1,") else { continue };
        let Ok(signature) = STANDARD.decode(signature) else { continue };
        for key in keys {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).map_err(|_| "there is no key")?;
            for part in [id.as_bytes(), b".", at.as_bytes(), b".", content] {
                mac.update(part);
            }
            // Compares in constant time
            good |= mac.verify_slice(&signature).is_ok();
        }
    }
    if good { Ok(id.to_owned()) } else { Err("none of its signatures is ours") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(id: &str, at: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)]
        {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn key() -> SecretKey {
        SecretKey::new(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap())
    }

    /// The example that the specification's own libraries are tested with.
    const EXAMPLE: (&str, &str, &str) =
        ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    const BODY: &[u8] = b"{\"test\": 2432232314}";

    #[test]
    fn w_06_the_example_of_the_standard_is_taken_within_five_minutes() {
        let (id, at, signature) = EXAMPLE;
        let headers = headers(id, at, signature);
        let then = 1_614_265_330;
        for (off, good) in
            [(0, true), (300, true), (-300, true), (301, false), (-301, false), (99_999, false)]
        {
            let now = Timestamp::from_second(then + off).unwrap();
            assert_eq!(signed(&[key()], &headers, BODY, now).is_ok(), good, "{off}");
        }
    }

    #[test]
    fn w_06_whatever_was_changed_is_refused_and_one_good_signature_of_several_suffices() {
        let (id, at, signature) = EXAMPLE;
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let taken = |id, at, signature: &str, body: &[u8]| {
            signed(&[key()], &headers(id, at, signature), body, now).is_ok()
        };
        assert!(!taken("msg_other", at, signature, BODY));
        assert!(!taken(id, "1614265331", signature, BODY));
        assert!(!taken(id, at, signature, b"{\"test\": 2432232315}"));
        assert!(!taken(id, at, &signature.replace("v1,", "v2,"), BODY));
        assert!(!taken(id, at, &signature.replace("v1,", "v1a,"), BODY));
        assert!(!taken(id, at, "v1,", BODY));
        assert!(!taken(id, at, "", BODY));
        assert!(!taken(id, at, &signature[..20], BODY));
        let rotated = format!("v1,bm9uZQ== v1a,abc {signature}");
        assert!(taken(id, at, &rotated, BODY));
        let mut twice = headers(id, at, signature);
        twice.append("webhook-id", "msg_other".parse().unwrap());
        assert!(signed(&[key()], &twice, BODY, now).is_err());
        assert!(signed(&[], &headers(id, at, signature), BODY, now).is_err());
        let other = SecretKey::new(vec![1; 32]);
        assert!(signed(&[other, key()], &headers(id, at, signature), BODY, now).is_ok());
    }
}
