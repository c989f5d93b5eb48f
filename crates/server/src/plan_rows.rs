//! Plans told apart: what is said of all of a plan, and a row for each person and group, kept beside the plan so that a
//! page reads the rows that it shows and no others.

use entrain_domain::model::RunId;
use entrain_domain::plan::{PlanRow, PlanRowsWanted};

use crate::service::Answer;

/// What keeping them needs.
pub trait PlanRows: Send + Sync {
    /// What is said of all of a run's plan, where its rows are kept.
    fn plan_gist<'a>(&'a self, run: &'a RunId) -> Answer<'a, Option<String>>;
    /// Keeps both, in the place of what was kept of that plan before. A plan that is stored anew throws them away.
    fn keep_plan_rows<'a>(&'a self, run: &'a RunId, gist: String, rows: Vec<PlanRow>) -> Answer<'a, ()>;
    /// Rows of a run's plan, in their order.
    fn plan_rows<'a>(&'a self, run: &'a RunId, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>>;
    /// The rows that are found by these keys.
    fn plan_rows_of<'a>(&'a self, run: &'a RunId, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>>;
}
