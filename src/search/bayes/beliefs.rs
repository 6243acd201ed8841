//! The models with everything that is known told to them, and what is to be gained.
//!
//! Trials that run stand at the posterior mean: they take away variance and leave the mean. Where the problem imputes
//! them from what they reported, they count as observed there.

use crate::search::bayes::record::Modelled;
use crate::search::bayes::target::{Facts, Target};
use crate::search::bayes::{Bayes, MANY_PENDING, Model, Scale};
use crate::search::gp::acquisition::{Acquisition, Gain, OPTIMISM};
use crate::search::gp::chebyshev::Chebyshev;
use crate::search::gp::ehvi::Hypervolume;
use crate::search::gp::kernel::{Layout, Rows};
use crate::search::gp::posterior::Posterior;
use crate::search::{Expected, Hindrance, History};
use crate::space::{normal_quantile, stream, uniform};

/// Normal draws of a scalarisation.
const DRAWS: usize = 64;
/// The reference lies so much of the points' range beyond their worst.
const BEYOND: f64 = 0.1;
/// So many of the best points are asked where the optimum can still be.
const ASKED: usize = 64;

/// What is believed at one proposal.
#[derive(Debug)]
pub(super) struct Beliefs {
    objectives: Vec<(Posterior, Scale)>,
    limits: Vec<Posterior>,
    gain: Gain,
    /// Rows of observed points, the best first.
    best: Vec<Vec<f64>>,
    /// The observation that is best by posterior mean, of those that were measured and kept all constraints.
    pub(super) recommended: Option<usize>,
}

/// An observed point of the objectives' models.
struct Seen {
    index: usize,
    row: Vec<f64>,
    /// The posterior mean of each objective.
    means: Vec<f64>,
    /// By how much the limits' models see them broken.
    broken: f64,
    /// Whether it can be a best: measured in this sweep, all constraints kept.
    counts: bool,
}

impl Bayes {
    /// Tells the models all values, and sees what is to be gained.
    pub(super) fn beliefs(
        &self,
        model: &Model,
        trial: u32,
        history: &History<'_>,
    ) -> Result<Beliefs, Hindrance> {
        let facts = Facts::new(&self.problem, history.observations);
        let (imputed, believed) = self.pending(&facts, history);
        let mut beliefs = Beliefs {
            objectives: Vec::new(),
            limits: Vec::new(),
            gain: Gain::Nothing,
            best: Vec::new(),
            recommended: None,
        };
        for target in &model.targets {
            let (Some(posterior), Some(of)) = (self.posteriors.get(&target.of), model.fit.model(target.of))
            else {
                return Err(Hindrance::Fit);
            };
            let mut posterior = posterior.clone();
            let mut values = target.seen(&of.scale);
            if target.of == Modelled::Objective(0) && !imputed.is_empty() {
                let mut rows = self.rows(target);
                for (row, value) in &imputed {
                    rows.push(row);
                    values.push(of.scale.of(*value));
                }
                posterior = posterior.extend(&rows).map_err(|_| Hindrance::Factor)?;
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(Hindrance::Values);
            }
            posterior.tell(&values);
            match target.of {
                Modelled::Objective(_) => beliefs.objectives.push((posterior, of.scale)),
                Modelled::Constraint(_) | Modelled::Failure => beliefs.limits.push(posterior),
            }
        }
        let mut seen = self.seen(model, &beliefs, &facts);
        let believed = self.matrix(&believed);
        for posterior in beliefs.objectives.iter_mut().map(|(p, _)| p).chain(&mut beliefs.limits) {
            posterior.believe(&believed);
        }
        seen.sort_by(|a, b| a.standing().total_cmp(&b.standing()).then(a.index.cmp(&b.index)));
        let counted: Vec<&Seen> = seen.iter().filter(|seen| seen.counts).collect();
        beliefs.recommended = counted.first().map(|seen| seen.index);
        beliefs.gain = self.gain(&beliefs, &counted, &seen, &believed, trial, history);
        beliefs.best = best(&counted, &seen);
        Ok(beliefs)
    }

    /// Running trials: those with an imputed value, and the rows of the others.
    #[expect(clippy::type_complexity, reason = "two lists, taken apart at once")]
    fn pending(&self, facts: &Facts<'_>, history: &History<'_>) -> (Vec<(Vec<f64>, f64)>, Vec<Vec<f64>>) {
        let (mut imputed, mut believed) = (Vec::new(), Vec::new());
        for pending in history.pending {
            let row = self.embedding.row(&pending.point);
            let has_reported = pending.reported.last.is_some() || pending.reported.best.is_some();
            let impute =
                self.problem.impute_while_running.filter(|_| has_reported && self.problem.objectives == 1);
            let value = impute.map(|impute| facts.imputed(impute, &pending.reported, 0));
            match value.filter(|value| value.is_finite()) {
                Some(value) => imputed.push((row, value)),
                None => believed.push(row),
            }
        }
        (imputed, believed)
    }

    pub(super) fn matrix(&self, rows: &[Vec<f64>]) -> Rows {
        let mut matrix = Rows::new(Layout::of(&self.embedding));
        rows.iter().for_each(|row| matrix.push(row));
        matrix
    }

    /// The observed points, as the models see them.
    fn seen(&self, model: &Model, beliefs: &Beliefs, facts: &Facts<'_>) -> Vec<Seen> {
        let Some(target) = model.targets.first() else { return Vec::new() };
        let foreign = self.earlier.first().map_or(&[][..], |earlier| &earlier.seen);
        let foreign: Vec<usize> = foreign.iter().map(|(index, _)| *index).collect();
        let row = |index: &usize| self.ground.rows[*index].clone();
        let (own, others): (Vec<_>, Vec<_>) =
            (target.indexes.iter().map(row).collect(), foreign.iter().map(row).collect());
        let elsewhere = self.matrix(&others);
        let rows: Vec<Vec<f64>> = own.into_iter().chain(others).collect();
        let indexes: Vec<usize> = target.indexes.iter().copied().chain(foreign).collect();
        let mut broken = vec![0.0; rows.len()];
        for limit in &beliefs.limits {
            let means = limit.bounds(&self.matrix(&rows)).mean;
            broken.iter_mut().zip(means).for_each(|(broken, mean)| *broken += mean.max(0.0));
        }
        // trials that were stopped may be rows of some objectives' models alone
        let all = |((posterior, _), of): (&(Posterior, Scale), &Target)| {
            if of.indexes != target.indexes {
                return posterior.means(&self.matrix(&rows));
            }
            let mut means = posterior.means_at_rows();
            means.extend(posterior.means(&elsewhere));
            means
        };
        let means: Vec<Vec<f64>> = beliefs.objectives.iter().zip(&model.targets).map(all).collect();
        let of = |(row, (z, broken)): (usize, (Vec<f64>, f64))| {
            let index = indexes[row];
            Seen {
                index,
                row: z,
                means: means.iter().map(|means| means[row]).collect(),
                broken,
                counts: facts.is_measured(index) && facts.is_feasible(index),
            }
        };
        rows.into_iter().zip(broken).enumerate().map(of).collect()
    }

    fn gain(
        &self,
        beliefs: &Beliefs,
        counted: &[&Seen],
        seen: &[Seen],
        believed: &Rows,
        trial: u32,
        history: &History<'_>,
    ) -> Gain {
        // other sweeps' points only where this one has none, and no constraint says that they would count
        let borrowed: Vec<&Seen> =
            seen.iter().filter(|_| counted.is_empty() && self.problem.constraints == 0).collect();
        let points = if counted.is_empty() { &borrowed } else { counted };
        let Some(first) = points.first() else { return Gain::Nothing };
        match beliefs.objectives.as_slice() {
            [] => Gain::Nothing,
            [(posterior, _)] => {
                if history.pending.len() > MANY_PENDING && trial.is_multiple_of(2) {
                    return knowledge(posterior, self.matrix(&rows_of(points)), believed);
                }
                Gain::Improvement { best: first.means[0] }
            }
            [first, second] => {
                let mut all: Vec<[f64; 2]> =
                    points.iter().map(|seen| [seen.means[0], seen.means[1]]).collect();
                let expected = [first.0.bounds(believed).mean, second.0.bounds(believed).mean];
                all.extend(expected[0].iter().zip(&expected[1]).map(|(a, b)| [*a, *b]));
                let reference = reference(&all);
                Gain::Hypervolume(Hypervolume::new(&all, reference))
            }
            several => Gain::Scalarised(self.scalarisation(several.len(), points, trial)),
        }
    }

    /// A random scalarisation of several objectives.
    fn scalarisation(&self, objectives: usize, points: &[&Seen], trial: u32) -> Chebyshev {
        let mut rng = stream(self.problem.seed, "bayes weights", u64::from(trial));
        let mut weights: Vec<f64> = (0..objectives).map(|_| -libm::log(uniform(&mut rng))).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let draws = (0..DRAWS)
            .map(|_| (0..objectives).map(|_| normal_quantile(uniform(&mut rng))).collect())
            .collect();
        let front: Vec<&&Seen> =
            points.iter().filter(|a| !points.iter().any(|b| dominates(&b.means, &a.means))).collect();
        let over = |j: usize, from: f64, with: fn(f64, f64) -> f64| {
            front.iter().map(|seen| seen.means[j]).fold(from, with)
        };
        let ideal: Vec<f64> = (0..objectives).map(|j| over(j, f64::INFINITY, f64::min)).collect();
        let range = (0..objectives)
            .map(|j| over(j, f64::NEG_INFINITY, f64::max) - ideal[j])
            .map(|range| if range > 1e-6 { range } else { 1.0 })
            .collect();
        let mut chebyshev = Chebyshev { weights, ideal, range, best: 0.0, draws };
        chebyshev.best = points.iter().map(|seen| chebyshev.of(&seen.means).0).fold(f64::INFINITY, f64::min);
        chebyshev
    }
}

impl Seen {
    /// Less is better.
    fn standing(&self) -> f64 {
        if self.broken > 0.0 && !self.counts { 1e6 + self.broken } else { self.means.iter().sum() }
    }
}

impl Beliefs {
    pub(super) fn acquisition(&self) -> Acquisition<'_> {
        Acquisition {
            gain: self.gain.clone(),
            objectives: match self.gain {
                Gain::Nothing => Vec::new(),
                _ => self.objectives.iter().map(|(posterior, _)| posterior).collect(),
            },
            limits: self.limits.iter().collect(),
        }
    }

    /// How many rows the largest model has.
    pub(super) fn observations(&self) -> usize {
        let models = self.objectives.iter().map(|(posterior, _)| posterior).chain(&self.limits);
        models.map(Posterior::len).max().unwrap_or(0)
    }

    /// Rows of observed points to start from, the best first.
    pub(super) fn best(&self) -> &[Vec<f64>] {
        &self.best
    }

    /// How much of its hint the model of an objective believes; none where it has none.
    pub(super) fn trust(&self, objective: usize) -> Option<f64> {
        self.objectives.get(objective).and_then(|(posterior, _)| posterior.trust())
    }

    pub(super) fn is_exploring(&self) -> bool {
        matches!(self.gain, Gain::Knowledge { .. })
    }

    /// What is expected of each objective at a row.
    pub(super) fn expected(&self, row: &[f64]) -> Vec<Expected> {
        let of = |(posterior, scale): &(Posterior, Scale)| {
            let local = posterior.local(row);
            let sd = local.variance.sqrt();
            let at = |z: f64| scale.inverse(local.mean + z * sd);
            let (below, mean, above) = (at(-1.0), at(0.0), at(1.0));
            let sd = match (below.is_finite(), above.is_finite()) {
                (true, true) => (above - below) / 2.0,
                (true, false) => mean - below,
                (false, true) => above - mean,
                (false, false) => 0.0,
            };
            Expected { mean: mean.clamp(f64::MIN, f64::MAX), sd: sd.clamp(0.0, f64::MAX) }
        };
        self.objectives.iter().map(of).collect()
    }
}

fn rows_of(points: &[&Seen]) -> Vec<Vec<f64>> {
    points.iter().take(ASKED).map(|seen| seen.row.clone()).collect()
}

/// Where the optimum can still be: the mean where mean - 1.8 sd is smallest, at observed and believed rows.
fn knowledge(posterior: &Posterior, mut rows: Rows, believed: &Rows) -> Gain {
    rows.append(believed);
    let at = posterior.predict(&rows);
    let mut target = f64::INFINITY;
    let mut least = f64::INFINITY;
    for (mean, variance) in at.mean.iter().zip(&at.variance) {
        let optimistic = mean - OPTIMISM * variance.sqrt();
        if optimistic < least {
            (least, target) = (optimistic, *mean);
        }
    }
    Gain::Knowledge { target }
}

/// Beyond the worst of all points by a part of their range, in each objective: beyond the worst of the front alone
/// nothing farther out than its ends would ever be looked for.
fn reference(points: &[[f64; 2]]) -> [f64; 2] {
    std::array::from_fn(|j| {
        let (low, high) = points
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[j]), high.max(p[j])));
        high + BEYOND * (high - low).max(1e-6)
    })
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// Rows to start from: of one objective the best, of several those of the front.
fn best(counted: &[&Seen], seen: &[Seen]) -> Vec<Vec<f64>> {
    let several = counted.first().is_some_and(|seen| seen.means.len() > 1);
    if !several {
        return seen.iter().map(|seen| seen.row.clone()).collect();
    }
    let is_best = |a: &&&Seen| !counted.iter().any(|b| dominates(&b.means, &a.means));
    let mut front: Vec<&&Seen> = counted.iter().filter(is_best).collect();
    front.sort_by(|a, b| a.means[0].total_cmp(&b.means[0]));
    // spread over the front by halving: both ends, the middle, the quarters
    let mut order: Vec<usize> = Vec::with_capacity(front.len());
    let mut step = front.len().saturating_sub(1).max(1);
    loop {
        for place in (0..front.len()).step_by(step) {
            if !order.contains(&place) {
                order.push(place);
            }
        }
        if step == 1 {
            break;
        }
        step /= 2;
    }
    order.into_iter().map(|place| front[place].row.clone()).collect()
}
