//! Checksums of rows. SQLite's integrity check proves that the tree of pages is sound and that indexes agree with
//! their tables; a flipped bit inside a value is sound to it. Every row therefore carries a sum over its own values
//! (quality.md R-06), which is looked at whenever the row is read.

use sha2::{Digest, Sha256};

/// A sum being made. Fields are told apart by length, so that no two rows share one by shifting text between columns.
pub(crate) struct Sum(Sha256);

impl Sum {
    /// The sum of a row of this table.
    pub(crate) fn of(table: &str) -> Self {
        Self(Sha256::new()).text(table)
    }
    /// Adds a text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
        self
    }
    /// Adds a text that may be absent.
    pub(crate) fn maybe(mut self, text: Option<&str>) -> Self {
        if let Some(text) = text {
            return self.text(text);
        }
        self.0.update(u64::MAX.to_le_bytes());
        self
    }
    /// Adds a number.
    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.update(number.to_le_bytes());
        self
    }
    /// The first 64 bits of the digest, as a column holds them.
    pub(crate) fn finish(self) -> i64 {
        let digest = self.0.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(first)
    }
}

/// Text as both databases take it: PostgreSQL refuses NUL, which a cloud's answer may contain (quality.md H-01).
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_moves_between_columns_changes_the_sum() {
        assert_ne!(Sum::of("t").text("ab").text("c").finish(), Sum::of("t").text("a").text("bc").finish());
        assert_ne!(Sum::of("t").maybe(None).finish(), Sum::of("t").maybe(Some("")).finish());
        assert_ne!(Sum::of("t").text("a").finish(), Sum::of("u").text("a").finish());
    }
}
