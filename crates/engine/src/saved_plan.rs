//! The file of `entrain plan --out`: the plan as people and programs read it, the digest that a later fresh plan must
//! meet, and a checksum that shows a file cut off or edited by hand.
//!
//! The file grants nothing: `apply` reads both sides again, plans afresh, and goes on only when that plan has the
//! digest of the file. Proofs of absence are not in it and cannot be read from it.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::plan::{Digest, Plan};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::EngineError;

const FORMAT: &str = "entrain-plan";
const VERSION: u32 = 1;

/// A plan as it lies in a file.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    format: String,
    version: u32,
    /// The connection it was made for.
    pub connection: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Digest of the steps and of the rules they rest on.
    pub digest: Digest,
    /// The plan, as `entrain plan --json` prints it.
    pub plan: Value,
    integrity: String,
}

/// What a run must find when it plans afresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The digest of the plan that was looked at.
    pub digest: Digest,
    /// Its steps by name, for telling the difference; `None` when only the digest is known.
    pub steps: Option<BTreeSet<String>>,
}

impl From<Digest> for Expected {
    fn from(digest: Digest) -> Self {
        Self { digest, steps: None }
    }
}

impl Expected {
    /// Refuses a plan that is not the one expected, and says what is different.
    pub(crate) fn met_by(&self, plan: &Plan) -> Result<(), EngineError> {
        if self.digest == plan.digest {
            return Ok(());
        }
        let Some(saved) = &self.steps else {
            return Err(EngineError::Stale("a fresh plan has other steps, or the rules have changed".into()));
        };
        let fresh: BTreeSet<String> = plan.steps.iter().map(|step| step.id().to_string()).collect();
        let list = |steps: Vec<&String>| {
            let shown: Vec<&str> = steps.iter().take(3).map(|s| s.as_str()).collect();
            let more = steps.len().saturating_sub(shown.len());
            if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
        };
        let (new, gone): (Vec<_>, Vec<_>) =
            (fresh.difference(saved).collect(), saved.difference(&fresh).collect());
        let mut parts = Vec::new();
        if !new.is_empty() {
            parts.push(format!("now also to do: {}", list(new)));
        }
        if !gone.is_empty() {
            parts.push(format!("no longer to do: {}", list(gone)));
        }
        if parts.is_empty() {
            parts.push("the steps bear the same names, but their objects or the rules have changed".into());
        }
        Err(EngineError::Stale(parts.join("; ")))
    }
}

impl SavedPlan {
    /// The file of a plan; `document` is that of the preview.
    pub fn new(connection: &str, plan: &Plan, document: Value, made_at: Timestamp) -> Self {
        let mut saved = Self {
            format: FORMAT.into(),
            version: VERSION,
            connection: connection.to_owned(),
            made_at,
            digest: plan.digest.clone(),
            plan: document,
            integrity: String::new(),
        };
        saved.integrity = saved.checksum();
        saved
    }

    /// Reads a file and checks that it is one and whole; fails with `plan_altered`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let saved: Self = serde_json::from_str(text).map_err(|error| {
            Failure::from(EngineError::Altered(format!("it cannot be read at line {}", error.line())))
        })?;
        saved.verify()?;
        Ok(saved)
    }

    /// Checks format, version and checksum; fails with `plan_altered`.
    pub fn verify(&self) -> Result<(), Failure> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(
                EngineError::Altered(format!("it is of the kind {} {}", self.format, self.version)).into()
            );
        }
        if self.integrity != self.checksum() || self.plan["digest"] != self.digest.as_str() {
            return Err(EngineError::Altered("its content does not fit its checksum".into()).into());
        }
        Ok(())
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and JSON values always serialise")
    }

    /// What the run that applies it must find.
    pub fn expected(&self) -> Expected {
        let steps = self.plan["steps"].as_array().map(|steps| {
            steps.iter().filter_map(|step| step["id"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>()
        });
        Expected { digest: self.digest.clone(), steps }
    }

    /// Over every other field; JSON objects are hashed in the order of their keys.
    fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            &self.format,
            &self.version.to_string(),
            &self.connection,
            &self.made_at.to_string(),
            self.digest.as_str(),
            &canonical(&self.plan),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_unstable_by(|a, b| a.0.cmp(b.0));
            let inner: Vec<String> = keys
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
