//! Following pages to the end, and not beyond: loops, repeats and endless empty pages are failures, never data (N-06).

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::graph::{Graph, Refusal, RefusalKind};
use super::wire::Page;
use crate::http::Call;

/// Empty pages in a row that are taken for normal (microsoft-graph.md 0.5).
const EMPTY_PAGES: u32 = 50;
/// A listing is begun again so often when its page tokens expire (5.3).
const RESTARTS: u32 = 5;
/// Pages of one listing: far more than the largest tenant has.
const PAGES: usize = 100_000;

/// Whether a listing may name the same object twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// A list: a page of nothing but what was named before is a repeat.
    List,
    /// A delta round: objects may recur.
    Delta,
}

/// Watches the links of one listing.
#[derive(Default)]
pub(super) struct Turns {
    seen: HashSet<String>,
    empty: u32,
}

impl Turns {
    /// Notes a page and where it leads.
    pub(super) fn next(&mut self, link: &str, entries: usize) -> Result<(), &'static str> {
        if !self.seen.insert(link.to_owned()) {
            return Err("its pages lead in a circle");
        }
        self.empty = if entries == 0 { self.empty + 1 } else { 0 };
        if self.empty > EMPTY_PAGES {
            return Err("it goes on and on with empty pages");
        }
        if self.seen.len() > PAGES {
            return Err("it does not end");
        }
        Ok(())
    }
}

/// Reads a listing to its end, page by page, and gives back its delta link if it has one.
///
/// `take` returns how many entries of a page were new; when page tokens expire it is told to begin again by the next
/// first page, so it must bear to see everything twice.
pub(super) async fn read<T: DeserializeOwned>(
    graph: &Graph,
    endpoint: &'static str,
    first: &str,
    round: Round,
    mut take: impl FnMut(Vec<T>) -> Fresh,
) -> Result<Option<String>, Refusal> {
    let mut restarts = 0;
    'listing: loop {
        let mut turns = Turns::default();
        let mut stale = 0;
        let mut target = first.to_owned();
        turns.seen.insert(target.clone());
        loop {
            let answer = match graph.get(Call::get(endpoint, target)).await {
                Ok(answer) => answer,
                Err(refusal) if refusal.kind == RefusalKind::PageExpired && restarts < RESTARTS => {
                    restarts += 1;
                    tracing::warn!(endpoint, restarts, "the page token expired, the listing begins again");
                    continue 'listing;
                }
                Err(refusal) => return Err(refusal),
            };
            let page: Page<T> = answer.json()?;
            let entries = page.value.len();
            let Fresh(fresh) = take(page.value);
            // After a restart everything was seen before, so nothing can be told from it.
            if round == Round::List && restarts == 0 {
                stale = if entries > 0 && fresh == 0 { stale + 1 } else { 0 };
                if stale >= 2 {
                    return Err(answer.invalid("it repeats the same page").into());
                }
            }
            match (page.next, page.delta) {
                (Some(_), Some(_)) => {
                    return Err(answer.invalid("it has both a next page and an end").into());
                }
                (Some(next), None) => {
                    turns.next(&next, entries).map_err(|reason| answer.invalid(reason))?;
                    target = next;
                }
                (None, None) if round == Round::Delta => {
                    return Err(answer.invalid("the round ends without a link for the next one").into());
                }
                (None, delta) => return Ok(delta),
            }
        }
    }
}

/// How many entries of a page had not been seen before.
pub(super) struct Fresh(pub(super) usize);
