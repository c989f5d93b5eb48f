//! Pages with a total, read whole or not at all: what a page lacks, or shows twice because rows moved while it was
//! read, is found by counting, and then the list is read once more from the start and given up after that.
//!
//! Jira may count a few members that it does not show: pages are cut first, and who no longer resolves is left out of
//! them afterwards. Members with few such gaps that are the same when they are read twice are the members.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::Jira;
use super::roll::invalid_list;
use super::wire::Page;
use crate::Error;
use crate::http::{Call, Target};

/// Asked for per page: the documented maximum of `group/member` and the default of `group/bulk`, whose largest
/// accepted value is not published (atlassian-cloud.md 4.2).
const SIZE: u64 = 50;

/// Entries that a list may have; a total beyond it is not believed.
const MOST: u64 = 2_000_000;

/// Why pages are not taken for a list.
const SUM: &str = "its pages do not add up to the total that it names";

/// Pages of one list that are asked for side by side.
const AT_ONCE: usize = 8;

/// At most one entry in so many may be counted and not shown.
const GAPS_ONE_IN: u64 = 10;

/// A list to be read.
#[derive(Clone)]
pub(super) struct List {
    pub(super) endpoint: &'static str,
    pub(super) target: Target,
    pub(super) object: String,
    pub(super) gaps: Gaps,
}

/// Whether a list may count what it does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// Every entry counts.
    None,
    /// A few, the same each time.
    Few,
}

/// What one reading of a list found.
struct Reading<T> {
    entries: Vec<T>,
    /// Entries that the total counts and no page shows.
    gaps: u64,
}

enum Fault {
    /// The pages do not fit together, as happens when somebody writes while they are read.
    Shifted(Error),
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Jira {
    /// Reads a list whole. `key` tells entries apart; entries without one are told apart by nothing and all count.
    ///
    /// # Errors
    /// When a page cannot be read, and `Error::Invalid` when the pages do not add up to the total, twice, but for a few
    /// gaps that are the same both times.
    pub(super) async fn pages<T: DeserializeOwned + Send>(
        &self,
        list: List,
        key: fn(&T) -> Option<&str>,
    ) -> Result<Vec<T>, Error> {
        let first = match self.pages_once(&list, key).await {
            Err(Fault::Shifted(_)) => None,
            Ok(Reading { entries, gaps: 0 }) => return Ok(entries),
            Ok(gapped) => Some(gapped),
            Err(Fault::Failed(error)) => return Err(error),
        };
        let second = self.pages_once(&list, key).await.map_err(|fault| match fault {
            Fault::Shifted(error) | Fault::Failed(error) => error,
        })?;
        let keys = |reading: &Reading<T>| -> Option<HashSet<String>> {
            reading.entries.iter().map(|entry| key(entry).map(ToOwned::to_owned)).collect()
        };
        let same = |first: Reading<T>| {
            first.gaps == second.gaps && keys(&first).is_some_and(|first| Some(first) == keys(&second))
        };
        if second.gaps > 0 && !first.is_some_and(same) {
            let reason = "its pages do not add up to the total that it names, and differ when read again";
            return Err(invalid_list(&list.object, reason));
        }
        if second.gaps > 0 {
            tracing::debug!(
                list = list.object,
                gaps = second.gaps,
                "Jira counts entries that it does not show"
            );
        }
        Ok(second.entries)
    }

    async fn pages_once<T: DeserializeOwned + Send>(
        &self,
        list: &List,
        key: fn(&T) -> Option<&str>,
    ) -> Result<Reading<T>, Fault> {
        let (first, answer) = self.page::<T>(list, 0).await?;
        let invalid = |reason: &str| answer.invalid(reason);
        let count = first.values.len() as u64;
        let whole = (first.is_last == Some(true)).then_some(count);
        let total =
            first.total.or(whole).ok_or_else(|| invalid("it names neither a total nor a last page"))?;
        if total > MOST {
            return Err(invalid("its total is larger than any site's").into());
        }
        let step = first.max_results.filter(|size| (1..SIZE).contains(size)).unwrap_or(SIZE);
        let check = |page: &Page<T>, start: u64| {
            let end = (start + step).min(total);
            let other_total = page.total.is_some_and(|t| t != total);
            let other_end = page.is_last.is_some_and(|last| last != (end == total));
            match (end - start).checked_sub(page.values.len() as u64) {
                Some(gaps) if !other_total && !other_end => Ok(gaps),
                _ => Err(Fault::Shifted(invalid(SUM))),
            }
        };
        let mut gaps = check(&first, 0)?;
        let starts = (1..).map(|n| n * step).take_while(|start| *start < total);
        let calls: Vec<_> =
            starts.map(|start| async move { (start, self.page::<T>(list, start).await) }).collect();
        let mut calls =
            stream::iter(calls).buffered(AT_ONCE).map(|(start, page)| page.map(|(page, _)| (start, page)));
        let mut all = first.values;
        while let Some((start, page)) = calls.try_next().await? {
            gaps += check(&page, start)?;
            all.extend(page.values);
        }
        let mut seen = HashSet::with_capacity(all.len());
        if !all.iter().filter_map(key).all(|key| seen.insert(key)) {
            return Err(Fault::Shifted(invalid("it shows an entry twice, so another one is missing")));
        }
        let most = if list.gaps == Gaps::Few { total / GAPS_ONE_IN } else { 0 };
        if gaps > most {
            return Err(Fault::Shifted(invalid(SUM)));
        }
        Ok(Reading { entries: all, gaps })
    }

    async fn page<T: DeserializeOwned>(
        &self,
        list: &List,
        start: u64,
    ) -> Result<(Page<T>, crate::http::Answer), Error> {
        let target =
            list.target.clone().query("startAt", &start.to_string()).query("maxResults", &SIZE.to_string());
        let answer = self.read(Call::get(list.endpoint, target).about(&list.object)).await?;
        Ok((answer.json()?, answer))
    }
}
