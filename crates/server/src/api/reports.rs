//! Reports and the export of the audit log, for programs and for spreadsheets.

use entrain_domain::FailureCode;
use entrain_domain::service::slug;

use super::ask::{Ask, Reply};
use crate::download::{csv, export};
use crate::problem::Problem;
use crate::reports::{ExportForm, Report, moment};

pub(super) async fn report(ask: Ask) -> Result<Reply, Problem> {
    let connection = ask.connection().await?;
    let at = match ask.text("at") {
        None => None,
        Some(text) => Some(moment(text).ok_or_else(|| {
            Problem::request(
                "“at” is no moment",
                "write a day as 2026-11-01, or an instant as 2026-11-01T08:00:00Z",
            )
        })?),
    };
    let name = ask.path("report");
    if name == "members" && ask.text("group").is_none() {
        return Err(Problem::request(
            "the report of members needs “group”",
            "name the group by its id or exact name",
        ));
    }
    let report = Report::named(name, ask.text("group"), at).ok_or_else(|| {
        let remedy = format!("there are {}", Report::NAMES.join(", "));
        Problem::local(FailureCode::ObjectUnknown, "there is no report of that name", &remedy)
    })?;
    let made = ask.api.service.report(&connection.name, report).await?;
    if ask.text("format") == Some("csv") {
        return Ok(Reply::Raw(csv(&format!("{}-{name}", slug(&connection.name)), made.csv)));
    }
    Ok(Reply::json(made.json))
}

pub(super) async fn audit(ask: Ask) -> Result<Reply, Problem> {
    let form = if ask.text("format") == Some("csv") { ExportForm::Csv } else { ExportForm::Jsonl };
    export(ask.api.service.clone(), form).await.map(Reply::Raw)
}
