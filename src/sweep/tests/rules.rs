//! The value of a trial, constraints, the target, the stopping rule: what follows from the curves.

use serde_json::{Value, json};

use crate::sweep::testing::{Entry, World};
use crate::sweep::{
    AfterStop, Body, Command, EndWhy, Evidence, PauseHow, PauseWhy, StopWhy, SweepPhase, Trial,
};

fn hyperband(bands: &[u64], eta: f64, strict: bool) -> Value {
    json!({"metric": "loss", "goal": "minimize",
        "rule": {"type": "hyperband", "bands": bands, "eta": eta, "strict": strict}})
}

fn value(world: &World, trial: u32) -> Option<(f64, i64)> {
    let view = world.state.trial_view(Trial(trial)).expect("the trial exists");
    view.values[0].map(|mark| (mark.value, mark.step))
}

fn stopped(world: &World, trial: u32) -> Option<(AfterStop, StopWhy)> {
    world.state.live_run(Trial(trial)).and_then(|live| live.phase.stop())
}

#[test]
fn the_value_is_the_best_finite_one_or_the_last() {
    for (aggregate, expected) in [("best", (1.0, 1)), ("last", (2.0, 2))] {
        let mut world = World::new(json!({"objectives": [{"name": "loss", "aggregate": aggregate}]}));
        let run = world.running();
        world.losses(run, &[3.0, 1.0, 2.0, f64::NAN, f64::NEG_INFINITY]);
        assert_eq!(value(&world, 1), Some(expected));
        world.exit(run, 0);
        assert_eq!((value(&world, 1), world.shown(1)), (Some(expected), "succeeded"));
        assert_eq!(world.state.best(), Some(Trial(1)));
    }
}

#[test]
fn b34_a_step_given_again_counts_as_it_was_given_last() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.report(run, 3, &[("loss", 0.1)]);
    world.report(run, 3, &[("loss", 0.1)]);
    world.report(run, 3, &[("loss", 0.7)]);
    assert_eq!(value(&world, 1), Some((0.7, 3)), "the earlier value of the step is no value any more");
    world.report(run, 1_000_000_000_000_000, &[("loss", 0.6)]);
    world.report(run, -4, &[("loss", 0.5)]);
    assert_eq!(value(&world, 1), Some((0.5, -4)));
    let incoming = world.incoming(run, 0, &[("loss", 0.4)]);
    world
        .report_as(&crate::sweep::Incoming { step: None, ..incoming })
        .expect("a report without a step is taken");
    assert_eq!(
        value(&world, 1),
        Some((0.4, 1_000_000_000_000_001)),
        "a missing step is one more than the last"
    );
}

#[test]
fn b34_a_step_that_goes_back_moves_no_band() {
    let mut world = World::new(json!({"parallel": 2, "earlyTerminate": hyperband(&[2], 3.0, true)}));
    let (a, b) = (world.running(), world.running());
    world.losses(a, &[1.0, 5.0]);
    world.report(a, 0, &[("loss", 9.0)]);
    world.report(b, 5, &[("loss", 9.0)]);
    world.report(b, 6, &[("loss", 4.0)]);
    assert_eq!(stopped(&world, 1), Some((AfterStop::End, StopWhy::Rule)), "judged by 5 at its second value");
    assert_eq!(value(&world, 1), Some((5.0, 1)));
}

#[test]
fn hyperband_judges_the_reporting_run_and_those_whose_band_moved() {
    let mut world = World::new(json!({"parallel": 2, "earlyTerminate": hyperband(&[2, 4], 3.0, true)}));
    let (a, b) = (world.running(), world.running());
    world.losses(a, &[1.0, 5.0, 9.0]);
    assert_eq!(stopped(&world, 1), None, "alone at a band nobody is stopped");
    world.losses(b, &[1.0, 4.0]);
    assert_eq!((stopped(&world, 1), stopped(&world, 2)), (Some((AfterStop::End, StopWhy::Rule)), None));
    let evidence = world.log.iter().find_map(|entry| match entry {
        Entry::Event(event) => match &event.body {
            Body::StopDecided { evidence, .. } => evidence.clone(),
            _ => None,
        },
        Entry::Report(_) => None,
    });
    let expected =
        Evidence { rule: "hyperband".into(), rung: 2, value: 5.0, threshold: 4.0, count: 2, chance: None };
    assert_eq!(evidence, Some(expected));
    world.end_signalled(a);
    assert_eq!((world.shown(1), value(&world, 1)), ("stopped", Some((1.0, 0))), "its value is kept");
    world.assert_folds();
}

#[test]
fn an_end_overrides_a_requeue_and_never_the_reverse() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
    assert_eq!(stopped(&world, 1), Some((AfterStop::Requeue, StopWhy::Paused)));
    world.ok(Command::StopTrial { trial: run.trial });
    assert_eq!(stopped(&world, 1), Some((AfterStop::End, StopWhy::Person)));
    world.ok(Command::Resume { home: None, keep_going: false });
    world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
    assert_eq!(stopped(&world, 1), Some((AfterStop::End, StopWhy::Person)));
    world.end_signalled(run);
    assert_eq!(world.shown(1), "stopped");
}

#[test]
fn a_constraint_is_judged_at_the_step_of_the_value_else_by_its_last() {
    let constraints = json!([{"metric": "size", "max": 10.0}]);
    let mut world = World::new(json!({"constraints": constraints}));
    // broken at the best step, though kept later
    let a = world.running();
    world.report(a, 0, &[("loss", 0.1), ("size", 11.0)]);
    world.report(a, 1, &[("loss", 0.2), ("size", 9.0)]);
    world.exit(a, 0);
    // given only at another step
    let b = world.running();
    world.report(b, 0, &[("size", 12.0)]);
    world.report(b, 1, &[("loss", 0.3)]);
    world.report(b, 2, &[("size", 10.0)]);
    world.exit(b, 0);
    // never given: nobody knows that it holds
    let c = world.running();
    world.losses(c, &[0.05]);
    world.exit(c, 0);
    let feasible = |trial| world.state.trial_view(Trial(trial)).and_then(|view| view.feasible);
    assert_eq!([feasible(1), feasible(2), feasible(3)], [Some(false), Some(true), Some(false)]);
    assert_eq!(world.state.best(), Some(Trial(2)));
    assert_eq!(world.shown(1), "succeeded");
}

#[test]
fn failed_trials_are_never_the_best_and_equals_go_by_number() {
    let mut world = World::new(json!({"parallel": 3}));
    let runs = [world.running(), world.running(), world.running()];
    for (run, loss) in runs.iter().zip([0.1, 0.2, 0.2]) {
        world.losses(*run, &[loss]);
    }
    world.exit(runs[0], 1);
    world.exit(runs[2], 0);
    assert_eq!(world.state.best(), Some(Trial(3)));
    world.exit(runs[1], 0);
    assert_eq!(world.state.best(), Some(Trial(2)));
}

#[test]
fn the_target_ends_the_sweep_and_what_runs_may_finish() {
    let objectives = json!([{"name": "acc", "goal": "maximize", "target": 0.9}]);
    let mut world = World::new(json!({"objectives": objectives, "parallel": 2, "retries": 1}));
    let (a, b) = (world.running(), world.running());
    world.report(a, 0, &[("acc", 0.9)]);
    assert_eq!(world.state.phase(), &SweepPhase::Ending(EndWhy::Target));
    world.exit(a, 0);
    world.report(b, 0, &[("acc", 0.5)]);
    world.exit(b, 1);
    let again = world.running();
    assert_eq!(again.attempt, 2, "retries are drained too");
    world.exit(again, 0);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::Target));
    // a person's retry runs, and proposes nothing more
    world.ok(Command::Enqueue { what: crate::sweep::Enqueued::From(Trial(1)), repeat: 1 });
    let more = world.running();
    assert_eq!((more.trial, world.place()), (Trial(3), None));
    world.report(more, 0, &[("acc", 0.1)]);
    world.exit(more, 0);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::Target));
    world.assert_folds();
}

#[test]
fn a_finished_trial_takes_less_than_a_kibibyte() {
    let space: Vec<Value> = (0..10)
        .map(|n| json!({"path": [format!("p{n}")], "distribution": {"uniform": {"min": 0.0, "max": 1.0}}}))
        .collect();
    let bands: Vec<u64> = vec![1, 3, 9];
    let mut world = World::new(json!({"space": space, "earlyTerminate": hyperband(&bands, 3.0, true),
        "constraints": [{"metric": "size", "max": 1.0}]}));
    let run = world.running();
    for step in 0..20 {
        world.report(run, step, &[("loss", 1.0), ("size", 0.5)]);
    }
    world.exit(run, 0);
    let trial = world.state.trial(Trial(1)).expect("the trial exists");
    let marks = trial.marks().expect("it is final");
    let rule = marks.rule.as_ref().expect("it was judged");
    let floats =
        marks.constraints.capacity() * 16 + marks.at_best.capacity() * 16 + rule.rungs.capacity() * 8;
    let bytes = size_of_val(trial)
        + size_of_val(marks)
        + floats
        + size_of_val(trial.point.coordinates())
        // the rule's own marks of it, and its values in the rungs
        + size_of_val(rule) + rule.rungs.capacity() * 8 + bands.len() * 32;
    assert!(bytes <= 1024, "{bytes} bytes");
}
