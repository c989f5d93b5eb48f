//! A sign-in, from the redirect to the verified person. The protocol and the judging of id tokens are openidconnect's;
//! the requests go through our own client, and what is Entra's own (tenant, object id, not-before) is judged here.

use std::fmt;
use std::sync::Arc;

use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthUrl, AuthorizationCode, ClaimsVerificationError, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointNotSet, HttpRequest, HttpResponse, IdTokenFields,
    IdTokenVerifier, IssuerUrl, LoginHint, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::super::credential::{self, AssertionForm};
use super::super::{Credential, signin};
use super::LEEWAY_S;
use super::authority::{Authority, Known, is_guid};
use crate::Error;
use crate::http::{Call, Http, Repeat};

const TOKEN: &str = "/oauth2/v2.0/token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What Entra ID puts into id tokens besides the standard claims.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EntraClaims {
    #[serde(default)]
    oid: Option<String>,
    #[serde(default)]
    tid: Option<String>,
    #[serde(default)]
    ver: Option<String>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// Says that there are more groups than a token may name.
    #[serde(default, rename = "_claim_names", skip_serializing_if = "Option::is_none")]
    elsewhere: Option<serde_json::Value>,
}

impl AdditionalClaims for EntraClaims {}

type Fields = IdTokenFields<
    EntraClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type EntraClient = Client<
    EntraClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
>;

/// What a sign-in asks for besides who the person is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whom the page offers first.
    pub login_hint: Option<String>,
    /// Whether the person chooses an account, or is who they are already.
    pub account: Account,
}

/// Whether a person chooses an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Account {
    /// Whoever is signed in already.
    #[default]
    Current,
    /// It is asked for.
    Chosen,
}

/// What has to be kept, away from the address, until the person comes back.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// Told back with the code; ties the answer to this browser.
    pub state: String,
    /// Told back in the id token.
    nonce: String,
    /// Proves that the code was asked for here.
    verifier: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn(redacted)")
    }
}

/// A sign-in that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What is kept.
    pub sign_in: SignIn,
}

/// Who signed in, as the id token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Object id in the directory: the one thing that tells people apart.
    pub object_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// Name, for display.
    pub name: Option<String>,
    /// Usually the user principal name, for display.
    pub preferred_username: Option<String>,
    /// Object ids of groups, when the app registration asks for them.
    pub groups: Groups,
    /// App roles.
    pub roles: Vec<String>,
}

/// The groups that a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// These; none when the app registration does not ask for them.
    Named(Vec<String>),
    /// More than a token may name: Graph has to be asked.
    TooMany,
}

/// An application that people sign in to.
pub struct RelyingParty {
    authority: Arc<Authority>,
    client_id: String,
    credential: Credential,
    redirect: String,
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl RelyingParty {
    /// `redirect` is the address to which people come back, as it is registered with the application.
    ///
    /// # Errors
    /// `Error::Configuration` when the credential is a managed identity, which signs in no people, or the address is
    /// none.
    pub fn new(
        authority: Arc<Authority>,
        client_id: &str,
        credential: Credential,
        redirect: &str,
    ) -> Result<Self, Error> {
        if matches!(credential, Credential::ManagedIdentity { .. }) {
            return Err(Error::Configuration {
                what: "people cannot sign in to a managed identity".to_owned(),
                remedy:
                    "Give an app registration of its own for the sign-in, with client_id and client_secret"
                        .to_owned(),
            });
        }
        if RedirectUrl::new(redirect.to_owned()).is_err() {
            return Err(Error::Configuration {
                what: "the address to come back to after sign-in is none".to_owned(),
                remedy: "Check --public-url".to_owned(),
            });
        }
        Ok(Self { authority, client_id: client_id.to_owned(), credential, redirect: redirect.to_owned() })
    }

    fn client(&self, known: &Known) -> Result<(EntraClient, AuthUrl, TokenUrl, IssuerUrl), Error> {
        let wrong = |_| broken("the addresses of the sign-in service cannot be used");
        let issuer = IssuerUrl::new(known.issuer.clone()).map_err(wrong)?;
        let client =
            EntraClient::new(ClientId::new(self.client_id.clone()), issuer.clone(), known.keys.clone())
                .set_auth_type(AuthType::RequestBody)
                .set_redirect_uri(RedirectUrl::new(self.redirect.clone()).map_err(wrong)?);
        let authorize = AuthUrl::new(known.authorize.clone()).map_err(wrong)?;
        Ok((client, authorize, TokenUrl::new(known.token.clone()).map_err(wrong)?, issuer))
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// When the authority does not answer.
    pub async fn begin(&self, wanted: &Wanted) -> Result<Begun, Error> {
        let known = self.authority.known().await?;
        let (client, authorize, ..) = self.client(&known)?;
        let client = client.set_auth_uri(authorize);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".to_owned()))
            .add_scope(Scope::new("email".to_owned()))
            .add_extra_param("response_mode", "query")
            .set_pkce_challenge(challenge);
        if let Some(hint) = &wanted.login_hint {
            request = request.set_login_hint(LoginHint::new(hint.clone()));
        }
        if wanted.account == Account::Chosen {
            request = request.add_prompt(CoreAuthPrompt::SelectAccount);
        }
        let (url, state, nonce) = request.url();
        let sign_in = SignIn {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        };
        Ok(Begun { url: url.into(), sign_in })
    }

    /// Redeems the code that the person brought back. Whether they brought back the state of this sign-in is the
    /// caller's to judge, in constant time, before.
    ///
    /// # Errors
    /// `sign_in_refused` when the code or the id token is not good; else as the authority's failure is.
    pub async fn finish(&self, sign_in: &SignIn, code: &str, now: Timestamp) -> Result<SignedIn, Error> {
        let known = self.authority.known().await?;
        let (client, _, token_url, issuer) = self.client(&known)?;
        let mut client = client.set_token_uri(token_url);
        let environment = self.authority.http.options().environment.clone();
        let assertion = match &self.credential {
            Credential::Secret(secret) => {
                client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
                None
            }
            Credential::Certificate { certificate_pem, key_pem } => {
                let (jti, at) = (environment.guid(), environment.now());
                let (pem, key, id) = (certificate_pem, key_pem, &self.client_id);
                Some(credential::assertion(AssertionForm::Current, pem, key, &known.token, id, &jti, at)?)
            }
            Credential::FederatedTokenFile(path) => Some(credential::federated_token(path).await?),
            Credential::ManagedIdentity { .. } => unreachable!("refused when it was made"),
        };
        let assertion = assertion.map(|text| SecretString::from(text.as_str().to_owned()));
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(sign_in.verifier.clone()));
        if let Some(assertion) = &assertion {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.expose_secret());
        }
        let http = self.authority.http.clone();
        let (client_id, tenant) = (self.client_id.clone(), known.tenant_id.clone());
        let send =
            move |request: HttpRequest| redeem(http.clone(), client_id.clone(), tenant.clone(), request);
        let tokens: Tokens = request.request_async(&send).await.map_err(|error| match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(_) => refused("the code was refused"),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                broken("the answer to the code has another shape than documented")
            }
        })?;
        let token = tokens.id_token().ok_or_else(|| refused("there is no id token"))?;
        let nonce = Nonce::new(sign_in.nonce.clone());
        let judge = |known: &Known| {
            let verifier: IdTokenVerifier<'_, CoreJsonWebKey> = IdTokenVerifier::new_public_client(
                ClientId::new(self.client_id.clone()),
                issuer.clone(),
                known.keys.clone(),
            )
            .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
            .set_time_fn(move || {
                let late = now.saturating_sub(jiff::SignedDuration::from_secs(LEEWAY_S)).unwrap_or(now);
                late.to_string().parse().expect("an instant is written as RFC 3339 says")
            })
            .set_issue_time_verifier_fn(move |at| {
                if at.timestamp() > now.as_second() + LEEWAY_S {
                    return Err("issued in the future".to_owned());
                }
                Ok(())
            });
            token.claims(&verifier, &nonce).cloned()
        };
        let claims = match judge(&known) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let newer = self.authority.again(&known).await;
                let newer = newer.ok_or_else(|| refused("it is signed with a key that nobody published"))?;
                judge(&newer)
            }
            judged => judged,
        };
        // The library's words may quote the token
        let claims = claims.map_err(|error| refused(word(&error)))?;
        let own = claims.additional_claims();
        if !own.tid.as_deref().is_some_and(|tid| tid.eq_ignore_ascii_case(&known.tenant_id)) {
            return Err(refused("it is of another tenant"));
        }
        if own.ver.as_deref() != Some("2.0") {
            return Err(refused("it is not of version 2.0"));
        }
        if own.nbf.is_some_and(|nbf| now.as_second() + LEEWAY_S < nbf) {
            return Err(refused("it is not good yet"));
        }
        let object_id = own.oid.as_deref().filter(|oid| is_guid(oid));
        let object_id = object_id.ok_or_else(|| refused("it names no object id"))?.to_ascii_lowercase();
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        Ok(SignedIn {
            object_id,
            tenant_id: known.tenant_id.clone(),
            name: claims.name().and_then(|name| name.get(None)).map(|name| plain(name)),
            preferred_username: claims.preferred_username().map(|name| plain(name)),
            groups: match &own.elsewhere {
                Some(names) if names.get("groups").is_some() => Groups::TooMany,
                _ => Groups::Named(own.groups.clone()),
            },
            roles: own.roles.clone(),
        })
    }
}

/// The one request of the library, through our client.
async fn redeem(
    http: Http,
    client_id: String,
    tenant: String,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    #[derive(Deserialize)]
    struct Refused {
        #[serde(default)]
        error: String,
    }
    let mut call = Call::post(TOKEN, request.uri().to_string(), serde_json::Value::Null, Repeat::Never);
    call.body = None;
    let call = call.about(format!("application {client_id}"));
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = http.send_form(call, &pairs).await?;
    if !answer.is_success() {
        let grant = answer.json::<Refused>().is_ok_and(|refused| refused.error == "invalid_grant");
        let refusal = signin::read(&answer, &client_id, &tenant);
        return Err(if grant { refused("the code has expired, or was used before") } else { refusal.error });
    }
    let mut response = HttpResponse::new(answer.body.to_vec());
    if let Some(kind) = answer.headers.get("content-type") {
        response.headers_mut().insert("content-type", kind.clone());
    }
    Ok(response)
}

fn word(error: &ClaimsVerificationError) -> &'static str {
    use ClaimsVerificationError as E;
    match error {
        E::Expired(_) => "it has expired, or was issued in the future",
        E::InvalidAudience(_) => "it is for another application",
        E::InvalidIssuer(_) => "its issuer is not the tenant's",
        E::InvalidNonce(_) => "it belongs to another sign-in",
        E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            "it is signed with a key that nobody published"
        }
        E::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "it is not signed with RS256"
        }
        E::SignatureVerification(SignatureVerificationError::NoSignature) => "it is not signed",
        E::SignatureVerification(_) => "its signature is wrong",
        _ => "it is not as an id token has to be",
    }
}

fn refused(why: &str) -> Error {
    Failure::new(
        FailureCode::SignInRefused,
        FailureClass::Local,
        format!("the sign-in is refused: {why}"),
        "begin the sign-in anew; if it stays, compare the app registration with the documentation",
    )
    .into()
}

fn broken(what: &str) -> Error {
    Failure::new(
        FailureCode::DirectoryAnswerInvalid,
        FailureClass::Transient,
        what,
        "check the address of the authority, and whether a proxy answers in its place",
    )
    .into()
}
