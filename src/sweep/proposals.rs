//! How far the method has come, and what it proposes next: the file's own assignments first, then the method's.

use crate::search::{Given, GridOrderError, GridSearch, random};
use crate::space::{Assignment, Point};
use crate::spec::{Definition, GridOrder, Method};
use crate::sweep::{Source, Trial};

#[derive(Clone, Debug)]
pub(super) struct Proposals {
    /// The file's `enqueue` that became trials.
    starts: usize,
    grid: Option<Box<GridSearch>>,
    given: Given,
}

impl Proposals {
    pub(super) fn new(definition: &Definition, seed: u64) -> Result<Self, GridOrderError> {
        let shuffled = match definition.order {
            GridOrder::File => None,
            GridOrder::Shuffled => Some(seed),
        };
        let grid = match definition.method {
            Method::Grid => Some(Box::new(GridSearch::new(&definition.space, shuffled)?)),
            Method::Random | Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol => None,
        };
        Ok(Proposals { starts: 0, grid, given: Given::default() })
    }

    pub(super) fn starts(&self) -> usize {
        self.starts
    }

    pub(super) fn given(&self) -> &Given {
        &self.given
    }

    /// A trial with this point was proposed.
    pub(super) fn proposed(&mut self, point: &Point, source: Source) {
        self.starts += usize::from(source == Source::Start);
        match (source, &self.grid) {
            (Source::Grid { index }, _) => self.given.proposed(index),
            (Source::Start | Source::Enqueued | Source::Repeat { .. }, Some(grid)) => {
                self.given.enqueued(grid, point);
            }
            (
                Source::Start | Source::Enqueued | Source::Repeat { .. } | Source::Random | Source::Model,
                _,
            ) => {}
        }
    }

    /// Whether nothing is left to propose.
    pub(super) fn used_up(&self, definition: &Definition) -> bool {
        let starts_left = self.starts < definition.enqueue.len();
        !starts_left && self.grid.as_ref().is_some_and(|grid| grid.propose(&self.given).is_none())
    }

    /// What becomes `trial` without anybody's suggestion; none: the space is used up, or the method learns.
    pub(super) fn next(
        &self,
        definition: &Definition,
        seed: u64,
        trial: Trial,
    ) -> Option<(Assignment, Source)> {
        if let Some(start) = definition.enqueue.get(self.starts) {
            return Some((start.clone(), Source::Start));
        }
        let (point, source) = match (&self.grid, definition.method) {
            (Some(grid), _) => {
                let (index, point) = grid.propose(&self.given)?;
                (point, Source::Grid { index })
            }
            (None, Method::Random) => (random(&definition.space, seed, trial.0), Source::Random),
            (None, Method::Grid | Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol) => {
                return None;
            }
        };
        Some((definition.space.assignment(&point), source))
    }
}
