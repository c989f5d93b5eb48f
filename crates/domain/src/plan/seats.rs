//! Seats before and after a plan, per product.

/// Seats of one product before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeatForecast {
    /// Taken before.
    pub before: u64,
    /// Taken after.
    pub after: u64,
    /// Seats in all; `None` when unlimited.
    pub limit: Option<u64>,
}
