//! Each row of the outcome table, and the faults of processes.

use serde_json::json;

use crate::sweep::outcome::{Circumstances, ObjectiveSeen, outcome};
use crate::sweep::testing::{World, ended};
use crate::sweep::{
    AfterStop, Command, Ended, EndedHow, Exit, FailWhy, LostWhy, Outcome, QueueWhy, Run, StopWhy, Trial,
};

const NO_STOP: Option<(AfterStop, StopWhy)> = None;
const END: Option<(AfterStop, StopWhy)> = Some((AfterStop::End, StopWhy::Rule));
const DIVERGED: Option<(AfterStop, StopWhy)> = Some((AfterStop::End, StopWhy::Diverged));
const REQUEUE: Option<(AfterStop, StopWhy)> = Some((AfterStop::Requeue, StopWhy::Paused));

fn row(ended: &Ended, objective: ObjectiveSeen, retries_left: u32) -> [Outcome; 4] {
    [NO_STOP, END, REQUEUE, DIVERGED]
        .map(|stop| outcome(ended, Circumstances { stop, retries_left, losses: 0, objective }))
}

#[test]
fn the_outcome_table_row_by_row() {
    use Outcome::{Failed, Queued, Stopped, Succeeded};
    let stopped = Stopped(StopWhy::Rule);
    let diverged = Failed(FailWhy::Diverged);
    let finite = ObjectiveSeen::Finite;
    let signalled = |exit| Ended { signalled: true, ..ended(exit) };

    // ended by itself, 0, a finite objective, or no metric wanted
    for seen in [finite, ObjectiveSeen::NotWanted] {
        assert_eq!(row(&ended(Exit::Code(0)), seen, 0), [Succeeded; 4]);
    }
    // ended by itself otherwise: 0 without objective fails at once, whatever the retries
    let no_objective = Failed(FailWhy::NoObjective);
    let expected = [no_objective, stopped, no_objective, diverged];
    assert_eq!(row(&ended(Exit::Code(0)), ObjectiveSeen::Never, 3), expected);
    assert_eq!(
        row(&ended(Exit::Code(0)), ObjectiveSeen::NotFinite, 3),
        [diverged, stopped, diverged, diverged]
    );
    // a crash: by code, by a stranger's signal
    let crashed = Queued(QueueWhy::Crashed);
    assert_eq!(row(&ended(Exit::Code(1)), finite, 1), [crashed, stopped, crashed, diverged]);
    let failed = Failed(FailWhy::Code(1));
    assert_eq!(row(&ended(Exit::Code(1)), finite, 0), [failed, stopped, failed, diverged]);
    let failed = Failed(FailWhy::Signal(11));
    assert_eq!(row(&ended(Exit::Signal(11)), finite, 0), [failed, stopped, failed, diverged]);
    // signalled, any code
    for exit in [Exit::Code(0), Exit::Code(143), Exit::Signal(15)] {
        let expected = [Queued(QueueWhy::Outside), stopped, Queued(QueueWhy::Stopped), diverged];
        assert_eq!(row(&signalled(exit), finite, 0), expected);
    }
    // its timeout
    let timeout = Ended { timed_out: true, ..signalled(Exit::Signal(15)) };
    let expected = [Failed(FailWhy::Timeout), stopped, Queued(QueueWhy::Stopped), diverged];
    assert_eq!(row(&timeout, finite, 0), expected);
    assert_eq!(row(&timeout, finite, 1)[0], crashed);
    // lost
    let expected = [Queued(QueueWhy::Lost), stopped, Queued(QueueWhy::Stopped), diverged];
    assert_eq!(row(&ended(Exit::Lost(LostWhy::Machine)), finite, 0), expected);
    let sixth = Circumstances { stop: NO_STOP, retries_left: 9, losses: 5, objective: finite };
    assert_eq!(outcome(&ended(Exit::Lost(LostWhy::Runner)), sixth), Failed(FailWhy::Infrastructure));
    // never started
    let user = ended(Exit::NotStarted { why: "no such program".into() });
    let expected = [Failed(FailWhy::NotStarted), stopped, Queued(QueueWhy::Stopped), diverged];
    assert_eq!(row(&user, ObjectiveSeen::Never, 9), expected);
    let machine = ended(Exit::NotStartedHere { why: "EAGAIN".into() });
    let expected = [Queued(QueueWhy::NotStarted), stopped, Queued(QueueWhy::Stopped), diverged];
    assert_eq!(row(&machine, ObjectiveSeen::Never, 0), expected);
}

fn how(world: &World, trial: u32) -> Option<EndedHow> {
    world.state.trial_view(Trial(trial)).expect("the trial exists").ended
}

#[test]
fn f18_exit_0_without_the_objective_is_a_failure() {
    let mut world = World::new(json!({"retries": 5}));
    let run = world.running();
    world.report(run, 0, &[("accuracy", 0.9)]);
    world.exit(run, 0);
    assert_eq!(how(&world, 1), Some(EndedHow::Failed(FailWhy::NoObjective)));
}

#[test]
fn b32_a_run_without_any_finite_value_has_diverged() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.losses(run, &[f64::NAN, f64::INFINITY]);
    world.exit(run, 0);
    assert_eq!(how(&world, 1), Some(EndedHow::Failed(FailWhy::Diverged)));
    world.assert_folds();
}

#[test]
fn b32_ten_values_in_a_row_that_are_not_finite_stop_the_run_as_diverged() {
    let mut world = World::new(json!({"retries": 5}));
    let run = world.running();
    world.losses(run, &[1.0]);
    for step in 1..10 {
        world.report(run, step, &[("loss", f64::NAN)]);
        assert_eq!(world.state.live_run(run.trial).map(|live| live.phase.stop()), Some(None));
    }
    world.report(run, 10, &[("loss", f64::NAN)]);
    let stop = world.state.live_run(run.trial).and_then(|live| live.phase.stop());
    assert_eq!(stop, Some((AfterStop::End, StopWhy::Diverged)));
    world.end_signalled(run);
    assert_eq!(how(&world, 1), Some(EndedHow::Failed(FailWhy::Diverged)));
}

#[test]
fn a_crash_is_retried_while_retries_last() {
    let mut world = World::new(json!({"retries": 2}));
    for attempt in 1..=3 {
        let run = world.running();
        assert_eq!(run, Run { trial: Trial(1), attempt });
        world.exit(run, 3);
    }
    assert_eq!(how(&world, 1), Some(EndedHow::Failed(FailWhy::Code(3))));
}

#[test]
fn the_sixth_loss_of_a_trial_is_a_failure() {
    let mut world = World::new(json!({}));
    for attempt in 1..=6 {
        let run = world.running();
        assert_eq!(run, Run { trial: Trial(1), attempt });
        let fence = world.fence(run);
        world.ok(Command::Lost { run, fence, why: LostWhy::Machine });
    }
    assert_eq!(how(&world, 1), Some(EndedHow::Failed(FailWhy::Infrastructure)));
    world.assert_folds();
}

#[test]
fn a_sweep_without_a_metric_succeeds_by_its_exit_code_and_has_no_best() {
    let mut world = World::new(json!({"objectives": []}));
    let run = world.running();
    world.exit(run, 0);
    assert_eq!((world.shown(1), world.state.best()), ("succeeded", None));
}
