//! E-mail addresses and names, and what makes two of them the same.
//!
//! Two different people must never be merged, so comparison is narrow: addresses are equal when they agree without
//! regard to the case of ASCII letters, and nothing else is folded (no plus-address stripping, no Unicode folding).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An e-mail address, kept as written and compared without regard to ASCII case.
#[derive(Clone)]
pub struct EmailAddress(Arc<str>);

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl EmailAddress {
    /// Parses an address; blanks around it are dropped.
    ///
    /// The check is deliberately small (one `@` with something on both sides, no blanks, control characters or signs for damaged ones, at
    /// most 254 bytes): the clouds decide what they accept, this only keeps nonsense out of requests.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        checked(text).map(|text| Self(Arc::from(text)))
    }

    /// The same for a text that is kept anyway: a hundred thousand addresses need not be in memory twice.
    pub(crate) fn parse_shared(text: &Arc<str>) -> Result<Self, InvalidEmail> {
        let address = checked(text)?;
        Ok(Self(if address.len() == text.len() { text.clone() } else { Arc::from(address) }))
    }

    /// The address as it was written, without a copy.
    pub(crate) fn into_text(self) -> Arc<str> {
        self.0
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an account that hides its address may be the one of this address, by the name that it shows: that of the
    /// person, or for somebody invited who has not signed in yet, the address or the part of it before the `@`.
    pub fn is_named(&self, shown: &str, name: &str) -> bool {
        same_name(shown, name) || self.stand_ins().any(|stand_in| same_name(shown, stand_in))
    }

    /// What the site shows as the name of somebody invited who has not signed in yet.
    pub(crate) fn stand_ins(&self) -> impl Iterator<Item = &str> {
        let local = self.as_str().rsplit_once('@').map(|(local, _)| local);
        [Some(self.as_str()), local].into_iter().flatten()
    }

    /// The form under which two spellings of one address are equal.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn checked(text: &str) -> Result<&str, InvalidEmail> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
    let bad = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"' | '\u{FFFD}')
    };
    if local.is_empty()
        || domain.is_empty()
        || text.len() > 254
        || text.chars().any(bad)
        || local.contains('@')
    {
        return Err(InvalidEmail);
    }
    Ok(text)
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.0)
    }
}
impl serde::Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> serde::Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether two display names are the same person's name as far as a machine may say: equal without regard to case
/// and to runs of blanks. Used only to accept an account whose address is hidden (see `policy::matching`).
pub fn same_name(a: &str, b: &str) -> bool {
    let a = folded_name(a);
    !a.is_empty() && a == folded_name(b)
}

/// The form under which [`same_name`] compares.
pub(crate) fn folded_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_address_is_told_by_the_name_or_by_what_stands_in_for_it_before_the_first_sign_in() {
        let address = EmailAddress::parse("Ana.Silva@example.com").unwrap();
        for shown in ["Ana Silva", "ana  silva", "ana.silva@example.com", "ana.silva", "ANA.SILVA"] {
            assert!(address.is_named(shown, "Ana Silva"), "{shown}");
        }
        for shown in ["", "Ana", "Silva", "ana.silva@example.org", "example.com", "ana silva"] {
            assert!(!address.is_named(shown, "Ana Maria Silva"), "{shown}");
        }
        assert!(!EmailAddress::parse("a@example.com").unwrap().is_named("", ""));
    }

    #[test]
    fn an_address_is_compared_without_case_and_nothing_else() {
        let a = EmailAddress::parse(" Ana.Silva@Example.com ").unwrap();
        assert_eq!(a, EmailAddress::parse("ana.silva@example.COM").unwrap());
        assert_ne!(a, EmailAddress::parse("ana.silva+jira@example.com").unwrap());
        // H-02: full-width and dotless letters stay different people
        assert_ne!(
            EmailAddress::parse("ıvan@example.com").unwrap(),
            EmailAddress::parse("ivan@example.com").unwrap()
        );
    }

    #[test]
    fn nonsense_is_not_an_address() {
        for text in
            ["", "ana", "@example.com", "ana@", "a b@example.com", "a@b@c", "ana\n@example.com", "<a@b.c>"]
        {
            assert_eq!(EmailAddress::parse(text).unwrap_err(), InvalidEmail, "{text:?}");
        }
    }

    #[test]
    fn names_agree_across_case_and_blanks_only() {
        assert!(same_name("Dana  Okafor", "dana okafor "));
        assert!(!same_name("Dana Okafor", "Dana Okafor-Stein"));
        assert!(!same_name("", " "));
    }
}
