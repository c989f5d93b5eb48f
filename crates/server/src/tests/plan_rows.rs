//! What would take as long as a plan or a log is large: a plan is read whole once, and row by row from then on; the chain of
//! the audit log is followed when somebody asks.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use entrain_domain::model::RunId;
use entrain_domain::plan::{PlanOf, PlanRow, PlanRowsWanted};
use entrain_domain::service::Role;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Behaves, Fake, now, over, send};
use crate::console::session::token;
use crate::plan_rows::PlanRows;
use crate::previews::{PreviewHead, Previews};
use crate::service::Answer;
use crate::ticks::Ticks;

/// What was kept of a plan, and what was asked for.
#[derive(Default)]
pub(super) struct Told {
    kept: Mutex<Option<(String, Vec<PlanRow>)>>,
    whole: AtomicUsize,
    rows: AtomicUsize,
    ticks: Mutex<Option<String>>,
}

impl Told {
    pub(super) fn asked(&self) {
        self.whole.fetch_add(1, Ordering::Relaxed);
    }

    fn some(&self, fits: impl Fn(&PlanRow) -> bool, limit: usize) -> Vec<PlanRow> {
        let kept = self.kept.lock().unwrap();
        let rows = kept.iter().flat_map(|(_, rows)| rows).filter(|row| fits(row));
        let rows: Vec<PlanRow> = rows.take(limit).cloned().collect();
        self.rows.fetch_add(rows.len(), Ordering::Relaxed);
        rows
    }
}

impl PlanRows for Fake {
    fn plan_gist<'a>(&'a self, _: &'a PlanOf) -> Answer<'a, Option<String>> {
        self.give(self.told.kept.lock().unwrap().as_ref().map(|(gist, _)| gist.clone()))
    }
    fn keep_plan_rows<'a>(&'a self, _: &'a PlanOf, gist: String, rows: Vec<PlanRow>) -> Answer<'a, ()> {
        *self.told.kept.lock().unwrap() = Some((gist, rows));
        self.give(())
    }
    fn plan_rows<'a>(&'a self, _: &'a PlanOf, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>> {
        let fits = |row: &PlanRow| {
            (wanted.from..wanted.until).contains(&row.place)
                && row.held >= wanted.held
                && row.find.contains(&wanted.find)
        };
        self.give(self.told.some(fits, wanted.limit as usize))
    }
    fn plan_rows_of<'a>(&'a self, _: &'a PlanOf, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>> {
        self.give(self.told.some(|row| keys.contains(&row.key), usize::MAX))
    }
}

impl Previews for Fake {
    fn keep_preview<'a>(&'a self, _: &'a str, _: Timestamp, _: Value) -> Answer<'a, ()> {
        self.change(())
    }
    fn preview<'a>(&'a self, _: &'a str) -> Answer<'a, Option<String>> {
        self.told.asked();
        // Kept with all that the clock tells, and told by the millisecond
        let at = now() + SignedDuration::from_nanos(123_456);
        let kept = json!({ "connection": self.hostile, "at": at, "plan": self.made_plan() });
        self.give(Some(if self.rows > 1 { kept.to_string() } else { "{}".into() }))
    }
    fn preview_head<'a>(&'a self, _: &'a str) -> Answer<'a, Option<PreviewHead>> {
        self.give(Some(PreviewHead { at: now(), failure: None }))
    }
}

impl Ticks for Fake {
    fn ticks<'a>(&'a self, _: &'a RunId, _: &'a str) -> Answer<'a, Option<String>> {
        self.give(self.told.ticks.lock().unwrap().clone())
    }
    fn keep_ticks<'a>(&'a self, _: &'a RunId, _: &'a str, ticks: Option<String>) -> Answer<'a, ()> {
        *self.told.ticks.lock().unwrap() = ticks;
        self.change(())
    }
}

/// A page as somebody sees it who is signed in.
async fn page(routes: &Router, cookie: &str, address: &str) -> String {
    let request = Request::get(address)
        .header("host", "localhost")
        .header("cookie", format!("entrain={cookie}"))
        .body(Body::empty())
        .unwrap();
    let (status, _, body) = send(routes, request).await;
    assert_eq!(status, StatusCode::OK, "{address}: {body}");
    body
}

#[tokio::test]
async fn a_page_of_a_plan_of_ten_thousand_people_reads_the_rows_that_it_shows() {
    let fake = Arc::new(Fake { rows: 10_000, ..Fake::new(Behaves::Well) });
    let cookie = fake.people.signed_in(Role::Approver);
    let routes = over(fake.clone());
    let page = async |address: &str| page(&routes, &cookie, address).await;
    let first = page("/runs/r1/plan").await;
    assert!(first.contains("<span class=\"n\">10,000</span>"), "{first}");
    assert_eq!(fake.told.whole.load(Ordering::Relaxed), 1);
    for (address, shows, most) in [
        ("/runs/r1/plan", "Joiners", 12),
        ("/runs/r1/plan?show=joiners", "Person number 0<", 61),
        ("/runs/r1/plan?show=joiners&from=60", "from=120", 61),
        ("/runs/r1/plan?show=held", "Joiners", 12),
        ("/runs/r1/plan?find=person.number.4242%40", "Person number 4242", 61),
        ("/runs/r1/why?who=u77", "Person number 77", 1),
        ("/runs/r1", "Journal", 61),
    ] {
        let before = fake.told.rows.load(Ordering::Relaxed);
        let body = page(address).await;
        assert!(body.contains(shows), "{address}: {body}");
        let read = fake.told.rows.load(Ordering::Relaxed) - before;
        assert!(read <= most, "{address} reads {read} rows");
    }
    assert_eq!(fake.told.whole.load(Ordering::Relaxed), 1, "all of the plan is read once");
}

#[tokio::test]
async fn a_preview_of_ten_thousand_people_is_read_whole_once() {
    let fake = Arc::new(Fake { rows: 10_000, ..Fake::new(Behaves::Well) });
    let cookie = fake.people.signed_in(Role::Viewer);
    let routes = over(fake.clone());
    for (address, shows) in [
        ("/connections/azure-ad/plans", "10,000 steps would be done"),
        ("/connections/azure-ad/preview", "<span class=\"n\">10,000</span>"),
        ("/connections/azure-ad/preview?show=joiners&from=60", "from=120"),
        ("/connections/azure-ad/preview/why?who=u77", "Person number 77"),
        ("/connections/azure-ad/plans", "10,000 steps would be done"),
    ] {
        let body = page(&routes, &cookie, address).await;
        assert!(body.contains(shows), "{address}: {body}");
    }
    assert_eq!(fake.told.whole.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_chain_is_followed_when_somebody_asks_and_the_page_says_what_was_found() {
    let fake = Arc::new(Fake { rows: 3, ..Fake::new(Behaves::Well) });
    let cookie = fake.people.signed_in(Role::Viewer);
    let routes = over(fake.clone());
    let before = page(&routes, &cookie, "/audit/chain").await;
    assert!(before.contains("Not checked since this server started"), "{before}");
    let check = Request::post("/audit/chain")
        .header("host", "localhost")
        .header("cookie", format!("entrain={cookie}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Body::from(format!("csrf={}", token(&cookie))))
        .unwrap();
    let (status, headers, body) = send(&routes, check).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
    assert_eq!(headers["location"], "/audit/chain");
    let after = page(&routes, &cookie, "/audit/chain").await;
    assert!(after.contains("The chain holds over 2 entries"), "{after}");
    assert!(after.contains("Up to entry 2, nothing was altered") && after.contains("for viewer"), "{after}");
}
