//! Drafts: connections that somebody is setting up, step by step. What was said is kept by the dotted keys of the
//! connection document, so that the one parser of documents judges it and its findings come back under the same keys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::service::Answer;

/// Secrets by their dotted keys.
pub type Secrets = BTreeMap<String, SecretString>;

/// A draft, without its secrets.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Id.
    pub id: String,
    /// What was said so far.
    pub said: Said,
    /// Keys of the secrets that are kept with it.
    pub stored: BTreeSet<String>,
    /// Who said something last.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// What somebody has said so far, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Texts, flags and lists by the dotted keys of the connection document. No secret is among them.
    pub values: BTreeMap<String, Value>,
    /// How the application proves who it is.
    pub proof: Proof,
    /// Names of directory groups that were picked by id, for people who read the document.
    pub names: BTreeMap<String, String>,
    /// The last test of the directory, unless something was changed since.
    pub directory: Option<Tested>,
    /// The last test of the site, likewise.
    pub site: Option<Tested>,
    /// When the operations and the scope were last confirmed.
    pub chosen: Option<Timestamp>,
    /// When the first plan was made, unless something was changed since.
    pub planned: Option<Timestamp>,
    /// Name of the connection, once it was stored.
    pub connection: Option<String>,
    /// The first run, once it was started.
    pub run: Option<String>,
}

/// How the application proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// By a client secret.
    #[default]
    Secret,
    /// By a certificate, as PEM.
    Certificate,
    /// By a token file of another identity provider.
    Federated,
    /// By the managed identity of the machine.
    Managed,
}

impl Proof {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Certificate, Self::Federated, Self::Managed];

    /// The word for it in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Certificate => "certificate",
            Self::Federated => "federated",
            Self::Managed => "managed",
        }
    }

    /// Which one a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proof| proof.as_str() == word)
    }

    /// The keys of the document that it uses.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Secret => &["directory.client_secret", "directory.client_secret_expires"],
            Self::Certificate => &["directory.certificate", "directory.private_key"],
            Self::Federated => &["directory.federated_token_file"],
            Self::Managed => &["directory.managed_identity"],
        }
    }
}

/// A test of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// When.
    pub at: Timestamp,
    /// What was found, in the order of looking.
    pub findings: Vec<Finding>,
    /// Products of the site: name, seats taken, seats there are.
    #[serde(default)]
    pub products: Vec<(String, u64, Option<u64>)>,
}

impl Tested {
    /// Whether nothing is in the way.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.state != State::Bad)
    }
}

/// How a finding came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Good,
    /// Works, but somebody should know.
    Notice,
    /// A run would fail.
    Bad,
}

/// One thing that a test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// What to do; empty where there is nothing to do.
    pub remedy: String,
    /// The permission of Microsoft Graph that has to be granted.
    #[serde(default)]
    pub permission: Option<String>,
    /// The key of the document that caused it.
    #[serde(default)]
    pub key: Option<String>,
}

/// The part of a draft that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its name and its directory.
    Directory,
    /// Its site alone.
    Site,
    /// All of it.
    Whole,
}

/// Something in a draft that the parser of documents refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted key; empty for the document as a whole.
    pub key: String,
    /// What is wrong, to be read after the key.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A group of a draft's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeen {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Enabled people in it, those of nested groups among them; nothing where its members could not be read.
    pub people: Option<u64>,
    /// Whether the draft's scope names it.
    pub selected: bool,
}

/// What the directory of a draft holds, read once for all pages about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is being read.
    Reading,
    /// It was read.
    Read {
        /// When.
        at: Timestamp,
        /// Groups by name.
        groups: Vec<GroupSeen>,
        /// Enabled people.
        enabled: u64,
        /// People who take part by the scope as it is said; nothing where the scope is not valid.
        taking_part: Option<u64>,
    },
}

/// The keys of the document that the wizard asks for, in the order in which they are written.
pub const KEYS: [&str; 30] = [
    "name",
    "directory.tenant_id",
    "directory.client_id",
    "directory.client_secret",
    "directory.client_secret_expires",
    "directory.certificate",
    "directory.private_key",
    "directory.federated_token_file",
    "directory.managed_identity",
    "directory.cloud",
    "directory.authority_url",
    "directory.graph_url",
    "directory.scope",
    "site.url",
    "site.admin_email",
    "site.api_token",
    "site.api_token_expires",
    "site.organization.id",
    "site.organization.directory_id",
    "site.organization.api_key",
    "site.organization.api_key_expires",
    "site.organization.url",
    "operations.import_users",
    "operations.import_groups",
    "operations.sync_memberships",
    "scope.groups",
    "scope.users",
    "scope.assigned_to",
    "scope.guests",
    "schedule.every",
];

/// Keys that hold secrets.
pub const SECRET_KEYS: [&str; 4] =
    ["directory.client_secret", "directory.private_key", "site.api_token", "site.organization.api_key"];

impl Draft {
    /// A text that was said; empty where none was.
    pub fn text(&self, key: &str) -> &str {
        self.said.values.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of a list that was said.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let list = self.said.values.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A flag that was said, or what it is where nobody said anything.
    pub fn flag(&self, key: &str, otherwise: Flag) -> Flag {
        match self.said.values.get(key).and_then(Value::as_bool) {
            Some(true) => Flag::On,
            Some(false) => Flag::Off,
            None => otherwise,
        }
    }

    /// Whether its document has a line of this key: credentials that were not chosen have none.
    pub fn uses(&self, key: &str) -> bool {
        let mut other =
            Proof::ALL.into_iter().filter(|proof| *proof != self.said.proof).flat_map(Proof::keys);
        let assigned = key != "scope.assigned_to" || self.text("scope.users") == "assigned";
        assigned && !other.any(|other| *other == key)
    }

    /// The lines of its document up to a part, in their order; a kept secret is the word `sealed`. Credentials that were
    /// typed and not chosen are left out.
    pub fn lines(&self, part: Part) -> Vec<(&'static str, Value)> {
        let wanted = |key: &str| match part {
            Part::Directory => key == "name" || key.starts_with("directory."),
            Part::Site => key.starts_with("site."),
            Part::Whole => true,
        };
        let chosen = |key: &&str| wanted(key) && self.uses(key);
        let line = |key: &'static str| {
            if key == "directory.managed_identity" {
                return Some((key, Value::Bool(true)));
            }
            if self.stored.contains(key) {
                return Some((key, Value::from("sealed")));
            }
            let value = self.said.values.get(key).filter(|value| value.as_str() != Some(""))?;
            Some((key, value.clone()))
        };
        KEYS.into_iter().filter(|key| chosen(key)).filter_map(line).collect()
    }
}

/// Yes or no, as a person ticked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Ticked.
    On,
    /// Not ticked.
    Off,
}

/// What the service needs to set connections up. No call but [`Drafts::store_draft`] changes a connection, and none writes
/// to a cloud.
pub trait Drafts: Send + Sync {
    /// All drafts, the newest first.
    fn drafts(&self) -> Answer<'_, Vec<Draft>>;
    /// One of them.
    fn draft<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Draft>>;
    /// Keeps a draft, new or again: `typed` are secrets that were typed just now, the others that it names as stored are
    /// kept, and the rest is forgotten.
    fn keep_draft<'a>(&'a self, draft: &'a Draft, typed: Secrets, by: &'a str) -> Answer<'a, ()>;
    /// Throws a draft away, with its secrets.
    fn drop_draft<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// What the parser of documents says of a part of it.
    fn judge_draft<'a>(&'a self, id: &'a str, part: Part) -> Answer<'a, Vec<Fault>>;
    /// Signs in to the directory and tries each permission.
    fn try_directory<'a>(&'a self, id: &'a str) -> Answer<'a, Tested>;
    /// Signs in to the site, and to the organization where there is a key, and looks what may be done there.
    fn try_site<'a>(&'a self, id: &'a str) -> Answer<'a, Tested>;
    /// The groups of its directory. The first call reads the directory, and waits a while for it.
    fn draft_groups<'a>(&'a self, id: &'a str) -> Answer<'a, Seen>;
    /// The first plan; nothing is written and no connection is stored.
    fn plan_draft<'a>(&'a self, id: &'a str) -> Answer<'a, Value>;
    /// Stores its connection, new or again, and gives back the name.
    fn store_draft<'a>(&'a self, id: &'a str, by: &'a str) -> Answer<'a, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let mut said = Said::default();
        for (key, value) in [
            ("name", "Azure AD"),
            ("directory.client_secret_expires", "2027-01-31"),
            ("directory.certificate", "PEM"),
            ("directory.scope", ""),
            ("site.url", "https://acme.atlassian.net"),
        ] {
            said.values.insert(key.into(), value.into());
        }
        let stored = ["directory.client_secret", "directory.private_key", "site.api_token"];
        Draft {
            id: "d".into(),
            said,
            stored: stored.map(str::to_owned).into(),
            author: "Ana".into(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_document_has_the_lines_of_its_part_and_of_the_chosen_credential() {
        let mut draft = draft();
        let keys =
            |draft: &Draft, part| draft.lines(part).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(
            keys(&draft, Part::Directory),
            ["name", "directory.client_secret", "directory.client_secret_expires"]
        );
        assert_eq!(draft.lines(Part::Directory)[1].1, "sealed");
        assert_eq!(keys(&draft, Part::Site), ["site.url", "site.api_token"]);
        draft.said.proof = Proof::Certificate;
        assert_eq!(keys(&draft, Part::Directory), ["name", "directory.certificate", "directory.private_key"]);
        draft.said.proof = Proof::Managed;
        assert_eq!(draft.lines(Part::Directory)[1], ("directory.managed_identity", Value::Bool(true)));
    }

    #[test]
    fn every_secret_of_the_wizard_is_one_of_its_keys() {
        assert!(SECRET_KEYS.iter().all(|key| KEYS.contains(key)));
    }
}
