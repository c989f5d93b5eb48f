//! Tables as a backup has them: their columns, and the values of a row.

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ColumnIndex, ConnectOptions as _, Connection as _, Decode, Row, Type};

use super::{LEFT_OUT, TableLine};
use crate::error::{Error, Result};
use crate::pool::on;
use crate::store;
use crate::writer::Batch;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Bytes,
}

pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

pub(super) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl Table {
    pub(super) fn line(&self) -> TableLine {
        let columns = self.columns.iter().map(|column| column.name.clone()).collect();
        TableLine { table: self.name.clone(), columns }
    }

    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }

    pub(super) fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |at: usize| {
            let places: Vec<_> = (1..=width).map(|column| format!("${}", at * width + column)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        format!("INSERT INTO \"{}\" ({}) VALUES {}", self.name, self.names(), rows.join(", "))
    }

    /// The cells of one line of the file; `None` when they are not of this table.
    pub(super) fn cells(&self, line: &str) -> Option<Vec<Cell>> {
        let values: Vec<Value> = serde_json::from_str(line).ok()?;
        if values.len() != self.columns.len() {
            return None;
        }
        let cell = |(column, value): (&Column, Value)| match (column.kind, value) {
            (Kind::Text, Value::Null) => Some(Cell::Text(None)),
            (Kind::Number, Value::Null) => Some(Cell::Number(None)),
            (Kind::Bytes, Value::Null) => Some(Cell::Bytes(None)),
            (Kind::Text, Value::String(text)) => Some(Cell::Text(Some(text))),
            (Kind::Number, Value::Number(number)) => number.as_i64().map(|n| Cell::Number(Some(n))),
            (Kind::Bytes, Value::String(text)) => hex::decode(text).ok().map(|b| Cell::Bytes(Some(b))),
            _ => None,
        };
        self.columns.iter().zip(values).map(cell).collect()
    }
}

/// The tables that are backed up, each behind those that it refers to, as the migrations of this program make them.
pub(super) async fn tables() -> Result<Vec<Table>> {
    let doing = "making the tables in memory";
    let mut connection =
        SqliteConnectOptions::new().in_memory(true).connect().await.map_err(Error::database(doing))?;
    store::MIGRATIONS
        .run(&mut connection)
        .await
        .map_err(|error| Error::Damaged { place: "the tables in memory".into(), why: error.to_string() })?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
         AND name <> '_sqlx_migrations' ORDER BY rowid",
    )
    .fetch_all(&mut connection)
    .await
    .map_err(Error::database(doing))?;
    let mut tables = Vec::new();
    for name in names.into_iter().filter(|name| !LEFT_OUT.contains(&name.as_str())) {
        let columns: Vec<(String, String)> =
            sqlx::query_as("SELECT name, type FROM pragma_table_info($1) ORDER BY cid")
                .bind(&name)
                .fetch_all(&mut connection)
                .await
                .map_err(Error::database(doing))?;
        let column = |(column, word): (String, String)| match word.as_str() {
            "TEXT" => Ok(Column { name: column, kind: Kind::Text }),
            "BIGINT" => Ok(Column { name: column, kind: Kind::Number }),
            "BYTEA" => Ok(Column { name: column, kind: Kind::Bytes }),
            other => Err(Error::Damaged {
                place: format!("table {name}"),
                why: format!("a column is of the type {other}"),
            }),
        };
        let columns = columns.into_iter().map(column).collect::<Result<_>>()?;
        tables.push(Table { name: name.clone(), columns });
    }
    connection.close().await.map_err(Error::database(doing))?;
    Ok(tables)
}

pub(super) fn values<R>(row: &R, columns: &[Column]) -> Result<Vec<Value>, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    let value = |(at, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Value::Null, Value::from),
            Kind::Number => row.try_get::<Option<i64>, _>(at)?.map_or(Value::Null, Value::from),
            Kind::Bytes => {
                let bytes = row.try_get::<Option<Vec<u8>>, _>(at)?;
                bytes.map_or(Value::Null, |bytes| Value::from(hex::encode(bytes)))
            }
        })
    };
    columns.iter().enumerate().map(value).collect()
}

pub(super) async fn insert(batch: &mut Batch, table: &Table, rows: Vec<Vec<Cell>>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = table.insert(rows.len());
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for cell in rows.into_iter().flatten() {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Number(number) => query.bind(number),
                Cell::Bytes(bytes) => query.bind(bytes),
            };
        }
        query.execute(&mut **tx).await.map(drop)
    })
    .map_err(Error::database("restoring"))
}
