//! A backup that is read: whole, unaltered, and of tables that this version has.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::table::{Cell, Table};
use super::{Backup, FORMAT, Head, TableLine, last_line, migrations};
use crate::error::{Error, Result};

/// A line of a backup that was found sound.
pub(super) enum Line<'a> {
    Head(Head),
    Table(&'a Table),
    Row(&'a Table, Vec<Cell>),
}

/// A backup file, read from its beginning.
pub(super) struct Reader<'a> {
    path: &'a Path,
    tables: &'a [Table],
    file: BufReader<File>,
    pub(super) hash: Sha256,
    rows: u64,
    table: Option<usize>,
    begun: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn open(path: &'a Path, tables: &'a [Table]) -> Result<Self> {
        let file = File::open(path).map_err(Error::file(path))?;
        if !file.metadata().map_err(Error::file(path))?.is_file() {
            return Err(Error::File { path: path.display().to_string(), why: "it is not a file".into() });
        }
        let file = BufReader::new(file);
        Ok(Self { path, tables, file, hash: Sha256::new(), rows: 0, table: None, begun: false })
    }

    pub(super) fn refused(&self, why: impl Into<String>) -> Error {
        Error::BackupUnusable { path: self.path.display().to_string(), why: why.into() }
    }

    /// The next line; `None` behind the last one, whose digest agreed.
    pub(super) fn next(&mut self) -> Result<Option<Line<'a>>> {
        let mut bytes = Vec::new();
        self.file.read_until(b'\n', &mut bytes).map_err(Error::file(self.path))?;
        if !self.begun {
            self.begun = true;
            let head = self.head(&bytes)?;
            self.hash.update(&bytes);
            return Ok(Some(Line::Head(head)));
        }
        if bytes.last() != Some(&b'\n') {
            return Err(self.refused("it is cut off"));
        }
        if bytes.starts_with(b"{\"rows\":") {
            let sha256 = hex::encode(self.hash.clone().finalize());
            let more = !self.file.fill_buf().map_err(Error::file(self.path))?.is_empty();
            if bytes != last_line(self.rows, &sha256).as_bytes() || more {
                return Err(self.refused("it was altered: its content does not agree with its digest"));
            }
            return Ok(None);
        }
        self.hash.update(&bytes);
        let altered = || self.refused("it was altered: a line is not as it was written");
        let text = std::str::from_utf8(&bytes).map_err(|_| altered())?;
        if bytes.starts_with(b"[") {
            let table = &self.tables[self.table.ok_or_else(altered)?];
            let cells = table.cells(text).ok_or_else(altered)?;
            self.rows += 1;
            return Ok(Some(Line::Row(table, cells)));
        }
        let line: TableLine = serde_json::from_str(text).map_err(|_| altered())?;
        // Each table once, in this order
        let from = self.table.map_or(0, |at| at + 1);
        let found = self.tables[from..].iter().position(|table| table.name == line.table);
        let at = from + found.ok_or_else(altered)?;
        if self.tables[at].line().columns != line.columns {
            return Err(altered());
        }
        self.table = Some(at);
        Ok(Some(Line::Table(&self.tables[at])))
    }

    pub(super) fn head(&self, bytes: &[u8]) -> Result<Head> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let foreign = || self.refused("it does not begin as a backup of Entrain does");
        let format: Format = serde_json::from_slice(bytes).map_err(|_| foreign())?;
        if format.format != FORMAT {
            return Err(match format.format.strip_prefix("entrain-backup-") {
                Some(_) => Error::BackupOther {
                    path: self.path.display().to_string(),
                    why: format!("its form is {}, and this Entrain reads {FORMAT}", format.format),
                },
                None => foreign(),
            });
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| foreign())?;
        if head.tables_version != migrations() {
            return Err(Error::BackupOther {
                path: self.path.display().to_string(),
                why: format!("its tables are those of Entrain {}", head.product_version),
            });
        }
        Ok(head)
    }

    pub(super) fn summary(self, head: Head) -> Backup {
        let sha256 = hex::encode(self.hash.finalize());
        Backup { made_at: head.made_at, product_version: head.product_version, rows: self.rows, sha256 }
    }
}

/// Reads a backup to its end, and says what it is when it is whole, unaltered and of this Entrain's tables.
pub(super) fn examine(path: &Path, tables: &[Table]) -> Result<(Backup, Vec<String>)> {
    let mut reader = Reader::open(path, tables)?;
    let mut head = None;
    while let Some(line) = reader.next()? {
        if let Line::Head(found) = line {
            head = Some(found);
        }
    }
    let head = head.ok_or_else(|| reader.refused("it is empty"))?;
    let keys = head.sealed_with.clone();
    Ok((reader.summary(head), keys))
}
