//! Callers and their leases, on a clock that is a number.

use std::time::Duration;

use crate::controller::handle::{Answer, Call};
use crate::controller::{Refused, RefusedKind};
use crate::pb;
use crate::sweep::{Run, SweepId, SweepPhase, Trial};

use super::people::creation;
use super::world::{Boundary, World};

const BAYES: &str = "method: bayes\nrun_cap: 9\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {min: 0.0, max: 1.0}\n";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A world whose machines are away, and a sweep that is only asked.
fn world() -> (World, SweepId) {
    let mut world = World::new(7);
    world.ask(creation("c".to_owned(), BAYES, ""));
    let sweep = world.sweeps[0];
    (world, sweep)
}

fn ask(sweep: SweepId, id: &str, n: u32, lease: u64) -> Call {
    let lease = Some(pb::duration(seconds(lease)));
    Call::AskForTrials(pb::AskRequest { request_id: id.to_owned(), sweep: sweep.to_string(), n, lease })
}

fn told(sweep: SweepId, id: &str, run: (u32, u32), step: Option<i64>, loss: f64) -> Call {
    Call::TellTrial(pb::TellRequest {
        request_id: id.to_owned(),
        sweep: sweep.to_string(),
        trial: run.0,
        attempt: run.1,
        step,
        metrics: [("loss".to_owned(), loss)].into(),
        ..Default::default()
    })
}

/// The runs that an ask was given, once it is answered.
fn given(world: &mut World, call: Call) -> Vec<(u32, u32)> {
    let number = world.ask(call);
    for _ in 0..20 {
        world.post();
    }
    world.hear_answers();
    runs(world, number)
}

fn runs(world: &World, number: usize) -> Vec<(u32, u32)> {
    match world.told(number) {
        Some(Ok(Answer::AskForTrials(answer))) => {
            answer.trials.iter().map(|trial| (trial.trial, trial.attempt)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn refusal(world: &mut World, call: Call) -> Refused {
    let number = world.ask(call);
    match world.told(number) {
        Some(Err(refused)) => refused.clone(),
        other => panic!("{other:?}"),
    }
}

fn live(world: &World, sweep: SweepId) -> Vec<Run> {
    world.core().sweeps[&sweep].state.live_runs().map(|live| live.run).collect()
}

#[test]
fn a_lease_that_ran_out_gives_the_trial_to_the_next_who_asks() {
    let (mut world, sweep) = world();
    assert_eq!(given(&mut world, ask(sweep, "a", 3, 60)), [(1, 1), (2, 1), (3, 1)]);
    world.pass(seconds(59));
    assert_eq!(live(&world, sweep).len(), 3);
    world.ask(told(sweep, "t", (2, 1), Some(1), 0.5));
    world.pass(seconds(2));
    assert_eq!(
        live(&world, sweep),
        [Run { trial: Trial(2), attempt: 1 }],
        "a word renews its own lease alone"
    );
    assert_eq!(given(&mut world, ask(sweep, "b", 3, 60)), [(1, 2), (3, 2), (4, 1)]);
    let late = refusal(&mut world, told(sweep, "l", (1, 1), None, 0.1));
    assert_eq!(late.kind, RefusedKind::FailedPrecondition);
    assert!(late.message.contains("attempt 1") && late.message.contains("attempt 2"), "{late}");
    world.pass(seconds(61));
    assert!(live(&world, sweep).is_empty());
    let late = refusal(&mut world, told(sweep, "m", (2, 1), None, 0.1));
    assert!(late.message.contains("attempt 1") && late.message.contains("queued for attempt 2"), "{late}");
}

#[test]
fn after_a_start_a_lease_has_a_full_new_term() {
    let (mut world, sweep) = world();
    given(&mut world, ask(sweep, "a", 1, 600));
    world.pass(seconds(500));
    world.kill(Boundary::AfterRelease);
    world.pass(seconds(570));
    assert_eq!(live(&world, sweep).len(), 1);
    world.stand_still(seconds(3600));
    world.pass(seconds(590));
    assert_eq!(live(&world, sweep).len(), 1, "nobody could be heard");
    world.pass(seconds(11));
    assert!(live(&world, sweep).is_empty());
}

#[test]
fn a_pause_leaves_callers_their_trials_and_a_stop_takes_them() {
    let (mut world, sweep) = world();
    given(&mut world, ask(sweep, "a", 2, 6000));
    let sweep_name = sweep.to_string();
    world.ask(Call::PauseSweep(pb::PauseSweepRequest {
        request_id: "p".to_owned(),
        sweep: sweep_name.clone(),
        now: true,
    }));
    let number = world.ask(told(sweep, "t", (2, 1), Some(1), 0.5));
    let Some(Ok(Answer::TellTrial(answer))) = world.told(number) else { panic!("it is told") };
    assert!(!answer.stop && live(&world, sweep).len() == 2, "{answer:?}");
    assert!(given(&mut world, ask(sweep, "b", 1, 60)).is_empty(), "paused");
    world.ask(Call::StopSweep(pb::StopSweepRequest { request_id: "s".to_owned(), sweep: sweep_name }));
    let over =
        |loaded: &crate::controller::loaded::Loaded| matches!(loaded.state.phase(), SweepPhase::Ended(_));
    assert!(world.core().sweeps.get(&sweep).is_none_or(over));
}

#[test]
fn f32_an_ask_that_a_kill_cut_short_keeps_what_it_was_given() {
    let (mut world, sweep) = world();
    let number = world.ask(ask(sweep, "a", 3, 60));
    world.post(); // the first suggestion has come; the second is thought about
    assert_eq!((live(&world, sweep).len(), world.told(number).is_some()), (1, false));
    world.kill(Boundary::AfterRelease);
    world.ask_again();
    world.post();
    world.hear_answers();
    assert_eq!(runs(&world, number), [(1, 1)]);
    assert_eq!(live(&world, sweep).len(), 1, "nothing is given twice");
    assert_eq!(given(&mut world, ask(sweep, "b", 2, 60)), [(2, 1), (3, 1)]);
    assert_eq!(given(&mut world, ask(sweep, "b", 2, 60)), [(2, 1), (3, 1)], "the first answer again");
    let other = refusal(&mut world, ask(sweep, "b", 1, 60));
    assert_eq!(other.kind, RefusedKind::AlreadyExists);
}

#[test]
fn f32_a_word_that_is_sent_again_counts_once() {
    let (mut world, sweep) = world();
    given(&mut world, ask(sweep, "a", 1, 60));
    for _ in 0..3 {
        world.ask(told(sweep, "t", (1, 1), Some(4), 0.5));
    }
    world.kill(Boundary::AfterRelease);
    world.ask(told(sweep, "t", (1, 1), Some(4), 0.5));
    let reports = world.core().sweeps[&sweep].state.live_run(Trial(1)).map(|live| live.reports);
    assert_eq!(reports, Some(1));
    for _ in 0..2 {
        let number = world.ask(told(sweep, "e", (1, 1), None, 0.25));
        let Some(Ok(Answer::TellTrial(answer))) = world.told(number) else { panic!("it is told") };
        assert_eq!(answer.state(), pb::trial::State::Succeeded);
    }
    let again = refusal(&mut world, told(sweep, "f", (1, 1), None, 0.2));
    assert_eq!(again.kind, RefusedKind::FailedPrecondition, "{again}");
}

#[test]
fn hostile_words_are_refused_and_change_nothing() {
    let (mut world, sweep) = world();
    given(&mut world, ask(sweep, "a", 1, 60));
    let before = world.hashes();
    let words = [
        told(sweep, "", (9, 1), None, 0.1),
        told(sweep, "", (0, 0), None, 0.1),
        told(sweep, "", (1, 2), None, 0.1),
        Call::TellTrial(pb::TellRequest { sweep: sweep.to_string(), trial: 1, ..Default::default() }),
        Call::TellTrial(pb::TellRequest {
            sweep: sweep.to_string(),
            trial: 1,
            metrics: [("\u{1b}[31m".to_owned(), 1.0)].into(),
            ..Default::default()
        }),
        Call::TellTrial(pb::TellRequest {
            sweep: sweep.to_string(),
            trial: 1,
            state: 17,
            ..Default::default()
        }),
        Call::TellTrial(pb::TellRequest {
            sweep: sweep.to_string(),
            trial: 1,
            fence: 3,
            state: 1,
            ..Default::default()
        }),
        ask(sweep, "", 1001, 60),
        ask(sweep, "", 1, 0),
        ask(sweep, "", 1, u64::MAX >> 1),
        ask(sweep, &"x".repeat(65), 1, 60),
    ];
    for call in words {
        let shown = format!("{call:?}");
        let refused = refusal(&mut world, call);
        assert!(refused.kind != RefusedKind::Internal && !refused.message.is_empty(), "{shown}: {refused}");
    }
    assert_eq!(world.hashes(), before);
}
