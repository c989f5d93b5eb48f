//! Seats per product: taken, in all, left.

use std::sync::Arc;

use crate::model::{Product, Seats, SiteGroup};

/// Seats of one product.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SeatRow {
    /// Key of the product.
    pub product: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Seats taken.
    pub used: u64,
    /// Seats in all; nothing where they are unlimited.
    pub limit: Option<u64>,
    /// Seats left; nothing where they are unlimited.
    pub left: Option<u64>,
    /// Groups whose members take a seat, joined by `; `; ids where the name was not read.
    pub groups: String,
}

/// One row per product, by key.
pub fn seats(products: &[Product], groups: &[SiteGroup]) -> Vec<SeatRow> {
    let mut rows: Vec<SeatRow> = products
        .iter()
        .map(|product| {
            let (used, limit) = match product.seats {
                Seats::Limited { limit, used } => (used, Some(limit)),
                Seats::Unlimited { used } => (used, None),
            };
            let mut names: Vec<&str> = product
                .groups
                .iter()
                .map(|id| groups.iter().find(|g| g.id == *id).map_or(id.as_str(), |g| &*g.name))
                .collect();
            names.sort_unstable();
            SeatRow {
                product: product.key.0.clone(),
                name: product.name.clone(),
                used,
                limit,
                left: limit.map(|limit| limit.saturating_sub(used)),
                groups: names.join("; "),
            }
        })
        .collect();
    rows.sort_by(|a, b| a.product.cmp(&b.product));
    rows
}
