//! What a new sweep may learn from earlier ones: trials of theirs, as points of its own space.
//!
//! Only what an earlier sweep measured is taken over, each objective standardised over all that this sweep measured, so
//! that it says where it was good there, whatever its scale. It is stored with the new sweep: what becomes of the earlier
//! one later changes nothing.

use serde::{Deserialize, Serialize};

use crate::search::{Observation, Outcome, standardised};
use crate::space::{Assignment, Point, Space};
use crate::spec::Definition;
use crate::sweep::{State, SweepId, Trial};

/// Lessons that a sweep may begin with.
const MOST: usize = 200;

/// A trial of an earlier sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The sweep that it is of.
    pub from: SweepId,
    #[allow(missing_docs)]
    pub trial: Trial,
    /// Its values of the parameters that the new sweep has too.
    pub assignment: Assignment,
    /// One an objective of the new sweep: standardised, to be minimised.
    pub values: Vec<f64>,
}

/// What an earlier sweep has to teach.
#[derive(Clone, Debug, PartialEq)]
pub struct Lessons {
    /// The best, and some of the others.
    pub taken: Vec<Lesson>,
    /// Trials that have a value outside the new space.
    pub outside: usize,
}

/// Why an earlier sweep teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLesson {
    #[allow(missing_docs)]
    #[error("it has no objective '{name}' with the same goal")]
    Objective { name: String },
    #[allow(missing_docs)]
    #[error("it has none of the parameters that are searched here")]
    Parameters,
    #[allow(missing_docs)]
    #[error("none of its trials was measured")]
    Unmeasured,
}

/// What `earlier` teaches a sweep of this definition, which learns from `sweeps` of them.
///
/// # Errors
///
/// It is about something else, or nothing came of it.
pub fn lessons(earlier: &State, definition: &Definition, sweeps: usize) -> Result<Lessons, NoLesson> {
    let theirs = &earlier.definition.objectives;
    let place = |objective: &crate::spec::Objective| {
        let same =
            |other: &crate::spec::Objective| other.name == objective.name && other.goal == objective.goal;
        theirs.iter().position(same).ok_or_else(|| NoLesson::Objective { name: objective.name.clone() })
    };
    let places = definition.objectives.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let leaves = earlier.definition.space.leaves();
    let shared = |leaf: &crate::space::Leaf| leaves.iter().any(|other| other.path == leaf.path);
    if !definition.space.leaves().iter().any(|leaf| !leaf.distribution.is_constant() && shared(leaf)) {
        return Err(NoLesson::Parameters);
    }
    let measured = measured(earlier);
    if measured.is_empty() {
        return Err(NoLesson::Unmeasured);
    }
    let columns = places.iter().map(|place| {
        let raw: Vec<f64> = measured.iter().map(|(.., values)| values[*place]).collect();
        standardised(&raw)
    });
    let columns: Vec<Vec<f64>> = columns.collect();
    let mut all = Vec::new();
    for (row, (trial, point, _)) in measured.iter().enumerate() {
        let assignment = earlier.definition.space.assignment(point);
        let Some(point) = definition.space.foreign(&assignment) else { continue };
        all.push(Lesson {
            from: earlier.birth.id,
            trial: *trial,
            assignment: definition.space.assignment(&point),
            values: columns.iter().map(|column| column[row]).collect(),
        });
    }
    let outside = measured.len() - all.len();
    Ok(Lessons { taken: chosen(all, MOST / sweeps.max(1)), outside })
}

/// The trials that were measured and kept their constraints, with their objectives.
fn measured(earlier: &State) -> Vec<(Trial, Point, Box<[f64]>)> {
    let of = |observation: Observation| match observation.outcome {
        Outcome::Measured { objectives, constraints, .. }
            if objectives.iter().all(|value| value.is_finite()) && constraints.iter().all(|c| *c <= 0.0) =>
        {
            Some((Trial(observation.trial?), observation.point, objectives))
        }
        Outcome::Measured { .. } | Outcome::Failed(_) => None,
    };
    earlier.question().observations.into_iter().filter_map(of).collect()
}

/// The better half of what there is room for, and of the rest some evenly from good to bad; by trial.
fn chosen(mut all: Vec<Lesson>, room: usize) -> Vec<Lesson> {
    if all.len() > room {
        let sum = |lesson: &Lesson| lesson.values.iter().sum::<f64>();
        all.sort_by(|a, b| sum(a).total_cmp(&sum(b)).then(a.trial.cmp(&b.trial)));
        let rest = all.split_off(room / 2);
        let more = room - all.len();
        let evenly = (0..more).filter_map(|k| rest.get((2 * k + 1) * rest.len() / (2 * more)));
        all.extend(evenly.cloned());
    }
    all.sort_by_key(|lesson| lesson.trial);
    all
}

/// Lessons as a method sees them.
pub(super) fn observations(lessons: &[Lesson], space: &Space) -> Vec<Observation> {
    let of = |lesson: &Lesson| {
        let objectives = lesson.values.clone().into_boxed_slice();
        let outcome = Outcome::Measured { objectives, constraints: Box::default(), stopped: false };
        Some(Observation { trial: None, point: space.foreign(&lesson.assignment)?, outcome })
    };
    lessons.iter().filter_map(of).collect()
}
