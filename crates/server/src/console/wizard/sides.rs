//! The first two steps: the directory and the site, each with its test.

use askama::Template;
use axum::http::StatusCode;

use super::fields::{Ask, Field, Heard, Kind, hear, others, shown, with_missing};
use super::{Frame, Result, Step, at, keep};
use crate::console::parts::{Chip, When, icon, number, sentence};
use crate::console::visit::{Reply, Visit};
use crate::drafts::{Draft, Fault, Finding, Part, Proof, Secrets, State, Tested};

const fn ask(
    name: &'static str,
    key: &'static str,
    label: &'static str,
    help: &'static str,
    kind: Kind,
) -> Ask {
    Ask { name, key, label, help, kind, optional: false }
}

const fn maybe(
    name: &'static str,
    key: &'static str,
    label: &'static str,
    help: &'static str,
    kind: Kind,
) -> Ask {
    Ask { name, key, label, help, kind, optional: true }
}

/// The directory's fields, in the order of the page: the first three, then one kind of credential, then addresses.
const DIRECTORY: [Ask; 12] = [
    ask(
        "name",
        "name",
        "Name of this connection",
        "You will see it in plans and in the audit log. It must be unique.",
        Kind::Text,
    ),
    ask(
        "tenant_id",
        "directory.tenant_id",
        "Directory (tenant) ID",
        "On the app’s Overview page in Entra.",
        Kind::Code,
    ),
    ask("client_id", "directory.client_id", "Application (client) ID", "On the same page.", Kind::Code),
    ask(
        "client_secret",
        "directory.client_secret",
        "Client secret",
        "The Value column, which Entra shows once.",
        Kind::Secret,
    ),
    maybe("client_secret_expires", "directory.client_secret_expires", "Ends on", "", Kind::Day),
    ask(
        "certificate",
        "directory.certificate",
        "Certificate",
        "PEM, from BEGIN CERTIFICATE to END CERTIFICATE: the one that you upload in Entra.",
        Kind::Lines,
    ),
    ask(
        "private_key",
        "directory.private_key",
        "Private key of the certificate",
        "PEM, without a passphrase. It is sealed before it is stored.",
        Kind::SecretLines,
    ),
    ask(
        "federated_token_file",
        "directory.federated_token_file",
        "Token file",
        "A path on this server, such as Kubernetes puts there. It is read anew for every token.",
        Kind::Code,
    ),
    maybe(
        "authority_url",
        "directory.authority_url",
        "Sign-in service",
        "Root without the tenant.",
        Kind::Url,
    ),
    maybe("graph_url", "directory.graph_url", "Microsoft Graph", "Root without the version.", Kind::Url),
    maybe(
        "scope",
        "directory.scope",
        "Scope of tokens",
        "Such as https://graph.microsoft.com/.default",
        Kind::Code,
    ),
    maybe("cloud", "directory.cloud", "Microsoft cloud", "", Kind::Text),
];

/// The site's fields: the first four, then the organization's.
const SITE: [Ask; 9] = [
    ask("url", "site.url", "Address of the site", "Such as https://acme.atlassian.net", Kind::Url),
    ask(
        "admin_email",
        "site.admin_email",
        "E-mail of the technical account",
        "An account of its own is best: it has to administer the site.",
        Kind::Mail,
    ),
    ask(
        "api_token",
        "site.api_token",
        "API token of that account",
        "Made at id.atlassian.com › Security › API tokens, without scopes.",
        Kind::Secret,
    ),
    maybe("api_token_expires", "site.api_token_expires", "Ends on", "", Kind::Day),
    maybe(
        "organization_id",
        "site.organization.id",
        "Organization ID",
        "At admin.atlassian.com › Settings › API keys.",
        Kind::Code,
    ),
    maybe(
        "organization_key",
        "site.organization.api_key",
        "Organization API key",
        "Without scopes.",
        Kind::Secret,
    ),
    maybe("organization_key_expires", "site.organization.api_key_expires", "Ends on", "", Kind::Day),
    maybe(
        "organization_directory_id",
        "site.organization.directory_id",
        "Directory ID",
        "Only where the organization has several.",
        Kind::Code,
    ),
    maybe(
        "organization_url",
        "site.organization.url",
        "Organization API",
        "Only where it is not https://api.atlassian.com.",
        Kind::Url,
    ),
];

/// Clouds: the word, the name, and where its portal is.
const CLOUDS: [(&str, &str, &str); 4] = [
    ("global", "Worldwide", "https://entra.microsoft.com"),
    ("usgov", "US Government (GCC High)", "https://entra.microsoft.us"),
    ("usgov-dod", "US Government (DoD)", "https://entra.microsoft.us"),
    ("china", "China (21Vianet)", "https://portal.azure.cn"),
];

/// Ways to prove who one is, as they are chosen.
const PROOFS: [(Proof, &str); 4] = [
    (Proof::Secret, "Client secret"),
    (Proof::Certificate, "Certificate"),
    (Proof::Federated, "Federated token"),
    (Proof::Managed, "Managed identity"),
];

struct Choice {
    word: &'static str,
    label: &'static str,
    chosen: bool,
}

/// A finding as it is shown.
struct Found {
    state: &'static str,
    icon: &'static str,
    what: String,
    detail: String,
    remedy: String,
}

/// The result of a test, in words.
struct Told {
    at: When,
    chip: Chip,
    found: Vec<Found>,
}

fn told(tested: &Tested, now: jiff::Timestamp) -> Told {
    let found = |finding: &Finding| {
        let (state, icon) = match finding.state {
            State::Good => ("ok", "ok"),
            State::Notice => ("warn", "warn"),
            State::Bad => ("danger", "danger"),
        };
        Found {
            state,
            icon,
            what: finding.what.clone(),
            detail: sentence(&finding.detail),
            remedy: sentence(&finding.remedy),
        }
    };
    let bad = tested.findings.iter().filter(|finding| finding.state == State::Bad).count();
    let notices = tested.findings.iter().any(|finding| finding.state == State::Notice);
    Told {
        at: When::new(tested.at, now),
        chip: match (bad, notices) {
            (0, false) => Chip::new("ok", "ok", "all good"),
            (0, true) => Chip::new("ok", "ok", "good, with notes"),
            _ => Chip::new("danger", "danger", "not ready"),
        },
        found: tested.findings.iter().map(found).collect(),
    }
}

/// What stands above the form when something is in the way.
struct Trouble {
    headline: String,
    lines: Vec<String>,
}

fn trouble(faults: &[Fault], asks: &[Ask], tested: Option<&Tested>) -> Option<Trouble> {
    if !faults.is_empty() {
        let n = faults.len() as u64;
        let headline =
            format!("{} to mend before it can be tested", crate::console::parts::count(n, "field", "fields"));
        return Some(Trouble { headline, lines: others(asks, faults) });
    }
    let bad = tested?
        .findings
        .iter()
        .find(|finding| finding.state == State::Bad && finding.permission.is_none())?;
    Some(Trouble { headline: bad.what.clone(), lines: vec![sentence(&bad.detail), sentence(&bad.remedy)] })
}

/// What was pressed.
fn pressed(visit: &Visit) -> &str {
    visit.text("do").unwrap_or("go")
}

#[derive(Template)]
#[template(path = "wizard_directory.html")]
struct DirectoryPage {
    frame: Frame,
    fields: Vec<Field>,
    proofs: Vec<Choice>,
    clouds: Vec<Choice>,
    trouble: Option<Trouble>,
    /// Permissions that are missing.
    missing: Vec<String>,
    portal: String,
    told: Option<Told>,
    may_go: bool,
    addresses: bool,
}

impl DirectoryPage {
    fn of(visit: &Visit, draft: &Draft, faults: &[Fault]) -> Self {
        let tested = draft.said.directory.as_ref();
        let findings = tested.map(|tested| tested.findings.as_slice()).unwrap_or_default();
        let cloud = match draft.text("directory.cloud") {
            "" => "global",
            cloud => cloud,
        };
        let portal =
            CLOUDS.iter().find(|(word, ..)| *word == cloud).map_or(CLOUDS[0].2, |(_, _, portal)| portal);
        let client_id = draft.text("directory.client_id");
        let own = ["directory.authority_url", "directory.graph_url", "directory.scope"];
        let at_fault = |key: &&str| faults.iter().any(|fault| fault.key == **key);
        Self {
            frame: Frame::of(visit, draft, Step::Directory, "directory"),
            fields: shown(&DIRECTORY, draft, faults, findings),
            proofs: PROOFS
                .iter()
                .map(|(proof, label)| Choice {
                    word: proof.as_str(),
                    label,
                    chosen: *proof == draft.said.proof,
                })
                .collect(),
            clouds: CLOUDS
                .iter()
                .map(|(word, label, _)| Choice { word, label, chosen: *word == cloud })
                .collect(),
            trouble: trouble(faults, &DIRECTORY, tested),
            missing: findings.iter().filter_map(|finding| finding.permission.clone()).collect(),
            portal: format!(
                "{portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/{}",
                client_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>()
            ),
            told: tested.map(|tested| told(tested, visit.console.service.now())),
            may_go: tested.is_none_or(Tested::is_good),
            addresses: own.iter().any(|key| !draft.text(key).is_empty() || at_fault(key))
                || cloud != "global",
        }
    }

    fn field(&self, name: &str) -> Vec<&Field> {
        self.fields.iter().filter(|field| field.name == name).collect()
    }
}

pub(in crate::console) async fn directory_page(visit: Visit) -> Result {
    match at(&visit, Step::Directory).await? {
        Ok(draft) => Reply::page(&DirectoryPage::of(&visit, &draft, &[])),
        Err(elsewhere) => Ok(elsewhere),
    }
}

pub(in crate::console) async fn directory(visit: Visit) -> Result {
    let mut draft = match at(&visit, Step::Directory).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let mut typed = Secrets::new();
    let mut heard = hear(&visit, &DIRECTORY, &mut draft, &mut typed);
    let proof = visit.text("proof").and_then(Proof::from_word).unwrap_or(draft.said.proof);
    if proof != draft.said.proof {
        draft.said.proof = proof;
        heard = Heard::Changed;
    }
    if heard == Heard::Changed {
        (draft.said.directory, draft.said.planned) = (None, None);
    }
    keep(&visit, &draft, typed).await?;
    let service = &visit.console.service;
    match pressed(&visit) {
        "leave" => return Reply::saying("/setup", "kept"),
        "show" => return Reply::to(&Step::Directory.address(&draft)),
        _ => {}
    }
    let faults = service.judge_draft(&draft.id, Part::Directory).await?;
    if !faults.is_empty() {
        let faults = with_missing(faults, &DIRECTORY, &draft);
        let page = DirectoryPage::of(&visit, &draft, &faults);
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    if pressed(&visit) == "test" || draft.said.directory.is_none() {
        draft.said.directory = Some(service.try_directory(&draft.id).await?);
        keep(&visit, &draft, Secrets::new()).await?;
    }
    let good = draft.said.directory.as_ref().is_some_and(Tested::is_good);
    let next = if good && pressed(&visit) == "go" { Step::Site } else { Step::Directory };
    Reply::to(&next.address(&draft))
}

struct ProductRow {
    name: String,
    used: String,
    limit: Option<String>,
    share: u64,
}

#[derive(Template)]
#[template(path = "wizard_site.html")]
struct SitePage {
    frame: Frame,
    fields: Vec<Field>,
    organization: bool,
    trouble: Option<Trouble>,
    told: Option<Told>,
    products: Vec<ProductRow>,
    may_go: bool,
}

impl SitePage {
    fn of(visit: &Visit, draft: &Draft, faults: &[Fault]) -> Self {
        let tested = draft.said.site.as_ref();
        let findings = tested.map(|tested| tested.findings.as_slice()).unwrap_or_default();
        let at_fault = faults.iter().any(|fault| fault.key.starts_with("site.organization"));
        Self {
            frame: Frame::of(visit, draft, Step::Site, "site"),
            fields: shown(&SITE, draft, faults, findings),
            organization: at_fault
                || SITE
                    .iter()
                    .filter(|ask| ask.key.starts_with("site.organization"))
                    .any(|ask| !draft.text(ask.key).is_empty() || draft.stored.contains(ask.key)),
            trouble: trouble(faults, &SITE, tested),
            told: tested.map(|tested| told(tested, visit.console.service.now())),
            products: tested
                .into_iter()
                .flat_map(|tested| &tested.products)
                .map(|(name, used, limit)| ProductRow {
                    name: name.clone(),
                    used: number(*used),
                    limit: limit.map(number),
                    share: limit.map_or(0, |limit| crate::console::parts::share(*used, limit)),
                })
                .collect(),
            may_go: tested.is_none_or(Tested::is_good),
        }
    }

    fn field(&self, name: &str) -> Vec<&Field> {
        self.fields.iter().filter(|field| field.name == name).collect()
    }
}

pub(in crate::console) async fn site_page(visit: Visit) -> Result {
    match at(&visit, Step::Site).await? {
        Ok(draft) => Reply::page(&SitePage::of(&visit, &draft, &[])),
        Err(elsewhere) => Ok(elsewhere),
    }
}

pub(in crate::console) async fn site(visit: Visit) -> Result {
    let mut draft = match at(&visit, Step::Site).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let mut typed = Secrets::new();
    let mut heard = hear(&visit, &SITE, &mut draft, &mut typed);
    // Without an id there is no organization, and its key is not kept either
    let key = "site.organization.api_key";
    if draft.text("site.organization.id").is_empty() && !typed.contains_key(key) && draft.stored.remove(key) {
        heard = Heard::Changed;
    }
    if heard == Heard::Changed {
        (draft.said.site, draft.said.planned) = (None, None);
    }
    keep(&visit, &draft, typed).await?;
    if pressed(&visit) == "leave" {
        return Reply::saying("/setup", "kept");
    }
    let service = &visit.console.service;
    let faults = service.judge_draft(&draft.id, Part::Site).await?;
    let mine: Vec<Fault> = faults.into_iter().filter(|fault| fault.key.starts_with("site")).collect();
    if !mine.is_empty() {
        let mine = with_missing(mine, &SITE, &draft);
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &SitePage::of(&visit, &draft, &mine));
    }
    if pressed(&visit) == "test" || draft.said.site.is_none() {
        draft.said.site = Some(service.try_site(&draft.id).await?);
        keep(&visit, &draft, Secrets::new()).await?;
    }
    let good = draft.said.site.as_ref().is_some_and(Tested::is_good);
    let next = match (good && pressed(&visit) == "go", Step::Scope.is_open(&draft)) {
        (true, true) => Step::Scope,
        (true, false) => Step::Directory,
        (false, _) => Step::Site,
    };
    Reply::to(&next.address(&draft))
}
