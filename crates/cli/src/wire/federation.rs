//! Sign-in to the console through Entra ID: the client of the service's own app registration, and what groups give.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use entrain_connect::entra::Credential;
use entrain_connect::entra::oidc::{Account, Authority, Groups, RelyingParty, SignIn, Wanted};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane};
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::Clock as _;
use entrain_server::doors::Begun;
use entrain_server::federation::{Attested, Federation, RoleMap, Standing};
use entrain_server::service::Answer;
use entrain_store::Store;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{Lasting, SystemClock};

/// What the browser keeps is sealed for this.
const PURPOSE: &str = "console: sign-in with Microsoft";
/// Largest file that is taken for a secret.
const LARGEST: usize = 4096;

/// Sign-in to the console through Entra ID.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sign-in to the console with Microsoft")]
#[expect(clippy::struct_field_names, reason = "fields bear the names of their flags")]
pub(crate) struct FederationArgs {
    /// Tenant whose people may sign in
    #[arg(long, value_name = "ID", env = "ENTRAIN_SIGN_IN_TENANT_ID", hide_env_values = true)]
    sign_in_tenant_id: Option<String>,
    /// Client id of the app registration for it
    #[arg(long, value_name = "ID", env = "ENTRAIN_SIGN_IN_CLIENT_ID", hide_env_values = true)]
    sign_in_client_id: Option<String>,
    /// File that holds its client secret; read at each sign-in, so that a new one counts at once
    #[arg(long, value_name = "FILE", env = "ENTRAIN_SIGN_IN_CLIENT_SECRET_FILE", hide_env_values = true)]
    sign_in_client_secret_file: Option<PathBuf>,
    /// A role and the object id of the group that gives it; several, or with commas between them
    #[arg(
        long = "sign-in-role",
        value_name = "ROLE=GROUP",
        env = "ENTRAIN_SIGN_IN_ROLES",
        hide_env_values = true,
        value_delimiter = ','
    )]
    sign_in_roles: Vec<String>,
    /// Root of the sign-in service, for national clouds; that of the global cloud if left out
    #[arg(long, value_name = "URL", env = "ENTRAIN_SIGN_IN_AUTHORITY_URL", hide_env_values = true)]
    sign_in_authority_url: Option<String>,
    /// Proxy on the way to it
    #[arg(long, value_name = "URL", env = "ENTRAIN_SIGN_IN_PROXY", hide_env_values = true)]
    sign_in_proxy: Option<String>,
    /// File with more certificate authorities, as PEM, for a proxy that opens TLS
    #[arg(long, value_name = "FILE", env = "ENTRAIN_SIGN_IN_CA_FILE", hide_env_values = true)]
    sign_in_ca_file: Option<PathBuf>,
}

/// Somebody's way in through the directory.
pub(crate) struct Microsoft {
    store: Store,
    authority: Arc<Authority>,
    client_id: String,
    secret_file: PathBuf,
    roles: RoleMap,
    back: String,
}

impl fmt::Debug for Microsoft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Microsoft").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

fn wrong(flag: &str, what: impl Into<String>, remedy: &str) -> Failure {
    Failure::new(FailureCode::UsageInvalid, FailureClass::Local, what, remedy).of(flag)
}

/// A file that a setting names.
fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |why: String| {
        let what = format!("the file {} of {flag} cannot be read: {why}", path.display());
        Failure::new(
            FailureCode::SecretUnavailable,
            FailureClass::Local,
            what,
            "give a file that the service may read",
        )
    };
    std::fs::read(path).map_err(|error| unreadable(error.to_string()))
}

fn secret(path: &Path) -> Result<SecretString, Failure> {
    let flag = "--sign-in-client-secret-file";
    let bytes = SecretSlice::from(read(flag, path)?);
    let bytes = bytes.expose_secret();
    let text = std::str::from_utf8(bytes).ok().map(str::trim);
    let text = text.filter(|text| !text.is_empty() && bytes.len() <= LARGEST);
    let what = || format!("the file {} of {flag} holds no client secret", path.display());
    text.map(SecretString::from).ok_or_else(|| {
        let remedy = "write the value of the client secret into it, and nothing else";
        Failure::new(FailureCode::SecretUnavailable, FailureClass::Local, what(), remedy)
    })
}

impl FederationArgs {
    /// Sign-in through a company's app registration, whose secret is in this file.
    pub(crate) fn at(
        company: &entrain_emulator::Description,
        secret_file: PathBuf,
        roles: impl IntoIterator<Item = (Role, String)>,
    ) -> Self {
        let roles = roles.into_iter().map(|(role, group)| format!("{}={group}", role.as_str()));
        Self {
            sign_in_tenant_id: Some(company.tenant_id.clone()),
            sign_in_client_id: Some(company.client_id.clone()),
            sign_in_client_secret_file: Some(secret_file),
            sign_in_roles: roles.collect(),
            sign_in_authority_url: Some(company.authority_url.clone()),
            ..Self::default()
        }
    }

    /// The way in that the settings describe; none where they say nothing about it.
    pub(crate) fn build(
        &self,
        store: &Store,
        lasting: &Lasting,
        public_url: &str,
    ) -> Result<Option<Arc<dyn Federation>>, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (tenant, client) = (given(&self.sign_in_tenant_id), given(&self.sign_in_client_id));
        let pairs = self.sign_in_roles.iter().map(|pair| pair.trim()).filter(|pair| !pair.is_empty());
        let roles = RoleMap::parse(pairs)?;
        let file = self.sign_in_client_secret_file.clone().filter(|file| !file.as_os_str().is_empty());
        let (tenant, client_id, secret_file) = match (tenant, client, file) {
            (None, None, None) if roles.is_empty() => return Ok(None),
            (Some(tenant), Some(client), Some(file)) if !roles.is_empty() => (tenant, client, file),
            (tenant, client, file) => {
                let flags = [
                    ("--sign-in-tenant-id", tenant.is_some()),
                    ("--sign-in-client-id", client.is_some()),
                    ("--sign-in-client-secret-file", file.is_some()),
                    ("--sign-in-role", !roles.is_empty()),
                ];
                let missing: Vec<&str> =
                    flags.into_iter().filter(|(_, given)| !given).map(|(flag, _)| flag).collect();
                let what = format!("the sign-in with Microsoft lacks {}", missing.join(", "));
                return Err(wrong(missing[0], what, "give all of them, or none"));
            }
        };
        secret(&secret_file)?;
        let address = given(&self.sign_in_authority_url);
        let address = address.as_deref().unwrap_or("https://login.microsoftonline.com");
        let base = BaseUrl::parse(address).map_err(|e| e.failure())?;
        let environment = lasting.environment.clone();
        let mut http = HttpOptions::new(base.clone(), Plane::Directory, Arc::new(Meter::new()), environment);
        http.shared = lasting.shared.clone();
        http.proxy = given(&self.sign_in_proxy);
        if let Some(path) = self.sign_in_ca_file.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            http.extra_ca_pem = Some(read("--sign-in-ca-file", path)?);
        }
        let authority = Arc::new(Authority::new(base, &tenant, &http).map_err(|e| e.failure())?);
        let back = format!("{}/sign-in/microsoft/callback", public_url.trim_end_matches('/'));
        Ok(Some(Arc::new(Microsoft { store: store.clone(), authority, client_id, secret_file, roles, back })))
    }
}

impl Microsoft {
    /// The application, with the secret that its file holds now.
    fn party(&self) -> Result<RelyingParty, Failure> {
        let credential = Credential::Secret(secret(&self.secret_file)?);
        RelyingParty::new(self.authority.clone(), &self.client_id, credential, &self.back)
            .map_err(|e| e.failure())
    }
}

fn unreadable() -> Failure {
    let what = "what was kept of the sign-in cannot be read";
    Failure::new(FailureCode::SignInRefused, FailureClass::Local, what, "begin the sign-in anew")
}

impl Federation for Microsoft {
    fn begin(&self) -> Answer<'_, Begun> {
        Box::pin(async move {
            // Administrators often have an account of their own for such work
            let wanted = Wanted { account: Account::Chosen, ..Wanted::default() };
            let begun = self.party()?.begin(&wanted).await.map_err(|e| e.failure())?;
            let kept = serde_json::to_string(&begun.sign_in).map_err(|_| unreadable())?;
            Ok(Begun { url: begun.url, state: begun.sign_in.state.clone(), kept: kept.into() })
        })
    }

    fn finish<'a>(&'a self, kept: &'a SecretString, code: &'a str) -> Answer<'a, Attested> {
        Box::pin(async move {
            let sign_in: SignIn = serde_json::from_str(kept.expose_secret()).map_err(|_| unreadable())?;
            let now = SystemClock.now();
            let person = self.party()?.finish(&sign_in, code, now).await.map_err(|e| e.failure())?;
            let standing = match &person.groups {
                Groups::Named(groups) => {
                    let role = self.roles.role(groups.iter().map(String::as_str));
                    role.map_or(Standing::Nothing, Standing::Role)
                }
                Groups::TooMany => Standing::TooManyGroups,
            };
            Ok(Attested {
                tenant_id: person.tenant_id,
                object_id: person.object_id,
                name: person.name,
                username: person.preferred_username,
                standing,
            })
        })
    }

    fn seal(&self, text: &SecretString) -> Result<String, Failure> {
        self.store.seal_token(PURPOSE, text).map_err(|e| e.failure())
    }

    fn open(&self, sealed: &str) -> Option<SecretString> {
        self.store.open_token(PURPOSE, sealed)
    }

    fn roles(&self) -> &RoleMap {
        &self.roles
    }
}
