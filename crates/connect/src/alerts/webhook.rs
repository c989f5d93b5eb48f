//! Letters to web addresses. Those in the form of our own are signed as Standard Webhooks 1.0 says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrain_domain::alerts::{Letter, Occasion, one_line};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Network, WebForm, chat};
use crate::Error;
use crate::http::{Authorization, Call, Http, Repeat};

/// What limits and messages call the address of every channel: the address itself is a secret.
const ENDPOINT: &str = "/(channel)";

pub(super) async fn post(
    http: &Http,
    target: String,
    form: &WebForm,
    letter: &Letter,
    network: &Network,
) -> Result<(), Error> {
    let link = network.public_url.as_deref();
    let body = match form {
        WebForm::Webhook(_) => payload(letter, link),
        WebForm::Slack => chat::slack(letter, link),
        WebForm::Teams => chat::teams(letter, link),
    };
    // The letter bears one id however often it is sent
    let mut call =
        Call::post(ENDPOINT, target, body, Repeat::Safe).about(format!("channel {}", letter.channel));
    if let WebForm::Webhook(secret) = form {
        let seconds = network.environment.now().as_second().to_string();
        call = call.header("webhook-id", letter.id.clone()).header("webhook-timestamp", seconds.clone());
        if let Some(secret) = secret {
            let body = serde_json::to_vec(&call.body).expect("a JSON value is JSON");
            call = call.header("webhook-signature", signature(secret, &letter.id, &seconds, &body)?);
        }
    }
    let answer = http.send(call, &Authorization::none()).await?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let (context, attempts) = (Box::new(answer.context), answer.attempts);
    Err(Error::Status { context, status: answer.status, attempts })
}

/// The key of a secret.
pub(super) fn signing_key(secret: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.expose_secret().trim();
    let key = Zeroizing::new(STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?);
    (16..=128).contains(&key.len()).then_some(key)
}

fn signature(secret: &SecretString, id: &str, seconds: &str, body: &[u8]) -> Result<String, Error> {
    let key = signing_key(secret).ok_or_else(|| Error::Configuration {
        what: "the secret of the webhook cannot sign".to_owned(),
        remedy: "give it as whsec_ and base64 of 24 to 64 random bytes".to_owned(),
    })?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn payload(letter: &Letter, public_url: Option<&str>) -> Value {
    let test = letter.notices.iter().any(|notice| notice.occasion == Occasion::Test);
    let notices: Vec<Value> = letter
        .notices
        .iter()
        .map(|notice| {
            let concern = &notice.concern;
            json!({
                "alert": notice.alert,
                "occasion": notice.occasion,
                "kind": concern.kind,
                "severity": concern.severity,
                "object": concern.object,
                "sentence": concern.sentence,
                "remedy": concern.remedy,
                "since": notice.since,
                "link": public_url.map(|url| format!("{url}{}", one_line(&concern.link))),
            })
        })
        .collect();
    json!({
        "type": if test { "entrain.test" } else { "entrain.alert" },
        "timestamp": letter.at,
        "data": {
            "connection": letter.connection,
            "channel": letter.channel,
            "severity": letter.severity(),
            "notices": notices,
            "more": letter.more,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (standard-webhooks.md, "Signature scheme").
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_cannot_sign_is_refused_and_not_shown() {
        for wrong in ["", "whsec_", "whsec_abc", "not base64!", "whsec_AAAA"] {
            assert!(signing_key(&SecretString::from(wrong)).is_none(), "{wrong}");
        }
        let error = signature(&SecretString::from("canary!"), "m", "1", b"{}").unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
