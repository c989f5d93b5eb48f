//! The connection document (TOML): parsed strictly, refused with key, line and remedy, and never a copy of a secret in
//! what is kept of it.

mod attributes;
mod check;
mod credential;
pub(crate) mod doors;
mod leavers;
mod lines;
mod notify;
mod problem;
mod rules;
mod schedule;
mod seats;
mod secret;
mod sections;
mod values;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

pub(crate) use check::{schema, words};
pub(crate) use credential::DirectoryCredential;
pub(crate) use notify::Carrier;
pub(crate) use problem::{DocumentError, Problem, ProblemKind};
pub(crate) use secret::{Environment, SEALED, Secret};
pub(crate) use sections::{Cloud, Sections};
pub(crate) use values::{Meaning, OrganizationMeaning};

/// Secrets by the dotted path of their key.
pub(crate) type Secrets = BTreeMap<String, SecretString>;

/// Whether a document says who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scoped {
    /// It does.
    ByDocument,
    /// It has no `[scope]`.
    NotSaid,
}

/// A valid connection document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    origin: String,
    sections: Sections,
    meaning: Meaning,
    lines: lines::Lines,
    text: String,
}

impl Document {
    /// Parses a document; `origin` says in messages where it came from.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self, DocumentError> {
        let refuse = |problems| DocumentError { origin: origin.to_owned(), problems };
        let broken = |error: &toml::de::Error, remedy: &str| {
            vec![Problem {
                key: String::new(),
                line: lines::line_at(text, error.span().map_or(0, |s| s.start)),
                // What the parser expected; the line itself is not quoted, it may hold a secret
                what: format!("not TOML: {}", error.message().lines().next().unwrap_or("it cannot be read")),
                remedy: remedy.to_owned(),
                kind: ProblemKind::Document,
            }]
        };
        let table = toml::de::DeTable::parse(text).map_err(|e| {
            refuse(broken(&e, "write key = value lines below [section] lines; text goes in quotes"))
        })?;
        let lines = lines::Lines::of_table(text, table.get_ref());
        let problems = check::problems(table.get_ref(), &lines);
        if !problems.is_empty() {
            return Err(refuse(problems));
        }
        let sections: Sections = toml::from_str(text).map_err(|e| {
            let line = lines::line_at(text, e.span().map_or(0, |s| s.start));
            refuse(vec![Problem {
                key: String::new(),
                line,
                what: "the value is not what the key takes".into(),
                remedy: "see `entrain connection schema`".into(),
                kind: ProblemKind::Document,
            }])
        })?;
        let meaning = values::read(&sections, &lines).map_err(refuse)?;
        let text = without_secrets(text, &sections);
        Ok(Self { origin: origin.to_owned(), sections, meaning, lines, text })
    }

    /// The connection's name.
    pub(crate) fn name(&self) -> &str {
        &self.sections.name
    }

    /// The sections as written.
    pub(crate) fn sections(&self) -> &Sections {
        &self.sections
    }

    /// What they mean.
    pub(crate) fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// The text, comments included, with `"sealed"` in place of every secret: what is stored and exported.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Every secret of the document with its key.
    pub(crate) fn secrets(&self) -> Vec<(String, &Secret)> {
        secrets_of(&self.sections)
    }

    /// Secrets that the document itself holds, for the store to seal.
    pub(crate) fn plain_secrets(&self) -> Secrets {
        let plain = |(key, secret): (String, &Secret)| match secret {
            Secret::Plain(secret) => Some((key, secret.clone())),
            _ => None,
        };
        self.secrets().into_iter().filter_map(plain).collect()
    }

    /// Parses a document of which only the directory is needed: `[site]` and `[scope]` may be missing. They are not
    /// needed then, but what stands there is checked all the same.
    pub(crate) fn parse_for_directory(text: &str, origin: &str) -> Result<(Self, Scoped), DocumentError> {
        let has = |key: &str| text.parse::<toml_edit::DocumentMut>().is_ok_and(|d| d.contains_key(key));
        let (site, scope) = (has("site"), has("scope"));
        // Behind the text, so that lines keep their numbers
        let mut whole = text.to_owned();
        if !site {
            whole.push_str(
                "\n[site]\nurl = \"https://site.invalid\"\nadmin_email = \"nobody@site.invalid\"\n",
            );
            whole.push_str("api_token = \"sealed\"\n");
        }
        if !scope {
            whole.push_str("\n[scope]\ngroups = [\"*\"]\n");
        }
        let document = Self::parse(&whole, origin)?;
        Ok((document, if scope { Scoped::ByDocument } else { Scoped::NotSaid }))
    }

    /// All secrets, references followed; those that are sealed come from `kept`.
    pub(crate) fn resolve(
        &self,
        environment: Environment<'_>,
        kept: &Secrets,
    ) -> Result<Secrets, DocumentError> {
        self.resolve_below("", environment, kept)
    }

    /// The secrets of both sides: what a run needs. A channel of alerts that lacks its own keeps nobody from working.
    pub(crate) fn resolve_sides(
        &self,
        environment: Environment<'_>,
        kept: &Secrets,
    ) -> Result<Secrets, DocumentError> {
        let mut secrets = self.resolve_below("directory.", environment, kept)?;
        secrets.extend(self.resolve_below("site.", environment, kept)?);
        Ok(secrets)
    }

    /// The secrets of one section, with the sections below it.
    pub(crate) fn resolve_below(
        &self,
        section: &str,
        environment: Environment<'_>,
        kept: &Secrets,
    ) -> Result<Secrets, DocumentError> {
        let mut found = Secrets::new();
        let mut problems = Vec::new();
        for (key, secret) in self.secrets().into_iter().filter(|(key, _)| key.starts_with(section)) {
            let resolved = secret.resolve(environment, kept.get(&key)).and_then(|value| {
                notify::usable(&key, &value)?;
                Ok(value)
            });
            match resolved {
                Ok(value) => drop(found.insert(key, value)),
                Err(absent) => problems.push(Problem {
                    line: self.lines.line(&key),
                    key,
                    what: absent.what,
                    remedy: absent.remedy,
                    kind: ProblemKind::Secret,
                }),
            }
        }
        if problems.is_empty() {
            Ok(found)
        } else {
            Err(DocumentError { origin: self.origin.clone(), problems })
        }
    }

    /// A file that the document names, with its key and line in the message when it cannot be read.
    pub(crate) fn read_file(&self, key: &str, path: &std::path::Path) -> Result<Vec<u8>, DocumentError> {
        std::fs::read(path).map_err(|e| DocumentError {
            origin: self.origin.clone(),
            problems: vec![Problem {
                key: key.to_owned(),
                line: self.lines.line(key),
                what: format!("names {}, which cannot be read ({e})", path.display()),
                remedy: "make the file readable for the user that entrain runs as, or name another".into(),
                kind: ProblemKind::Secret,
            }],
        })
    }
}

fn secrets_of(sections: &Sections) -> Vec<(String, &Secret)> {
    let mut secrets = Vec::new();
    if let Some(secret) = &sections.directory.client_secret {
        secrets.push(("directory.client_secret".to_owned(), secret));
    }
    if let Some(key) = &sections.directory.private_key {
        secrets.push(("directory.private_key".to_owned(), key));
    }
    secrets.push(("site.api_token".to_owned(), &sections.site.api_token));
    if let Some(organization) = &sections.site.organization {
        secrets.push(("site.organization.api_key".to_owned(), &organization.api_key));
    }
    for (name, channel) in &sections.notify.channels {
        for (key, secret) in
            [("url", &channel.url), ("secret", &channel.secret), ("password", &channel.password)]
        {
            secrets.extend(secret.as_ref().map(|secret| (format!("notify.channels.{name}.{key}"), secret)));
        }
    }
    if let Some(secret) = sections.doors.access.as_ref().and_then(|access| access.client_secret.as_ref()) {
        secrets.push((doors::CLIENT_SECRET.to_owned(), secret));
    }
    if let Some(webhook) = &sections.doors.webhook {
        secrets.push((doors::WEBHOOK_SECRET.to_owned(), &webhook.secret));
        if let Some(secret) = &webhook.previous_secret {
            secrets.push((doors::PREVIOUS_SECRET.to_owned(), secret));
        }
    }
    secrets
}

/// The text with plain secrets replaced. Comments that repeat a secret lose it too.
fn without_secrets(text: &str, sections: &Sections) -> String {
    let mut edited: toml_edit::DocumentMut = text.parse().expect("the same text was parsed before");
    let mut plain = Vec::new();
    for (key, secret) in secrets_of(sections) {
        let Secret::Plain(secret) = secret else { continue };
        plain.push(secret);
        let mut item = Some(edited.as_item_mut());
        for part in key.split('.') {
            item = item.and_then(|i| i.get_mut(part));
        }
        if let Some(value) = item.and_then(toml_edit::Item::as_value_mut) {
            let decor = value.decor().clone();
            *value = toml_edit::Value::from(SEALED);
            *value.decor_mut() = decor;
        }
    }
    let mut text = edited.to_string();
    for secret in plain {
        // Only as long as the document stays one: a short secret may be part of an innocent word
        let scrubbed = text.replace(secret.expose_secret(), SEALED);
        if secret.expose_secret().len() >= 8 && toml::from_str::<Sections>(&scrubbed).is_ok() {
            text = scrubbed;
        }
    }
    text
}

#[cfg(test)]
mod tests;
