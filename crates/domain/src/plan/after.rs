//! What a step waits for. Nearly every step waits for its group, its person, or nothing; a first plan of a large tenant has
//! hundreds of thousands of them, so that a list on the heap for each would outweigh the plan.

use std::ops::Deref;

/// Positions of the steps that must be done before this one, all smaller than its own, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct After(Few);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Few {
    #[default]
    None,
    One([u32; 1]),
    Two([u32; 2]),
    #[expect(clippy::box_collection, reason = "a thin pointer: the type stays at two words")]
    More(Box<Vec<u32>>),
}

impl Deref for After {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        match &self.0 {
            Few::None => &[],
            Few::One(one) => one,
            Few::Two(two) => two,
            Few::More(more) => more,
        }
    }
}

impl<'a> IntoIterator for &'a After {
    type Item = &'a u32;
    type IntoIter = std::slice::Iter<'a, u32>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<u32> for After {
    fn from_iter<I: IntoIterator<Item = u32>>(positions: I) -> Self {
        let mut positions = positions.into_iter();
        Self(match (positions.next(), positions.next(), positions.next()) {
            (None, ..) => Few::None,
            (Some(a), None, _) => Few::One([a]),
            (Some(a), Some(b), None) if a == b => Few::One([a]),
            (Some(a), Some(b), None) => Few::Two([a.min(b), a.max(b)]),
            (Some(a), Some(b), Some(c)) => {
                let mut all: Vec<u32> = [a, b, c].into_iter().chain(positions).collect();
                all.sort_unstable();
                all.dedup();
                Few::More(Box::new(all))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_in_order_and_once_however_many_they_are() {
        for given in [vec![], vec![3], vec![5, 2], vec![4, 4], vec![9, 1, 5], vec![2, 1, 2, 0]] {
            let mut wanted = given.clone();
            wanted.sort_unstable();
            wanted.dedup();
            let after: After = given.into_iter().collect();
            assert_eq!(&*after, wanted.as_slice());
            assert_eq!(after.into_iter().copied().collect::<Vec<_>>(), wanted);
        }
        assert!(size_of::<After>() <= 16);
    }
}
