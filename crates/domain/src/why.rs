//! Why somebody saved a version of a document, in their own words: one line, kept with the version.

use std::fmt;

/// One line of text that says why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Why(String);

/// A text that is no such line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWhy {
    /// Nothing but blanks.
    Empty,
    /// More than [`Why::LONGEST`] characters.
    TooLong,
    /// Line ends or other control characters, or signs that turn the direction of text around.
    NotOneLine,
}

impl fmt::Display for NoWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the note is empty"),
            Self::TooLong => write!(f, "the note is longer than {} characters", Why::LONGEST),
            Self::NotOneLine => f.write_str("the note is not one line of plain text"),
        }
    }
}

impl std::error::Error for NoWhy {}

impl Why {
    /// Most characters.
    pub const LONGEST: usize = 200;

    /// A line, without blanks at its ends.
    ///
    /// # Errors
    /// When it is empty, too long, or not one line.
    pub fn parse(text: &str) -> Result<Self, NoWhy> {
        // What turns text around would show another sentence than the one that is stored
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        let text = text.trim();
        match text {
            "" => Err(NoWhy::Empty),
            _ if text.chars().count() > Self::LONGEST => Err(NoWhy::TooLong),
            _ if text.chars().any(|c| c.is_control() || turns(c)) => Err(NoWhy::NotOneLine),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Of a text that may be left out: nothing where there are blanks alone.
    ///
    /// # Errors
    /// When it is too long, or not one line.
    pub fn maybe(text: Option<&str>) -> Result<Option<Self>, NoWhy> {
        match text.map(Self::parse).transpose() {
            Err(NoWhy::Empty) => Ok(None),
            other => other,
        }
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_bounded_line() {
        assert_eq!(Why::parse("  for the audit ").unwrap().as_str(), "for the audit");
        assert_eq!(Why::maybe(Some("  ")), Ok(None));
        assert_eq!(Why::maybe(None), Ok(None));
        assert!(Why::parse(&"ä".repeat(Why::LONGEST)).is_ok());
        assert_eq!(Why::parse(&"ä".repeat(Why::LONGEST + 1)), Err(NoWhy::TooLong));
        for text in ["a\nb", "a\u{1b}[31mb", "a\0b", "a\u{202e}b", "a\u{2028}b", "a\u{85}b"] {
            assert_eq!(Why::parse(text), Err(NoWhy::NotOneLine), "{text:?}");
        }
        assert!(Why::parse("<script>alert(1)</script>").is_ok(), "a text like any other");
    }
}
