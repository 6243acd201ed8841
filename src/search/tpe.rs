//! `tpe`: draws where good trials are denser than the others.
//!
//! The trials are split at a share of the best. A density l is made of the best and g of the rest, pending trials among
//! them, so that what runs already is avoided. Of some points drawn from l the one with the largest l/g is proposed
//! [BBBK11]; kernels, weights and the split are those of Optuna 5, all leaves drawn together.
//!
//! - [BBBK11] J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011.
//! - [OTNY22] Y. Ozaki, Y. Tanigaki, S. Watanabe, M. Nomura and M. Onishi, "Multiobjective tree-structured Parzen
//!   estimator", Journal of Artificial Intelligence Research 73 (2022) 1209-1250: several objectives.

mod parzen;

use crate::search::axis::Axis;
use crate::search::sobol::SobolSearch;
use crate::search::standing::{Standing, best};
use crate::search::taken::Taken;
use crate::search::{History, Problem, Proposal, Reason, UsedUp};
use crate::space::{Point, stream};
use parzen::{Parzen, query};

/// Trials that end before anything is learned from them.
const STARTUP: usize = 10;
/// Points drawn from l.
const CANDIDATES: usize = 24;
/// The share of the best, and how many they are at most where there is one objective.
const SHARE: f64 = 0.1;
const MOST_GOOD: usize = 25;
/// As many of the latest trials have the full weight in g.
const FULL_WEIGHT: usize = 25;

/// The method.
#[derive(Clone, Debug)]
pub struct Tpe {
    problem: Problem,
    axes: Vec<Axis>,
    startup: SobolSearch,
}

impl Tpe {
    /// The method for a problem.
    pub fn new(problem: &Problem) -> Tpe {
        let (axes, startup) = (Axis::of(&problem.space), SobolSearch::new(problem));
        Tpe { problem: problem.clone(), axes, startup }
    }

    /// What becomes `trial`.
    pub fn propose(&self, trial: u32, history: &History<'_>) -> Result<Proposal, UsedUp> {
        if history.observations.len() < STARTUP {
            return self.startup.propose(trial, history);
        }
        let (good, rest) = self.split(history);
        let l = Parzen::new(&self.axes, &good, &vec![1.0; good.len()]);
        let g = Parzen::new(&self.axes, &rest, &weights(rest.len()));
        let taken = Taken { space: &self.problem.space, axes: &self.axes, history };
        let mut rng = stream(self.problem.seed, "tpe", u64::from(trial));
        let mut chosen: Option<(f64, Point)> = None;
        for _ in 0..CANDIDATES {
            let point = l.draw(&self.problem.space, &mut rng);
            let at = query(&self.axes, &point);
            let log_ratio = l.ln_density(&at) - g.ln_density(&at);
            let better = chosen.as_ref().is_none_or(|(largest, _)| log_ratio > *largest);
            if better && !taken.has(&point) {
                chosen = Some((log_ratio, point));
            }
        }
        match chosen {
            Some((log_ratio, point)) => Ok(Proposal { point, reason: Reason::Tpe { log_ratio } }),
            None => Ok(Proposal { point: taken.other(&mut rng)?, reason: Reason::Unused }),
        }
    }

    /// The points of the best trials and of all others, each by trial number, foreign ones first.
    fn split<'h>(&self, history: &History<'h>) -> (Vec<&'h Point>, Vec<&'h Point>) {
        let ended = history.observations.iter().map(|observation| {
            let standing = Standing::ended(&self.problem, &observation.outcome);
            (observation.trial, &observation.point, Some(standing))
        });
        let running = history
            .pending
            .iter()
            .map(|pending| (Some(pending.trial), &pending.point, Standing::running(&self.problem, pending)));
        let mut trials: Vec<(Option<u32>, &Point, Option<Standing<'_>>)> = ended.chain(running).collect();
        trials.sort_by_key(|(trial, ..)| *trial);
        let (places, standings): (Vec<usize>, Vec<Standing<'_>>) = trials
            .iter()
            .enumerate()
            .filter_map(|(place, (.., standing))| standing.map(|s| (place, s)))
            .unzip();
        let mut is_good = vec![false; trials.len()];
        for k in best(&standings, good(standings.len(), self.problem.objectives)) {
            is_good[places[k]] = true;
        }
        let points = |wanted: bool| {
            let chosen = trials.iter().zip(&is_good).filter(|(_, is_good)| **is_good == wanted);
            chosen.map(|((_, point, _), _)| *point).collect()
        };
        (points(true), points(false))
    }
}

/// How many of n trials are good ones.
fn good(n: usize, objectives: usize) -> usize {
    let share = (SHARE * n as f64).ceil() as usize;
    if objectives > 1 { share } else { share.min(MOST_GOOD) }
}

/// The weights of n trials in g, oldest first: 1/n rising to 1 at those that have the full weight.
fn weights(n: usize) -> Vec<f64> {
    let ramp = n.saturating_sub(FULL_WEIGHT);
    let first = 1.0 / n.max(1) as f64;
    let step = if ramp > 1 { (1.0 - first) / (ramp - 1) as f64 } else { 0.0 };
    (0..n).map(|k| if k < ramp { first + step * k as f64 } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests;
