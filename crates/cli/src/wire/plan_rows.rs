//! Plans told apart, from the store to the service.

use entrain_domain::model::RunId;
use entrain_domain::plan::{PlanRow, PlanRowsWanted};
use entrain_server::plan_rows::PlanRows;
use entrain_server::service::Answer;

use super::service::Wired;

impl PlanRows for Wired {
    fn plan_gist<'a>(&'a self, run: &'a RunId) -> Answer<'a, Option<String>> {
        Box::pin(async move { self.store.plan_gist(run).await.map_err(|e| e.failure()) })
    }
    fn keep_plan_rows<'a>(&'a self, run: &'a RunId, gist: String, rows: Vec<PlanRow>) -> Answer<'a, ()> {
        Box::pin(async move { self.store.keep_plan_rows(run, &gist, rows).await.map_err(|e| e.failure()) })
    }
    fn plan_rows<'a>(&'a self, run: &'a RunId, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>> {
        Box::pin(async move { self.store.plan_rows(run, &wanted).await.map_err(|e| e.failure()) })
    }
    fn plan_rows_of<'a>(&'a self, run: &'a RunId, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>> {
        Box::pin(async move { self.store.plan_rows_of(run, &keys).await.map_err(|e| e.failure()) })
    }
}
