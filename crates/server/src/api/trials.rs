//! Documents and expressions, tried before they are stored.

use super::ask::{Ask, Reply};
use crate::problem::Problem;

pub(super) async fn document(ask: &Ask, name: &str) -> Result<Reply, Problem> {
    let trial = ask.api.service.try_document(name, ask.text("document").unwrap_or_default()).await?;
    Ok(Reply::json(trial.json(name)))
}

pub(super) async fn expression(ask: Ask) -> Result<Reply, Problem> {
    let connection = ask.connection().await?;
    let (expression, who) =
        (ask.text("expression").unwrap_or_default(), ask.text("user").unwrap_or_default());
    let trial = ask.api.service.try_expression(&connection.name, expression, who).await?;
    Ok(Reply::json(trial.json(&connection.name)))
}
