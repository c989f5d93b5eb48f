//! How many seats of a product may be taken, and who goes first when they run out.

use std::collections::{BTreeMap, BTreeSet};

use super::expr::{Expr, Facts};
use crate::model::{DirectoryUser, Product, ProductKey, Seats};

/// The rules about seats.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SeatRules {
    /// By product; a product without an entry may be used up.
    pub products: BTreeMap<ProductKey, SeatRule>,
    /// Conditions about people: whoever meets the first goes before all others, then whoever meets the second, and so on.
    /// Within one rank the longest wait goes first.
    pub first: Vec<Expr>,
}

/// The rule of one product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct SeatRule {
    /// The most seats that may be taken, whoever took them; `None` for all that there are.
    pub budget: Option<u64>,
    /// Seats that have to stay free.
    pub reserve: u64,
}

/// Up to how many seats of a product a step may take one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    /// As many as are wanted.
    None,
    /// No seat beyond so many.
    At(u64),
    /// The rules set one, and it is not known how many seats are taken: no seat at all.
    NotKnown,
}

impl SeatRule {
    /// Whether it says anything.
    pub fn limits(self) -> bool {
        self.budget.is_some() || self.reserve > 0
    }

    /// Up to how many seats may be taken, where so many exist.
    pub fn ceiling(self, seats: Seats) -> Ceiling {
        let limit = seats.limit().map(|limit| limit.saturating_sub(self.reserve));
        // A reserve of seats whose number is not told cannot be kept.
        let blind = seats.used().is_none() || (self.reserve > 0 && seats.limit_is_untold());
        match (self.budget, limit) {
            _ if blind && self.limits() => Ceiling::NotKnown,
            _ if blind => Ceiling::None,
            (Some(budget), Some(limit)) => Ceiling::At(budget.min(limit)),
            (Some(one), None) | (None, Some(one)) => Ceiling::At(one),
            (None, None) => Ceiling::None,
        }
    }
}

impl SeatRules {
    /// The rule of a product.
    pub fn of(&self, product: &ProductKey) -> SeatRule {
        self.products.get(product).copied().unwrap_or_default()
    }

    /// Up to how many seats of a product may be taken.
    pub fn ceiling(&self, product: &Product) -> Ceiling {
        self.of(&product.key).ceiling(product.seats)
    }

    /// Properties of Graph that have to be read to rank people.
    pub fn attributes(&self) -> BTreeSet<String> {
        self.first.iter().flat_map(Expr::attributes).collect()
    }

    /// The rank of a person, 0 before all others. A condition that cannot be evaluated for somebody is not met.
    pub fn rank(&self, user: &DirectoryUser) -> usize {
        let facts = Facts { user, groups: &[] };
        self.first.iter().position(|first| first.holds(&facts) == Ok(true)).unwrap_or(self.first.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_the_lower_of_budget_and_what_the_reserve_leaves() {
        let rule = |budget, reserve| SeatRule { budget, reserve };
        let ten = Seats::Limited { limit: 10, used: 4 };
        assert_eq!(rule(None, 0).ceiling(ten), Ceiling::At(10));
        assert_eq!(rule(Some(7), 0).ceiling(ten), Ceiling::At(7));
        assert_eq!(rule(Some(7), 4).ceiling(ten), Ceiling::At(6));
        assert_eq!(rule(None, 11).ceiling(ten), Ceiling::At(0));
        let unlimited = Seats::Unlimited { used: 4 };
        assert_eq!(rule(None, 3).ceiling(unlimited), Ceiling::None);
        assert_eq!(rule(Some(5), 3).ceiling(unlimited), Ceiling::At(5));
    }

    #[test]
    fn a_rule_about_seats_that_nobody_counts_lets_none_be_taken() {
        let rule = |budget, reserve| SeatRule { budget, reserve };
        assert_eq!(rule(None, 0).ceiling(Seats::NotCounted { limit: Some(10) }), Ceiling::None);
        assert_eq!(rule(Some(7), 0).ceiling(Seats::NotCounted { limit: Some(10) }), Ceiling::NotKnown);
        assert_eq!(rule(None, 0).ceiling(Seats::LimitNotTold { used: 3 }), Ceiling::None);
        assert_eq!(rule(Some(7), 0).ceiling(Seats::LimitNotTold { used: 3 }), Ceiling::At(7));
        assert_eq!(rule(Some(7), 1).ceiling(Seats::LimitNotTold { used: 3 }), Ceiling::NotKnown);
    }
}
