//! Secrets as documents write them: a reference to a variable or a file, plain text, or `"sealed"`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// The word that stands for a secret kept by the store.
pub(crate) const SEALED: &str = "sealed";

/// Where the environment is looked up; tests hand in their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A secret of a document.
#[derive(Clone)]
pub(crate) enum Secret {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File(PathBuf),
    /// The secret itself.
    Plain(SecretString),
    /// `sealed`: what the store keeps.
    Sealed,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Plain(_) => f.write_str("[redacted]"),
            Self::Sealed => f.write_str(SEALED),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "format": "secret",
            "examples": ["env:NAME", "file:PATH", "sealed"],
        })
    }
}

/// Why a secret is not there, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    /// What happened.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Secret {
    fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Variable(name.trim().to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(path))
        } else if text == SEALED {
            Self::Sealed
        } else {
            Self::Plain(SecretString::from(text.to_owned()))
        }
    }

    /// The secret itself. Relative paths are relative to where the program was started, as a shell would read them.
    pub(crate) fn resolve(
        &self,
        environment: Environment<'_>,
        sealed: Option<&SecretString>,
    ) -> Result<SecretString, Absent> {
        match self {
            Self::Plain(secret) => Ok(secret.clone()),
            Self::Sealed => sealed.cloned().ok_or_else(|| Absent {
                what: "says “sealed”, and nothing is stored for it".into(),
                remedy: "write the secret itself, env:NAME or file:PATH".into(),
            }),
            Self::Variable(name) => variable(name, environment),
            Self::File(path) => file(path),
        }
    }
}

fn variable(name: &str, environment: Environment<'_>) -> Result<SecretString, Absent> {
    let remedy = || format!("set it where entrain runs (export {name}=…), or write file:PATH instead");
    let absent = |what: &str| Absent {
        what: format!("refers to the variable {name}, which {what}"),
        remedy: remedy(),
    };
    let value = environment(name).ok_or_else(|| absent("is not set"))?;
    match value.into_string() {
        Ok(text) if text.trim().is_empty() => Err(absent("is empty")),
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(absent("is not text in UTF-8")),
    }
}

/// A secret's file; the line break that editors put at its end is no part of the secret.
fn file(path: &Path) -> Result<SecretString, Absent> {
    let absent = |what: String| Absent {
        what: format!("refers to the file {}, which {what}", path.display()),
        remedy: "make the file readable for the user that entrain runs as, or name another".into(),
    };
    let text = std::fs::read_to_string(path).map_err(|e| absent(format!("cannot be read ({e})")))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(absent("is empty".into())) } else { Ok(SecretString::from(secret.to_owned())) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_secret_is_never_shown_and_a_reference_always() {
        assert_eq!(format!("{:?}", Secret::parse("canary")), "[redacted]");
        assert_eq!(format!("{:?}", Secret::parse("env:TOKEN")), "env:TOKEN");
        assert_eq!(format!("{:?}", Secret::parse("sealed")), "sealed");
    }

    #[test]
    fn references_are_followed_and_say_what_is_missing() {
        let environment = |name: &str| match name {
            "HERE" => Some(OsString::from("value")),
            "BLANK" => Some(OsString::from(" ")),
            _ => None,
        };
        assert_eq!(Secret::parse("env:HERE").resolve(&environment, None).unwrap().expose_secret(), "value");
        let missing = Secret::parse("env:GONE").resolve(&environment, None).unwrap_err();
        assert!(missing.what.contains("GONE") && missing.what.contains("not set"), "{missing:?}");
        assert!(Secret::parse("env:BLANK").resolve(&environment, None).unwrap_err().what.contains("empty"));
        assert!(Secret::parse("sealed").resolve(&environment, None).is_err());

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from a file\n").unwrap();
        let reference = Secret::parse(&format!("file:{}", path.display()));
        assert_eq!(reference.resolve(&environment, None).unwrap().expose_secret(), "from a file");
    }
}
