//! Several objectives: a trial's values, who needs what to succeed, the front, targets, what the search is told.

use serde_json::{Value, json};

use crate::search::{Impute, Outcome as Told, Reported};
use crate::sweep::testing::World;
use crate::sweep::{Command, EndWhy, EndedHow, Enqueued, FailWhy, Run, StopWhy, SweepPhase, Trial};

/// Trials that no method proposes.
fn enqueue(world: &mut World, count: u32) {
    let assignment = |width| serde_json::from_value(json!({"lr": 0.1, "width": width})).expect("it is one");
    let what = Enqueued::Assignments((1..=count).map(assignment).collect());
    world.ok(Command::Enqueue { what, repeat: 1 });
}

/// `loss` is minimized, `accuracy` maximized and counts by its last value.
fn two(more: Value) -> World {
    let objectives = json!([{"name": "loss"}, {"name": "accuracy", "goal": "maximize", "aggregate": "last"}]);
    let mut whole = json!({"objectives": objectives});
    let (Some(map), Value::Object(more)) = (whole.as_object_mut(), more) else { panic!("it is a mapping") };
    map.extend(more);
    World::new(whole)
}

fn run_with(world: &mut World, values: &[(&str, f64)]) -> Run {
    let run = world.running();
    world.report(run, 0, values);
    world.exit(run, 0);
    run
}

fn values(world: &World, trial: u32) -> Vec<Option<(f64, i64)>> {
    let view = world.state.trial_view(Trial(trial)).expect("the trial exists");
    view.values.iter().map(|mark| mark.map(|mark| (mark.value, mark.step))).collect()
}

fn front(world: &World) -> Vec<u32> {
    world.state.front().iter().map(|trial| trial.0).collect()
}

#[test]
fn each_objective_has_its_value_by_its_own_aggregate() {
    let mut world = two(json!({"constraints": [{"metric": "size", "max": 1.0}]}));
    let run = world.running();
    // loss is best at step 1: there the limit is kept, before and after it is not
    for (step, loss, accuracy, size) in [(0, 3.0, 0.9, 2.0), (1, 1.0, 0.5, 1.0), (2, 2.0, 0.7, 2.0)] {
        world.report(run, step, &[("loss", loss), ("accuracy", accuracy), ("size", size)]);
    }
    world.report(run, 3, &[("accuracy", f64::NAN)]);
    assert_eq!(values(&world, 1), [Some((1.0, 1)), Some((0.7, 2))], "so far");
    world.exit(run, 0);
    assert_eq!(values(&world, 1), [Some((1.0, 1)), Some((0.7, 2))], "for good");
    assert_eq!(world.state.trial_view(Trial(1)).and_then(|view| view.feasible), Some(true));
    assert_eq!((front(&world), world.state.best()), (vec![1], None));
    world.assert_folds();
}

#[test]
fn a_trial_needs_a_finite_value_of_every_objective() {
    let mut world = two(json!({}));
    run_with(&mut world, &[("loss", 1.0)]);
    run_with(&mut world, &[("loss", 1.0), ("accuracy", f64::NAN)]);
    run_with(&mut world, &[("accuracy", 1.0)]);
    let how = |trial| world.state.trial_view(Trial(trial)).and_then(|view| view.ended);
    assert_eq!(how(1), Some(EndedHow::Failed(FailWhy::NoObjective)));
    assert_eq!(how(2), Some(EndedHow::Failed(FailWhy::Diverged)));
    assert_eq!(how(3), Some(EndedHow::Failed(FailWhy::NoObjective)));
    assert_eq!(values(&world, 3), [None, Some((1.0, 0))]);
    assert_eq!(front(&world), [0; 0]);
    world.assert_folds();
}

#[test]
fn ten_values_in_a_row_that_are_not_finite_stop_a_run_whichever_objective_it_is() {
    let mut world = two(json!({}));
    let run = world.running();
    for step in 0..10 {
        assert!(world.state.live_run(run.trial).is_some_and(|live| live.phase.stop().is_none()), "{step}");
        world.report(run, step, &[("loss", 1.0), ("accuracy", f64::NAN)]);
    }
    let stop = world.state.live_run(run.trial).and_then(|live| live.phase.stop()).map(|(_, why)| why);
    assert_eq!(stop, Some(StopWhy::Diverged));
}

/// Minimized, maximized: 1 (3, 0.9), 2 (1, 0.5), 3 (2, 0.4) behind 2, 4 (2, 0.7), 5 = 4, 6 (0, 0.99) over the limit,
/// 7 (0, 0.99) crashed, 8 (1, 0.8) before 2 and 4, and stopped.
#[test]
fn the_front_by_hand() {
    const STOPPED: i32 = -1;
    let limit = json!({"constraints": [{"metric": "size", "max": 1.0}]});
    let trials = [
        (3.0, 0.9, 1.0, 0),
        (1.0, 0.5, 1.0, 0),
        (2.0, 0.4, 1.0, 0),
        (2.0, 0.7, 1.0, 0),
        (2.0, 0.7, 1.0, 0),
        (0.0, 0.99, 1.5, 0),
        (0.0, 0.99, 1.0, 1),
        (1.0, 0.8, 1.0, STOPPED),
    ];
    let mut world = two(limit);
    let mut fronts = Vec::new();
    for (loss, accuracy, size, code) in trials {
        let run = world.running();
        world.report(run, 0, &[("loss", loss), ("accuracy", accuracy), ("size", size)]);
        if code == STOPPED {
            world.ok(Command::StopTrial { trial: run.trial });
            world.end_signalled(run);
        } else {
            world.exit(run, code);
        }
        fronts.push(front(&world));
    }
    let expected: [&[u32]; 8] =
        [&[1], &[2, 1], &[2, 1], &[2, 4, 1], &[2, 4, 1], &[2, 4, 1], &[2, 4, 1], &[8, 1]];
    assert_eq!(fronts, expected);
    let best: Vec<_> = world.state.best_values().iter().map(|mark| mark.map(|mark| mark.value)).collect();
    assert_eq!(best, [Some(1.0), Some(0.9)]);
    world.assert_folds();
    // who leaves the front gives way to those that it beat
    world.ok(Command::Retry { trials: vec![Trial(8)] });
    assert_eq!(front(&world), [2, 4, 1]);
    world.assert_folds();
}

#[test]
fn of_equal_trials_the_earlier_one_is_on_the_front_whichever_ended_first() {
    let mut world = two(json!({"parallel": 2}));
    let (first, second) = (world.running(), world.running());
    for run in [second, first] {
        world.report(run, 0, &[("loss", 1.0), ("accuracy", 0.5)]);
        world.exit(run, 0);
    }
    assert_eq!(front(&world), [1]);
}

#[test]
fn the_target_is_reached_by_one_trial_that_reaches_all_of_them() {
    let objectives = json!([
        {"name": "loss", "target": 1.0}, {"name": "accuracy", "goal": "maximize", "target": 0.9}, {"name": "size"},
    ]);
    let mut world = two(json!({"objectives": objectives}));
    run_with(&mut world, &[("loss", 0.5), ("accuracy", 0.5), ("size", 9.0)]);
    run_with(&mut world, &[("loss", 1.5), ("accuracy", 0.95), ("size", 9.0)]);
    assert_eq!(world.state.phase(), &SweepPhase::Running);
    run_with(&mut world, &[("loss", 1.0), ("accuracy", 0.9), ("size", 9.0)]);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::Target));
    world.assert_folds();
}

/// The rule judges the second objective: from rung 1 to rung 3 the first trial gained 0.25, so the second, cut at 0.25,
/// counts as 0.5. Of the other objective it has what it has.
#[test]
fn the_gain_rule_is_for_the_objective_that_is_judged() {
    let rule = json!({"metric": "accuracy", "goal": "maximize",
        "rule": {"type": "threshold", "min": 0.125, "after": 1}});
    let objectives = json!([{"name": "loss"}, {"name": "accuracy", "goal": "maximize"}]);
    let mut world = two(json!({"method": "bayes", "objectives": objectives, "earlyTerminate": rule}));
    enqueue(&mut world, 2);
    let whole = world.running();
    for (step, accuracy) in [(1, 0.5), (2, 0.75), (3, 0.75)] {
        world.report(whole, step, &[("loss", 3.0), ("accuracy", accuracy)]);
    }
    world.exit(whole, 0);
    let cut = world.running();
    world.report(cut, 1, &[("loss", 4.0), ("accuracy", 0.25)]);
    world.report(cut, 2, &[("loss", 4.0), ("accuracy", 0.0)]);
    world.end_signalled(cut);
    let question = world.state.question();
    let objectives = question.observations.iter().map(|told| match &told.outcome {
        Told::Measured { objectives, .. } => objectives.to_vec(),
        Told::Failed(_) => Vec::new(),
    });
    assert_eq!(objectives.collect::<Vec<_>>(), [[3.0, -0.75], [4.0, -0.5]]);
}

#[test]
fn of_a_stopped_trial_the_search_is_told_what_it_has() {
    let rule =
        json!({"metric": "loss", "goal": "minimize", "rule": {"type": "threshold", "max": 3.5, "after": 1}});
    let objectives = json!([{"name": "loss"}, {"name": "accuracy", "goal": "maximize"}]);
    let mut world = two(json!({"method": "bayes", "objectives": objectives, "earlyTerminate": rule}));
    enqueue(&mut world, 3);
    let cut = world.running();
    world.report(cut, 1, &[("loss", 4.0)]);
    world.end_signalled(cut);
    let half = world.running();
    world.report(half, 1, &[("loss", 2.0)]);
    world.exit(half, 0);
    let question = world.state.question();
    let [Told::Measured { objectives, stopped: true, .. }, Told::Failed(_)] =
        [0, 1].map(|k| question.observations[k].outcome.clone())
    else {
        panic!("{:?}", question.observations);
    };
    assert!(objectives[0] == 4.0 && objectives[1].is_nan(), "{objectives:?}");
}

#[test]
fn the_search_is_told_every_objective_to_be_minimised() {
    let objectives = json!([
        {"name": "loss", "impute": "latest", "imputeWhileRunning": "best"},
        {"name": "accuracy", "goal": "maximize"},
    ]);
    let mut world = two(json!({"method": "bayes", "objectives": objectives, "parallel": 3}));
    enqueue(&mut world, 3);
    run_with(&mut world, &[("loss", 2.0), ("accuracy", 0.25)]);
    let crashed = world.running();
    world.losses(crashed, &[3.0, 5.0]);
    world.exit(crashed, 1);
    let live = world.running();
    world.losses(live, &[4.0, 6.0]);
    let problem = world.state.problem();
    assert_eq!(
        (problem.objectives, problem.impute, problem.impute_while_running),
        (2, Impute::Latest, Some(Impute::Best))
    );
    let question = world.state.question();
    let outcomes: Vec<_> = question.observations.iter().map(|told| told.outcome.clone()).collect();
    let reported = |best, last| Reported { best: Some(best), last: Some(last) };
    let measured = Told::Measured { objectives: [2.0, -0.25].into(), constraints: [].into(), stopped: false };
    assert_eq!(outcomes, [measured, Told::Failed(reported(3.0, 5.0))]);
    assert_eq!(question.pending[0].reported, reported(4.0, 6.0));
    world.assert_folds();
}
