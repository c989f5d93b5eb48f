//! Failures as people and programs read them: what happened, to which object, and what to do now.
//!
//! Every crate has its own error enum in its own words; at its edge it becomes a [`Failure`], which carries a stable
//! code for programs (`error.code` of the contract), the sentence, the object and the remedy, and a class that tells
//! the engine how far the damage reaches. Nothing in it may hold a secret.

use std::fmt;

use jiff::Timestamp;

/// How far a failure reaches, and what the engine may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The other side is down or throttles: a later run will do. Nothing was written.
    Transient,
    /// A write was sent and its outcome is not known: look before anything is repeated.
    Unclear,
    /// This one object cannot be done; the rest of the run goes on.
    Object,
    /// Nothing can be done with this connection until a person mends it.
    Connection,
    /// The program or its input is wrong: usage, document, database.
    Local,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $meaning:literal;)*) => {
        /// The stable codes of failures; `docs/reference/errors.md` is generated from this list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum FailureCode {
            $(#[doc = $meaning] #[serde(rename = $text)] $variant,)*
        }
        impl FailureCode {
            /// All codes, in the order of the reference.
            pub const ALL: &'static [FailureCode] = &[$(FailureCode::$variant,)*];
            /// The code as programs see it.
            pub fn as_str(self) -> &'static str {
                match self { $(FailureCode::$variant => $text,)* }
            }
            /// What the code means, in a sentence, for the reference.
            pub fn meaning(self) -> &'static str {
                match self { $(FailureCode::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    DirectoryCredentialRefused = "directory_credential_refused", "Entra ID refused the application's secret, certificate or federated token.";
    DirectoryAppUnknown = "directory_app_unknown", "The application or the tenant is not known to Entra ID, or is disabled.";
    DirectoryRequestInvalid = "directory_request_invalid", "Entra ID or Microsoft Graph rejected a request as malformed: a wrong cloud, scope or setting.";
    DirectoryConsentMissing = "directory_consent_missing", "The application has not been granted a permission of Microsoft Graph that the work needs.";
    DirectoryUnauthenticated = "directory_unauthenticated", "Microsoft Graph refuses the access token, also after a new one was fetched.";
    DirectoryThrottled = "directory_throttled", "Microsoft Graph asks for a pause longer than a run may wait.";
    DirectoryUnavailable = "directory_unavailable", "Entra ID or Microsoft Graph did not answer, or answered with a server error, until the retries were used up.";
    DirectoryAnswerInvalid = "directory_answer_invalid", "An answer of Entra ID or Microsoft Graph is not what the API documents: cut off, not JSON, or inconsistent. It is never read as an empty directory.";
    DirectoryPropertiesHidden = "directory_properties_hidden", "Microsoft Graph answers with empty properties, as it does for objects that the application may not read.";
    DirectoryStateExpired = "directory_state_expired", "A delta token or page token has expired; a full read is needed.";
    NotificationsUnreachable = "notifications_unreachable", "Microsoft Graph cannot validate the public address of the service, so it sends no change notifications there.";
    NotificationsTaken = "notifications_taken", "The application is subscribed to change notifications for another address already; Graph allows one subscription of a kind.";
    SiteCredentialRefused = "site_credential_refused", "Jira refuses the admin e-mail and API token, or silently treats the request as anonymous.";
    SiteTokenScoped = "site_token_scoped", "The API token has scopes and works only through the gateway address of the site.";
    SiteNotCloud = "site_not_cloud", "The configured URL does not answer as a Jira Cloud site.";
    SiteRightMissing = "site_right_missing", "The technical account lacks a right on the site: administer Jira, browse users, or site administration.";
    SiteOrgAdminMissing = "site_org_admin_missing", "The technical account is not an organization administrator, which inviting people needs.";
    SiteThrottled = "site_throttled", "Jira asks for a pause longer than a run may wait.";
    SiteUnavailable = "site_unavailable", "Jira did not answer, or answered with a server error, until the retries were used up.";
    SiteAnswerInvalid = "site_answer_invalid", "An answer of Jira is not what the API documents: cut off, not JSON, or inconsistent. It is never read as an empty site.";
    SiteObjectUnknown = "site_object_unknown", "The site does not know the user or the group.";
    SiteNameTaken = "site_name_taken", "A group of this name exists on the site already.";
    SiteSeatsExhausted = "site_seats_exhausted", "The site has no seat left for the product that the group grants.";
    SiteAccountWithoutAccess = "site_account_without_access", "An account of this address exists, but the site will not invite it: suspended, deactivated, or known to another product only.";
    SiteRefused = "site_refused", "Jira refused the write for a reason of its own.";
    SiteProtected = "site_protected", "The object is protected: Entrain does not touch it.";
    OrganizationCredentialRefused = "organization_credential_refused", "The organization API refuses the key.";
    OrganizationRightMissing = "organization_right_missing", "The organization key may not do this: it has scopes, or belongs to somebody who is no organization administrator.";
    OrganizationUnknown = "organization_unknown", "The organization, or its directory, is not known to the key.";
    OrganizationRefused = "organization_refused", "The organization API refused the request for a reason of its own.";
    OrganizationThrottled = "organization_throttled", "The organization API asks for a pause longer than a run may wait.";
    OrganizationUnavailable = "organization_unavailable", "The organization API did not answer, or answered with a server error, until the retries were used up.";
    OrganizationAnswerInvalid = "organization_answer_invalid", "An answer of the organization API is not what it documents. It is never read as nobody.";
    WriteUnclear = "write_unclear", "A write was sent and its answer was lost; it is looked up before anything is repeated.";
    ForeignLink = "foreign_link", "An answer points to another host. Entrain follows no such link and sends no credential there.";
    RedirectRefused = "redirect_refused", "The server answered with a redirect. Entrain follows none.";
    AnswerTooLarge = "answer_too_large", "An answer exceeds the size that Entrain accepts.";
    TlsFailed = "tls_failed", "No trusted TLS connection could be made: certificate wrong, expired, or for another name.";
    DocumentInvalid = "document_invalid", "The connection document is not valid.";
    SecretUnavailable = "secret_unavailable", "A secret that the document refers to is not there.";
    UsageInvalid = "usage_invalid", "The command was called wrongly.";
    ConnectionUnknown = "connection_unknown", "There is no connection of that name.";
    ConnectionExists = "connection_exists", "A connection of that name exists already.";
    RunUnknown = "run_unknown", "There is no run of that id.";
    ObjectUnknown = "object_unknown", "There is no such user or group.";
    ConnectionBusy = "connection_busy", "Another run of this connection is under way.";
    ConnectionParked = "connection_parked", "A quota of the cloud is used up, and the connection rests until its reset. No request was sent.";
    RunTakenOver = "run_taken_over", "Another server over the same database has taken over the run, because this one was frozen or cut off.";
    PlanStale = "plan_stale", "One of the sides has changed since the plan was made.";
    PlanAltered = "plan_altered", "The plan file is not what Entrain wrote.";
    ApprovalRefused = "approval_refused", "The plan cannot be approved, rejected or undone like this: it waits for nobody, was decided on before, or needs another person.";
    PersonWaits = "person_waits", "One person cannot be brought in step now: something has to be mended or waited for first. Nothing of theirs was lost; the next run tries again.";
    RunOver = "run_over", "The run is not under way any more, so there is nothing to stop or to follow.";
    PlanUnsound = "plan_unsound", "The second opinion refused the plan. Nothing was written.";
    StoreUnreadable = "store_unreadable", "The database is damaged, cut off, or not Entrain's. It was left as it is.";
    StoreNewer = "store_newer", "The database was written by a newer Entrain.";
    StoreFailed = "store_failed", "The database could not be read or written.";
    ServerRunning = "server_running", "Another `entrain serve` runs over this SQLite database.";
    ListenFailed = "listen_failed", "The service could not listen on its address.";
    ApiKeyExists = "api_key_exists", "There is, or was, an API key of that name.";
    ApiKeyUnknown = "api_key_unknown", "There is no such API key.";
    ApiKeyRefused = "api_key_refused", "The request carries no API key, or one that is unknown, expired or revoked.";
    RoleMissing = "role_missing", "The role of the API key, or of who is signed in, does not allow this.";
    AccountExists = "account_exists", "There is an account of that name already, perhaps a disabled one.";
    AccountUnknown = "account_unknown", "There is no such account, or it may not sign in.";
    LastAdministrator = "last_administrator", "Nobody would be left who can administer accounts.";
    LinkSpent = "link_spent", "The link was used before, has ended, or never was one.";
    PasswordHandedOut = "password_handed_out", "The password was handed out, and has to be changed before anything else.";
    SignInNeeded = "sign_in_needed", "Nobody is signed in, or the session is over.";
    RequestForeign = "request_foreign", "The form was not sent from a page of this console, or its page is too old.";
    RequestInvalid = "request_invalid", "The API request is not as the OpenAPI document describes it.";
    RequestTooLarge = "request_too_large", "The body of the API request is larger than a megabyte.";
    RequestSlow = "request_slow", "The API request did not arrive in time.";
    RequestRepeated = "request_repeated", "A request with this idempotency key is under way, was cut off, or was another one.";
    SignInRefused = "sign_in_refused", "A sign-in did not succeed: what the sign-in service sent back is expired, of another sign-in, or not signed as it has to be.";
    TooManyRequests = "too_many_requests", "Too many wrong API keys or passwords came from this address, or for this name.";
    AddressUnknown = "address_unknown", "The service has nothing under this address, or not by this method.";
    KeyMismatch = "key_mismatch", "A stored secret cannot be opened with this secret key.";
    AlertUndelivered = "alert_undelivered", "A channel of alerts did not take a letter.";
    Stopped = "stopped", "The run was stopped at a step boundary.";
    Internal = "internal", "Something that should not happen did. Please report it.";
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, to which object, and what to do now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable code for programs.
    pub code: FailureCode,
    /// How far it reaches.
    pub class: FailureClass,
    /// What happened, in a sentence without a full stop.
    pub message: String,
    /// The object it happened to, as a person knows it (an address, a group's name, an id), if there is one.
    pub object: Option<String>,
    /// What to do now, in a sentence.
    pub remedy: String,
    /// When the other side answers again, where a quota is used up: until then every request is refused, so that a run
    /// that meets this is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
    /// The key of the product that has no seat left, where the other side says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

impl Failure {
    /// A failure without an object.
    pub fn new(
        code: FailureCode,
        class: FailureClass,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (object, resume_at, product) = (None, None, None);
        Self { code, class, message: message.into(), object, remedy: remedy.into(), resume_at, product }
    }

    /// The same failure, with the time before which nothing is answered.
    #[must_use]
    pub fn until(mut self, resume_at: Timestamp) -> Self {
        self.resume_at = Some(resume_at);
        self
    }

    /// Whether no further request of the run can help: a person has to mend the connection, or a quota has to be reset.
    pub fn ends_the_run(&self) -> bool {
        self.class == FailureClass::Connection || self.resume_at.is_some()
    }

    /// The same failure, for want of a seat of this product.
    #[must_use]
    pub fn for_seats_of(mut self, product: Option<&str>) -> Self {
        self.product = product.map(str::to_owned);
        self
    }

    /// The same failure, said of an object.
    #[must_use]
    pub fn of(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }
}
