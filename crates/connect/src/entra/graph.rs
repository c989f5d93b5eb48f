//! One request to Graph: with a token, with one renewal when it is refused, and its refusals read.

use entrain_domain::{Failure, FailureClass, FailureCode};

use super::token::Tokens;
use super::wire::ErrorBody;
use crate::Error;
use crate::http::{Answer, Call, Http};

/// Why Graph gave no data.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    pub(super) error: Error,
}

/// What a caller may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// A page token has expired: begin the listing again.
    PageExpired,
    /// A delta token has expired, or the state behind it was reset: only a full read helps.
    StateLost,
    /// Anything else.
    Other,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { kind: RefusalKind::Other, error }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// Graph with its tokens.
pub(super) struct Graph {
    pub(super) http: Http,
    pub(super) tokens: Tokens,
}

impl Graph {
    /// Sends a call; any status but 401 comes back.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let token = self.tokens.get().await?;
        let answer = self.http.send(call.clone(), &token.authorization).await?;
        if answer.status == 403 {
            self.tokens.doubt(token.generation).await;
        }
        if answer.status != 401 {
            return Ok(answer);
        }
        if let Some(error) = not_about_the_token(&answer) {
            return Err(error);
        }
        let Some(token) = self.tokens.replace(token.generation).await? else {
            return Err(unauthenticated(&answer));
        };
        let answer = self.http.send(call, &token.authorization).await?;
        if answer.status == 401 {
            return Err(not_about_the_token(&answer).unwrap_or_else(|| unauthenticated(&answer)));
        }
        Ok(answer)
    }

    /// Sends a call that must succeed.
    pub(super) async fn get(&self, call: Call) -> Result<Answer, Refusal> {
        let answer = self.send(call).await?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }
}

fn not_about_the_token(answer: &Answer) -> Option<Error> {
    let body: ErrorBody = answer.json().unwrap_or_default();
    let failure = if body.is("Authorization_IdentityNotFound") {
        Failure::new(
            FailureCode::DirectoryConsentMissing,
            FailureClass::Connection,
            "Graph does not know the application in this tenant: no consent has been given yet, or it was given minutes \
             ago",
            consent("User.Read.All and GroupMember.Read.All"),
        )
    } else if body.is("Authorization_IdentityDisabled") {
        Failure::new(
            FailureCode::DirectoryAppUnknown,
            FailureClass::Connection,
            "the application is disabled in this tenant",
            "Enable it under Enterprise applications > your application > Properties",
        )
    } else {
        return None;
    };
    Some(failure.into())
}

fn unauthenticated(answer: &Answer) -> Error {
    Failure::new(
        FailureCode::DirectoryUnauthenticated,
        FailureClass::Connection,
        format!("{} refuses the access token, also a new one", answer.context),
        "Check that cloud, graph_url and scope belong together, and that the clock of this host is right",
    )
    .into()
}

/// Where a permission is granted.
pub(super) fn consent(permission: &str) -> String {
    format!(
        "Grant the application permission {permission} of Microsoft Graph under App registrations > your application > \
         API permissions, then choose Grant admin consent; it can take some minutes to work"
    )
}

/// Where an enterprise application's id is found.
pub(super) const FIND_APPLICATION: &str = "Write the Application ID that Enterprise applications > your application > \
                                           Properties shows under [scope] assigned_to";

/// The permission that an endpoint needs at least.
pub(super) fn permission(endpoint: &str) -> &'static str {
    match endpoint {
        _ if endpoint.starts_with("/users") || endpoint.starts_with("/directory/deletedItems") => {
            "User.Read.All"
        }
        _ if endpoint.starts_with("/servicePrincipals") => "Application.Read.All",
        _ => "GroupMember.Read.All",
    }
}

/// Reads an answer that is no success.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    let body: ErrorBody = answer.json().unwrap_or_default();
    let told = |code: FailureCode, class: FailureClass, what: &str, remedy: String| {
        let failure = Failure::new(code, class, format!("{what}: {}", answer.context), remedy);
        let object = &answer.context.object;
        let failure = if object.is_empty() { failure } else { failure.of(object.clone()) };
        Error::from(failure)
    };
    if body.is("Directory_ExpiredPageToken") {
        let error = told(
            FailureCode::DirectoryStateExpired,
            FailureClass::Transient,
            "the listing could not be read to its end before its page tokens expired",
            "Run it again".to_owned(),
        );
        return Refusal { kind: RefusalKind::PageExpired, error };
    }
    if answer.status == 410 || body.is("syncStateNotFound") || body.is("resyncRequired") {
        let error = told(
            FailureCode::DirectoryStateExpired,
            FailureClass::Transient,
            "Graph no longer knows where the last read ended",
            "Nothing has to be done: the next run reads the directory in full".to_owned(),
        );
        return Refusal { kind: RefusalKind::StateLost, error };
    }
    let error = match answer.status {
        403 => told(
            FailureCode::DirectoryConsentMissing,
            FailureClass::Connection,
            "Graph refuses for lack of a permission",
            consent(permission(answer.context.endpoint)),
        ),
        404 if answer.context.endpoint.starts_with("/servicePrincipals") => told(
            FailureCode::DirectoryAppUnknown,
            FailureClass::Connection,
            "the directory has no enterprise application of the application id in [scope] assigned_to",
            FIND_APPLICATION.to_owned(),
        ),
        400 | 404 | 405 | 501 => {
            let code = body.code();
            let what = if code.is_empty() {
                format!("Graph rejects the request with status {}", answer.status)
            } else {
                format!("Graph rejects the request with {code}")
            };
            told(
                FailureCode::DirectoryRequestInvalid,
                FailureClass::Connection,
                &what,
                "Check that graph_url is the root of Microsoft Graph for your cloud".to_owned(),
            )
        }
        _ => answer.unexpected(),
    };
    Refusal { kind: RefusalKind::Other, error }
}
