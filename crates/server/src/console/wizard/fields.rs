//! Fields of the wizard's forms: which key of the connection document each one is, how it is asked for, and what the
//! parser of documents or a test said of it.

use crate::console::parts::sentence;
use crate::console::visit::Visit;
use crate::drafts::{Draft, Fault, Finding, SECRET_KEYS, Secrets};

/// How a field is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// An id: letters of one width.
    Code,
    Mail,
    Url,
    Day,
    Secret,
    /// Several lines.
    Lines,
    /// Several lines that are a secret.
    SecretLines,
}

/// What is asked for.
pub(super) struct Ask {
    /// Its name in the form.
    pub(super) name: &'static str,
    /// The dotted key of the document.
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    /// Whether it may be left out.
    pub(super) optional: bool,
}

/// A field as it is shown.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) optional: bool,
    pub(super) value: String,
    /// Said in place of a secret that is kept.
    pub(super) stored: Option<&'static str>,
    pub(super) error: Option<String>,
}

impl Field {
    pub(super) fn described(&self) -> String {
        let mut by = Vec::new();
        if !self.help.is_empty() {
            by.push(format!("{}-h", self.name));
        }
        if self.error.is_some() {
            by.push(format!("{}-e", self.name));
        }
        by.join(" ")
    }
}

/// A fault in words for its field: what the document would want of a line says nothing to who fills in a form.
fn words(label: &str, fault: &Fault) -> String {
    let what = fault.what.split(',').next().unwrap_or_default();
    if what == "is missing" || what == "is empty" {
        return format!("{label} is missing.");
    }
    let of_document = fault.remedy.contains(" = ") || fault.remedy.contains('[');
    let remedy = if of_document { String::new() } else { format!(" {}", sentence(&fault.remedy)) };
    format!("{label} {}{remedy}", sentence_rest(&fault.what))
}

fn sentence_rest(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '?', '!', '”']) { text.to_owned() } else { format!("{text}.") }
}

/// The fields, with what was said so far and what is wrong with it.
pub(super) fn shown(asks: &[Ask], draft: &Draft, faults: &[Fault], findings: &[Finding]) -> Vec<Field> {
    let field = |ask: &Ask| {
        let secret = SECRET_KEYS.contains(&ask.key);
        let said = draft.text(ask.key);
        let fault = faults.iter().find(|fault| fault.key == ask.key).map(|fault| words(ask.label, fault));
        let found = findings.iter().find(|finding| finding.key.as_deref() == Some(ask.key));
        Field {
            name: ask.name,
            label: ask.label,
            help: ask.help,
            kind: ask.kind,
            optional: ask.optional,
            stored: match (secret, draft.stored.contains(ask.key), said.is_empty()) {
                (true, true, _) => Some("Stored and sealed. Type to replace it"),
                (true, false, false) => Some("Taken from this server. Type to replace it"),
                _ => None,
            },
            value: if secret { String::new() } else { said.to_owned() },
            error: fault.or_else(|| found.map(|finding| sentence(&finding.detail))),
        }
    };
    asks.iter().map(field).collect()
}

/// The same faults, and every further field that is missing: the parser names the first kind of mistake that it meets, and
/// who fills in a form wants to know of all empty fields at once.
pub(super) fn with_missing(mut faults: Vec<Fault>, asks: &[Ask], draft: &Draft) -> Vec<Fault> {
    if faults.is_empty() {
        return faults;
    }
    for ask in asks.iter().filter(|ask| !ask.optional && draft.uses(ask.key)) {
        let said = !draft.text(ask.key).is_empty() || draft.stored.contains(ask.key);
        if !said && !faults.iter().any(|fault| fault.key == ask.key) {
            faults.push(Fault { key: ask.key.into(), what: "is missing".into(), remedy: String::new() });
        }
    }
    faults
}

/// Faults that are about no field of the page, in words.
pub(super) fn others(asks: &[Ask], faults: &[Fault]) -> Vec<String> {
    let other = |fault: &&Fault| !asks.iter().any(|ask| ask.key == fault.key);
    let words = |fault: &Fault| {
        let what =
            if fault.key.is_empty() { fault.what.clone() } else { format!("{} {}", fault.key, fault.what) };
        format!("{} {}", sentence(&what), sentence(&fault.remedy))
    };
    faults.iter().filter(other).map(words).collect()
}

/// Whether what was sent is other than what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Same,
    Changed,
}

/// Takes what was sent into the draft. A secret is put aside for the store, unless it only says where the secret is; an
/// empty field of a secret leaves it as it is.
pub(super) fn hear(visit: &Visit, asks: &[Ask], draft: &mut Draft, typed: &mut Secrets) -> Heard {
    let before = draft.said.values.clone();
    for ask in asks {
        let Some(text) = visit.field(ask.name).map(|text| text.replace("\r\n", "\n")) else { continue };
        let text = text.trim();
        let key = ask.key.to_owned();
        if !SECRET_KEYS.contains(&ask.key) {
            if text.is_empty() {
                draft.said.values.remove(&key);
            } else {
                draft.said.values.insert(key, text.into());
            }
        } else if text.starts_with("env:") || text.starts_with("file:") {
            draft.stored.remove(&key);
            draft.said.values.insert(key, text.into());
        } else if !text.is_empty() {
            draft.said.values.remove(&key);
            draft.stored.insert(key.clone());
            typed.insert(key, text.to_owned().into());
        }
    }
    if typed.is_empty() && draft.said.values == before { Heard::Same } else { Heard::Changed }
}
