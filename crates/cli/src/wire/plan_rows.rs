//! Plans told apart, previews, and what is ticked in plans, from the store to the service.

use entrain_domain::Failure;
use entrain_domain::model::RunId;
use entrain_domain::plan::{PlanOf, PlanRow, PlanRowsWanted};
use entrain_server::plan_rows::PlanRows;
use entrain_server::previews::{PreviewHead, Previews};
use entrain_server::service::Answer;
use entrain_server::ticks::Ticks;
use entrain_store::Store;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::service::Wired;

impl PlanRows for Wired {
    fn plan_gist<'a>(&'a self, of: &'a PlanOf) -> Answer<'a, Option<String>> {
        Box::pin(async move { self.store.plan_gist(of).await.map_err(|e| e.failure()) })
    }
    fn keep_plan_rows<'a>(&'a self, of: &'a PlanOf, gist: String, rows: Vec<PlanRow>) -> Answer<'a, ()> {
        Box::pin(async move { self.store.keep_plan_rows(of, &gist, rows).await.map_err(|e| e.failure()) })
    }
    fn plan_rows<'a>(&'a self, of: &'a PlanOf, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>> {
        Box::pin(async move { self.store.plan_rows(of, &wanted).await.map_err(|e| e.failure()) })
    }
    fn plan_rows_of<'a>(&'a self, of: &'a PlanOf, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>> {
        Box::pin(async move { self.store.plan_rows_of(of, &keys).await.map_err(|e| e.failure()) })
    }
}

impl Previews for Wired {
    fn keep_preview<'a>(&'a self, connection: &'a str, at: Timestamp, preview: Value) -> Answer<'a, ()> {
        Box::pin(async move {
            let text = preview.to_string();
            self.store.keep_preview(connection, at, &text).await.map_err(|e| e.failure())
        })
    }
    fn preview<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let kept = self.store.preview(connection).await.map_err(|e| e.failure())?;
            Ok(kept.map(|(_, text)| text))
        })
    }
    fn preview_head<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<PreviewHead>> {
        Box::pin(preview_head(&self.store, connection))
    }
}

impl Ticks for Wired {
    fn ticks<'a>(&'a self, run: &'a RunId, account: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move { self.store.ticks(run, account).await.map_err(|e| e.failure()) })
    }
    fn keep_ticks<'a>(&'a self, run: &'a RunId, account: &'a str, ticks: Option<String>) -> Answer<'a, ()> {
        Box::pin(async move {
            self.store.keep_ticks(run, account, ticks.as_deref()).await.map_err(|e| e.failure())
        })
    }
}

/// When the newest preview was made, and how it came out. The body of a failure is small; a larger one is a plan.
pub(super) async fn preview_head(store: &Store, connection: &str) -> Result<Option<PreviewHead>, Failure> {
    #[derive(Deserialize)]
    struct Made {
        error: Option<Failure>,
    }
    let head = store.preview_head(connection).await.map_err(|e| e.failure())?;
    Ok(head.map(|(at, body)| {
        let made = body.and_then(|body| serde_json::from_str::<Made>(&body).ok());
        PreviewHead { at, failure: made.and_then(|made| made.error) }
    }))
}
