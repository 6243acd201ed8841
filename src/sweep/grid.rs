//! How far the method has come: which grid points were given, which of the file's own assignments became trials.
//!
//! The only file of this room that asks `search` and the space's geometry.

use std::collections::BTreeSet;

use crate::space::{Assignment, Distribution, Space, Value};
use crate::spec::{Definition, Method};
use crate::sweep::{Refusal, Source, Trial};

/// How a trial's assignment is held.
pub(super) type Point = Assignment;

/// Points of the grid that were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GridPlace {
    /// Ranks below this one were given, in the grid's order.
    pub(super) next: u128,
    /// Indexes that others than the grid gave.
    pub(super) given: BTreeSet<u128>,
}

pub(super) fn point(space: &Space, assignment: &Assignment) -> Result<Point, Refusal> {
    let _ = space;
    Ok(assignment.clone())
}

pub(super) fn assignment(space: &Space, point: &Point) -> Assignment {
    let _ = space;
    point.clone()
}

fn values(distribution: &Distribution) -> Vec<Value> {
    match distribution {
        Distribution::Constant { value } => vec![value.clone()],
        Distribution::Categorical { values } => values.clone(),
        Distribution::IntUniform { min, max } => (*min..=*max).map(Value::Int).collect(),
        _ => Vec::new(),
    }
}

fn at(space: &Space, mut index: u128) -> Assignment {
    let mut entries = Vec::new();
    for leaf in space.leaves().iter().rev() {
        let values = values(&leaf.distribution);
        let n = values.len().max(1) as u128;
        entries.push((leaf.path.join("."), values.get((index % n) as usize).cloned().unwrap_or(Value::Null)));
        index /= n;
    }
    entries.reverse();
    Assignment(entries)
}

fn len(space: &Space) -> u128 {
    space.leaves().iter().map(|leaf| values(&leaf.distribution).len().max(1) as u128).product()
}

impl GridPlace {
    /// The next point that nobody gave; none: the grid is used up.
    fn next(&self, space: &Space) -> Option<u128> {
        (self.next..len(space)).find(|index| !self.given.contains(index))
    }

    pub(super) fn is_used_up(&self, definition: &Definition) -> bool {
        self.next(&definition.space).is_none()
    }

    /// A trial with this point was proposed.
    pub(super) fn proposed(&mut self, definition: &Definition, seed: u64, point: &Point, source: Source) {
        let _ = seed;
        match source {
            Source::Grid { index } => self.next = index + 1,
            Source::Start | Source::Random | Source::Enqueued | Source::Repeat { .. } => {
                if let Some(index) = (0..len(&definition.space)).find(|i| at(&definition.space, *i) == *point) {
                    self.given.insert(index);
                }
            }
        }
    }
}

/// What the method proposes as `trial`; none: the space is used up.
pub(super) fn propose(
    definition: &Definition,
    seed: u64,
    trial: Trial,
    starts: usize,
    grid: Option<&GridPlace>,
) -> Result<Option<(Assignment, Source)>, Refusal> {
    if let Some(start) = definition.enqueue.get(starts) {
        return Ok(Some((start.clone(), Source::Start)));
    }
    match definition.method {
        Method::Random => {
            let mut index = blake3::hash(format!("{seed} {trial}").as_bytes()).as_bytes()[0] as u128;
            index %= len(&definition.space);
            Ok(Some((at(&definition.space, index), Source::Random)))
        }
        Method::Grid => {
            let Some(index) = grid.and_then(|grid| grid.next(&definition.space)) else { return Ok(None) };
            Ok(Some((at(&definition.space, index), Source::Grid { index })))
        }
        Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol => {
            Err(Refusal::Search("the method cannot propose yet".into()))
        }
    }
}
