//! Plans told apart: what is said of all of a plan, and a row for each person and each group, kept beside the plan so that a
//! page reads the rows that it shows and no others.

use entrain_domain::plan::{PlanOf, PlanRow, PlanRowsWanted};

use crate::service::Answer;

/// What keeping them needs.
pub trait PlanRows: Send + Sync {
    /// What is said of all of a plan, where its rows are kept.
    fn plan_gist<'a>(&'a self, of: &'a PlanOf) -> Answer<'a, Option<String>>;
    /// Keeps both, in the place of what was kept of that plan before. A plan that is stored anew throws them away.
    fn keep_plan_rows<'a>(&'a self, of: &'a PlanOf, gist: String, rows: Vec<PlanRow>) -> Answer<'a, ()>;
    /// Rows of a plan, in their order.
    fn plan_rows<'a>(&'a self, of: &'a PlanOf, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>>;
    /// The rows that are found by these keys.
    fn plan_rows_of<'a>(&'a self, of: &'a PlanOf, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>>;
}
