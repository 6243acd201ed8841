//! The sweep's own states: pauses, ends, limits, and what a person may still ask for.

use serde_json::json;

use crate::sweep::testing::{World, ended};
use crate::sweep::{
    Body, Budget, Command, EndWhy, EndedHow, Enqueued, Exit, FailWhy, Patch, PauseHow, PauseWhy, Refusal,
    Run, Source, StopWhy, SweepPhase, Trial, WithdrawWhy,
};

fn finish_one(world: &mut World) {
    let run = world.running();
    world.losses(run, &[1.0]);
    world.exit(run, 0);
}

fn resume() -> Command {
    Command::Resume { home: None, keep_going: false }
}

fn cap(cap: u32) -> Command {
    Command::Change { patch: vec![Patch::RunCap(Some(cap))], version: None }
}

#[test]
fn run_cap_ends_the_sweep_and_a_raised_one_resumes_it() {
    let mut world = World::new(json!({"runCap": 2}));
    finish_one(&mut world);
    let last = world.running();
    assert_eq!(world.state.phase(), &SweepPhase::Ending(EndWhy::RunCap));
    assert_eq!(world.state.phase().word(), "running");
    world.losses(last, &[0.5]);
    world.exit(last, 0);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::RunCap));
    assert_eq!(world.command(resume()), Err(Refusal::SweepState { state: "finished", asked: "resumed" }));
    assert_eq!(world.ok(cap(1)).len(), 1, "a lower cap resumes nothing");
    assert_eq!(world.ok(cap(3)).len(), 2);
    finish_one(&mut world);
    assert_eq!((world.state.trials(), world.state.phase()), (3, &SweepPhase::Ended(EndWhy::RunCap)));
    world.assert_folds();
}

#[test]
fn a_stopped_sweep_never_runs_again() {
    let mut world = World::new(json!({"parallel": 2, "runCap": 5}));
    let run = world.running();
    world.ok(Command::Enqueue { what: Enqueued::From(Trial(1)), repeat: 1 });
    world.ok(Command::Stop);
    assert_eq!(world.ok(Command::Stop), []);
    assert_eq!(world.place(), None);
    let withdrawn = world.state.trial_view(Trial(2)).and_then(|view| view.ended);
    assert_eq!(withdrawn, Some(EndedHow::Withdrawn(WithdrawWhy::SweepEnding)));
    world.end_signalled(run);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::Person));
    let stopped = |asked| Err(Refusal::SweepState { state: "stopped", asked });
    assert_eq!(world.command(resume()), stopped("resumed"));
    assert_eq!(world.command(cap(9)), stopped("changed"));
    assert_eq!(world.command(Command::Retry { trials: vec![Trial(1)] }), stopped("given more to do"));
    let more = Command::Enqueue { what: Enqueued::From(Trial(1)), repeat: 1 };
    assert_eq!(world.command(more), stopped("given more to do"));
    world.ok(Command::Change { patch: vec![Patch::Name("kept for the record".into())], version: None });
}

#[test]
fn a_trial_that_ran_and_was_withdrawn_has_no_value_until_it_runs_again() {
    let value =
        |world: &World| world.state.trial_view(Trial(1)).and_then(|view| view.values[0]).map(|v| v.value);
    for withdraw in [Command::StopTrial { trial: Trial(1) }, Command::Stop] {
        let mut world = World::new(json!({"runCap": 5, "constraints": [{"metric": "loss", "max": 9.0}]}));
        let run = world.running();
        world.losses(run, &[1.0]);
        assert_eq!(value(&world), Some(1.0));
        world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
        world.end_signalled(run);
        assert_eq!((value(&world), world.shown(1)), (Some(1.0), "queued"));
        world.ok(withdraw);
        assert_eq!((value(&world), world.shown(1), world.state.best()), (None, "stopped", None));
        let feasible = world.state.trial_view(Trial(1)).and_then(|view| view.feasible);
        assert_eq!(feasible, None, "nobody asks that of a trial that counts for nothing");
        world.assert_folds();
    }
}

#[test]
fn three_trials_that_fail_alike_pause_the_sweep_and_a_resume_tries_them_again() {
    let mut world = World::new(json!({"runCap": 3, "retries": 1}));
    for _ in 0..6 {
        let run = world.running();
        world.exit(run, 2);
    }
    let paused = SweepPhase::Paused { how: PauseHow::Drain, why: PauseWhy::EarlyFailure };
    assert_eq!(world.state.phase(), &paused);
    let trials = [Trial(1), Trial(2), Trial(3)];
    assert_eq!(world.state.failed_early(), Some((&trials[..], FailWhy::Code(2))));
    world.ok(resume());
    assert_eq!(world.state.counts().queued, 3);
    for trial in trials {
        assert_eq!(world.running(), Run { trial, attempt: 3 });
        world.exit(Run { trial, attempt: 3 }, 2);
        let again = world.running();
        world.exit(again, 2);
    }
    assert_eq!(world.state.phase(), &paused, "the same again");
    world.ok(Command::Resume { home: None, keep_going: true });
    for _ in 0..6 {
        let run = world.running();
        world.exit(run, 2);
    }
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::RunCap));
    world.assert_folds();
}

#[test]
fn trials_that_fail_in_different_ways_or_after_a_success_pause_nothing() {
    for codes in [[1, 2, 1], [1, 1, 0], [0, 1, 1]] {
        let mut world = World::new(json!({}));
        for code in codes {
            let run = world.running();
            world.losses(run, &[1.0]);
            world.exit(run, code);
        }
        let run = world.running();
        world.exit(run, 1);
        assert_eq!(world.state.phase(), &SweepPhase::Running, "{codes:?}");
    }
}

#[test]
fn a_pause_lets_runs_end_and_a_resume_goes_on() {
    let mut world = World::new(json!({}));
    let run = world.running();
    let pause = Command::Pause { how: PauseHow::Drain, why: PauseWhy::Person };
    world.ok(pause.clone());
    assert_eq!(world.ok(pause), []);
    world.losses(run, &[1.0]);
    world.exit(run, 0);
    assert_eq!((world.shown(1), world.place()), ("succeeded", None));
    world.ok(Command::Resume { home: Some("other".into()), keep_going: false });
    assert_eq!(world.state.home(), Some("other"));
    assert_eq!(world.ok(Command::Resume { home: Some("other".into()), keep_going: false }), []);
    assert!(world.place().is_some());
}

#[test]
fn a_budget_stops_what_runs_and_has_to_be_raised_before_more() {
    let mut world = World::new(json!({"gpuHours": 2.0, "parallel": 2}));
    let (a, b) = (world.running(), world.running());
    world.losses(a, &[0.5]);
    assert_eq!(world.ok(Command::Spent { budget: Budget::GpuHours, amount: 1.9 }), []);
    world.ok(Command::Spent { budget: Budget::GpuHours, amount: 2.1 });
    assert_eq!(world.ok(Command::Spent { budget: Budget::GpuHours, amount: 2.2 }), []);
    assert_eq!(world.state.phase(), &SweepPhase::Ending(EndWhy::GpuHours));
    world.end_signalled(a);
    world.end_signalled(b);
    let how = world.state.trial_view(Trial(1)).and_then(|view| view.ended);
    assert_eq!(how, Some(EndedHow::Stopped(StopWhy::Budget)));
    assert_eq!(world.state.best(), Some(Trial(1)), "a stopped trial keeps its value");
    let refused = world.command(Command::Retry { trials: vec![Trial(2)] });
    assert_eq!(refused, Err(Refusal::BudgetUsed { budget: Budget::GpuHours, spent: 2.1, limit: 2.0 }));
    world.ok(Command::Change { patch: vec![Patch::GpuHours(Some(3.0))], version: None });
    world.ok(Command::Retry { trials: vec![Trial(2)] });
    assert_eq!(world.running(), Run { trial: Trial(2), attempt: 2 }, "the retried come before new ones");
}

#[test]
fn enqueued_trials_run_next_and_raise_the_cap_they_pass() {
    let mut world = World::new(json!({"runCap": 2}));
    finish_one(&mut world);
    let assignment = serde_json::from_value(json!({"lr": 0.3, "width": 4})).expect("it is an assignment");
    let what = Enqueued::Assignments(vec![assignment]);
    let bodies = world.ok(Command::Enqueue { what, repeat: 2 });
    assert_eq!(bodies[0], Body::SweepChanged { version: 2, patch: vec![Patch::RunCap(Some(3))] });
    world.ok(Command::Enqueue { what: Enqueued::From(Trial(1)), repeat: 1 });
    let view = world.state.trial_view(Trial(4)).expect("the trial exists");
    assert_eq!(
        (view.source, view.assignment),
        (Source::Repeat { of: Trial(1) }, world.state.assignment(Trial(1)).unwrap())
    );
    for trial in 2..=4 {
        let run = world.running();
        assert_eq!(run.trial, Trial(trial));
        world.losses(run, &[1.0]);
        world.exit(run, 0);
    }
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::RunCap));
    let outside = serde_json::from_value(json!({"lr": 7.0, "width": 4})).expect("it is an assignment");
    let refused = world.command(Command::Enqueue { what: Enqueued::Assignments(vec![outside]), repeat: 1 });
    assert!(matches!(refused, Err(Refusal::OutsideSpace(_))), "{refused:?}");
    let refused = world.command(Command::Enqueue { what: Enqueued::From(Trial(1)), repeat: u32::MAX });
    assert!(matches!(refused, Err(Refusal::Limit { .. })), "{refused:?}");
}

#[test]
fn f53_a_change_for_an_older_version_is_refused_and_one_that_changes_nothing_is_none() {
    let mut world = World::new(json!({"retries": 1}));
    let retries = |n| Command::Change { patch: vec![Patch::Retries(n)], version: Some(1) };
    assert_eq!(world.ok(retries(1)), []);
    world.ok(retries(2));
    assert_eq!(world.command(retries(3)), Err(Refusal::Changed { given: 1, current: 2 }));
    for bad in [
        Patch::Parallel(Some(0)),
        Patch::RunCap(Some(0)),
        Patch::GpuHours(Some(f64::NAN)),
        Patch::Wall(Some(-1.0)),
        Patch::Timeout(Some(1e300)),
        Patch::Name("\u{7}".into()),
        Patch::Tags(vec![String::new()]),
    ] {
        let refused = world.command(Command::Change { patch: vec![bad.clone()], version: None });
        assert!(matches!(refused, Err(Refusal::OutOfRange { .. })), "{bad:?}");
    }
}

#[test]
fn a_trial_is_stopped_withdrawn_and_retried_by_hand() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.ok(Command::Enqueue { what: Enqueued::From(run.trial), repeat: 1 });
    world.ok(Command::StopTrial { trial: Trial(2) });
    assert_eq!(world.shown(2), "stopped");
    world.ok(Command::StopTrial { trial: run.trial });
    assert_eq!(world.ok(Command::StopTrial { trial: run.trial }), []);
    world.end_signalled(run);
    let refused = world.command(Command::StopTrial { trial: run.trial });
    assert_eq!(refused, Err(Refusal::TrialState { trial: Trial(1), state: "stopped", asked: "stopped" }));
    world.ok(Command::Retry { trials: vec![Trial(2), Trial(1), Trial(2)] });
    assert_eq!(world.running(), Run { trial: Trial(1), attempt: 2 });
    let unknown = Err(Refusal::NoSuchTrial { trial: Trial(7) });
    assert_eq!(world.command(Command::Retry { trials: vec![Trial(7)] }), unknown);
    assert_eq!(world.command(Command::Exclude { trial: Trial(7) }), unknown);
}

#[test]
fn tags_and_marks_record_only_what_changes() {
    let mut world = World::new(json!({"tags": ["b"]}));
    let tag = |add: &[&str], remove: &[&str]| Command::Tag {
        trial: None,
        add: add.iter().map(|tag| (*tag).into()).collect(),
        remove: remove.iter().map(|tag| (*tag).into()).collect(),
    };
    assert_eq!(world.ok(tag(&["b"], &["x"])), []);
    world.ok(tag(&["*", "a"], &["b"]));
    assert_eq!(world.state.summary().tags, ["*", "a"]);
    finish_one(&mut world);
    world.ok(Command::Exclude { trial: Trial(1) });
    assert_eq!(world.ok(Command::Exclude { trial: Trial(1) }), []);
    world.ok(Command::Include { trial: Trial(1) });
    assert_eq!(world.state.best(), Some(Trial(1)));
}

#[test]
fn a_trial_waits_for_its_slot_with_its_back_off() {
    let mut world = World::new(json!({"retries": 1, "parallel": 1}));
    let run = world.running();
    world.exit(run, 1);
    let held = crate::sweep::Offer { held_back: [run.trial].into(), ..world.offer() };
    assert_eq!(world.place_with(&held), Some(Run { trial: Trial(2), attempt: 1 }));
    assert_eq!(world.place(), None, "one at a time");
    let silent = crate::sweep::Offer { silent: [Trial(2)].into(), ..world.offer() };
    assert_eq!(
        world.place_with(&silent),
        Some(Run { trial: Trial(2), attempt: 2 }),
        "a silent run is replaced"
    );
    world.end(Run { trial: Trial(2), attempt: 2 }, ended(Exit::Code(1)));
    assert_eq!(world.state.queued().collect::<Vec<_>>(), [Trial(1), Trial(2)]);
}
