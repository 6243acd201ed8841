//! The numbers of the method, what it finds, and what it does with odd histories.

use super::*;
use crate::search::testing::{
    coordinates, cube, failed, leaf, measured, mixed, numbers, oracle, pending, problem, words,
};
use crate::search::{Impute, Observation, Outcome, Pending, Reported};
use crate::space::{Distribution, Space};

#[test]
fn the_split_and_the_weights_are_optunas() {
    let Some(known) = oracle("tpe.json") else { return };
    for (n, count) in known["gamma"].as_object().unwrap() {
        assert_eq!(good(n.parse().unwrap(), 1) as u64, count.as_u64().unwrap(), "{n}");
    }
    for (n, list) in known["weights"].as_object().unwrap() {
        let own = weights(n.parse().unwrap());
        assert!(own.iter().zip(numbers(list)).all(|(a, b)| (a - b).abs() < 1e-12), "{n}: {own:?}");
    }
    assert_eq!(good(1000, 2), 100);
}

/// `n` trials one after another.
fn run(problem: &Problem, n: u32, value: impl Fn(&Point) -> f64) -> Vec<Observation> {
    let method = Tpe::new(problem);
    let mut told = Vec::new();
    for trial in 1..=n {
        let point = method.propose(trial, &History { observations: &told, pending: &[] }).unwrap().point;
        let value = value(&point);
        told.push(measured(trial, point, &[value]));
    }
    told
}

fn least(told: &[Observation]) -> f64 {
    let value = |observation: &Observation| match &observation.outcome {
        Outcome::Measured { objectives, .. } => objectives[0],
        Outcome::Failed(_) => f64::INFINITY,
    };
    told.iter().map(value).fold(f64::INFINITY, f64::min)
}

#[test]
fn finds_the_bottom_of_a_bowl() {
    let bowl = |point: &Point| coordinates(point).iter().map(|x| (x - 0.3) * (x - 0.3)).sum();
    let mut bests: Vec<f64> = (0..9).map(|seed| least(&run(&problem(cube(3), seed), 100, bowl))).collect();
    bests.sort_by(f64::total_cmp);
    assert!(bests[4] < 0.005, "{bests:?}");
}

#[test]
fn learns_choices_and_what_stands_under_them() {
    let problem = problem(mixed(), 1);
    let told = run(&problem, 80, |point| {
        let at = |leaf: usize| point.coordinates()[leaf];
        let is_sgd = at(5) == crate::space::Coordinate::Choice(1);
        let momentum = at(4).number().unwrap_or(0.0);
        if is_sgd { (momentum - 0.9) * (momentum - 0.9) } else { 1.0 }
    });
    let late = &told[40..];
    let there = late.iter().filter(|o| o.point.coordinates()[4].number().is_some_and(|m| m > 0.7)).count();
    assert!(there > 25, "{there} of 40");
}

#[test]
fn pending_points_are_kept_away_from() {
    let problem = problem(cube(1), 3);
    let method = Tpe::new(&problem);
    let told: Vec<Observation> = (1..=20)
        .map(|trial| {
            let x = f64::from(trial) / 21.0;
            measured(trial, problem.space.at(&[x]), &[(x - 0.5).abs()])
        })
        .collect();
    let near = |pending: &[Pending]| {
        let of = |trial| method.propose(trial, &History { observations: &told, pending }).unwrap().point;
        (100..200).filter(|trial| (coordinates(&of(*trial))[0] - 0.5).abs() < 0.05).count()
    };
    let crowd: Vec<Pending> = (21..41)
        .map(|trial| pending(trial, problem.space.at(&[0.49 + 0.001 * f64::from(trial - 21)])))
        .collect();
    let (before, after) = (near(&[]), near(&crowd));
    assert!(after * 2 < before, "{before} before, {after} after");
}

#[test]
fn several_objectives_spread_along_the_front() {
    let mut two = problem(cube(2), 5);
    two.objectives = 2;
    let method = Tpe::new(&two);
    let mut told: Vec<Observation> = Vec::new();
    for trial in 1..=120 {
        let point = method.propose(trial, &History { observations: &told, pending: &[] }).unwrap().point;
        let x = coordinates(&point);
        told.push(measured(trial, point, &[x[0] + x[1], 1.0 - x[0] + x[1]]));
    }
    let values: Vec<&[f64]> = told
        .iter()
        .filter_map(|o| match &o.outcome {
            Outcome::Measured { objectives, .. } => Some(&**objectives),
            Outcome::Failed(_) => None,
        })
        .collect();
    // the front is the line f1 + f2 = 1, which bounds 1.5 below (1.5, 1.5) less corners
    let volume = crate::search::hypervolume(&values, &[1.5, 1.5]);
    assert!(volume > 1.6, "{volume}");
}

#[test]
fn failures_and_broken_constraints_repel() {
    let mut one = problem(cube(1), 2);
    one.constraints = 1;
    let method = Tpe::new(&one);
    let told: Vec<Observation> = (1..=30)
        .map(|trial| {
            let x = f64::from(trial) / 31.0;
            let point = one.space.at(&[x]);
            if x > 0.7 {
                return failed(trial, point);
            }
            let outcome = Outcome::Measured {
                objectives: Box::new([-x]),
                constraints: Box::new([if x > 0.5 { 1.0 } else { -1.0 }]),
                stopped: false,
            };
            Observation { trial: Some(trial), point, outcome }
        })
        .collect();
    let of = |trial| method.propose(trial, &History { observations: &told, pending: &[] }).unwrap().point;
    let feasible = (100..200).filter(|trial| coordinates(&of(*trial))[0] < 0.55).count();
    assert!(feasible > 85, "{feasible}");
}

#[test]
fn the_order_of_telling_does_not_matter() {
    let problem = problem(mixed(), 1);
    let mut told = run(&problem, 40, |point| coordinates(point).iter().sum());
    let method = Tpe::new(&problem);
    let before = method.propose(41, &History { observations: &told, pending: &[] });
    told.reverse();
    told[3..30].reverse();
    assert_eq!(method.propose(41, &History { observations: &told, pending: &[] }), before);
}

#[test]
fn odd_histories_are_survived() {
    let space = mixed();
    let values = [f64::NAN, f64::INFINITY, 1e300, -1e300, 0.0, f64::MIN_POSITIVE];
    for count in [0usize, 1, 9, 10, 11, 300] {
        for kind in 0..5 {
            let mut one = problem(space.clone(), 7);
            one.impute_while_running = Some(Impute::Best);
            let told: Vec<Observation> = (0..count)
                .map(|k| {
                    let point = space.at(&[0.1; 6]);
                    match kind {
                        0 => failed(k as u32 + 1, point),
                        1 => measured(k as u32 + 1, point, &[1.0]),
                        2 => measured(k as u32 + 1, point, &[values[k % values.len()]]),
                        3 => Observation { trial: None, ..measured(1, point, &[]) },
                        _ => Observation {
                            outcome: Outcome::Failed(Reported { best: Some(f64::NAN), last: None }),
                            ..failed(k as u32 + 1, point)
                        },
                    }
                })
                .collect();
            let running = [pending(9999, space.midpoint())];
            let history = History { observations: &told, pending: &running };
            let point = Tpe::new(&one).propose(10_000, &history).unwrap().point;
            assert!(space.contains(&point), "{point:?}");
        }
    }
}

#[test]
fn a_small_space_is_used_up_without_a_repeat() {
    let leaves = vec![leaf("a", words(&["x", "y"])), leaf("b", Distribution::IntUniform { min: 1, max: 12 })];
    let problem = problem(Space::new(leaves).unwrap(), 2);
    let told = run(&problem, 24, |point| coordinates(point)[1]);
    for (k, one) in told.iter().enumerate() {
        assert!(told[..k].iter().all(|before| before.point != one.point));
    }
    let history = History { observations: &told, pending: &[] };
    assert_eq!(Tpe::new(&problem).propose(25, &history), Err(UsedUp));
}
