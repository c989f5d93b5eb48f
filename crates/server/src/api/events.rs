//! What a run tells while it runs, as server-sent events. A run that has ended tells its end.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use entrain_domain::model::RunId;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::ask::{Ask, Reply};
use crate::problem::Problem;
use crate::runs::{Heard, Runs};
use crate::service::Service;

/// Longest time without a word, so that nothing on the way takes the stream for dead.
const PING_EVERY: Duration = Duration::from_secs(15);

struct Listening {
    past: std::vec::IntoIter<Value>,
    events: Option<tokio::sync::broadcast::Receiver<Value>>,
}

pub(super) async fn events(ask: Ask) -> Result<Reply, Problem> {
    let run = ask.run()?;
    told(ask.api.service.as_ref(), &ask.api.runs, &run).await.map(Reply::Raw)
}

/// What a run tells from its beginning on.
pub(crate) async fn told(service: &dyn Service, runs: &Runs, run: &RunId) -> Result<Response, Problem> {
    let summary = service.summary(run).await?;
    let listening = if let Some(Heard { past, events }) = runs.listen(run) {
        Listening { past: past.into_iter(), events: Some(events) }
    } else {
        let status = summary.status;
        let end = json!({ "event": "ended", "status": status, "report": summary.report });
        Listening { past: vec![end].into_iter(), events: None }
    };
    let events = stream::unfold(listening, |mut listening| async move {
        let value = listening.next().await?;
        let name = value["event"].as_str().unwrap_or("message").to_owned();
        let event = Event::default().event(name).data(value.to_string());
        Some((Ok::<_, Infallible>(event), listening))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(PING_EVERY));
    Ok(events.into_response())
}

impl Listening {
    async fn next(&mut self) -> Option<Value> {
        if let Some(value) = self.past.next() {
            return Some(value);
        }
        let events = self.events.as_mut()?;
        loop {
            match events.recv().await {
                Ok(value) => return Some(value),
                // Whoever is too slow misses some, and learns the end all the same
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
