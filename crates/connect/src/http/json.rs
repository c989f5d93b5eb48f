//! Reading answers strictly: an answer that is not what the API documents fails, and is never read as nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Answer;
use crate::Error;

/// Escapes of half a surrogate pair (`"\ud800"`), which are no text and would fail the whole page, become `\ufffd`. Names
/// show it; an address that holds one is none, so that nobody is taken for somebody else.
pub(super) fn mend_lone_surrogates(body: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = body[at..].iter().position(|b| *b == b'\\') {
        at += found;
        match half(body, at) {
            // What follows a backslash is part of its escape, another backslash too.
            None => at = (at + 2).min(body.len()),
            Some(Half::First) if half(body, at + 6) == Some(Half::Second) => at += 12,
            Some(_) => {
                body[at + 2..at + 6].copy_from_slice(b"fffd");
                at += 6;
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// The half of a surrogate pair that is escaped here.
fn half(body: &[u8], at: usize) -> Option<Half> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    match u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::First),
        0xDC00..=0xDFFF => Some(Half::Second),
        _ => None,
    }
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON of this type, whatever the status. A byte order mark at the start is dropped.
    ///
    /// # Errors
    /// `Error::Invalid` when the body is empty, cut off, HTML, not UTF-8, not JSON, of another shape, nested deeper
    /// than 128 levels, or names a property of the type twice.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.json_borrowed()
    }

    /// The same, for types that borrow from the body.
    ///
    /// # Errors
    /// As [`Answer::json`].
    pub fn json_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let first = body.iter().find(|b| !b.is_ascii_whitespace());
        match first {
            None => return Err(self.invalid("it is empty")),
            Some(b'<') => return Err(self.invalid("it is a web page, not JSON")),
            Some(_) => {}
        }
        serde_json::from_slice(body).map_err(|error| {
            use serde_json::error::Category;
            let kind = match error.classify() {
                Category::Eof => "it is cut off",
                Category::Syntax => "it is not JSON",
                Category::Data => "it has another shape than documented",
                Category::Io => "it cannot be read",
            };
            self.invalid(&format!("{kind} (line {}, column {})", error.line(), error.column()))
        })
    }

    /// An error that says what is wrong with this answer, in words that do not quote it.
    pub fn invalid(&self, reason: &str) -> Error {
        Error::Invalid { context: Box::new(self.context.clone()), reason: reason.to_owned() }
    }

    /// The error for a status that the API has no reading of its own for.
    pub fn unexpected(&self) -> Error {
        Error::Status {
            context: Box::new(self.context.clone()),
            status: self.status,
            attempts: self.attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mend_lone_surrogates;

    fn mended(text: &str) -> String {
        let mut body = text.as_bytes().to_vec();
        mend_lone_surrogates(&mut body);
        String::from_utf8(body).expect("still text")
    }

    #[test]
    fn h_06_half_a_surrogate_pair_becomes_the_sign_for_it_and_nothing_else_changes() {
        for (text, wanted) in [
            (r#"["\ud800"]"#, r#"["\ufffd"]"#),
            (r#"["a\uDFFFb"]"#, r#"["a\ufffdb"]"#),
            (r#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
            (r#"["\ude00\ud83d"]"#, r#"["\ufffd\ufffd"]"#),
            (r#"["\\ud800"]"#, r#"["\\ud800"]"#),
            (r#"["\\\ud800"]"#, r#"["\\\ufffd"]"#),
            (r#"["\u00e9\n\ud8"#, r#"["\u00e9\n\ud8"#),
            ("\\", "\\"),
            ("", ""),
        ] {
            assert_eq!(mended(text), wanted, "{text}");
        }
    }
}
