//! The engine: the same proposals whatever it kept, legal ones whatever it is told, good ones where it matters.

use std::collections::BTreeSet;

use crate::search::random as random_point;
use crate::search::testing::{cube, failed, leaf, measured, mixed, pending, problem, words};
use crate::search::{
    Bayes, Fit, History, Impute, Modelled, Observation, Outcome, Pending, Problem, Proposal, Reason,
    Reported, UsedUp, standardised,
};
use crate::space::{Condition, Coordinate, Distribution, Point, Space, Value};

/// A sweep: an engine, what it has seen, and the last fit that was recorded.
struct Sweep {
    engine: Bayes,
    problem: Problem,
    observations: Vec<Observation>,
    pending: Vec<Pending>,
    fit: Option<Fit>,
    next: u32,
}

impl Sweep {
    fn of(problem: Problem) -> Sweep {
        Sweep {
            engine: Bayes::new(problem.clone()),
            problem,
            observations: Vec::new(),
            pending: Vec::new(),
            fit: None,
            next: 1,
        }
    }

    fn history(&self) -> History<'_> {
        History { observations: &self.observations, pending: &self.pending }
    }

    /// A proposal of an engine that remembers nothing but the recorded fit.
    fn fresh(&self) -> Result<(Proposal, Option<Fit>), UsedUp> {
        let mut engine = Bayes::restore(self.problem.clone(), self.fit.clone());
        engine.propose(self.next, &self.history()).map(|proposed| (proposed.proposal, proposed.fit))
    }

    /// Asks, checks that the point is new and legal, and lets it run.
    fn ask(&mut self) -> Result<Proposal, UsedUp> {
        let history = History { observations: &self.observations, pending: &self.pending };
        let proposed = self.engine.propose(self.next, &history)?;
        let point = &proposed.proposal.point;
        assert!(self.problem.space.contains(point), "{point:?}");
        assert!(self.history().points().all(|known| known != point), "{point:?} was proposed before");
        if let Some(fit) = proposed.fit {
            // as a log keeps it
            let kept: Fit = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
            assert_eq!(kept, fit);
            self.engine.record(kept.clone());
            self.fit = Some(kept);
        }
        self.pending.push(pending(self.next, point.clone()));
        self.next += 1;
        Ok(proposed.proposal)
    }

    fn tell(&mut self, outcome: impl FnOnce(u32, &Point) -> Observation) {
        let ended = self.pending.remove(0);
        self.observations.push(outcome(ended.trial, &ended.point));
    }

    /// Trials one after the other.
    fn run(&mut self, trials: usize, value: impl Fn(&Point) -> f64) {
        for _ in 0..trials {
            self.ask().unwrap();
            self.tell(|trial, point| measured(trial, point.clone(), &[value(point)]));
        }
    }
}

fn at(point: &Point, leaf: usize) -> f64 {
    match point.coordinates()[leaf] {
        Coordinate::Choice(i) => f64::from(i),
        Coordinate::Absent => 0.3,
        other => other.number().unwrap(),
    }
}

/// A bowl with its bottom at 0.3 in all numbers.
fn bowl(point: &Point) -> f64 {
    (0..point.coordinates().len()).map(|leaf| (at(point, leaf) - 0.3).powi(2)).sum()
}

#[test]
fn what_is_kept_changes_no_proposal() {
    let mut sweep = Sweep::of(problem(mixed(), 3));
    for round in 0..14 {
        let fresh = sweep.fresh().unwrap();
        if round % 3 == 0 {
            let history = History { observations: &sweep.observations, pending: &sweep.pending };
            sweep.engine.prepare(&history);
        }
        let before = sweep.fit.clone();
        assert_eq!(sweep.ask().unwrap(), fresh.0, "trial {round}");
        if let Some(fit) = fresh.1 {
            assert_ne!(before.as_ref(), Some(&fit));
            assert_eq!(sweep.fit.as_ref(), Some(&fit));
        }
        // two or three run at a time, one in five fails
        if sweep.pending.len() > 1 + round % 2 {
            sweep.tell(|trial, point| match trial % 5 {
                0 => failed(trial, point.clone()),
                _ => measured(trial, point.clone(), &[bowl(point)]),
            });
        }
    }
}

#[test]
fn fits_that_are_not_due_are_not_made_and_factors_grow() {
    let space = cube(2);
    let mut sweep = Sweep::of(problem(space.clone(), 1));
    for trial in 1..=52 {
        let point = random_point(&space, 5, trial);
        sweep.observations.push(measured(trial, point.clone(), &[bowl(&point)]));
        sweep.next = trial + 1;
    }
    let fresh = sweep.fresh().unwrap();
    sweep.ask().unwrap();
    assert_eq!(sweep.fit, fresh.1);
    let first = sweep.fit.clone().unwrap();
    for _ in 0..4 {
        sweep.tell(|trial, point| measured(trial, point.clone(), &[bowl(point)]));
        let fresh = sweep.fresh().unwrap();
        let proposal = sweep.ask().unwrap();
        assert_eq!(proposal, fresh.0);
        assert_eq!(sweep.fit.as_ref(), Some(&first), "every fifth observation makes a fit");
    }
    sweep.tell(|trial, point| measured(trial, point.clone(), &[bowl(point)]));
    sweep.ask().unwrap();
    assert_eq!(sweep.fit.as_ref().map(|fit| (fit.serial, fit.count)), Some((2, 57)));
}

#[test]
fn the_order_of_results_does_not_matter_to_a_fit() {
    let mut sweep = Sweep::of(problem(mixed(), 8));
    sweep.run(9, bowl);
    let there = sweep.fresh().unwrap();
    sweep.observations.reverse();
    assert_eq!(sweep.fresh().unwrap(), there);
}

#[test]
fn the_unit_of_the_values_does_not_matter() {
    let space = cube(2);
    let (mut one, mut other) = (Sweep::of(problem(space.clone(), 2)), Sweep::of(problem(space, 2)));
    one.run(9, bowl);
    other.run(9, |point| 1e6 * bowl(point) - 3e5);
    for (a, b) in one.observations.iter().zip(&other.observations) {
        for leaf in 0..2 {
            assert!((at(&a.point, leaf) - at(&b.point, leaf)).abs() < 1e-5, "{:?} {:?}", a.point, b.point);
        }
    }
}

#[test]
fn finds_the_bottom_of_a_bowl() {
    let mut sweep = Sweep::of(problem(cube(2), 5));
    sweep.run(14, bowl);
    let best = sweep.observations.iter().map(|o| bowl(&o.point)).fold(f64::INFINITY, f64::min);
    assert!(best < 1e-3, "{best}");
    let history = History { observations: &sweep.observations, pending: &sweep.pending };
    let outlook = sweep.engine.outlook(&history).unwrap();
    let recommended = outlook.recommended.unwrap();
    assert!(bowl(&sweep.observations[recommended.trial as usize - 1].point) < 0.01);
    assert!((recommended.expected[0].mean - best).abs() < 0.05, "{recommended:?}");
    assert_eq!(
        outlook.models[0].lengths.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["x000", "x001"]
    );
}

#[test]
fn a_small_space_is_used_up_point_by_point() {
    let mut momentum = leaf("z", Distribution::IntUniform { min: 1, max: 3 });
    momentum.when.push(Condition { parent: 0, values: vec![Value::Text("b".to_owned())] });
    let space = Space::new(vec![leaf("opt", words(&["a", "b", "c"])), momentum]).unwrap();
    let mut sweep = Sweep::of(problem(space, 4));
    sweep.run(5, bowl);
    assert_eq!(sweep.ask(), Err(UsedUp));
    let one = Space::new(vec![leaf("x", Distribution::Constant { value: Value::Int(3) })]).unwrap();
    let mut sweep = Sweep::of(problem(one, 4));
    sweep.run(1, bowl);
    assert_eq!(sweep.ask(), Err(UsedUp));
}

#[test]
fn proposes_whatever_the_values_are() {
    type Told = fn(u32, &Point) -> Observation;
    let constant: Told = |trial, point| measured(trial, point.clone(), &[7.0]);
    let fails: Told = |trial, point| failed(trial, point.clone());
    let huge: Told =
        |trial, point| measured(trial, point.clone(), &[if trial == 3 { 1e300 } else { bowl(point) }]);
    let ends: Told =
        |trial, point| measured(trial, point.clone(), &[if trial % 2 == 0 { f64::MAX } else { f64::MIN }]);
    let not: Told =
        |trial, point| measured(trial, point.clone(), &[if trial % 2 == 0 { f64::NAN } else { 1.0 }]);
    let tiny: Told = |trial, point| measured(trial, point.clone(), &[5e-324 * f64::from(trial)]);
    let close: Told =
        |trial, point| measured(trial, point.clone(), &[1.0 + f64::EPSILON * f64::from(trial % 3)]);
    let mostly: Told = |trial, point| match trial % 4 {
        0 => measured(trial, point.clone(), &[bowl(point)]),
        _ => failed(trial, point.clone()),
    };
    for (case, told) in [constant, fails, huge, ends, not, tiny, close, mostly].into_iter().enumerate() {
        let mut sweep = Sweep::of(problem(mixed(), case as u64));
        for _ in 0..10 {
            let proposal = sweep.ask().unwrap();
            if let Reason::Model { acquisition, expected, .. } = proposal.reason {
                assert!(acquisition.is_finite(), "{case}");
                assert!(
                    expected.iter().all(|e| e.mean.is_finite() && e.sd.is_finite()),
                    "{case} {expected:?}"
                );
            }
            sweep.tell(told);
        }
    }
}

#[test]
fn the_same_point_told_often_does_no_harm() {
    let space = cube(2);
    let mut sweep = Sweep::of(problem(space.clone(), 6));
    for trial in 1..=30 {
        sweep.observations.push(measured(trial, space.midpoint(), &[f64::from(trial % 3)]));
    }
    sweep.next = 31;
    sweep.run(2, bowl);
}

#[test]
fn absurd_values_of_earlier_sweeps_are_not_listened_to() {
    for absurd in [f64::MAX, 1e200, f64::NAN] {
        let mut sweep = Sweep::of(problem(cube(2), 14));
        sweep.observations = earlier(|_| 1.0);
        for observation in &mut sweep.observations {
            let only = Observation { trial: None, ..measured(0, observation.point.clone(), &[absurd]) };
            *observation = only;
        }
        sweep.run(8, bowl);
        let history = History { observations: &sweep.observations, pending: &[] };
        let outlook = sweep.engine.outlook(&history).unwrap();
        assert!(matches!(outlook.models[0].earlier, None | Some(0.0)), "{outlook:?}");
    }
}

#[test]
fn constraints_are_learnt() {
    let told = |trial: u32, point: &Point| Observation {
        trial: Some(trial),
        point: point.clone(),
        outcome: Outcome::Measured {
            // the bottom of the bowl is forbidden
            objectives: Box::new([bowl(point)]),
            constraints: Box::new([0.6 - at(point, 0), if trial == 2 { f64::NAN } else { -1.0 }]),
            stopped: false,
        },
    };
    let mut sweep = Sweep::of(Problem { constraints: 2, ..problem(cube(2), 7) });
    for _ in 0..14 {
        sweep.ask().unwrap();
        sweep.tell(told);
    }
    let kept = |o: &&Observation| at(&o.point, 0) >= 0.6;
    let best = sweep.observations.iter().filter(kept).map(|o| bowl(&o.point)).fold(f64::INFINITY, f64::min);
    assert!(best < 0.12, "{best}: the least allowed is 0.09");
}

#[test]
fn several_objectives_spread_over_their_front() {
    for objectives in [2, 3] {
        let mut sweep = Sweep::of(Problem { objectives, ..problem(cube(2), 11) });
        for _ in 0..14 {
            sweep.ask().unwrap();
            sweep.tell(|trial, point| {
                let (a, b) = (at(point, 0), at(point, 1));
                // all of b = 0 is the front
                measured(trial, point.clone(), &[a + b, 1.0 - a + b, (a - 0.5).powi(2) + b][..objectives])
            });
        }
        let late = &sweep.observations[8..];
        let mean = late.iter().map(|o| at(&o.point, 1)).sum::<f64>() / late.len() as f64;
        assert!(mean < 0.25, "{objectives}: {mean}");
    }
}

/// Equal values tell of no slope and no bowl: what is believed far from them is what was expected before.
#[test]
fn objectives_are_expected_to_be_bowls() {
    let mut sweep = Sweep::of(problem(cube(5), 19));
    for _ in 0..8 {
        sweep.ask().unwrap();
        sweep.tell(|trial, point| measured(trial, point.clone(), &[1.0]));
    }
    let engine = &mut sweep.engine;
    let history = History { observations: &sweep.observations, pending: &[] };
    engine.follow(&history);
    let model = engine.model(&history).unwrap();
    let beliefs = engine.beliefs(&model, 9, &history).unwrap();
    let expected = |z: &dyn Fn(usize) -> f64| beliefs.expected(&(0..5).map(z).collect::<Vec<_>>())[0].mean;
    let corners = (0..32).map(|k| expected(&|j| f64::from(k >> j & 1))).sum::<f64>() / 32.0;
    let inside = (0..32).map(|k| expected(&|j| 0.35 + 0.3 * f64::from(k >> j & 1))).sum::<f64>() / 32.0;
    assert!(corners > inside + 0.05, "{corners} {inside}");
}

/// Two of three trials are stopped before they come to their second value. They have not failed.
#[test]
fn trials_that_were_stopped_teach_the_objectives_that_they_have() {
    let mut sweep = Sweep::of(Problem { objectives: 2, ..problem(cube(2), 11) });
    for _ in 0..24 {
        sweep.ask().unwrap();
        sweep.tell(|trial, point| {
            let (a, b) = (at(point, 0), at(point, 1));
            let stopped = !trial.is_multiple_of(3);
            let second = if stopped { f64::NAN } else { 1.0 - a + b };
            let outcome = Outcome::Measured {
                objectives: Box::new([a + b, second]),
                constraints: Box::new([]),
                stopped,
            };
            Observation { trial: Some(trial), point: point.clone(), outcome }
        });
    }
    let models: Vec<Modelled> = sweep.fit.iter().flat_map(|fit| &fit.models).map(|model| model.of).collect();
    assert_eq!(models, [Modelled::Objective(0), Modelled::Objective(1)]);
    let late = &sweep.observations[12..];
    let mean = late.iter().map(|o| at(&o.point, 1)).sum::<f64>() / late.len() as f64;
    assert!(mean < 0.25, "{mean}");
}

#[test]
fn many_pending_are_not_alike() {
    let mut sweep = Sweep::of(problem(cube(2), 12));
    // of a bowl alone the model would be sure by now, and rightly ask about the bottom only
    sweep.run(6, |point| bowl(point) + 0.1 * libm::sin(20.0 * at(point, 0)));
    let mut exploring = 0;
    for _ in 0..8 {
        let proposal = sweep.ask().unwrap();
        exploring += usize::from(matches!(proposal.reason, Reason::Model { exploring: true, .. }));
    }
    assert_eq!(exploring, 2);
    for (i, a) in sweep.pending.iter().enumerate() {
        for b in &sweep.pending[..i] {
            let gap = (0..2).map(|leaf| (at(&a.point, leaf) - at(&b.point, leaf)).abs()).fold(0.0, f64::max);
            assert!(gap > 1e-3, "{a:?} {b:?}");
        }
    }
}

#[test]
fn running_trials_count_as_what_they_are_imputed() {
    let mut base = Sweep::of(problem(cube(1), 13));
    base.run(6, bowl);
    let with = |impute_while_running: Option<Impute>, last: Option<f64>| {
        let problem = Problem { impute_while_running, ..base.problem.clone() };
        let reported = Reported { best: last, last };
        let running = [Pending { trial: 7, point: base.problem.space.at(&[0.77]), reported }];
        let history = History { observations: &base.observations, pending: &running };
        Bayes::restore(problem, base.fit.clone()).propose(8, &history).unwrap().proposal
    };
    let believed = with(None, Some(-4.0));
    assert_eq!(with(Some(Impute::Latest), None), believed);
    let imputed = with(Some(Impute::Latest), Some(-4.0));
    assert!((at(&imputed.point, 0) - 0.77).abs() < 0.2, "{imputed:?}");
    assert_ne!(imputed, believed);
}

#[test]
fn earlier_sweeps_say_where_to_begin() {
    let mut sweep = Sweep::of(problem(cube(2), 14));
    sweep.observations = earlier(|p| 50.0 + 9.0 * bowl(p));
    for round in 0..6 {
        let fresh = sweep.fresh().unwrap();
        assert_eq!(sweep.ask().unwrap(), fresh.0, "trial {round}");
        assert_eq!(fresh.0.reason == Reason::Centre, round == 1, "the second is a look of its own");
        sweep.tell(|trial, point| measured(trial, point.clone(), &[bowl(point)]));
    }
    let own: Vec<f64> = sweep.observations[40..].iter().map(|o| bowl(&o.point)).collect();
    assert!(own[0] < 0.02 && own.iter().copied().fold(f64::INFINITY, f64::min) < 1e-3, "{own:?}");
    let outlook = sweep.engine.outlook(&History { observations: &sweep.observations, pending: &[] });
    let trust = outlook.unwrap().models[0].earlier.unwrap();
    assert!((trust - 1.0).abs() < 0.3, "{trust}");
}

#[test]
fn earlier_sweeps_that_mislead_are_found_out() {
    let mut sweep = Sweep::of(problem(cube(2), 14));
    sweep.observations = earlier(|p| -bowl(p));
    sweep.run(12, bowl);
    let best = sweep.observations[40..].iter().map(|o| bowl(&o.point)).fold(f64::INFINITY, f64::min);
    assert!(best < 1e-3, "{best}");
    let outlook = sweep.engine.outlook(&History { observations: &sweep.observations, pending: &[] });
    let trust = outlook.unwrap().models[0].earlier.unwrap();
    assert!(trust < 0.2, "{trust}");
}

/// What a sweep over two numbers leaves to others.
fn earlier(value: impl Fn(&Point) -> f64) -> Vec<Observation> {
    let space = cube(2);
    let points: Vec<Point> = (1..=40).map(|i| random_point(&space, 21, i)).collect();
    let values = standardised(&points.iter().map(value).collect::<Vec<_>>());
    let seen = points.into_iter().zip(values);
    seen.map(|(point, value)| Observation { trial: None, ..measured(0, point, &[value]) }).collect()
}

#[test]
fn the_design_begins_in_the_centre_and_goes_round_enqueued_points() {
    let space = cube(3);
    let mut sweep = Sweep::of(problem(space.clone(), 15));
    assert_eq!(sweep.ask().unwrap(), Proposal { point: space.midpoint(), reason: Reason::Centre });
    sweep.pending.push(pending(2, space.at(&[0.1, 0.2, 0.3])));
    sweep.next = 3;
    assert_eq!(sweep.ask().unwrap().reason, Reason::Sobol { index: 0 });
    assert_eq!(sweep.ask().unwrap().reason, Reason::Sobol { index: 1 });
    // nothing came out yet: more of the design
    assert_eq!(sweep.ask().unwrap().reason, Reason::Sobol { index: 2 });
    let points: BTreeSet<String> = sweep.pending.iter().map(|p| format!("{:?}", p.point)).collect();
    assert_eq!(points.len(), 5);
}
