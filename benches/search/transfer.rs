//! Whether earlier sweeps help: the regret after some trials with their observations and without, seed by seed.

use swath::search::{Bayes, History, Observation, Outcome, random, standardised};

use crate::measure::{interval, mean};
use crate::problems::{Function, branin, cube, hartmann, training, units};
use crate::{measured, problem};

/// Trials of the earlier sweep, and of the one that learns from it.
const EARLIER: u32 = 40;
const TRIALS: u32 = 25;
const LOOKED_AT: [usize; 3] = [5, 10, 25];
/// The median regret of so many random points is the unit.
const UNIT_OF: u32 = 999;

/// What stands in the table's first column, what is searched, and what the earlier sweep searched, by seed.
type Pair = (&'static str, &'static str, fn(u64) -> Function, fn(u64) -> Function);

const PAIRS: [Pair; 13] = [
    ("branin", "the same, other scale", |_| branin(), |_| branin().scaled(7.0, 100.0)),
    ("branin", "moved by 0.05", |_| branin(), |_| branin().moved(0.05)),
    ("branin", "moved by 0.15", |_| branin(), |_| branin().moved(0.15)),
    ("branin", "turned round (unrelated)", |_| branin(), |_| branin().permuted()),
    ("branin", "negated", |_| branin(), |_| branin().negated()),
    ("hartmann", "the same, other scale", |_| hartmann(), |_| hartmann().scaled(7.0, 100.0)),
    ("hartmann", "moved by 0.05", |_| hartmann(), |_| hartmann().moved(0.05)),
    ("hartmann", "moved by 0.15", |_| hartmann(), |_| hartmann().moved(0.15)),
    ("hartmann", "turned round (unrelated)", |_| hartmann(), |_| hartmann().permuted()),
    ("hartmann", "negated", |_| hartmann(), |_| hartmann().negated()),
    ("training", "another data set", |seed| training(2 * seed), |seed| training(2 * seed + 1)),
    (
        "training",
        "turned round (unrelated)",
        |seed| training(2 * seed),
        |seed| training(2 * seed + 1).permuted(),
    ),
    ("training", "negated", |seed| training(2 * seed), |seed| training(2 * seed + 1).negated()),
];

/// Decades of regret that the earlier sweep saves: 0.3 is half the regret.
pub(crate) fn table(seeds: u64) {
    println!(
        "Decades of regret saved by {EARLIER} trials of an earlier sweep, {seeds} seeds [95 % interval], won / lost:\n"
    );
    println!("| problem | earlier sweep | {} |", LOOKED_AT.map(|n| format!("after {n}")).join(" | "));
    println!("|---|---|{}", "---|".repeat(LOOKED_AT.len()));
    for (name, earlier, target, source) in PAIRS {
        let runs: Vec<[f64; 3]> = (0..seeds).map(|seed| saved(&target(seed), &source(seed), seed)).collect();
        let cells = (0..LOOKED_AT.len()).map(|k| {
            let saved: Vec<f64> = runs.iter().map(|run| run[k]).collect();
            let (low, high) = interval(&saved);
            let count = |wanted: fn(&f64) -> bool| saved.iter().filter(|saved| wanted(saved)).count();
            let (won, lost) = (count(|saved| *saved > 0.02), count(|saved| *saved < -0.02));
            format!("{:+.2} [{low:+.2}, {high:+.2}] {won} / {lost}", mean(&saved))
        });
        println!("| {name} | {earlier} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// log10 of the regret without the earlier sweep over that with it.
fn saved(target: &Function, source: &Function, seed: u64) -> [f64; 3] {
    let (_, earlier) = sweep(source, seed + 1000, EARLIER, Vec::new());
    let (with, _) = sweep(target, seed, TRIALS, foreign(earlier));
    let (without, _) = sweep(target, seed, TRIALS, Vec::new());
    let unit = unit(target);
    // four decades are all there is to gain
    let regret = |value: f64| ((value - target.best) / unit).clamp(1e-4, 1e4);
    LOOKED_AT.map(|n| (regret(without[n - 1]) / regret(with[n - 1])).log10())
}

/// Best value after each trial, and what was observed.
fn sweep(
    function: &Function,
    seed: u64,
    trials: u32,
    mut told: Vec<Observation>,
) -> (Vec<f64>, Vec<Observation>) {
    let mut engine = Bayes::new(problem(cube(function.dimensions), seed));
    let (mut best, mut curve) = (f64::INFINITY, Vec::new());
    for trial in 1..=trials {
        let history = History { observations: &told, pending: &[] };
        let Ok(proposed) = engine.propose(trial, &history) else { break };
        if let Some(fit) = proposed.fit {
            engine.record(fit);
        }
        let value = (function.of)(&units(&proposed.proposal.point));
        best = value.min(best);
        curve.push(best);
        told.push(measured(Some(trial), proposed.proposal.point, value));
    }
    (curve, told)
}

/// Observations as another sweep sees them.
fn foreign(earlier: Vec<Observation>) -> Vec<Observation> {
    let value = |observation: &Observation| match &observation.outcome {
        Outcome::Measured { objectives, .. } => objectives[0],
        Outcome::Failed(_) => f64::NAN,
    };
    let values = standardised(&earlier.iter().map(value).collect::<Vec<_>>());
    earlier.into_iter().zip(values).map(|(one, value)| measured(None, one.point, value)).collect()
}

fn unit(function: &Function) -> f64 {
    let space = cube(function.dimensions);
    let at = |trial| (function.of)(&units(&random(&space, 99, trial))) - function.best;
    let mut regrets: Vec<f64> = (1..=UNIT_OF).map(at).collect();
    crate::measure::quantile(&mut regrets, 0.5)
}
