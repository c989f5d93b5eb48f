//! What every answer is checked for, and what a status and a text of Jira mean to a person.

use std::fmt;

use entrain_domain::{Failure, FailureClass, FailureCode};
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::http::Answer;

/// Text of the other side is cut here before it becomes part of a message.
const EXCERPT: usize = 240;

/// Secrets that must not come back to us in a message (S-02).
pub(super) struct Redaction(Vec<SecretString>);

impl Redaction {
    pub(super) fn of(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().filter(|s| !s.expose_secret().is_empty()).cloned().collect())
    }

    /// A text of the other side, fit for a message: without our secrets, without anything that looks like a
    /// credential, on one line, and short.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose_secret(), "[redacted]");
        }
        for scheme in ["basic ", "bearer "] {
            let mut from = 0;
            while let Some(at) = text[from..].to_ascii_lowercase().find(scheme) {
                let start = from + at + scheme.len();
                let end = text[start..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "+/=-_.~".contains(c)))
                    .map_or(text.len(), |len| start + len);
                // Words such as "basic setup" stay; a credential is longer than a word.
                if end - start >= 16 {
                    text.replace_range(start..end, "[redacted]");
                }
                from = start;
            }
        }
        let line =
            text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c });
        line.take(EXCERPT).collect::<String>().trim().to_owned()
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redaction")
    }
}

/// What an answer says in words: `errorMessages`, `errors` as a map or a list, `message`, or the plain text itself.
pub(super) fn words(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if text.starts_with('<') {
        return String::new();
    }
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return text.to_owned() };
    let mut words: Vec<&str> = Vec::new();
    if let Some(list) = json["errorMessages"].as_array() {
        words.extend(list.iter().filter_map(|m| m.as_str()));
    }
    if let Some(map) = json["errors"].as_object() {
        words.extend(map.values().filter_map(|m| m.as_str()));
    }
    // The organization's form, which a refusal of the identity service behind Jira may have as well
    for item in json["errors"].as_array().into_iter().flatten() {
        words.extend(["code", "title", "detail"].into_iter().filter_map(|key| item[key].as_str()));
    }
    words.extend(json["message"].as_str());
    words.join("; ")
}

/// What Jira said, for the end of a sentence; nothing when it said nothing.
pub(super) fn said(answer: &Answer, redaction: &Redaction) -> String {
    let words = redaction.clean(&words(answer));
    if words.is_empty() {
        format!(" (status {})", answer.status)
    } else {
        format!(" (status {}: {words})", answer.status)
    }
}

/// An answer given to nobody in particular although we said who we are: an expired or revoked token, with any status
/// and often with an empty list (atlassian-cloud.md 3.4).
pub(super) fn refuse_anonymous(answer: &Answer) -> Result<(), Error> {
    let reason = answer.header("x-seraph-loginreason").unwrap_or_default();
    if reason.to_ascii_uppercase().contains("AUTHENTICATED_FAILED") {
        return Err(credential_refused(
            "Jira no longer accepts the API token and answers as if nobody had signed in",
        ));
    }
    Ok(())
}

/// The token or the address is wrong.
pub(super) fn credential_refused(message: &str) -> Error {
    Error::from(Failure::new(
        FailureCode::SiteCredentialRefused,
        FailureClass::Connection,
        message,
        "Create a new API token without scopes for the technical account at id.atlassian.com (Security, API tokens), \
         store it where api_token points, and check that admin_email is the address of that account",
    ))
}

/// A right that every request needs.
pub(super) fn browse_missing(answer: &Answer, redaction: &Redaction) -> Error {
    let message = format!("The technical account may not do this on the site{}", said(answer, redaction));
    about(
        answer,
        Failure::new(
            FailureCode::SiteRightMissing,
            FailureClass::Connection,
            message,
            "Give the technical account the global permissions Administer Jira and Browse users and groups \
             (Jira settings, System, Global permissions)",
        ),
    )
}

/// What a request that was not answered as it should be means, where nothing more is known.
pub(super) fn refused_read(answer: &Answer, redaction: &Redaction) -> Error {
    match answer.status {
        401 => credential_refused(&format!(
            "Jira refuses the admin e-mail and API token{}",
            said(answer, redaction)
        )),
        403 => browse_missing(answer, redaction),
        404 => about(
            answer,
            Failure::new(
                FailureCode::SiteObjectUnknown,
                FailureClass::Object,
                format!("The site does not know it{}", said(answer, redaction)),
                "It was deleted since it was last read; the next run reads the site anew",
            ),
        ),
        400 => about(
            answer,
            Failure::new(
                FailureCode::SiteRefused,
                FailureClass::Object,
                format!("Jira rejects the request{}", said(answer, redaction)),
                "Look at what Jira says; if it makes no sense for this object, please report it",
            ),
        ),
        200..300 => {
            answer.invalid(&format!("status {} is not what this request is answered with", answer.status))
        }
        _ => answer.unexpected(),
    }
}

/// The failure as an error, said of the object that the request was about.
pub(super) fn about(answer: &Answer, failure: Failure) -> Error {
    if answer.context.object.is_empty() { failure.into() } else { failure.of(&answer.context.object).into() }
}

/// Whether the words name the end of a licence: `LicenceExceededException`, `Licence exceeded for: …`, in either
/// spelling, the number of licensed users, or the organization's code for it.
pub(super) fn seats_used_up(words: &str) -> bool {
    let words = words.to_lowercase();
    if words.contains("admin-uam-409-3") || words.contains("admin-409-3") {
        return true;
    }
    let licence = words.contains("licence") || words.contains("license");
    licence && (words.contains("exceed") || words.contains("limit") || words.contains("maximum"))
}

/// Whether the words say that somebody is in a group already.
pub(super) fn already_a_member(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("already a member") || words.contains("admin-uam-409-2")
}

/// Whether the identity service gave up on an addition without a reason, as it does when seats are used up.
pub(super) fn identity_service_gave_up(words: &str) -> bool {
    words.contains("HystrixRuntimeException") && words.contains("AddUserToGroups")
}

/// The product whose licence an `ari:cloud:<product>::site/…` names.
pub(super) fn product_of(words: &str) -> Option<String> {
    let rest = words.split("ari:cloud:").nth(1)?;
    let product: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    (!product.is_empty()).then_some(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::of(&[SecretString::from("canary-token-9f"), SecretString::from("Ym90OmNhbmFyeQ==")])
    }

    #[test]
    fn s_02_our_own_credential_never_comes_back_in_a_message() {
        let redaction = redaction();
        for text in [
            "Bad header: Authorization: Basic Ym90OmNhbmFyeQ==",
            "token canary-token-9f is wrong",
            "bot:canary-token-9f",
            "authorization=BASIC c29tZXRoaW5nLWVsc2UtdGhhdC1sb29rcy1saWtlLW9uZQ==, go away",
            "Bearer eyJhbGciOiJSUzI1NiJ9.eyJvIjoxfQ.c2ln",
        ] {
            let clean = redaction.clean(text);
            assert!(clean.contains("[redacted]"), "{clean}");
            assert!(!clean.contains("canary-token-9f") && !clean.contains("Ym90"), "{clean}");
            assert!(!clean.contains("c29tZXRo") && !clean.contains("eyJhbGci"), "{clean}");
        }
        assert_eq!(redaction.clean("basic setup is missing"), "basic setup is missing");
    }

    #[test]
    fn h_01_text_of_the_site_is_one_short_line() {
        let clean = redaction().clean(&format!("a\r\nb\u{1b}[31m\u{2028}{}", "x".repeat(10_000)));
        assert!(clean.chars().count() <= EXCERPT);
        assert!(!clean.chars().any(char::is_control) && !clean.contains('\u{2028}'));
    }

    #[test]
    fn a_licence_is_recognised_in_both_spellings_and_names_its_product() {
        let text = "HystrixRuntimeException LicenceExceededException: Licence exceeded for: \
                    ari:cloud:confluence::site/c57406ca-1b2c-4d3e-8f90-0a1b2c3d4e5f";
        assert!(seats_used_up(text));
        assert_eq!(product_of(text).as_deref(), Some("confluence"));
        assert!(seats_used_up("the number of licensed users has been exceeded"));
        assert!(!seats_used_up("User is already a member of '{1}'"));
        assert!(seats_used_up("ADMIN-UAM-409-3; there is nothing left"));
        assert!(already_a_member("Cannot add user. User is already a member of '{1}'"));
        assert!(already_a_member("ADMIN-UAM-409-2; Conflict") && !already_a_member("ADMIN-UAM-409-3"));
    }
}
