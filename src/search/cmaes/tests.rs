//! The rate on the sphere, restarts, mixed spaces, odd histories; the cache against a rebuild.

use proptest::prelude::*;

use super::*;
use crate::search::testing::{coordinates, cube, failed, leaf, measured, mixed, pending, problem, words};
use crate::space::{Coordinate, Distribution, Point, Space};

/// `n` trials one after another; the best value after each.
fn run(problem: &Problem, n: u32, value: impl Fn(&Point) -> f64) -> (Vec<Observation>, Vec<f64>) {
    let mut method = Cmaes::new(problem);
    let (mut told, mut least) = (Vec::new(), Vec::new());
    let mut best = f64::INFINITY;
    for trial in 1..=n {
        let point = method.propose(trial, &History { observations: &told, pending: &[] }).unwrap().point;
        let value = value(&point);
        best = best.min(value);
        least.push(best);
        told.push(measured(trial, point, &[value]));
    }
    (told, least)
}

fn sphere(point: &Point) -> f64 {
    coordinates(point).iter().map(|x| (x - 0.4) * (x - 0.4)).sum()
}

/// On the sphere the logarithm of the best value falls by a constant over d a trial. The package cmaes 0.13.1, run in the
/// same way, gives medians of 0.164, 0.139 and 0.141 in 2, 5 and 10 dimensions.
#[test]
fn converges_on_the_sphere_at_the_known_rate() {
    for d in [2usize, 5, 10] {
        let (from, to) = (40 * d, 110 * d);
        let mut rates: Vec<f64> = (0..9)
            .map(|seed| {
                let (_, least) = run(&problem(cube(d), seed), to as u32, sphere);
                (least[from].ln() - least[to - 1].ln()) / (to - from) as f64 * d as f64
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        assert!(rates[4] > 0.12 && rates[4] < 0.2, "{d}: {rates:?}");
    }
}

#[test]
fn learns_a_turned_ellipsoid() {
    let value = |point: &Point| {
        let x = coordinates(point);
        let (along, across) = (x[0] + x[1] - 0.9, x[0] - x[1] - 0.1);
        along * along + 1e4 * across * across
    };
    let mut bests: Vec<f64> =
        (0..5).map(|seed| *run(&problem(cube(2), seed), 400, value).1.last().unwrap()).collect();
    bests.sort_by(f64::total_cmp);
    assert!(bests[2] < 1e-8, "{bests:?}");
}

#[test]
fn begins_anew_where_it_is_stuck() {
    let (mut method, one) = (Cmaes::new(&problem(cube(2), 1)), problem(cube(2), 1));
    let (told, _) = run(&one, 400, |_| 3.0);
    method.learn(&told);
    assert!(method.run.restarts >= 1 && method.run.evolution.lambda > 6, "{:?}", method.run.restarts);
    let (told, _) = run(&one, 1500, sphere);
    method.learn(&told);
    assert!(method.run.restarts >= 1, "the sphere is solved to the last digit");
}

#[test]
fn steps_and_choices_find_their_optimum() {
    let problem = |seed| problem(mixed(), seed);
    let value = |point: &Point| {
        let at = |leaf: usize| point.coordinates()[leaf];
        let batch = if at(0) == Coordinate::Choice(1) { 0.0 } else { 1.0 };
        let layers = (at(2).number().unwrap() - 5.0).abs();
        let lr = (at(3).number().unwrap().ln() + 7.0).powi(2);
        let momentum = at(4).number().map_or(3.0, |m| (m - 0.9).abs());
        batch + layers + 0.1 * lr + momentum
    };
    let mut bests: Vec<f64> = (0..9).map(|seed| *run(&problem(seed), 250, value).1.last().unwrap()).collect();
    bests.sort_by(f64::total_cmp);
    assert!(bests[4] < 0.2, "{bests:?}");
}

#[test]
fn many_coordinates_are_learned_one_by_one() {
    let (_, least) = run(&problem(cube(60), 1), 1500, sphere);
    assert!(least[1499] < 0.02 * least[0], "{} of {}", least[1499], least[0]);
}

#[test]
fn failures_rank_last_and_odd_values_are_survived() {
    let space = mixed();
    for kind in 0..4 {
        let told: Vec<Observation> = (1..200u32)
            .map(|trial| {
                let point = space.at(&[f64::from(trial) / 200.0; 6]);
                match kind {
                    0 => failed(trial, point),
                    1 => measured(trial, point, &[[1e300, -1e300, f64::NAN, 0.0][trial as usize % 4]]),
                    2 => Observation { trial: None, ..measured(1, space.midpoint(), &[f64::from(trial)]) },
                    _ => measured(trial, point, &[]),
                }
            })
            .collect();
        let running = [pending(9_999, space.midpoint())];
        let history = History { observations: &told, pending: &running };
        let point = Cmaes::new(&problem(space.clone(), 3)).propose(10_000, &history).unwrap().point;
        assert!(space.contains(&point), "{point:?}");
    }
}

#[test]
fn a_small_space_is_used_up_without_a_repeat() {
    let leaves = vec![leaf("a", words(&["x", "y"])), leaf("b", Distribution::IntUniform { min: 1, max: 12 })];
    let problem = problem(Space::new(leaves).unwrap(), 2);
    let (told, _) = run(&problem, 24, |point| coordinates(point)[1]);
    for (k, one) in told.iter().enumerate() {
        assert!(told[..k].iter().all(|before| before.point != one.point));
    }
    assert_eq!(Cmaes::new(&problem).propose(25, &History { observations: &told, pending: &[] }), Err(UsedUp));
}

proptest! {
    /// However the history grew, shrank or changed on the way: the same as from the history alone.
    #[test]
    fn the_cache_is_a_rebuild(
        seed in 0u64..3,
        values in prop::collection::vec(prop::option::of(-5i8..5), 1..120),
        cuts in prop::collection::vec((0usize..120, any::<bool>()), 1..6),
    ) {
        let problem = problem(mixed(), seed);
        let told: Vec<Observation> = (1u32..).zip(&values).map(|(trial, value)| {
            let point = crate::search::random(&problem.space, seed, trial);
            value.map_or_else(|| failed(trial, point.clone()), |v| measured(trial, point.clone(), &[f64::from(v)]))
        }).collect();
        let mut kept = Cmaes::new(&problem);
        for (cut, change) in cuts {
            let mut told = told[..cut.min(told.len())].to_vec();
            if let (true, Some(first)) = (change, told.first_mut()) {
                *first = measured(1, first.point.clone(), &[9.0]);
            }
            let history = History { observations: &told, pending: &[] };
            prop_assert_eq!(kept.propose(999, &history), Cmaes::new(&problem).propose(999, &history));
        }
    }
}
