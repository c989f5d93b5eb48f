//! On which line each key of a document stands.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};

/// Lines by dotted path; elements of lists are `path[0]`, `path[1]`, …
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    by_path: HashMap<String, usize>,
}

/// The line of a byte, counted from 1.
pub(super) fn line_at(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].split(|b| *b == b'\n').count()
}

impl Lines {
    /// Indexes a parsed document.
    pub(super) fn of_table(text: &str, table: &DeTable<'_>) -> Self {
        let mut lines = Self::default();
        lines.table(text, table, "");
        lines
    }

    fn table(&mut self, text: &str, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.by_path.insert(path.clone(), line_at(text, key.span().start));
            self.value(text, value.get_ref(), &path);
        }
    }

    fn value(&mut self, text: &str, value: &DeValue<'_>, path: &str) {
        match value {
            DeValue::Table(table) => self.table(text, table, path),
            DeValue::Array(list) => {
                for (at, element) in list.iter().enumerate() {
                    let path = format!("{path}[{at}]");
                    self.by_path.insert(path.clone(), line_at(text, element.span().start));
                    self.value(text, element.get_ref(), &path);
                }
            }
            _ => {}
        }
    }

    /// The line of a key, else of the section it belongs to, else the first.
    pub(crate) fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.by_path.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return 1,
            }
        }
    }
}

/// A key below a section.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
