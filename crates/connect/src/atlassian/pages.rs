//! Pages with a total, read whole or not at all: what a page lacks, or shows twice because rows moved while it was
//! read, is found by counting, and then the list is read once more from the start and given up after that.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::Jira;
use super::wire::Page;
use crate::Error;
use crate::http::{Call, Target};

/// Asked for per page: the documented maximum of `group/member` and the default of `group/bulk`, whose largest
/// accepted value is not published (atlassian-cloud.md 4.2).
const SIZE: u64 = 50;

/// Entries that a list may have; a total beyond it is not believed.
const MOST: u64 = 2_000_000;

/// Pages of one list that are asked for side by side.
const AT_ONCE: usize = 8;

/// A list to be read.
#[derive(Clone)]
pub(super) struct List {
    pub(super) endpoint: &'static str,
    pub(super) target: Target,
    pub(super) object: String,
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
    /// When a page cannot be read, and `Error::Invalid` when the pages do not add up to the total, twice.
    pub(super) async fn pages<T: DeserializeOwned + Send>(
        &self,
        list: List,
        key: fn(&T) -> Option<&str>,
    ) -> Result<Vec<T>, Error> {
        match self.pages_once(&list, key).await {
            Err(Fault::Shifted(_)) => {}
            Ok(all) => return Ok(all),
            Err(Fault::Failed(error)) => return Err(error),
        }
        self.pages_once(&list, key).await.map_err(|fault| match fault {
            Fault::Shifted(error) | Fault::Failed(error) => error,
        })
    }

    async fn pages_once<T: DeserializeOwned + Send>(
        &self,
        list: &List,
        key: fn(&T) -> Option<&str>,
    ) -> Result<Vec<T>, Fault> {
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
            let more =
                page.total.is_some_and(|t| t != total) || (end == total && page.is_last == Some(false));
            if page.values.len() as u64 != end - start || more {
                return Err(Fault::Shifted(invalid("its pages do not add up to the total that it names")));
            }
            Ok(())
        };
        check(&first, 0)?;
        let starts = (1..).map(|n| n * step).take_while(|start| *start < total);
        let calls: Vec<_> =
            starts.map(|start| async move { (start, self.page::<T>(list, start).await) }).collect();
        let mut calls =
            stream::iter(calls).buffered(AT_ONCE).map(|(start, page)| page.map(|(page, _)| (start, page)));
        let mut all = first.values;
        while let Some((start, page)) = calls.try_next().await? {
            check(&page, start)?;
            all.extend(page.values);
        }
        let mut seen = HashSet::with_capacity(all.len());
        if !all.iter().filter_map(key).all(|key| seen.insert(key)) {
            return Err(Fault::Shifted(invalid("it shows an entry twice, so another one is missing")));
        }
        Ok(all)
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
