//! Files that a browser or a program takes away: tables, and the export of the audit log.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use futures_util::stream;

use crate::problem::Problem;
use crate::reports::{ExportForm, ExportPart};
use crate::service::Service;

/// A table for spreadsheets; of `name`, which becomes the name of a file, plain letters, digits and hyphens stay (H-05).
pub(crate) fn csv(name: &str, text: String) -> Response {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    file(&format!("{name}.csv"), "text/csv; charset=utf-8", Body::from(text))
}

/// The whole audit log, part by part: a log of years does not fit into memory. A part that cannot be read breaks the
/// transfer off, so that nobody takes a half for the whole.
pub(crate) async fn export(service: Arc<dyn Service>, form: ExportForm) -> Result<Response, Problem> {
    // What fails at once fails with a status of its own
    let first = service.export_audit(form, None).await?;
    let parts = stream::try_unfold(Some((service, Ok(first))), move |state| async move {
        let Some((service, part)) = state else { return Ok(None) };
        let ExportPart { text, next } = part.map_err(|failure: entrain_domain::Failure| {
            tracing::warn!("an export of the audit log breaks off: {failure}");
            std::io::Error::other("the log could not be read to its end")
        })?;
        let after = match next {
            Some(_) => {
                let part = service.export_audit(form, next).await;
                Some((service, part))
            }
            None => None,
        };
        Ok::<_, std::io::Error>(Some((text, after)))
    });
    let (name, kind) = match form {
        ExportForm::Jsonl => ("audit.jsonl", "application/jsonl; charset=utf-8"),
        ExportForm::Csv => ("audit.csv", "text/csv; charset=utf-8"),
    };
    Ok(file(name, kind, Body::from_stream(parts)))
}

/// A backup, as it is made. One that fails on its way breaks the transfer off; its last line is missing then, and no
/// restore takes it.
pub(crate) async fn backup(service: &dyn Service, by: &str, name: &str) -> Result<Response, Problem> {
    let mut parts = service.backup(by).await?;
    // What fails at once fails with a status of its own
    let first = parts.recv().await.ok_or_else(Problem::internal)??;
    let parts = stream::try_unfold((parts, Some(first)), |(mut parts, first)| async move {
        let part = match first {
            Some(first) => Some(Ok(first)),
            None => parts.recv().await,
        };
        match part {
            None => Ok(None),
            Some(Ok(part)) => Ok(Some((part, (parts, None)))),
            Some(Err(failure)) => {
                tracing::warn!("a backup that somebody downloads breaks off: {failure}");
                Err(std::io::Error::other("the backup could not be made to its end"))
            }
        }
    });
    Ok(file(name, "application/octet-stream", Body::from_stream(parts)))
}

fn file(name: &str, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}
