//! What methods are asked, what becomes of their answers, and what a sweep learns of earlier ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::search::{Observation, Outcome};
use crate::space::{Coordinate, Value};
use crate::sweep::testing::{Entry, World, definition};
use crate::sweep::{Body, LogEntry, NoLesson, Run, Source, Trial, lessons, rehearse};

/// A sweep lived through to its end by runs that end in a drawn order; some crash, some are stopped by its rule.
fn lived(method: &str, order: u64) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(order);
    let mut world = World::new(json!({
        "method": method, "parallel": 3, "runCap": 14, "seed": 5,
        "enqueue": [{"lr": 0.3, "width": 2}],
        "earlyTerminate": {"metric": "loss", "goal": "minimize",
            "rule": {"type": "median", "min_iter": 1, "startup": 2}},
    }));
    world.parallel = 3;
    while !world.state.is_over() {
        while let Some(run) = world.place() {
            world.start(run);
        }
        let live: Vec<Run> = world.state.live_runs().map(|view| view.run).collect();
        let Some(run) = live.get(rng.random_range(0..live.len().max(1))).copied() else { continue };
        if rng.random_range(0..8) == 0 {
            world.exit(run, 1);
            continue;
        }
        for step in 0..3 {
            if world.state.live_run(run.trial).is_some_and(|live| live.phase.stop().is_none()) {
                world.report(run, step, &[("loss", rng.random())]);
            }
        }
        match world.state.live_run(run.trial).map(|live| live.phase.stop().is_some()) {
            Some(true) => world.end_signalled(run),
            Some(false) => world.exit(run, 0),
            None => {}
        }
    }
    world
}

#[test]
fn q9_every_proposal_of_a_log_comes_out_the_same_again() {
    for method in ["random", "grid", "sobol", "tpe", "cmaes", "bayes"] {
        let world = lived(method, 3);
        let found = rehearse(world.state.id(), &world.log).expect("the log folds");
        assert_eq!(found.differ, [], "{method}");
        assert_eq!(found.proposals, 14, "{method}");
        world.assert_folds();
    }
}

#[test]
fn a_log_that_was_changed_is_found_out() {
    let mut world = lived("bayes", 4);
    let changed = world.log.iter_mut().rev().find_map(|entry| match entry {
        LogEntry::Event(event) => match &mut event.body {
            Body::TrialProposed { trial, assignment, source: Source::Model, .. } => {
                Some((*trial, assignment))
            }
            _ => None,
        },
        LogEntry::Report(_) => None,
    });
    let (trial, assignment) = changed.expect("the method proposed something");
    let entry = assignment.0.iter_mut().find(|(name, _)| name == "lr").expect("lr is a parameter");
    entry.1 = Value::Float(if entry.1 == Value::Float(0.1) { 0.2 } else { 0.1 });
    let found = rehearse(world.state.id(), &world.log).expect("the log folds");
    let differ: Vec<Trial> = found.differ.iter().map(|differs| differs.trial).collect();
    assert_eq!(differ, [trial], "only the last one: later ones would have been made from it");
}

/// A sweep of 30 trials at random, whose loss is lr + width / 10.
fn earlier() -> World {
    let mut world = World::new(json!({"runCap": 12}));
    while !world.state.is_over() {
        let run = world.running();
        let loss = loss_of(&world, run.trial);
        world.report(run, 0, &[("loss", loss)]);
        world.exit(run, 0);
    }
    world
}

fn value<'a>(assignment: &'a crate::space::Assignment, name: &str) -> Option<&'a Value> {
    assignment.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn loss_of(world: &World, trial: Trial) -> f64 {
    let assignment = world.state.assignment(trial).expect("the trial exists");
    let of = |name: &str| value(&assignment, name).and_then(Value::number).expect("a number");
    of("lr") + of("width") / 10.0
}

#[test]
fn lessons_are_standardised_and_say_what_lies_outside() {
    let world = earlier();
    let same = definition(json!({"method": "bayes"}));
    let all = lessons(&world.state, &same, 1).expect("it is the same space");
    assert_eq!((all.taken.len(), all.outside), (12, 0));
    let values: Vec<f64> = all.taken.iter().map(|lesson| lesson.values[0]).collect();
    assert!(values.iter().sum::<f64>().abs() < 1e-9, "mean 0");
    let by = |of: &dyn Fn(usize) -> f64| {
        let mut order: Vec<usize> = (0..12).collect();
        order.sort_by(|a, b| of(*a).total_cmp(&of(*b)).then(a.cmp(b)));
        order
    };
    let raw = by(&|k| loss_of(&world, all.taken[k].trial));
    assert_eq!(by(&|k| values[k]), raw, "the order of the values stays");
    let narrower = definition(json!({"method": "bayes", "space": [
        {"path": ["depth"], "distribution": {"int_uniform": {"min": 1, "max": 3}}},
        {"path": ["lr"], "distribution": {"categorical": {"values": [0.1, 0.2]}}},
    ]}));
    let some = lessons(&world.state, &narrower, 1).expect("lr is in both");
    let inside = |lesson: &&crate::sweep::Lesson| value(&lesson.assignment, "lr").is_some();
    assert_eq!(some.taken.iter().filter(inside).count(), some.taken.len());
    assert_eq!(some.taken.len() + some.outside, 12);
    assert!(some.outside > 0 && !some.taken.is_empty());
}

#[test]
fn a_sweep_about_something_else_teaches_nothing() {
    let world = earlier();
    let other = |more| lessons(&world.state, &definition(more), 1).expect_err("nothing to learn");
    let goal = json!({"method": "bayes", "objectives": [{"name": "loss", "goal": "maximize"}]});
    assert_eq!(other(goal), NoLesson::Objective { name: "loss".into() });
    let space = json!({"method": "bayes", "space": [
        {"path": ["depth"], "distribution": {"int_uniform": {"min": 1, "max": 3}}}]});
    assert_eq!(other(space), NoLesson::Parameters);
    let empty = World::new(json!({}));
    let same = definition(json!({"method": "bayes"}));
    assert_eq!(lessons(&empty.state, &same, 1), Err(NoLesson::Unmeasured));
}

#[test]
fn lessons_are_in_the_first_event_and_are_no_trials() {
    let teacher = earlier();
    let definition = definition(json!({"method": "bayes", "runCap": 3, "seed": 1, "space": [
        {"path": ["depth"], "distribution": {"int_uniform": {"min": 1, "max": 3}}},
        {"path": ["lr"], "distribution": {"uniform": {"min": 0.0, "max": 1.0}}},
    ]}));
    let taken = lessons(&teacher.state, &definition, 1).expect("lr is in both").taken;
    let mut world = World::with_lessons(definition, taken.clone());
    let observations = world.state.question().observations;
    assert_eq!(observations.len(), 12);
    for Observation { trial, point, outcome } in &observations {
        assert_eq!(*trial, None);
        assert_eq!(point.coordinates()[0], Coordinate::Absent, "depth was not searched there");
        assert!(matches!(outcome, Outcome::Measured { .. }));
    }
    let run = world.running();
    assert_eq!(run.trial, Trial(1));
    let Some(Entry::Event(event)) = world
        .log
        .iter()
        .find(|entry| matches!(entry, Entry::Event(event) if event.body.kind() == "TrialProposed"))
    else {
        panic!("a trial was proposed")
    };
    let Body::TrialProposed { reason: Some(reason), .. } = &event.body else { panic!("it has a reason") };
    assert!(matches!(**reason, crate::search::Reason::Model { .. }), "no design is needed: {reason:?}");
    world.assert_folds();
    assert_eq!(world.folded(true).question().observations, world.state.question().observations);
}
