//! Reading answers strictly: an answer that is not what the API documents fails, and is never read as nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Answer;
use crate::Error;

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
