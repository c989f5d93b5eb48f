//! What a status, a code or a key of the organization plane means to a person. Four forms of error are met
//! (atlassian-cloud.md 7.5 and 8): the application's list, the gateway's object, the router's, and a `key`; writes may
//! also be refused with an empty body.

use entrain_domain::{Failure, FailureClass, FailureCode};

use super::super::answers::{Redaction, about};
use super::wire::ErrorBody;
use crate::Error;
use crate::http::Answer;

/// The error as it was written, or nothing.
pub(super) fn body(answer: &Answer) -> ErrorBody {
    answer.json().unwrap_or_default()
}

impl ErrorBody {
    /// Whether the application itself answered, in its own form.
    pub(super) fn is_structured(&self) -> bool {
        self.errors.iter().any(|item| item.code.is_some())
    }

    /// Whether one of the codes is this one.
    pub(super) fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|item| item.code.as_deref() == Some(code))
    }

    fn words(&self) -> String {
        let items = self.errors.iter().map(|item| {
            let text = item.detail.as_deref().or(item.title.as_deref()).unwrap_or_default();
            match item.code.as_deref() {
                Some(code) => format!("{code} {text}").trim().to_owned(),
                None => text.to_owned(),
            }
        });
        let other = [self.message.clone(), self.key.clone()].into_iter().flatten();
        items.chain(other).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// What was said, for the end of a sentence.
pub(super) fn said(answer: &Answer, redaction: &Redaction) -> String {
    let words = redaction.clean(&body(answer).words());
    if words.is_empty() {
        format!(" (status {})", answer.status)
    } else {
        format!(" (status {}: {words})", answer.status)
    }
}

/// What a refused request means where nothing more is known.
pub(super) fn refused(answer: &Answer, redaction: &Redaction) -> Error {
    let error = body(answer);
    let words = error.words().to_lowercase();
    let failure = |code, class, what: &str, remedy: &str| {
        about(answer, Failure::new(code, class, format!("{what}{}", said(answer, redaction)), remedy))
    };
    match answer.status {
        401 | 403 if words.contains("scope") || words.contains("manage:org") => failure(
            FailureCode::OrganizationRightMissing,
            FailureClass::Connection,
            "The organization key has scopes, and they do not allow this",
            "Create an organization key without scopes at admin.atlassian.com (Settings, API keys) and store it where \
             api_key points",
        ),
        401 => failure(
            FailureCode::OrganizationCredentialRefused,
            FailureClass::Connection,
            "The organization key is refused: wrong, expired or revoked",
            "Create a new organization key without scopes at admin.atlassian.com (Settings, API keys; it lives one \
             week unless you choose a later day, at most one year) and store it where api_key points",
        ),
        403 => failure(
            FailureCode::OrganizationRightMissing,
            FailureClass::Connection,
            "The organization key may not do this",
            "The key needs to be made by an organization administrator, without scopes, at admin.atlassian.com \
             (Settings, API keys)",
        ),
        404 if words.contains("tcs validation")
            || error.has("ADMIN-404-2")
            || error.has("ADMIN-UAM-404-2") =>
        {
            failure(
                FailureCode::OrganizationUnknown,
                FailureClass::Connection,
                "The organization is not known to the key",
                "Copy the organization id from admin.atlassian.com (Settings, API keys; it is also in the address) into \
             [site.organization] id",
            )
        }
        404 if error.has("ADMIN-404-1") => failure(
            FailureCode::OrganizationUnknown,
            FailureClass::Connection,
            "The directory is not known to the key",
            "Take [site.organization] directory_id out, or copy it from the address of admin.atlassian.com (Directory)",
        ),
        400 | 402 | 404 | 405 | 409 => failure(
            FailureCode::OrganizationRefused,
            FailureClass::Object,
            "The organization refuses it",
            "Look at what it says; the next run tries again",
        ),
        200..300 => {
            answer.invalid(&format!("status {} is not what this request is answered with", answer.status))
        }
        _ => answer.unexpected(),
    }
}
