//! Seats per product: taken, in all, left, what the rules let be taken, and who waits.

use std::sync::Arc;

use crate::model::{Product, SiteGroup};
use crate::plan::Waiting;
use crate::policy::{Ceiling, SeatRules};

/// Seats of one product.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SeatRow {
    /// Key of the product.
    pub product: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Seats taken; nothing where nobody counts them.
    pub used: Option<u64>,
    /// Seats in all; nothing where they are unlimited, or not told.
    pub limit: Option<u64>,
    /// Seats left; nothing where they are unlimited, or not known.
    pub left: Option<u64>,
    /// The most that may be taken by the rules.
    pub budget: Option<u64>,
    /// Seats that have to stay free by the rules.
    pub reserve: u64,
    /// Seats that Entrain may still give; nothing where there is no end to them, or it is not known.
    pub open: Option<u64>,
    /// How many people waited for a seat when the last run ended.
    pub waiting: usize,
    /// Who, joined by `; `, the first in line first.
    pub line: String,
    /// Groups whose members take a seat, joined by `; `; ids where the name was not read.
    pub groups: String,
}

/// One row per product, by key. `waiting` is the list of the last run.
pub fn seats(
    products: &[Product],
    groups: &[SiteGroup],
    rules: &SeatRules,
    waiting: &[Waiting],
) -> Vec<SeatRow> {
    let mut rows: Vec<SeatRow> = products
        .iter()
        .map(|product| {
            let (used, limit) = (product.seats.used(), product.seats.limit());
            let rule = rules.of(&product.key);
            let mut names: Vec<&str> = product
                .groups
                .iter()
                .map(|id| groups.iter().find(|g| g.id == *id).map_or(id.as_str(), |g| &*g.name))
                .collect();
            names.sort_unstable();
            let line: Vec<&str> =
                waiting.iter().filter(|w| *w.product == *product.key.0).map(|w| w.user.as_str()).collect();
            SeatRow {
                product: product.key.0.clone(),
                name: product.name.clone(),
                used,
                limit,
                left: limit.zip(used).map(|(limit, used)| limit.saturating_sub(used)),
                budget: rule.budget,
                reserve: rule.reserve,
                open: match rules.ceiling(product) {
                    Ceiling::At(most) => used.map(|used| most.saturating_sub(used)),
                    Ceiling::NotKnown => Some(0),
                    Ceiling::None => None,
                },
                waiting: line.len(),
                line: line.join("; "),
                groups: names.join("; "),
            }
        })
        .collect();
    rows.sort_by(|a, b| a.product.cmp(&b.product));
    rows
}
