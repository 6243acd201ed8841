//! Stopping rules in a sweep: at which step, on which numbers, whom they leave alone, what they save.

use serde_json::{Value, json};

use crate::sweep::testing::{Entry, World, ended};
use crate::sweep::{Audit, Body, Ended, Evidence, Exit, Run, StopWhy, Trial};

fn early(rule: Value) -> Value {
    json!({"metric": "loss", "goal": "minimize", "rule": rule})
}

fn asha() -> Value {
    early(json!({"type": "asha", "min_iter": 1, "eta": 3.0}))
}

type Evidences = Vec<(u32, Evidence)>;

/// The evidence of all stops, and of all runs that were let go on.
fn decided(world: &World) -> (Evidences, Evidences) {
    let (mut stops, mut spared) = (Vec::new(), Vec::new());
    for entry in &world.log {
        let Entry::Event(event) = entry else { continue };
        match &event.body {
            Body::StopDecided { run, evidence: Some(evidence), .. } => {
                stops.push((run.trial.0, evidence.clone()));
            }
            Body::RunSpared { run, evidence } => spared.push((run.trial.0, evidence.clone())),
            _ => {}
        }
    }
    (stops, spared)
}

fn hours(hours: u64) -> Ended {
    Ended { wall_ms: hours * 3_600_000, gpus: 2, ..ended(Exit::Code(0)) }
}

fn stop_after(world: &mut World, run: Run, after: u64) {
    world.end(run, Ended { signalled: true, ..hours(after) });
}

#[test]
fn asha_stops_a_run_with_the_numbers_it_decided_on() {
    let mut world = World::new(json!({"parallel": 9, "earlyTerminate": asha()}));
    let runs: Vec<Run> = (0..6).map(|_| world.running()).collect();
    for (run, loss) in runs.iter().zip([0.9, 0.5, 0.7, 0.4, 0.8, 0.45]) {
        world.report(*run, 1, &[("loss", loss)]);
    }
    let evidence = |value, threshold, count| Evidence {
        rule: "asha".into(),
        rung: 1,
        value,
        threshold,
        count,
        chance: None,
    };
    assert_eq!(decided(&world).0, [(3, evidence(0.7, 0.5, 3)), (5, evidence(0.8, 0.4, 5))]);
    world.end_signalled(runs[2]);
    assert_eq!(world.shown(3), "stopped");
    world.assert_folds();
    // whose arrivals are known by their marks alone counts as it did
    world.end_signalled(runs[4]);
    world.exit(runs[0], 0);
    world.exit(runs[1], 0);
    world.assert_folds();
    let next = world.running();
    world.report(next, 1, &[("loss", 0.6)]);
    let stop = world.folded(false).live_run(next.trial).and_then(|run| run.phase.stop());
    assert_eq!(stop.map(|(_, why)| why), Some(StopWhy::Rule), "floor(7/3) = 2 go on: 0.4 and 0.45");
    world.assert_folds();
}

/// The metric that is judged comes every tenth step, another one at every step.
#[test]
fn a_rule_goes_by_the_steps_of_its_own_metric() {
    let rule = early(json!({"type": "asha", "min_iter": 20, "eta": 3.0}));
    let mut world = World::new(json!({"parallel": 9, "earlyTerminate": rule}));
    let runs: Vec<Run> = (0..3).map(|_| world.running()).collect();
    for step in 0..=30 {
        for (run, loss) in runs.iter().zip([0.1, 0.2, 0.3]) {
            if world.state.live_run(run.trial).is_some_and(|live| live.phase.stop().is_none()) {
                world.report(*run, step, &[("train", 9.0)]);
                if step % 10 == 5 {
                    world.report(*run, step, &[("loss", loss)]);
                }
            }
        }
    }
    let (stops, _) = decided(&world);
    assert_eq!(stops.len(), 1);
    assert_eq!((stops[0].0, stops[0].1.rung), (3, 20));
    let step = world.state.trial_view(Trial(3)).and_then(|view| view.step);
    assert_eq!(step, Some(25), "at 25 the value at 20 is known, and not before");
}

#[test]
fn a_sweep_without_a_rule_never_stops_a_run() {
    let mut world = World::new(json!({"parallel": 9}));
    let runs: Vec<Run> = (0..9).map(|_| world.running()).collect();
    for step in 0..50 {
        for run in &runs {
            world.report(*run, step, &[("loss", f64::from(run.trial.0) * 1e30)]);
        }
    }
    assert!(world.state.live_runs().all(|run| run.phase.stop().is_none()));
    assert_eq!(world.state.savings(), None);
}

#[test]
fn every_rule_stops_the_hopeless_and_says_so() {
    let rules = [
        json!({"type": "median", "min_iter": 3, "startup": 2}),
        json!({"type": "percentile", "percentile": 40.0, "min_iter": 3, "startup": 2}),
        json!({"type": "threshold", "max": 5.0, "after": 3}),
        json!({"type": "patience", "patience": 3, "min_delta": 0.0, "min_iter": 0}),
        json!({"type": "curve", "max_iter": 40, "min_iter": 3}),
    ];
    for rule in rules {
        let name = rule["type"].as_str().expect("it is text").to_owned();
        let mut world = World::new(json!({"parallel": 9, "earlyTerminate": early(rule)}));
        let runs: Vec<Run> = (0..3).map(|_| world.running()).collect();
        for step in 1..=9 {
            for (run, loss) in runs.iter().zip([1.0 / step as f64, 0.9 / step as f64, 9.0]) {
                if world.state.live_run(run.trial).is_some_and(|live| live.phase.stop().is_none()) {
                    world.report(*run, step, &[("loss", loss)]);
                }
            }
        }
        let (stops, _) = decided(&world);
        assert!(
            stops.iter().any(|(trial, evidence)| *trial == 3 && evidence.rule == name),
            "{name}: {stops:?}"
        );
        assert!(stops.iter().all(|(trial, _)| *trial != 2), "{name} never stops the best");
        world.end_signalled(runs[2]);
        world.assert_folds();
    }
}

#[test]
fn nan_stops_a_run_by_its_threshold_and_the_log_carries_it() {
    let rule = early(json!({"type": "threshold", "max": 5.0, "after": 0}));
    let mut world = World::new(json!({"earlyTerminate": rule}));
    let run = world.running();
    world.losses(run, &[1.0, f64::NAN]);
    let stop = world.log.iter().find_map(|entry| match entry {
        Entry::Event(event) if matches!(event.body, Body::StopDecided { .. }) => Some(event),
        Entry::Event(_) | Entry::Report(_) => None,
    });
    let text = serde_json::to_string(stop.expect("it was stopped")).expect("it is JSON");
    assert!(text.contains(r#""value":"NaN""#), "{text}");
    let again: crate::sweep::Event = serde_json::from_str(&text).expect("it can be read");
    let Body::StopDecided { evidence: Some(evidence), .. } = again.body else { panic!("{text}") };
    assert!(evidence.value.is_nan() && evidence.threshold == 5.0);
    let old = r#"{"rule":"hyperband","band":4,"value":0.5,"threshold":0.25,"count":3}"#;
    let old: Evidence = serde_json::from_str(old).expect("as earlier logs have it");
    assert_eq!(old.rung, 4);
}

/// All are condemned that asha would stop; the audit lets a share go on, always the same ones.
#[test]
fn the_audit_lets_its_share_go_on_and_counts_what_became_of_them() {
    let with = |audit: f64| {
        let mut rule = asha();
        rule["audit"] = json!(audit);
        World::new(json!({"parallel": 40, "runCap": 40, "earlyTerminate": rule}))
    };
    let play = |world: &mut World| {
        let runs: Vec<Run> = (0..40).map(|_| world.running()).collect();
        for run in &runs {
            world.report(*run, 1, &[("loss", f64::from(run.trial.0))]);
        }
        runs
    };
    let mut half = with(0.5);
    play(&mut half);
    let (stops, spared) = decided(&half);
    assert_eq!(stops.len() + spared.len(), 38, "each is worse than all before it");
    assert!((10..29).contains(&spared.len()), "about half: {}", spared.len());
    let mut again = with(0.5);
    play(&mut again);
    assert_eq!(decided(&again).1, spared);
    let mut all = with(1.0);
    let runs = play(&mut all);
    let (stops, spared) = decided(&all);
    assert_eq!(stops.len(), 0);
    assert_eq!(all.state.savings().map(|savings| savings.audit.spared), u32::try_from(spared.len()).ok());
    // one of them ends as the best of all, another does not
    for (nth, loss) in [(0, 0.5), (1, 0.75)] {
        let trial = Trial(spared[nth].0);
        let run = runs.iter().find(|run| run.trial == trial).copied().expect("it runs");
        ends_by_itself(&mut all, run, loss);
    }
    let audit = all.state.savings().map(|savings| savings.audit);
    assert_eq!(audit, Some(Audit { spared: spared.len() as u32, ended: 2, wrong: 1 }));
    all.assert_folds();
    assert_eq!(all.folded(false).savings(), all.state.savings());
}

fn ends_by_itself(world: &mut World, run: Run, loss: f64) {
    world.report(run, 50, &[("loss", loss)]);
    world.exit(run, 0);
}

/// Full lengths 8 and 12 h, the median 10; stopped after 1 h: 9 h saved, of 9 + 1 + 20.
#[test]
fn what_was_saved_follows_from_the_log() {
    let mut world = World::new(json!({"parallel": 9, "earlyTerminate": asha()}));
    let runs: Vec<Run> = (0..3).map(|_| world.running()).collect();
    for (run, loss) in runs.iter().zip([0.1, 0.2, 0.3]) {
        world.report(*run, 1, &[("loss", loss)]);
    }
    stop_after(&mut world, runs[2], 1);
    let savings = world.state.savings().expect("there is a rule");
    assert_eq!((savings.stopped, savings.hours), (1, None));
    world.end(runs[0], hours(8));
    world.end(runs[1], hours(12));
    let savings = world.state.savings().expect("there is a rule");
    assert_eq!((savings.hours, savings.gpu_hours, savings.share), (Some(9.0), Some(18.0), Some(9.0 / 30.0)));
    assert_eq!(world.folded(false).savings(), Some(savings));
    world.ok(crate::sweep::Command::Retry { trials: vec![Trial(3)] });
    assert_eq!(world.state.savings().map(|savings| savings.stopped), Some(0));
}
