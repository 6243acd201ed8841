//! `cmaes`: the covariance matrix adaptation evolution strategy, with restarts and larger generations after each.
//!
//! Trials are counted as they end: whenever as many ended as a generation has, it closes and moves the distribution from
//! which the next trials are drawn. So a slow trial joins the generation that is open when it ends, and trials asked for
//! meanwhile come from the distribution in force. Bounds: a point outside is drawn again.
//!
//! - [H16] N. Hansen, "The CMA evolution strategy: a tutorial" (2016).
//! - [AH05] A. Auger and N. Hansen, "A restart CMA evolution strategy with increasing population size", CEC 2005.

mod covariance;
mod evolution;
mod margin;
mod strategy;

use crate::search::axis::{Axis, same_point};
use crate::search::standing::{Standing, best};
use crate::search::taken::Taken;
use crate::search::{History, Observation, Problem, Proposal, Reason, UsedUp};
use crate::space::{stream, uniform};
use evolution::Evolution;
use strategy::population;

/// How often a point that was proposed already is drawn again.
const TRIES: usize = 100;
/// The largest generation.
const MOST: usize = 4096;
/// A run ends when its best values differ by less than this share of all differences it has seen.
const FLAT: f64 = 1e-12;

/// The method.
#[derive(Clone, Debug)]
pub struct Cmaes {
    problem: Problem,
    axes: Vec<Axis>,
    /// A cache: what `learned` leads to.
    run: Run,
    learned: Vec<Observation>,
}

/// The distribution in force, and what decides when the run ends.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    evolution: Evolution,
    restarts: u32,
    /// Generations of the runs before.
    before: u32,
    /// The best value of every generation; none where it has none.
    bests: Vec<Option<f64>>,
    /// The least and the greatest value.
    range: Option<(f64, f64)>,
}

impl Cmaes {
    /// The method for a problem.
    pub fn new(problem: &Problem) -> Cmaes {
        let axes = Axis::of(&problem.space);
        let run = Run::first(&axes);
        Cmaes { problem: problem.clone(), axes, run, learned: Vec::new() }
    }

    /// What becomes `trial`.
    pub fn propose(&mut self, trial: u32, history: &History<'_>) -> Result<Proposal, UsedUp> {
        self.learn(history.observations);
        let (space, taken) =
            (&self.problem.space, Taken { space: &self.problem.space, axes: &self.axes, history });
        let mut rng = stream(self.problem.seed, "cmaes", u64::from(trial));
        for _ in 0..TRIES {
            let point = self.run.evolution.draw(space, &self.axes, &mut rng).point;
            if !taken.has(&point) {
                let generation = self.run.before + self.run.evolution.generation;
                return Ok(Proposal { point, reason: Reason::Cmaes { generation } });
            }
        }
        Ok(Proposal { point: taken.other(&mut rng)?, reason: Reason::Unused })
    }

    /// Brings the run to where these trials lead. What was learned is kept as long as they begin with it.
    fn learn(&mut self, told: &[Observation]) {
        let same = |(a, b): (&Observation, &Observation)| {
            a.trial == b.trial
                && a.point == b.point
                && Standing::ended(&self.problem, &a.outcome) == Standing::ended(&self.problem, &b.outcome)
        };
        if told.len() < self.learned.len() || !self.learned.iter().zip(told).all(same) {
            self.run = Run::first(&self.axes);
            self.learned.clear();
        }
        while let Some(generation) = told[self.learned.len()..].get(..self.run.evolution.lambda) {
            self.run.close(&self.problem, &self.axes, generation);
            self.learned.extend_from_slice(generation);
        }
    }
}

impl Run {
    fn first(axes: &[Axis]) -> Run {
        let lambda = population(axes.iter().filter(|axis| axis.is_searched()).count());
        Run {
            evolution: Evolution::new(axes, lambda, || 0.5),
            restarts: 0,
            before: 0,
            bests: Vec::new(),
            range: None,
        }
    }

    /// Takes in a generation, and begins anew where the run has come to its end [AH05].
    fn close(&mut self, problem: &Problem, axes: &[Axis], generation: &[Observation]) {
        let standings: Vec<Standing<'_>> =
            generation.iter().map(|one| Standing::ended(problem, &one.outcome)).collect();
        let order = best(&standings, standings.len());
        let ranked: Vec<_> = order
            .iter()
            .map(|k| (self.coordinates(problem, axes, &generation[*k]), &generation[*k].point))
            .collect();
        self.evolution.learn(axes, &ranked);
        let values = || standings.iter().filter_map(Standing::value);
        self.bests.push(values().reduce(f64::min));
        for value in values() {
            let (low, high) = self.range.unwrap_or((value, value));
            self.range = Some((low.min(value), high.max(value)));
        }
        if self.evolution.is_exhausted() || self.is_flat() {
            self.restart(problem, axes);
        }
    }

    /// Where a trial was, as the distribution sees it: exactly what was drawn, if it comes from this distribution.
    fn coordinates(&self, problem: &Problem, axes: &[Axis], one: &Observation) -> Vec<f64> {
        let number = one.trial.map_or(0, u64::from);
        let mut rng = stream(problem.seed, "cmaes", number);
        if one.trial.is_some() && axes.iter().any(|axis| axis.cell_at(0.5).is_some()) {
            let drawn = self.evolution.draw(&problem.space, axes, &mut rng);
            if same_point(axes, &drawn.point, &one.point) {
                return drawn.x;
            }
        }
        self.evolution.locate(axes, &one.point, &mut stream(problem.seed, "cmaes place", number))
    }

    /// Whether the best values of the last generations are as good as equal.
    fn is_flat(&self) -> bool {
        let d = self.evolution.coordinates();
        let window = 10 + (30 * d).div_ceil(self.evolution.lambda);
        let Some(last) = self.bests.len().checked_sub(window).map(|first| &self.bests[first..]) else {
            return false;
        };
        let (low, high) =
            last.iter().flatten().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(*value), high.max(*value))
            });
        let all = self.range.map_or(0.0, |(low, high)| 0.5 * high - 0.5 * low);
        // where every trial failed the difference is that of nothing; halves, so that it is finite elsewhere
        0.5 * high - 0.5 * low <= FLAT * all
    }

    fn restart(&mut self, problem: &Problem, axes: &[Axis]) {
        self.restarts += 1;
        self.before += self.evolution.generation;
        let mut rng = stream(problem.seed, "cmaes restart", u64::from(self.restarts));
        let lambda = (2 * self.evolution.lambda).min(MOST);
        self.evolution = Evolution::new(axes, lambda, || uniform(&mut rng));
        self.bests.clear();
        self.range = None;
    }
}

#[cfg(test)]
mod tests;
