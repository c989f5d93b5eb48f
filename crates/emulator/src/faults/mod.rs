//! Faults: what shall go wrong, where and how often. They are loaded from a file or set through the control URL, and
//! applied by a layer around the handlers (`apply`) so that a write can take place and its answer be lost.

pub(crate) mod apply;
mod glob;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::Surface;
use glob::matches;

/// One fault. It fires on the requests that match surface, method and path, at the calls that `nth`, `from`, `every` and
/// `probability` pick, and at most `count` times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// How it is called in the request log; its kind when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only here; everywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
    /// Only this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only paths like this; `*` stands for anything. With a `?` in it, it is held against path and query, else against
    /// the path alone. For `batch_item` it is held against the url of the inner request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only the nth matching call, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// From the nth matching call on, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Every nth matching call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// With this probability, 0 to 1, drawn from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// At most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens when a fault fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The answer is this instead; the handler does not run. Headers as text, so that `Retry-After` can be anything. The
    /// body is JSON, or raw when it is a string; the cloud's own form of error when absent.
    Status {
        /// 100 to 999.
        status: u16,
        /// Extra headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: Option<Value>,
    },
    /// A redirect to any place.
    Redirect {
        /// The `Location`.
        location: String,
        /// 302 when absent.
        #[serde(default = "found")]
        status: u16,
    },
    /// The connection is reset before the handler has run.
    ResetBefore {},
    /// The connection is reset after the handler has run: a write is applied, its answer lost.
    ResetAfter {},
    /// The handler runs, and its answer begins only after `ms`.
    StallHeaders {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer stops after `after_bytes` for `ms`, then goes on.
    StallBody {
        /// Milliseconds.
        ms: u64,
        /// Bytes sent before the pause.
        #[serde(default)]
        after_bytes: usize,
    },
    /// The answer breaks off after `keep_bytes`, `Content-Length` still telling the whole.
    Truncate {
        /// Bytes sent; half of the body when absent.
        #[serde(default)]
        keep_bytes: Option<usize>,
    },
    /// `Content-Length` is wrong by so many bytes: too large and the connection ends early, too small and the client
    /// sees a cut body.
    WrongLength {
        /// Added to the true length.
        by: i64,
    },
    /// A 200 of JSON's content type that is not JSON.
    NotJson {},
    /// A 200 with a sign-in page in HTML.
    Html {},
    /// A 200 with these bytes, as they are: byte order marks, invalid UTF-8 and the like.
    Bytes {
        /// The body in base64.
        base64: String,
    },
    /// A 200 with JSON nested so deep.
    DeepNesting {
        /// Levels.
        depth: usize,
    },
    /// A 200 with this JSON in place of the handler's, as `{"value": []}` on the first page of users.
    ReplaceBody {
        /// The body.
        body: Value,
    },
    /// The handler's JSON without this key, as `value`.
    DropKey {
        /// The key at the top level.
        key: String,
    },
    /// The handler's JSON with this key set, as `@odata.nextLink`. In a text value `{self}` stands for the address of the
    /// request and `{origin}` for scheme, host and port of the surface.
    SetKey {
        /// The key at the top level.
        key: String,
        /// Its value.
        value: Value,
    },
    /// The handler's page with itself as its `@odata.nextLink`: a loop.
    RepeatPage {},
    /// A body that never ends; it stops when the client hangs up.
    EndlessBody {},
    /// A small gzip body that unfolds to `mib` MiB.
    GzipBomb {
        /// Size when unfolded.
        mib: u32,
    },
    /// One request inside a `$batch` gets this answer.
    BatchItem(ItemFault),
    /// The API token no longer counts: Jira answers as to an anonymous caller, with
    /// `X-Seraph-LoginReason: AUTHENTICATED_FAILED`.
    DeadToken {},
}

fn found() -> u16 {
    302
}

/// The answer to one request inside a `$batch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemFault {
    /// Status of the item; 0 leaves the item out of the answer.
    pub status: u16,
    /// Headers of the item.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body of the item; the cloud's own form of error when absent.
    #[serde(default)]
    pub body: Option<Value>,
}

impl FaultKind {
    /// The name as it is written in a file.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Status { .. } => "status",
            FaultKind::Redirect { .. } => "redirect",
            FaultKind::ResetBefore {} => "reset_before",
            FaultKind::ResetAfter {} => "reset_after",
            FaultKind::StallHeaders { .. } => "stall_headers",
            FaultKind::StallBody { .. } => "stall_body",
            FaultKind::Truncate { .. } => "truncate",
            FaultKind::WrongLength { .. } => "wrong_length",
            FaultKind::NotJson {} => "not_json",
            FaultKind::Html {} => "html",
            FaultKind::Bytes { .. } => "bytes",
            FaultKind::DeepNesting { .. } => "deep_nesting",
            FaultKind::ReplaceBody { .. } => "replace_body",
            FaultKind::DropKey { .. } => "drop_key",
            FaultKind::SetKey { .. } => "set_key",
            FaultKind::RepeatPage {} => "repeat_page",
            FaultKind::EndlessBody {} => "endless_body",
            FaultKind::GzipBomb { .. } => "gzip_bomb",
            FaultKind::BatchItem(_) => "batch_item",
            FaultKind::DeadToken {} => "dead_token",
        }
    }
}

impl Fault {
    /// A fault on every matching request, to be narrowed with struct update syntax.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            name: None,
            surface: None,
            method: None,
            path: None,
            nth: None,
            from: None,
            every: None,
            probability: None,
            count: None,
            kind,
        }
    }

    /// How it is called in the request log.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.kind.name())
    }

    /// Refuses what cannot be done, naming the field.
    pub fn check(&self) -> Result<(), String> {
        for (field, value) in
            [("nth", self.nth), ("from", self.from), ("every", self.every), ("count", self.count)]
        {
            if value == Some(0) {
                return Err(format!("{field} counts from 1"));
            }
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("probability lies between 0 and 1".into());
        }
        if let Some(method) = &self.method
            && !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str())
        {
            return Err(format!("method is one of GET, POST, PUT, PATCH, DELETE, not {method:?}"));
        }
        apply::check(&self.kind)
    }

    fn concerns(&self, surface: Surface, method: &str, path_and_query: &str) -> bool {
        if self.surface.is_some_and(|s| s != surface) || self.method.as_deref().is_some_and(|m| m != method) {
            return false;
        }
        let Some(pattern) = &self.path else { return true };
        let path = path_and_query.split('?').next().unwrap_or_default();
        matches(pattern, if pattern.contains('?') { path_and_query } else { path })
    }
}

/// The faults that are set, with how often each has matched and fired.
#[derive(Debug)]
pub struct Faults {
    inner: Mutex<Inner>,
    seed: u64,
}

#[derive(Debug)]
struct Inner {
    set: Vec<Armed>,
    rng: ChaCha8Rng,
    next_id: u64,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    matched: u64,
    fired: u64,
}

/// A fault as the control URL shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultStatus {
    /// By which it can be taken away.
    pub id: u64,
    /// Requests that matched.
    pub matched: u64,
    /// Times it fired.
    pub fired: u64,
    /// The fault.
    pub fault: Fault,
}

tokio::task_local! {
    /// Whether the request that this task answers carries a dead token; set by the layer.
    static DEAD_TOKEN: bool;
}

impl Faults {
    /// No faults.
    pub fn new(seed: u64) -> Self {
        let inner = Inner { set: Vec::new(), rng: crate::state::stream(seed, 2), next_id: 1 };
        Self { inner: Mutex::new(inner), seed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault behind the others and returns its number. Of several that fire on one request the first one counts.
    pub fn add(&self, fault: Fault) -> Result<u64, String> {
        fault.check()?;
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.set.push(Armed { id, fault, matched: 0, fired: 0 });
        Ok(id)
    }

    /// Takes one fault away; false when there is none by that number.
    pub fn remove(&self, id: u64) -> bool {
        let mut inner = self.lock();
        let before = inner.set.len();
        inner.set.retain(|armed| armed.id != id);
        inner.set.len() < before
    }

    /// Takes all faults away and starts the random numbers anew.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.set.clear();
        inner.rng = crate::state::stream(self.seed, 2);
    }

    /// All faults, with their counts.
    pub fn list(&self) -> Vec<FaultStatus> {
        let show =
            |a: &Armed| FaultStatus { id: a.id, matched: a.matched, fired: a.fired, fault: a.fault.clone() };
        self.lock().set.iter().map(show).collect()
    }

    /// The fault that fires on one request inside a `$batch`, by its url as it stands in the batch.
    pub fn batch_item(&self, url: &str) -> Option<ItemFault> {
        let inside = |kind: &FaultKind| matches!(kind, FaultKind::BatchItem(_));
        let url = url.strip_prefix('/').map_or_else(|| format!("/{url}"), |rest| format!("/{rest}"));
        match self.decide(Surface::Graph, None, &url, inside)?.kind {
            FaultKind::BatchItem(item) => Some(item),
            _ => None,
        }
    }

    /// Whether the credential of the request that is being answered counts as dead.
    pub fn dead_token(&self) -> bool {
        DEAD_TOKEN.try_with(|dead| *dead).unwrap_or(false)
    }

    /// The fault that fires on a request, batch items and dead tokens aside.
    fn on_request(&self, surface: Surface, method: &str, path_and_query: &str) -> Option<Fault> {
        let inside = |kind: &FaultKind| !matches!(kind, FaultKind::BatchItem(_) | FaultKind::DeadToken {});
        self.decide(surface, Some(method), path_and_query, inside)
    }

    /// Whether a dead-token fault fires on a request.
    fn on_token(&self, surface: Surface, method: &str, path_and_query: &str) -> bool {
        let inside = |kind: &FaultKind| matches!(kind, FaultKind::DeadToken {});
        self.decide(surface, Some(method), path_and_query, inside).is_some()
    }

    fn decide(
        &self,
        surface: Surface,
        method: Option<&str>,
        path_and_query: &str,
        inside: impl Fn(&FaultKind) -> bool,
    ) -> Option<Fault> {
        let mut inner = self.lock();
        let Inner { set, rng, .. } = &mut *inner;
        let mut found = None;
        for armed in set.iter_mut().filter(|armed| inside(&armed.fault.kind)) {
            let fault = &armed.fault;
            let method = method.or(fault.method.as_deref()).unwrap_or_default();
            if !fault.concerns(surface, method, path_and_query) {
                continue;
            }
            armed.matched += 1;
            let n = armed.matched;
            let fires = fault.nth.is_none_or(|nth| nth == n)
                && fault.from.is_none_or(|from| n >= from)
                && fault.every.is_none_or(|every| n.is_multiple_of(every))
                && fault.count.is_none_or(|count| armed.fired < count)
                && fault.probability.is_none_or(|p| rng.random::<f64>() < p);
            if fires && found.is_none() {
                armed.fired += 1;
                found = Some(fault.clone());
            }
        }
        found
    }
}

/// A fault file: `faults = [...]` in TOML, `{"faults": [...]}` in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFile {
    #[serde(default)]
    faults: Vec<Fault>,
}

/// Reads faults from a file, JSON or TOML by its ending, and checks each.
pub fn load(path: &Path) -> Result<Vec<Fault>, String> {
    let file: FaultFile = crate::world::file::read_document(path)?;
    for (index, fault) in file.faults.iter().enumerate() {
        fault.check().map_err(|e| format!("{}: faults[{index}]: {e}", path.display()))?;
    }
    Ok(file.faults)
}
