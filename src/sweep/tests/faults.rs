//! Lines of the fault matrix that the state machine itself answers for.

use serde_json::json;

use crate::sweep::testing::{Entry, World, ended};
use crate::sweep::{
    Body, Command, Ended, Exit, Fence, LostWhy, PauseHow, PauseWhy, Refusal, Run, Started, StopWhy,
    SweepPhase, Trial,
};

#[test]
fn f27_five_runs_in_a_row_that_no_machine_could_start_pause_the_sweep() {
    let mut world = World::new(json!({}));
    for _ in 0..5 {
        assert_eq!(world.state.phase(), &SweepPhase::Running);
        let run = world.place().expect("a slot is taken");
        world.end(run, ended(Exit::NotStartedHere { why: "EAGAIN".into() }));
    }
    let why = PauseWhy::Flapping;
    assert_eq!(world.state.phase(), &SweepPhase::Paused { how: PauseHow::Drain, why });
    world.ok(Command::Resume { home: None, keep_going: false });
    assert_eq!(world.running(), Run { trial: Trial(1), attempt: 6 });
}

#[test]
fn f52_a_sweep_deleted_paused_resumed_and_narrowed_while_runs_are_active() {
    let mut world = World::new(json!({"parallel": 3}));
    let runs = [world.running(), world.running(), world.running()];
    // a lower limit drains
    world.ok(Command::Change { patch: vec![crate::sweep::Patch::Parallel(Some(2))], version: Some(1) });
    world.losses(runs[0], &[0.5]);
    world.exit(runs[0], 0);
    assert_eq!(world.place(), None, "two still run");
    // a pause sends runs back, and costs no retry
    world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
    world.end_signalled(runs[1]);
    assert_eq!((world.shown(2), world.place()), ("queued", None));
    world.ok(Command::Resume { home: Some("home".into()), keep_going: false });
    assert_eq!(world.running(), Run { trial: Trial(2), attempt: 2 });
    // a delete stops for good; the sweep ends with the last run
    world.ok(Command::Hide);
    assert_eq!(world.command(Command::StopTrial { trial: Trial(1) }), Err(Refusal::Hidden));
    world.end_signalled(runs[2]);
    world.end_signalled(Run { trial: Trial(2), attempt: 2 });
    assert!(world.state.is_over() && world.state.is_hidden());
    assert_eq!([world.shown(1), world.shown(2), world.shown(3)], ["succeeded", "stopped", "stopped"]);
    world.ok(Command::Restore);
    assert_eq!(world.state.phase().word(), "stopped");
    world.assert_folds();
}

#[test]
fn f54_a_run_whose_machine_lost_it_is_lost_and_its_trial_queued_again() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.losses(run, &[3.0, 2.0]);
    let fence = world.fence(run);
    world.ok(Command::Lost { run, fence, why: LostWhy::Machine });
    assert_eq!(world.shown(1), "queued");
    let again = world.running();
    world.losses(again, &[4.0]);
    world.exit(again, 0);
    let view = world.state.trial_view(Trial(1)).expect("the trial exists");
    let value = view.values[0].map(|mark| (mark.value, mark.step));
    assert_eq!(value, Some((2.0, 1)), "the attempts are one curve, the later one wins at step 0");
    world.assert_folds();
}

#[test]
fn f63_what_is_sent_again_has_one_effect() {
    let mut world = World::new(json!({}));
    let run = world.running();
    let fence = world.fence(run);
    let incoming = world.incoming(run, 0, &[("loss", 1.0)]);
    assert_eq!(world.report_as(&incoming), Ok(true));
    let hash = world.state.hash();
    assert_eq!(world.report_as(&incoming), Ok(false));
    let started = Box::new(Started { nonce: format!("nonce {run}"), ..Started::default() });
    assert_eq!(world.ok(Command::Started { run, fence, started }), []);
    assert_eq!(world.state.hash(), hash);
    let end = Command::Ended { run, fence, ended: Box::new(Ended { last_seq: 9, ..ended(Exit::Code(0)) }) };
    world.ok(end.clone());
    let hash = world.state.hash();
    assert_eq!(world.ok(end), []);
    assert_eq!(world.report_as(&incoming), Ok(false), "it is below the cursor");
    assert_eq!(world.state.hash(), hash);
}

#[test]
fn f47_a_second_start_under_one_fence_is_refused() {
    let mut world = World::new(json!({}));
    let run = world.running();
    let fence = world.fence(run);
    let started = Box::new(Started { nonce: "another".into(), ..Started::default() });
    assert_eq!(world.command(Command::Started { run, fence, started }), Err(Refusal::SecondStart { run }));
}

#[test]
fn f67_a_sweep_that_a_fault_paused_is_asked_nothing_until_it_is_resumed() {
    let mut world = World::new(json!({}));
    let run = world.running();
    world.ok(Command::Pause { how: PauseHow::Drain, why: PauseWhy::Person });
    let fault = Command::Pause { how: PauseHow::Drain, why: PauseWhy::Fault("index out of bounds".into()) };
    assert_eq!(world.ok(fault.clone()).len(), 1, "a fault is recorded over a person's pause");
    assert_eq!(world.ok(fault), []);
    world.losses(run, &[f64::NAN; 12]);
    assert_eq!(world.state.live_run(run.trial).and_then(|live| live.phase.stop()), None);
    world.ok(Command::Resume { home: None, keep_going: false });
    let stop = world.state.live_run(run.trial).and_then(|live| live.phase.stop());
    assert_eq!(stop.map(|(_, why)| why), Some(StopWhy::Diverged));
}

#[test]
fn f70_a_final_trial_is_retried_with_and_without_a_restart_before() {
    let stopping = json!({"metric": "loss", "goal": "minimize",
        "rule": {"type": "hyperband", "bands": [2, 4], "eta": 3.0, "strict": true}});
    let mut world = World::new(json!({"parallel": 2, "earlyTerminate": stopping}));
    let (first, other) = (world.running(), world.running());
    world.losses(first, &[5.0, 2.0]);
    world.losses(other, &[6.0]);
    world.exit(first, 1);
    assert_eq!(world.shown(1), "failed");
    world.assert_folds();
    let mut restarted = world.clone();
    restarted.state = world.folded(false);
    for world in [&mut world, &mut restarted] {
        world.ok(Command::Retry { trials: vec![first.trial] });
        let again = world.running();
        assert_eq!(again, Run { trial: Trial(1), attempt: 2 });
        world.losses(again, &[9.0]);
        world.assert_folds();
    }
    assert_eq!(world.state.hash(), restarted.state.hash());
    let view = world.state.trial_view(Trial(1)).expect("the trial exists");
    assert_eq!(view.values[0].map(|mark| mark.value), Some(9.0), "the curve begins anew");
}

#[test]
fn b37_a_superseded_run_changes_nothing_and_learns_of_both_attempts() {
    let mut world = World::new(json!({"retries": 1}));
    let old = world.running();
    let stale = world.incoming(old, 0, &[("loss", 0.1)]);
    world.exit(old, 1);
    assert_eq!(
        world.report_as(&crate::sweep::Incoming { seq: 9, ..stale.clone() }),
        Err(Refusal::RunOver { run: old })
    );
    let new = world.running();
    let hash = world.state.hash();
    let refusal = world.report_as(&stale).expect_err("another attempt is current");
    assert!(refusal.to_string().starts_with("attempt 2 is current; this is attempt 1"), "{refusal}");
    let end = Box::new(ended(Exit::Code(0)));
    let refused = world.command(Command::Ended { run: old, fence: stale.fence, ended: end });
    assert!(matches!(refused, Err(Refusal::Superseded { current, .. }) if current == new), "{refused:?}");
    let wrong = Command::Lost { run: new, fence: Fence(1), why: LostWhy::Gone };
    assert!(matches!(world.command(wrong), Err(Refusal::Superseded { .. })));
    let unknown = Run { trial: Trial(9), attempt: 1 };
    let lost = Command::Lost { run: unknown, fence: Fence(1), why: LostWhy::Gone };
    assert_eq!(world.command(lost), Err(Refusal::NoSuchRun { run: unknown }));
    assert_eq!(world.state.hash(), hash);
}

#[test]
fn b35_names_above_the_limit_are_left_out_and_the_objective_never() {
    let mut world = World::new(json!({}));
    let run = world.running();
    let names: Vec<String> = (0..10_050).map(|n| format!("m{n}")).collect();
    let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    world.report(run, 0, &values);
    assert_eq!(world.state.metrics().len(), 10_000);
    world.report(run, 1, &[("one more", 1.0), ("loss", 0.5)]);
    assert_eq!(world.state.metrics().last().map(String::as_str), Some("loss"));
    let reports = world.log.iter().filter(|entry| matches!(entry, Entry::Report(_))).count();
    assert_eq!(reports, 2);
    assert!(!world.log.iter().any(|entry| matches!(entry, Entry::Event(e)
        if matches!(&e.body, Body::MetricNamed { name, .. } if name == "one more"))));
}

#[test]
fn b38_reports_are_ordered_by_sequence_whatever_their_clocks_say() {
    let mut world = World::new(json!({}));
    let run = world.running();
    for (step, clock) in [(0, i64::MAX), (1, i64::MIN)] {
        let incoming = world.incoming(run, step, &[("loss", step as f64)]);
        let incoming = crate::sweep::Incoming { at: crate::sweep::Timestamp(clock), ..incoming };
        assert_eq!(world.report_as(&incoming), Ok(true));
    }
    assert_eq!(world.state.trial_view(run.trial).and_then(|view| view.step), Some(1));
}
