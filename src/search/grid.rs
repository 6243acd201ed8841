//! `grid`: every point once, in the file's order or one shuffled by the seed.
//!
//! What a sweep keeps for it is [`Given`], folded from its proposals: the place after the last one proposed, and the
//! points that were enqueued. Nothing else is held, however large the grid.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::space::{Count, Grid, NotDiscrete, Point, Shuffled, Space};

/// A grid in its order; derived from the definition and the seed, never stored.
#[derive(Clone, Debug)]
pub struct GridSearch {
    grid: Grid,
    shuffled: Option<Shuffled>,
}

/// Which points of a grid were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The first place in the order that was not proposed.
    next: u128,
    /// The numbers of enqueued points.
    enqueued: BTreeSet<u128>,
}

/// Why there is no grid in that order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridOrderError {
    /// A parameter does not fit.
    #[error(transparent)]
    NotDiscrete(#[from] NotDiscrete),
    /// Too large to be shuffled.
    #[error("order: shuffled needs at most 2^127 points, here are {count}", count = Count::Beyond)]
    TooLarge,
}

impl Given {
    /// A proposal from the grid was recorded; `index` is its place in the order.
    pub fn proposed(&mut self, index: u128) {
        self.next = self.next.max(index.saturating_add(1));
    }

    /// A point was enqueued: the grid leaves it out from now on.
    pub fn enqueued(&mut self, search: &GridSearch, point: &Point) {
        self.enqueued.extend(search.grid.index(point));
    }
}

impl GridSearch {
    /// The grid of a space in the file's order, or shuffled by a seed.
    pub fn new(space: &Space, shuffled_by: Option<u64>) -> Result<GridSearch, GridOrderError> {
        let grid = space.grid()?;
        let shuffled = match shuffled_by {
            None => None,
            Some(seed) => Some(grid.shuffled(seed).ok_or(GridOrderError::TooLarge)?),
        };
        Ok(GridSearch { grid, shuffled })
    }

    /// The next point that was not given, and its place in the order; none: the grid is used up.
    pub fn propose(&self, given: &Given) -> Option<(u128, Point)> {
        let mut place = given.next;
        loop {
            let (at, point) = match &self.shuffled {
                None => {
                    let at = self.grid.next(place)?;
                    (at, self.grid.point(at)?)
                }
                Some(order) => (place, self.grid.shuffled_point(order, place)?),
            };
            let known = !given.enqueued.is_empty()
                && self.grid.index(&point).is_some_and(|index| given.enqueued.contains(&index));
            if !known {
                return Some((at, point));
            }
            place = at.checked_add(1)?;
        }
    }

    /// How many points there are.
    pub fn len(&self) -> Count {
        self.grid.len()
    }

    /// Never: a grid has a point.
    pub fn is_empty(&self) -> bool {
        self.grid.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Distribution, Leaf};

    fn space(max: i64) -> Space {
        let leaf = |name: &str| Leaf {
            path: vec![name.to_owned()],
            distribution: Distribution::IntUniform { min: 1, max },
            when: Vec::new(),
        };
        Space::new(vec![leaf("a"), leaf("b")]).unwrap()
    }

    #[test]
    fn every_point_is_given_once_and_enqueued_ones_are_left_out() {
        let space = space(5);
        for order in [None, Some(3)] {
            let search = GridSearch::new(&space, order).unwrap();
            let mut given = Given::default();
            given.enqueued(&search, &space.at(&[0.1, 0.5]));
            let mut seen = vec![space.at(&[0.1, 0.5])];
            while let Some((index, point)) = search.propose(&given) {
                assert!(!seen.contains(&point));
                seen.push(point);
                given.proposed(index);
                given = serde_json::from_str(&serde_json::to_string(&given).unwrap()).unwrap();
            }
            assert_eq!(seen.len(), 25, "{order:?}");
        }
    }

    #[test]
    fn shuffles_by_the_seed() {
        let first = |seed| {
            let search = GridSearch::new(&space(1000), Some(seed)).unwrap();
            search.propose(&Given::default()).unwrap().1
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
