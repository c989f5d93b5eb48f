//! The emulator's answers and Entrain's requests against the OpenAPI documents of the vendors. The documents are not part
//! of this repository: without them (`ENTRAIN_SPECS`, or `shared/specs` beside the workspace) the tests say so and pass.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

#[path = "../support/mod.rs"]
mod support;

mod crawl;
mod deviations;
mod document;
mod graph;
mod organization;
mod requests;
mod self_test;
mod site;

use document::Documents;

/// The documents; says that the test is skipped when there are none.
fn documents() -> Option<Documents> {
    let documents = Documents::load();
    if documents.is_none() {
        println!("skipped: the vendors' OpenAPI documents are not here (set ENTRAIN_SPECS to their folder)");
    }
    documents
}
