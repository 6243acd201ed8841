//! Trials that callers ask for: beyond the agents' slots, told by them alone, given on when a lease is over.

use serde_json::json;

use crate::sweep::testing::World;
use crate::sweep::{
    Command, EndWhy, EndedHow, FailWhy, Fence, LostWhy, PauseHow, PauseWhy, Refusal, Run, StopWhy,
    SweepPhase, Told, Trial, teller,
};

fn run(trial: u32, attempt: u32) -> Run {
    Run { trial: Trial(trial), attempt }
}

fn ended(world: &World, trial: u32) -> Option<EndedHow> {
    world.state.trial_view(Trial(trial)).and_then(|view| view.ended)
}

#[test]
fn asked_trials_run_at_once_and_take_no_slot() {
    let mut world = World::new(json!({"parallel": 1, "runCap": 4}));
    let (first, second) = (world.ask().expect("a trial"), world.ask().expect("another"));
    assert_eq!((first, second), (run(1, 1), run(2, 1)));
    assert_eq!(world.shown(1), "running", "nobody has to start it");
    let placed = world.running();
    assert_eq!((placed, world.state.placed()), (run(3, 1), 1));
    assert_eq!(world.place(), None, "parallel is 1");
    assert_eq!(world.ask(), Some(run(4, 1)));
    assert_eq!(world.ask(), None, "they count as trials");
    assert_eq!(world.state.phase(), &SweepPhase::Ending(EndWhy::RunCap));
    world.report(second, 0, &[("loss", 0.2)]);
    world.tell(second, Told::Succeeded);
    world.tell(first, Told::Failed);
    world.tell(run(4, 1), Told::Stopped);
    world.report(placed, 0, &[("loss", 0.3)]);
    world.exit(placed, 0);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::RunCap));
    assert_eq!(world.state.best(), Some(Trial(2)));
    assert_eq!(ended(&world, 1), Some(EndedHow::Failed(FailWhy::Told)));
    assert_eq!(ended(&world, 4), Some(EndedHow::Stopped(StopWhy::Caller)));
    world.assert_folds();
}

#[test]
fn an_end_without_the_objective_is_a_failure_and_a_failure_may_be_retried() {
    let mut world = World::new(json!({"retries": 1}));
    let first = world.ask().expect("a trial");
    world.tell(first, Told::Failed);
    assert_eq!(world.shown(1), "queued", "a retry is left");
    let again = world.ask().expect("the same trial");
    assert_eq!(again, run(1, 2));
    world.tell(again, Told::Succeeded);
    assert_eq!(ended(&world, 1), Some(EndedHow::Failed(FailWhy::NoObjective)));
    let nan = world.ask().expect("another");
    world.report(nan, 0, &[("loss", f64::NAN)]);
    world.tell(nan, Told::Succeeded);
    assert_eq!(ended(&world, 2), Some(EndedHow::Failed(FailWhy::Diverged)));
}

#[test]
fn a_lease_that_is_over_gives_the_trial_to_the_next() {
    let mut world = World::new(json!({"retries": 0}));
    let first = world.ask().expect("a trial");
    let fence = world.fence(first);
    world.report(first, 0, &[("loss", 0.5)]);
    world.ok(Command::Lost { run: first, fence, why: LostWhy::Lease });
    assert_eq!(world.shown(1), "queued");
    let late = |world: &World, attempt| teller(&world.state, Trial(1), attempt, None).map(|view| view.run);
    let over = Err(Refusal::Late { given: first, current: 2, is_queued: true });
    assert_eq!(late(&world, Some(1)), over);
    assert_eq!(late(&world, None), over);
    let placed = world.running();
    assert_eq!(placed, run(1, 2), "an agent took it");
    assert_eq!(late(&world, Some(1)), Err(Refusal::Late { given: first, current: 2, is_queued: false }));
    assert!(matches!(late(&world, None), Err(Refusal::NotAsked { run, .. }) if run == placed));
    assert_eq!(late(&world, Some(3)), Err(Refusal::NoSuchRun { run: run(1, 3) }));
    let message = late(&world, Some(1)).expect_err("it is late").to_string();
    assert!(message.contains("attempt 1") && message.contains("attempt 2"), "{message}");
    world.assert_folds();
}

#[test]
fn only_the_current_caller_of_a_live_trial_tells() {
    let mut world = World::new(json!({}));
    let asked = world.ask().expect("a trial");
    let told = |world: &World, trial, fence| teller(&world.state, Trial(trial), None, fence);
    assert_eq!(told(&world, 1, Some(world.fence(asked))).map(|view| view.run), Ok(asked));
    assert!(matches!(told(&world, 1, Some(Fence(9))), Err(Refusal::Superseded { .. })));
    assert_eq!(told(&world, 7, None), Err(Refusal::NoSuchTrial { trial: Trial(7) }));
    world.report(asked, 0, &[("loss", 0.5)]);
    world.tell(asked, Told::Succeeded);
    let refused = Err(Refusal::TrialState { trial: Trial(1), state: "succeeded", asked: "told about" });
    assert_eq!(told(&world, 1, None), refused);
}

#[test]
fn rules_judge_what_is_told() {
    let stopping =
        json!({"metric": "loss", "goal": "minimize", "rule": {"type": "threshold", "max": 0.9, "after": 0}});
    let mut world = World::new(json!({"earlyTerminate": stopping, "retries": 1}));
    let bad = world.ask().expect("a trial");
    world.report(bad, 3, &[("loss", 0.95)]);
    let stop = world.state.live_run(bad.trial).and_then(|view| view.phase.stop());
    assert_eq!(stop.map(|(_, why)| why), Some(StopWhy::Rule));
    world.tell(bad, Told::Failed);
    assert_eq!(ended(&world, 1), Some(EndedHow::Stopped(StopWhy::Rule)), "it was told to stop");
    world.assert_folds();
}

#[test]
fn a_pause_leaves_callers_their_trials_and_an_end_takes_them() {
    let mut world = World::new(json!({"parallel": 1}));
    let (told, left) = (world.ask().expect("a trial"), world.ask().expect("another"));
    let placed = world.running();
    world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
    world.end_signalled(placed);
    assert_eq!((world.ask(), world.shown(3)), (None, "queued"));
    world.report(told, 0, &[("loss", 0.5)]);
    world.tell(told, Told::Succeeded);
    world.report(left, 0, &[("loss", 0.25)]);
    world.ok(Command::Stop);
    assert_eq!(world.state.phase(), &SweepPhase::Ended(EndWhy::Person), "nobody is waited for");
    assert_eq!(ended(&world, 2), Some(EndedHow::Stopped(StopWhy::Person)));
    assert_eq!(world.state.best(), Some(Trial(2)), "what it told counts");
    let late = teller(&world.state, left.trial, Some(1), None);
    assert!(matches!(late, Err(Refusal::TrialState { state: "stopped", .. })), "{late:?}");
    world.assert_folds();
}
