//! `bayes`: Gaussian processes over what was observed, and the trial from which most is expected.
//!
//! A proposal is a function of the problem, the history and the last recorded fit alone. The engine keeps what it
//! computed for one proposal to save time at the next; an engine made anew from the last recorded fit proposes the same,
//! bit for bit. Fits happen on a schedule that counts observations. A fit that a proposal was made with, and that was not
//! recorded yet, comes with the proposal; [`Bayes::record`] tells the engine that it was recorded.
//!
//! The first trials are a design: the centre of the space, then points of a scrambled Sobol sequence.

mod beliefs;
mod fitting;
mod ground;
mod outlook;
mod record;
mod schedule;
mod target;
mod transfer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use crate::search::bayes::beliefs::Beliefs;
use crate::search::bayes::ground::{Ground, Known};
use crate::search::bayes::target::{Facts, Target};
use crate::search::bayes::transfer::Earlier;
use crate::search::gp::coordinates::Embedding;
use crate::search::gp::kernel::Layout;
use crate::search::gp::optimise::{Effort, Search, any_new};
use crate::search::gp::posterior::{Hint, Posterior};
use crate::search::{Hindrance, History, Problem, Proposal, Reason, Sobol, UsedUp};
use crate::space::{Point, stream};
pub use outlook::{ModelOutlook, Outlook, Recommended};
pub use record::{Fit, ModelFit, Modelled, Scale};
pub use transfer::standardised;

/// The design has between so many ..
const DESIGN_LEAST: usize = 4;
/// .. and so many trials, one more than there are dimensions in between.
const DESIGN_MOST: usize = 8;
/// How many points of the design's sequence are looked at.
const DESIGN_TRIES: u32 = 64;
/// Each proposal's candidates are so many further in their sequence.
const SLICE: u32 = 512;
/// Mutations start from so many of the best points.
const BEST: usize = 5;
/// With more pending than this every second proposal explores.
const MANY_PENDING: usize = 4;

/// The engine of one sweep.
#[derive(Debug)]
pub struct Bayes {
    problem: Problem,
    embedding: Embedding,
    design: Sobol,
    spread: Sobol,
    recorded: Option<Fit>,
    // caches
    ground: Ground,
    /// What earlier sweeps say of each objective.
    earlier: Vec<Earlier>,
    eager: Option<Eager>,
    posteriors: BTreeMap<Modelled, Posterior>,
}

/// A proposal, and the fit it was made with if that was not recorded yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    /// The proposal.
    pub proposal: Proposal,
    /// To be recorded with it.
    pub fit: Option<Fit>,
}

/// A fit that was made from a recorded one, and what it was made of.
#[derive(Debug)]
struct Eager {
    from: Option<Fit>,
    targets: Vec<Target>,
    fit: Result<Fit, Hindrance>,
}

/// The fit that a proposal is made with.
#[derive(Debug)]
struct Model {
    fit: Fit,
    is_new: bool,
    targets: Vec<Target>,
}

impl Bayes {
    /// The engine of a sweep that has recorded no fit.
    pub fn new(problem: Problem) -> Bayes {
        let embedding = Embedding::new(&problem.space);
        let axes = embedding.axes().len();
        Bayes {
            design: Sobol::new(axes, problem.seed, "bayes design"),
            spread: Sobol::new(axes, problem.seed, "bayes candidates"),
            problem,
            embedding,
            recorded: None,
            ground: Ground::default(),
            earlier: Vec::new(),
            eager: None,
            posteriors: BTreeMap::new(),
        }
    }

    /// The engine of a sweep, from the last fit that it recorded.
    pub fn restore(problem: Problem, fit: Option<Fit>) -> Bayes {
        Bayes { recorded: fit, ..Bayes::new(problem) }
    }

    /// A fit was recorded: later proposals start from it.
    pub fn record(&mut self, fit: Fit) {
        self.recorded = Some(fit);
    }

    /// What becomes `trial`.
    pub fn propose(&mut self, trial: u32, history: &History<'_>) -> Result<Proposed, UsedUp> {
        self.follow(history);
        let designed = self.design_point(history);
        if let Some(proposal) = designed {
            return Ok(Proposed { proposal, fit: None });
        }
        let model = match self.model(history) {
            Ok(model) => model,
            Err(why) => return self.fall_back(trial, history, why),
        };
        let beliefs = match self.beliefs(&model, trial, history) {
            Ok(beliefs) => beliefs,
            Err(why) => return self.fall_back(trial, history, why),
        };
        let known = self.ground.known(&self.embedding, history);
        let proposal = match self.search(trial, &beliefs, &known) {
            Some((point, acquisition)) => {
                let expected = beliefs.expected(&self.embedding.row(&point));
                let exploring = beliefs.is_exploring();
                Proposal { point, reason: Reason::Model { acquisition, expected, exploring } }
            }
            None => Proposal { point: self.any_new(trial, &known).ok_or(UsedUp)?, reason: Reason::Unused },
        };
        Ok(Proposed { proposal, fit: model.is_new.then_some(model.fit) })
    }

    /// Does ahead what the next proposal would have to do first: the fit and its factors. It never changes what is
    /// proposed.
    pub fn prepare(&mut self, history: &History<'_>) {
        self.follow(history);
        if self.design_point(history).is_none() {
            // a fit that fails now is remembered, and fails the proposal in the same way
            let _ = self.model(history);
        }
    }

    fn follow(&mut self, history: &History<'_>) {
        if !self.ground.follow(&mut self.embedding, history.observations) {
            self.posteriors.clear();
            self.earlier.clear();
            self.eager = None;
        }
        let before = std::mem::take(&mut self.earlier);
        self.earlier = self.earlier(before, &Facts::new(&self.problem, history.observations));
    }

    /// What earlier sweeps say of each objective, as far as it is known from before.
    fn earlier(&self, before: Vec<Earlier>, facts: &Facts<'_>) -> Vec<Earlier> {
        let mut before = before.into_iter();
        let of = |objective| {
            let seen = facts.foreign(objective);
            let known = before.next().filter(|earlier| earlier.seen == seen);
            known.unwrap_or_else(|| {
                let rows: Vec<Vec<f64>> =
                    seen.iter().map(|(index, _)| self.ground.rows[*index].clone()).collect();
                Earlier::new(seen, &self.matrix(&rows))
            })
        };
        (0..self.problem.objectives).map(of).collect()
    }

    /// What earlier sweeps say of what is modelled.
    fn hint(&self, of: Modelled, scale: &Scale) -> Option<Hint> {
        let (Modelled::Objective(j), Scale::Objective { offset, factor, .. }) = (of, scale) else {
            return None;
        };
        let from = self.earlier.get(j)?.model.clone().filter(|_| *factor > 0.0)?;
        Some(Hint { from, offset: *offset, factor: *factor })
    }

    /// The next point of the design, while it lasts: until the design's number of trials was proposed, and the models
    /// have something to go by. What earlier sweeps know takes the place of most of it.
    fn design_point(&self, history: &History<'_>) -> Option<Proposal> {
        let axes = self.embedding.axes().len();
        let size = (axes + 1).clamp(DESIGN_LEAST, DESIGN_MOST);
        let proposed = self.ground.own + history.pending.len();
        let facts = Facts::new(&self.problem, history.observations);
        let foreign = history.observations.len() - self.ground.own;
        let is_enough = facts.measured >= 2 || (facts.mostly_fails() && facts.failed >= size);
        let is_hinted = foreign >= size && self.earlier.iter().any(|earlier| earlier.model.is_some());
        let over = if is_hinted {
            // earlier sweeps are asked first, then by turns: they may know nothing of this one
            proposed >= DESIGN_LEAST || proposed.is_multiple_of(2)
        } else {
            proposed >= size && is_enough
        };
        if over {
            return None;
        }
        let known = self.ground.known(&self.embedding, history);
        let centre = self.problem.space.midpoint();
        if !known.has(&centre) {
            return Some(Proposal { point: centre, reason: Reason::Centre });
        }
        (0..DESIGN_TRIES)
            .map(|index| (index, self.embedding.point(&self.full(&self.design, index))))
            .find(|(_, point)| !known.has(point))
            .map(|(index, point)| Proposal { point, reason: Reason::Sobol { index } })
    }

    /// A full row of a sequence.
    fn full(&self, sequence: &Sobol, index: u32) -> Vec<f64> {
        let mut units = vec![0.5; self.problem.space.leaves().len()];
        for (axis, unit) in self.embedding.axes().iter().zip(sequence.point(index)) {
            units[axis.leaf] = unit;
        }
        self.embedding.drawn(&units)
    }

    fn any_new(&self, trial: u32, known: &Known<'_>) -> Option<Point> {
        let mut rng = stream(self.problem.seed, "bayes any", u64::from(trial));
        any_new(&self.embedding, &|point| known.has(point), &mut rng)
    }

    fn fall_back(&self, trial: u32, history: &History<'_>, why: Hindrance) -> Result<Proposed, UsedUp> {
        let known = self.ground.known(&self.embedding, history);
        let point = self.any_new(trial, &known).ok_or(UsedUp)?;
        Ok(Proposed { proposal: Proposal { point, reason: Reason::Fallback { why } }, fit: None })
    }

    fn search(&self, trial: u32, beliefs: &Beliefs, known: &Known<'_>) -> Option<(Point, f64)> {
        let mut rng: ChaCha8Rng = stream(self.problem.seed, "bayes search", u64::from(trial));
        let effort = Effort::of(beliefs.observations());
        let slice = trial.wrapping_mul(SLICE);
        let spread = (0..effort.spread as u32).map(|i| self.full(&self.spread, slice.wrapping_add(i)));
        let layout = Layout::of(&self.embedding);
        let search = Search {
            embedding: &self.embedding,
            layout: &layout,
            effort,
            best: beliefs.best().iter().take(BEST).map(|row| self.embedding.filled(row)).collect(),
            spread: spread.collect(),
            known: &|point| known.has(point),
        };
        search.maximise(&beliefs.acquisition(), &mut rng)
    }
}
