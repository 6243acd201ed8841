//! Lines of the fault matrix, each in a world of its own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::controller::core::Trip;
use crate::controller::handle::{Answer, Call, Message};
use crate::controller::{Refused, RefusedKind};
use crate::pb::run_up::Kind as Frame;
use crate::pb::{self, RunId};
use crate::search::{Hindrance, Reason};
use crate::store::StoreBody;
use crate::sweep::{Body, Event, PauseWhy, SweepId, SweepPhase};

use super::people::creation;
use super::world::{Boundary, Engines, PLENTY, World};

const GRID: &str = "method: grid\nprogram: t.py\nparallel: 2\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {values: [1, 2, 3, 4, 5, 6]}\n";

/// A world of two machines with two slots each, and a sweep of `file` at home on the first.
fn world(file: &str) -> (World, SweepId) {
    let mut world = World::new(7);
    world.machines.truncate(2);
    world.machines.iter_mut().for_each(|machine| (machine.slots, machine.gpus) = (2, 0));
    let sweep = created(&mut world, file);
    (world, sweep)
}

fn created(world: &mut World, file: &str) -> SweepId {
    let request = format!("c{}", world.issued.len());
    world.ask(creation(request, file, "a0"));
    *world.sweeps.last().expect("it was created")
}

fn phase(world: &World, sweep: SweepId) -> Option<SweepPhase> {
    world.core().sweeps.get(&sweep).map(|loaded| loaded.state.phase().clone())
}

fn live(world: &World, sweep: SweepId) -> usize {
    world.core().sweeps.get(&sweep).map_or(0, |loaded| loaded.state.live_runs().count())
}

/// The first machine is there, and has its runs; nothing of them was heard yet.
fn with_runs(world: &mut World, sweep: SweepId) {
    world.connect(0);
    for _ in 0..3 {
        world.deliver_down(0, 10);
        world.deliver_up(0, 10);
    }
    assert_eq!(live(world, sweep), 2);
}

fn stop(sweep: SweepId) -> Call {
    Call::StopSweep(pb::StopSweepRequest { request_id: String::new(), sweep: sweep.to_string() })
}

fn is_over(world: &World, sweep: SweepId) -> bool {
    phase(world, sweep).is_none_or(|phase| matches!(phase, SweepPhase::Ended(_)))
}

#[test]
fn f02_a_controller_that_is_killed_again_and_again_ends_its_sweep() {
    let file = "method: random\nprogram: t.py\nparallel: 4\nrun_cap: 40\nretries: 1\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {min: 0.0, max: 1.0}\n";
    let (mut world, sweep) = world(file);
    let at = [Boundary::BeforeAppend, Boundary::BeforeRelease, Boundary::AfterRelease];
    for k in 0..100 {
        world.connect(0);
        world.deliver_down(0, 5);
        world.step();
        world.deliver_up(0, 3);
        world.kill(at[k % 3]);
    }
    world.heal();
    assert!(is_over(&world, sweep) || matches!(phase(&world, sweep), Some(SweepPhase::Paused { .. })));
}

#[test]
fn f04_a_busy_controller_that_is_asked_to_end_answers_and_hands_nothing_out() {
    let (mut world, sweep) = world(GRID);
    let (reply, mut answer) = oneshot::channel();
    let (late, mut refused) = oneshot::channel();
    let pause = Call::PauseSweep(pb::PauseSweepRequest { sweep: sweep.to_string(), ..Default::default() });
    let ask = |call: Call, reply| Message::Ask { call, actor: "ann".into(), reply };
    world.put(vec![ask(pause.clone(), reply), Message::Shutdown, ask(pause, late)]);
    assert!(world.core().is_ending);
    assert!(matches!(answer.try_recv().unwrap(), Ok(Answer::PauseSweep(_))));
    let gone: Refused = refused.try_recv().unwrap().unwrap_err();
    assert_eq!(gone.kind, RefusedKind::Unavailable);
    assert_eq!(live(&world, sweep), 0);
    world.kill(Boundary::AfterRelease);
    assert!(matches!(phase(&world, sweep), Some(SweepPhase::Paused { why: PauseWhy::Person, .. })));
}

#[test]
fn f06_f67_a_panic_pauses_its_sweep_and_no_other() {
    for trip in [Trip::Decide, Trip::Due, Trip::Apply] {
        let (mut world, bad) = world(GRID);
        world.core_mut().trips.insert(bad, trip);
        let good = created(&mut world, GRID);
        world.connect(0);
        world.flow();
        let Some(SweepPhase::Paused { why: PauseWhy::Fault(message), .. }) = phase(&world, bad) else {
            panic!("{trip:?}: {:?}", phase(&world, bad))
        };
        assert!(message.contains("tripped"), "{message}");
        assert_ne!(phase(&world, good), phase(&world, bad), "{trip:?}: the other goes on");
        world.kill(Boundary::AfterRelease);
        assert!(
            matches!(phase(&world, bad), Some(SweepPhase::Paused { why: PauseWhy::Fault(_), .. })),
            "no loop"
        );
    }
}

const BAYES: &str = "method: bayes\nprogram: t.py\nparallel: 2\nrun_cap: 8\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {min: 0.0, max: 1.0}\n";

/// Why each trial of the sweep was proposed.
fn reasons(world: &World, sweep: SweepId) -> Vec<Reason> {
    let reason = |event: &Event| match &event.body {
        Body::TrialProposed { reason, .. } => reason.as_deref().cloned(),
        _ => None,
    };
    world.events(sweep).iter().filter_map(reason).collect()
}

#[test]
fn f07_a_model_that_hangs_harms_nobody_else_and_what_was_done_instead_is_recorded() {
    let (mut world, other) = world(GRID);
    let sweep = created(&mut world, BAYES);
    world.engines = Engines::Hang;
    world.connect(0);
    for _ in 0..3 {
        world.deliver_down(0, 10);
        world.deliver_up(0, 10);
    }
    assert_eq!((live(&world, sweep), world.hanging.len()), (0, 1));
    world.pass(Duration::from_secs(20));
    world.flow();
    assert!(is_over(&world, other), "the other sweep went on to its end");
    assert_eq!(live(&world, sweep), 0);
    for done in 1..=8 {
        assert_eq!(reasons(&world, sweep).len(), done - 1);
        world.pass(Duration::from_secs(31));
        world.flow();
        if done == 4 {
            world.kill(Boundary::AfterRelease);
            world.flow();
        }
    }
    assert!(is_over(&world, sweep));
    let slow = Reason::Fallback { why: Hindrance::Slow };
    assert!(reasons(&world, sweep).iter().all(|reason| *reason == slow), "{:?}", reasons(&world, sweep));
    assert_eq!(reasons(&world, sweep).len(), 8);
    world.wake_up();
    assert_eq!(reasons(&world, sweep).len(), 8, "answers that come too late change nothing");
    world.check_logs();
}

#[test]
fn f07_a_model_that_fails_pauses_its_sweep_alone_and_says_why() {
    let (mut world, other) = world(GRID);
    let sweep = created(&mut world, BAYES);
    world.engines = Engines::Fail;
    world.flow();
    assert!(is_over(&world, other));
    let Some(SweepPhase::Paused { why: PauseWhy::Fault(message), .. }) = phase(&world, sweep) else {
        panic!("{:?}", phase(&world, sweep))
    };
    assert_eq!(message, "the search failed: index out of bounds");
    world.engines = Engines::Answer;
    let resume = pb::ResumeSweepRequest { sweep: sweep.to_string(), ..Default::default() };
    world.ask(Call::ResumeSweep(resume));
    world.heal();
    assert!(is_over(&world, sweep), "{:?}", phase(&world, sweep));
    assert_eq!(reasons(&world, sweep).len(), 8);
}

#[test]
fn f27_a_machine_that_starts_nothing_pauses_the_sweep_after_five_runs() {
    let (mut world, sweep) = world(GRID);
    with_runs(&mut world, sweep);
    for _ in 0..10 {
        let runs: Vec<_> = world.machines[0].runs.keys().copied().collect();
        for id in runs {
            world.machines[0].runs.remove(&id);
            let refused = pb::Refused { run: Some(id.into()), why: "EAGAIN".into() };
            world.machines[0].up.push_back(pb::agent_up::Kind::Refused(refused));
        }
        world.deliver_up(0, 10);
        world.pass(Duration::from_secs(61));
        world.deliver_down(0, 10);
    }
    assert!(matches!(phase(&world, sweep), Some(SweepPhase::Paused { why: PauseWhy::Flapping, .. })));
    for kill in [false, true] {
        if kill {
            world.kill(Boundary::AfterRelease);
        }
        let loaded = &world.core().sweeps[&sweep];
        assert_eq!(loaded.remarks(), ["the last of them could not be started: EAGAIN"]);
        let waits = &loaded.rows.values().next().unwrap().reason;
        assert_eq!(waits, "the machine could not start it, and it is tried again: EAGAIN");
    }
}

#[test]
fn f35_a_full_disk_takes_stops_alone_and_goes_on_by_itself() {
    let (mut world, sweep) = world(GRID);
    let other = created(&mut world, GRID);
    world.disk.0.store(1 << 20, Ordering::Relaxed);
    let pause = Call::PauseSweep(pb::PauseSweepRequest { sweep: sweep.to_string(), ..Default::default() });
    for _ in 0..2 {
        let number = world.ask(pause.clone());
        let refused = world.told(number).unwrap().as_ref().unwrap_err();
        assert_eq!(refused.kind, RefusedKind::ResourceExhausted);
        assert_eq!(phase(&world, sweep), Some(SweepPhase::Running), "nothing of it stayed");
    }
    world.connect(0);
    world.deliver_down(0, 10);
    world.deliver_up(0, 10);
    assert_eq!(live(&world, sweep), 0, "nothing is handed out");
    let stopped = world.ask(stop(other));
    assert!(world.told(stopped).unwrap().is_ok());
    assert!(is_over(&world, other));
    world.kill(Boundary::AfterRelease);
    assert!(is_over(&world, other) && world.core().is_pressed);
    world.connect(0);
    world.deliver_down(0, 10);
    world.deliver_up(0, 10);
    world.disk.0.store(PLENTY, Ordering::Relaxed);
    world.pass(Duration::from_secs(2));
    assert_eq!(live(&world, sweep), 2, "there is room, and nobody had to say so");
}

#[test]
fn f35_on_a_full_disk_no_end_is_taken_before_the_reports_that_precede_it() {
    let (mut world, sweep) = world(GRID);
    with_runs(&mut world, sweep);
    world.disk.0.store(1 << 20, Ordering::Relaxed);
    let pause = Call::PauseSweep(pb::PauseSweepRequest { sweep: sweep.to_string(), ..Default::default() });
    world.ask(pause);
    assert!(world.core().is_pressed);
    for _ in 0..100 {
        world.go_on(0);
    }
    let runs: Vec<_> = world.machines[0].runs.iter().map(|(id, run)| (*id, run.spool.clone())).collect();
    let reports = |frames: &[Frame]| frames.iter().filter(|frame| matches!(frame, Frame::Reports(_))).count();
    assert!(runs.iter().all(|(_, spool)| matches!(spool.last(), Some(Frame::Ended(_)))));
    assert!(runs.iter().any(|(_, spool)| reports(spool) > 0), "there is something to lose");
    // The refusal closed the stream: it comes again, and all that the spools hold is under way on it.
    world.connect(0);
    world.deliver_down(0, 10);
    world.deliver_up(0, 1);
    world.deliver_down(0, 10);
    world.go_on(0);
    assert!(world.machines[0].up.len() > 4);
    world.deliver_one_by_one(0);
    assert_eq!(live(&world, sweep), 2, "the ends wait for what comes before them");
    world.disk.0.store(PLENTY, Ordering::Relaxed);
    world.pass(Duration::from_secs(2));
    world.flow();
    for (id, spool) in runs {
        let stored = world.reports(sweep).into_iter().filter(|(run, _)| *run == id.run).count();
        assert_eq!(stored, reports(&spool), "{}", id.run);
    }
}

#[test]
fn f42_a_commit_of_half_a_minute_ends_no_link() {
    let (mut world, sweep) = world(GRID);
    with_runs(&mut world, sweep);
    world.stand_still(Duration::from_secs(31));
    world.pass(Duration::from_secs(19));
    assert!(world.core().links.is_alive("a0"));
    assert_eq!(live(&world, sweep), 2);
}

#[test]
fn f52_a_lower_limit_drains_and_a_deleted_sweep_stops_what_runs() {
    let (mut world, sweep) = world(GRID);
    with_runs(&mut world, sweep);
    let set = vec!["parallel=1".to_owned()];
    world.ask(Call::SetSweep(pb::SetSweepRequest { sweep: sweep.to_string(), set, ..Default::default() }));
    assert_eq!(live(&world, sweep), 2, "what runs goes on");
    world.ask(Call::DeleteSweep(pb::DeleteSweepRequest { sweep: sweep.to_string(), ..Default::default() }));
    world.flow();
    assert!(is_over(&world, sweep) && world.machines[0].runs.is_empty());
}

#[test]
fn f55_a_sweep_whose_box_is_off_for_good_can_be_stopped() {
    for patience in ["never", "1m"] {
        let file = format!("{GRID}on_silence: {{replace_after: {patience}}}\n");
        let (mut world, sweep) = world(&file);
        with_runs(&mut world, sweep);
        world.cut(0, true);
        world.machines[0].is_off = true;
        world.pass(Duration::from_secs(3600));
        assert_eq!(live(&world, sweep), 2, "nobody else may take them");
        world.ask(stop(sweep));
        world.pass(Duration::from_secs(301));
        assert!(is_over(&world, sweep), "{patience}");
        world.machines[0].is_off = false;
        world.flow();
        assert!(world.machines[0].runs.is_empty(), "the box, once back, is told to end them");
    }
}

#[test]
fn f56_an_hour_that_nobody_lived_through_replaces_nothing() {
    let (mut world, sweep) = world(&format!("{GRID}on_silence: {{replace_after: 1m}}\n"));
    with_runs(&mut world, sweep);
    world.cut(0, true);
    world.pass(Duration::from_secs(59));
    world.stand_still(Duration::from_secs(3600));
    world.kill(Boundary::AfterRelease);
    world.connect(0);
    world.deliver_down(0, 10);
    world.deliver_up(0, 10);
    let runs = world.core().sweeps[&sweep].state.live_runs();
    assert_eq!(runs.map(|run| run.run.attempt).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn f57_one_of_two_agents_takes_a_dead_ones_runs_over_and_is_waited_for_in_its_turn() {
    let (mut world, sweep) = world(&format!("{GRID}on_silence: {{replace_after: 1m}}\n"));
    with_runs(&mut world, sweep);
    world.cut(0, true);
    let runs = std::mem::take(&mut world.machines[0].runs);
    world.machines[0].is_off = true;
    world.machines[1].runs = runs;
    world.machines[1].machine = world.machines[0].machine.clone();
    world.machines[1].speaks_for = vec!["a0".into()];
    world.connect(1);
    world.deliver_down(1, 10);
    world.deliver_up(1, 10);
    assert_eq!(live(&world, sweep), 2, "they go on");
    world.cut(1, true);
    world.machines[0].runs.clear();
    world.ask(stop(sweep));
    world.pass(Duration::from_secs(61));
    assert!(is_over(&world, sweep), "whoever spoke for them is gone too");
}

#[test]
fn f58_a_stop_that_came_while_nobody_was_there_reaches_the_runs() {
    let (mut world, sweep) = world(GRID);
    with_runs(&mut world, sweep);
    world.kill(Boundary::AfterRelease);
    world.ask(stop(sweep));
    assert_eq!(live(&world, sweep), 2);
    world.flow();
    assert!(is_over(&world, sweep) && world.machines[0].runs.is_empty());
}

#[test]
fn f63_a_request_twice_in_one_batch_has_one_effect_and_two_equal_answers() {
    let (mut world, sweep) = world(GRID);
    let enqueue = Call::Enqueue(pb::EnqueueRequest {
        request_id: "once".into(),
        sweep: sweep.to_string(),
        params: vec![r#"{"x": 3}"#.into()],
        repeat: 1,
        ..Default::default()
    });
    let (first, mut one) = oneshot::channel();
    let (second, mut two) = oneshot::channel();
    let ask = |reply| Message::Ask { call: enqueue.clone(), actor: "ann".into(), reply };
    world.put(vec![ask(first), ask(second)]);
    let (one, two) = (one.try_recv().unwrap().unwrap(), two.try_recv().unwrap().unwrap());
    assert_eq!(one, two);
    assert_eq!(world.core().sweeps[&sweep].state.trials(), 1);
}

#[test]
fn f66_runs_of_a_lost_time_line_are_told_to_end_and_their_fences_stay_theirs() {
    let (mut world, sweep) = world(GRID);
    let image = world.image();
    with_runs(&mut world, sweep);
    world.go_on(0);
    world.deliver_up(0, 10);
    let lost: Vec<RunId> = world.machines[0].runs.keys().copied().collect();
    assert_eq!(lost.len(), 2);
    let epoch = world.core().store.epoch();
    world.lose(image);
    assert!(world.core().store.epoch() > epoch + 4096, "no fence of the lost time line can come again");
    assert!(world.own_log().iter().any(|body| matches!(body, StoreBody::LossAccepted { .. })), "recorded");
    assert_eq!(live(&world, sweep), 0, "nobody remembers them");
    world.connect(0);
    for _ in 0..3 {
        world.deliver_down(0, 10);
        world.deliver_up(0, 10);
    }
    let now: Vec<RunId> = world.machines[0].runs.keys().copied().collect();
    assert!(now.len() == 2 && !now.iter().any(|run| lost.contains(run)), "{lost:?} {now:?}");
    world.heal();
    assert!(is_over(&world, sweep));
}

#[test]
fn what_was_used_of_a_budget_is_known_after_a_kill() {
    let file = format!("{GRID}budget: {{wall: 10h, gpu_hours: 100}}\nresources: {{gpus: 1}}\n");
    let (mut world, sweep) = world(&file);
    world.machines[0].gpus = 2;
    with_runs(&mut world, sweep);
    for _ in 0..20 {
        if world.core().sweeps[&sweep].burning() == 2 {
            break;
        }
        let mut rng = world.rng.clone();
        let unstarted = world.machines[0].runs.values_mut().filter(|run| run.spool.is_empty());
        unstarted.for_each(|run| run.go_on(&mut rng));
        world.machines[0].send(&mut rng);
        world.deliver_up(0, 10);
        world.deliver_down(0, 10);
    }
    assert_eq!(world.core().sweeps[&sweep].burning(), 2, "both have started");
    world.pass(Duration::from_secs(3600));
    let used = |world: &World| {
        let (loaded, now) = (&world.core().sweeps[&sweep], world.now().mono);
        (loaded.tally.wall(now).as_secs_f64(), loaded.gpu_hours(now) * 3600.0)
    };
    let before = used(&world);
    assert!(before.0 >= 3600.0 && before.1 >= 7200.0, "{before:?}");
    world.kill(Boundary::AfterRelease);
    let after = used(&world);
    assert!((before.0 - 60.0..before.0 + 1.0).contains(&after.0), "a minute at most: {before:?} {after:?}");
    assert!(after.1 >= before.1, "they went on meanwhile: {before:?} {after:?}");
    // The budget of what runs is reached in time.
    world.ask(Call::SetSweep(pb::SetSweepRequest {
        sweep: sweep.to_string(),
        set: vec!["budget.gpu_hours=2.5".into()],
        ..Default::default()
    }));
    world.pass(Duration::from_secs(1200));
    assert!(world.kinds(sweep).contains(&"BudgetReached".to_owned()));
}

#[test]
fn a_request_of_several_parts_takes_effect_whole_or_not_at_all() {
    let (mut world, sweep) = world(GRID);
    let file = format!("{GRID}run_cap: 2\n");
    let ended = created(&mut world, &file);
    world.flow();
    let name = |sweep: SweepId| sweep.to_string();
    let note = pb::AnnotateRequest {
        sweep: name(sweep),
        trial: Some(1),
        text: "odd".into(),
        excluded: Some(true),
        add_tags: vec!["x".repeat(10_000)],
        ..Default::default()
    };
    let refused = world.ask(Call::Annotate(note.clone()));
    let both = pb::AnnotateRequest { trial: None, add_tags: vec!["fine".into()], ..note.clone() };
    let other = world.ask(Call::Annotate(both));
    let again = pb::ResumeSweepRequest { sweep: name(ended), trials: Some(1), ..Default::default() };
    let resumed = world.ask(Call::ResumeSweep(again));
    world.post();
    world.hear_answers();
    for number in [refused, other, resumed] {
        assert!(world.told(number).unwrap().is_err());
    }
    for sweep in [sweep, ended] {
        let kinds = world.kinds(sweep);
        let parts = ["Tagged", "Excluded", "Annotated", "SweepChanged", "SweepResumed"];
        assert!(!kinds.iter().any(|kind| parts.contains(&kind.as_str())), "{kinds:?}");
    }
    let noted = world.ask(Call::Annotate(pb::AnnotateRequest { add_tags: vec!["fine".into()], ..note }));
    world.post();
    world.hear_answers();
    assert!(world.told(noted).unwrap().is_ok());
    assert_eq!(
        world.kinds(sweep).split_off(world.kinds(sweep).len() - 3),
        ["Tagged", "Excluded", "Annotated"]
    );
}

#[test]
fn a_sweep_that_is_over_stays_out_of_memory_whoever_looks_at_it() {
    let (mut world, sweep) = world(GRID);
    world.flow();
    world.heal();
    assert!(!world.core().sweeps.contains_key(&sweep), "it has ended");
    let get = Call::GetSweep(pb::GetSweepRequest { sweep: sweep.to_string(), model: false });
    let best = Call::GetTrial(pb::GetTrialRequest { sweep: sweep.to_string(), trial: 0, best: true });
    for look in [get, best] {
        world.ask(look);
        world.post();
        assert!(world.core().folding.is_empty() && !world.core().sweeps.contains_key(&sweep));
    }
    let note = pb::AnnotateRequest { sweep: sweep.to_string(), text: "odd".into(), ..Default::default() };
    let noted = world.ask(Call::Annotate(note));
    world.post();
    world.hear_answers();
    assert!(world.told(noted).unwrap().is_ok(), "a change folds it");
    assert!(!world.core().sweeps.contains_key(&sweep), "and lets it go again");
}

#[test]
fn p4_an_idle_controller_wakes_for_messages_and_for_deadlines_that_are_due() {
    let file = format!("{GRID}on_silence: {{replace_after: 1m}}\nbudget: {{wall: 2h}}\n");
    let (mut world, sweep) = world(&file);
    with_runs(&mut world, sweep);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.ticks, 0, "agents that are heard set no timer off");
    world.cut(0, true);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.ticks, 1, "the runs became silent");
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.ticks, 2, "the budget was used up");
    assert!(is_over(&world, sweep));
}
