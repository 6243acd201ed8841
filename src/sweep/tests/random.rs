//! Random sweeps: whatever is asked of them in whatever order, the invariants hold, a fold gives the same state both
//! ways, and what is sent again changes nothing.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::sweep::testing::{Entry, World, ended};
use crate::sweep::{
    Body, Budget, Command, Ended, Enqueued, Exit, Incoming, LostWhy, Offer, Outcome, Patch, PauseHow,
    PauseWhy, QueueWhy, Run, Source, Started, State, SweepPhase, TextRef, Told, Trial,
};

const SEEDS: u64 = 120;
const STEPS: u32 = 150;

/// A small definition of some kind.
fn any_definition(rng: &mut ChaCha8Rng) -> Value {
    let mut more = json!({
        "parallel": rng.random_range(1..4),
        "retries": rng.random_range(0..3),
        "method": if rng.random() { "grid" } else { "random" },
        "order": if rng.random() { "file" } else { "shuffled" },
    });
    if rng.random() {
        more["runCap"] = json!(rng.random_range(1..9));
    }
    if rng.random() {
        let rule = match rng.random_range(0..6) {
            0 => json!({"type": "hyperband", "bands": [1, 2, 4], "eta": 2.0, "strict": rng.random::<bool>()}),
            1 => json!({"type": "asha", "min_iter": 1, "eta": 2.0}),
            2 => json!({"type": "median", "min_iter": 1, "startup": 2}),
            3 => json!({"type": "threshold", "max": 0.9, "after": 2}),
            4 => json!({"type": "patience", "patience": 2, "min_delta": 0.0, "min_iter": 0}),
            _ => json!({"type": "curve", "max_iter": 9, "min_iter": 1}),
        };
        more["earlyTerminate"] = json!({"metric": "loss", "goal": "minimize", "rule": rule});
    }
    if rng.random() {
        more["constraints"] = json!([{"metric": "size", "max": 0.7}]);
    }
    if rng.random() {
        more["gpuHours"] = json!(1.0);
    }
    let target = if rng.random_range(0..4) == 0 { json!(0.02) } else { Value::Null };
    let aggregate = if rng.random() { "best" } else { "last" };
    let mut objectives = vec![json!({"name": "loss", "target": target, "aggregate": aggregate})];
    if rng.random_range(0..3) == 0 {
        objectives.push(json!({"name": "size", "goal": "maximize"}));
    }
    more["objectives"] = json!(objectives);
    if rng.random() {
        more["enqueue"] = json!([{"lr": 0.2, "width": 3}]);
    }
    more
}

struct Player {
    world: World,
    rng: ChaCha8Rng,
    /// Messages of runs that were sent, to be sent again.
    sent: Vec<Incoming>,
    ends: Vec<Command>,
}

impl Player {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let world = World::new(any_definition(&mut rng));
        Player { world, rng, sent: Vec::new(), ends: Vec::new() }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.rng.random_range(0..from.len())].clone())
    }

    fn any_trial(&mut self) -> Trial {
        Trial(self.rng.random_range(0..=self.world.state.trials() + 1))
    }

    fn any_live(&mut self) -> Option<Run> {
        let live: Vec<Run> = self.world.state.live_runs().map(|view| view.run).collect();
        self.pick(&live)
    }

    fn step(&mut self) {
        match self.rng.random_range(0..20) {
            0..4 => self.place(),
            4 => drop(self.world.ask()),
            5..11 => self.report(),
            11..15 => self.end(),
            15 => self.send_again(),
            _ => {
                let command = self.command();
                let before = self.world.state.hash();
                if self.world.command(command).is_err() {
                    assert_eq!(self.world.state.hash(), before, "a refusal changes nothing");
                }
            }
        }
    }

    fn place(&mut self) {
        let silent = self.any_live().map(|run| run.trial).filter(|_| self.rng.random_range(0..8) == 0);
        let queued: Vec<Trial> = self.world.state.queued().collect();
        let held = self.pick(&queued).filter(|_| self.rng.random_range(0..4) == 0);
        let offer = Offer {
            silent: silent.into_iter().collect(),
            held_back: held.into_iter().collect(),
            ..self.world.offer()
        };
        let before = self.world.state.placed();
        if let Some(run) = self.world.place_with(&offer) {
            let now = self.world.state.placed();
            let limit = self.world.state.definition().parallel.expect("the definition says") as usize;
            assert!(now <= before.max(limit), "I6: {now} runs at once, {limit} allowed");
            if self.rng.random() {
                self.world.start(run);
            }
        }
    }

    fn report(&mut self) {
        let Some(run) = self.any_live() else { return };
        let loss = match self.rng.random_range(0..6) {
            0 => f64::NAN,
            _ => f64::from(self.rng.random_range(1..100)) / 100.0,
        };
        let step = self.rng.random_range(0..6);
        let size = f64::from(self.rng.random_range(0..100)) / 100.0;
        let incoming = self.world.incoming(run, step, &[("loss", loss), ("size", size)]);
        self.world.report_as(&incoming).expect("a live run's report is taken");
        self.sent.push(incoming);
    }

    fn end(&mut self) {
        let Some(run) = self.any_live() else { return };
        let fence = self.world.fence(run);
        let told = [Told::Succeeded, Told::Failed, Told::Stopped][self.rng.random_range(0..3)];
        let is_asked = self.world.state.live_run(run.trial).is_some_and(|live| live.lease.is_some());
        let command = match self.rng.random_range(0..6) {
            0 if is_asked => Command::Lost { run, fence, why: LostWhy::Lease },
            _ if is_asked => Command::Ended { run, fence, ended: Box::new(ended(Exit::Told(told))) },
            0 => Command::Lost { run, fence, why: LostWhy::Runner },
            1 => Command::Started { run, fence, started: Box::new(Started::default()) },
            2 => Command::Ended {
                run,
                fence,
                ended: Box::new(ended(Exit::NotStartedHere { why: "EAGAIN".into() })),
            },
            3 => {
                let told = Ended { signalled: true, gpus: 1, ..ended(Exit::Signal(15)) };
                Command::Ended { run, fence, ended: Box::new(told) }
            }
            code => Command::Ended { run, fence, ended: Box::new(ended(Exit::Code(code - 4))) },
        };
        if self.world.command(command.clone()).is_ok() {
            self.ends.push(command);
        }
    }

    /// L9: no message of a run that was taken changes anything the second time.
    fn send_again(&mut self) {
        let before = self.world.state.hash();
        if let Some(incoming) = self.pick(&self.sent.clone()) {
            assert_ne!(self.world.report_as(&incoming), Ok(true));
        }
        if let Some(command) = self.pick(&self.ends.clone()) {
            assert!(self.world.command(command).unwrap_or_default().is_empty());
        }
        assert_eq!(self.world.state.hash(), before);
    }

    fn command(&mut self) -> Command {
        let trial = self.any_trial();
        match self.rng.random_range(0..20) {
            0 => Command::Pause { how: PauseHow::Drain, why: PauseWhy::Person },
            1 => Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person },
            2..6 => Command::Resume { home: Some("here".into()), keep_going: self.rng.random() },
            6 if self.rng.random_range(0..5) == 0 => Command::Stop,
            7 if self.rng.random_range(0..5) == 0 => Command::Hide,
            8 => Command::Restore,
            9 => Command::Change {
                patch: vec![Patch::RunCap(Some(self.rng.random_range(0..15)))],
                version: None,
            },
            10 => Command::Change {
                patch: vec![Patch::Parallel(Some(self.rng.random_range(0..4)))],
                version: Some(1),
            },
            11 => {
                let assignment =
                    serde_json::from_value(json!({"lr": 0.1, "width": self.rng.random_range(0..6)}));
                let what = Enqueued::Assignments(vec![assignment.expect("it is an assignment")]);
                Command::Enqueue { what, repeat: self.rng.random_range(0..3) }
            }
            12 => Command::Enqueue { what: Enqueued::From(trial), repeat: 1 },
            13 | 14 => Command::Retry { trials: vec![trial] },
            15 => Command::StopTrial { trial },
            16 => Command::Spent {
                budget: Budget::GpuHours,
                amount: f64::from(self.rng.random_range(0..30)) / 20.0,
            },
            17 => Command::Change { patch: vec![Patch::GpuHours(Some(2.0))], version: None },
            18 => Command::Tag { trial: Some(trial), add: vec!["*".into()], remove: vec!["x".into()] },
            19 => Command::Exclude { trial },
            _ => Command::Annotate {
                trial: Some(trial),
                step: None,
                text: TextRef { id: 1, hash: "h".into() },
            },
        }
    }
}

#[test]
fn whatever_happens_to_a_sweep_its_invariants_hold() {
    let mut over = 0;
    for seed in 0..SEEDS {
        let mut player = Player::new(seed);
        for step in 0..STEPS {
            player.step();
            if step % 50 == 0 {
                player.world.assert_folds();
            }
        }
        player.world.assert_folds();
        retries_and_trials_stay_in_their_limits(&player.world);
        over += u32::from(player.world.state.is_over());
    }
    assert!(over > 5, "hardly a sweep came to its end: {over}");
}

/// I6, from the log alone: no trial was queued again for a crash more often than `retries` allows (a person's retry
/// counts anew), and no more trials than the cap were ever proposed.
fn retries_and_trials_stay_in_their_limits(world: &World) {
    let mut cap = None;
    let mut trials = 0;
    let mut crashes = BTreeMap::new();
    for entry in &world.log {
        let Entry::Event(event) = entry else { continue };
        match &event.body {
            Body::SweepCreated { definition, .. } => cap = definition.run_cap,
            Body::SweepChanged { patch, .. } => {
                for patch in patch {
                    if let Patch::RunCap(new) = patch {
                        cap = *new;
                    }
                }
            }
            Body::TrialRetried { trial, .. } => {
                crashes.remove(trial);
            }
            Body::RunEnded { run, outcome: Outcome::Queued(QueueWhy::Crashed), .. } => {
                let crashes = crashes.entry(run.trial).or_insert(0);
                *crashes += 1;
                assert!(
                    *crashes <= world.state.definition().retries,
                    "I6: trial {} retried too often",
                    run.trial
                );
            }
            Body::TrialProposed { .. } => {
                trials += 1;
                assert!(cap.is_none_or(|cap| trials <= cap), "I6: {trials} trials, {cap:?} allowed");
            }
            _ => {}
        }
    }
}

#[test]
fn a_sweep_left_alone_comes_to_its_end_with_no_trial_stuck() {
    for seed in 0..40 {
        let mut player = Player::new(seed);
        for _ in 0..60 {
            player.step();
        }
        let world = &mut player.world;
        for _ in 0..400 {
            if world.state.is_over() {
                break;
            }
            if matches!(world.state.phase(), SweepPhase::Paused { .. }) {
                world.ok(Command::Resume { home: None, keep_going: true });
            }
            if world.state.definition().run_cap.is_none() && !world.state.is_hidden() {
                world.ok(Command::Change { patch: vec![Patch::RunCap(Some(5))], version: None });
            }
            while let Some(run) = world.place() {
                world.start(run);
            }
            let live: Vec<Run> = world.state.live_runs().map(|view| view.run).collect();
            for run in live {
                if world.state.live_run(run.trial).is_some_and(|live| live.phase.stop().is_some()) {
                    world.end_signalled(run);
                } else {
                    world.report(run, 7, &[("loss", 0.9)]);
                    world.exit(run, 0);
                }
            }
        }
        assert!(world.state.is_over(), "seed {seed}: {:?} {:?}", world.state.phase(), world.state.counts());
        let counts = world.state.counts();
        assert_eq!((counts.queued, counts.running), (0, 0));
    }
}

/// The proposals of a sweep whose runs end in the order that `order` draws.
fn proposals(order: u64, method: &str) -> Vec<(Trial, String)> {
    let mut rng = ChaCha8Rng::seed_from_u64(order);
    let mut world = World::new(json!({"method": method, "order": "shuffled", "parallel": 3, "runCap": 12}));
    while !world.state.is_over() {
        while let Some(run) = world.place() {
            world.start(run);
        }
        let live: Vec<Run> = world.state.live_runs().map(|view| view.run).collect();
        if live.is_empty() {
            continue;
        }
        let run = live[rng.random_range(0..live.len())];
        world.report(run, 0, &[("loss", rng.random())]);
        world.exit(run, 0);
    }
    (1..=12)
        .map(Trial)
        .map(|trial| (trial, serde_json::to_string(&world.state.assignment(trial)).expect("it is JSON")))
        .collect()
}

#[test]
fn i5_random_and_grid_propose_the_same_whatever_the_order_of_results() {
    for method in ["random", "grid"] {
        let first = proposals(0, method);
        assert_eq!(first.len(), 12);
        for order in 1..5 {
            assert_eq!(proposals(order, method), first, "{method}");
        }
    }
}

#[test]
fn l6_reports_of_different_trials_commute() {
    let stopping = json!({"metric": "loss", "goal": "minimize",
        "rule": {"type": "hyperband", "bands": [1, 3], "eta": 3.0, "strict": false}});
    let mut world = World::new(json!({"parallel": 3, "earlyTerminate": stopping}));
    let runs = [world.running(), world.running(), world.running()];
    world.report(runs[0], 0, &[("loss", 0.5)]);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let reports: Vec<Vec<(i64, f64)>> =
        runs.iter().map(|_| (1..6).map(|step| (step, rng.random())).collect()).collect();
    let fold = |rng: &mut ChaCha8Rng| -> State {
        let mut state = world.state.clone();
        let mut left = reports.clone();
        let mut pos = state.pos().0;
        while left.iter().any(|of_run| !of_run.is_empty()) {
            let at = rng.random_range(0..3);
            if left[at].is_empty() {
                continue;
            }
            let (step, value) = left[at].remove(0);
            pos += 1;
            let report = crate::sweep::Report {
                pos: crate::sweep::Pos(pos),
                run: runs[at],
                seq: 10 + step as u64,
                step: Some(step),
                at: crate::sweep::Timestamp(0),
                values: vec![(0, value)],
                source: 0,
            };
            state.apply_report(&report).expect("the report fits");
        }
        state
    };
    let first = fold(&mut rng).hash();
    for _ in 0..20 {
        assert_eq!(fold(&mut rng).hash(), first);
    }
}

#[test]
fn a_grid_leaves_out_what_was_given_and_ends() {
    let mut world = World::new(json!({"method": "grid", "enqueue": [{"lr": 0.1, "width": 2}]}));
    let assignment = serde_json::from_value(json!({"lr": 0.4, "width": 5})).expect("it is an assignment");
    world.ok(Command::Enqueue { what: Enqueued::Assignments(vec![assignment]), repeat: 1 });
    while let Some(run) = world.place() {
        world.start(run);
        world.losses(run, &[1.0]);
        world.exit(run, 0);
    }
    assert_eq!(world.state.phase(), &SweepPhase::Ended(crate::sweep::EndWhy::SpaceUsedUp));
    let mut seen: Vec<String> =
        (1..=world.state.trials()).map(|n| format!("{:?}", world.state.assignment(Trial(n)))).collect();
    seen.sort();
    seen.dedup();
    assert_eq!((world.state.trials(), seen.len()), (20, 20));
    let view = world.state.trial_view(Trial(2)).expect("the trial exists");
    assert_eq!(view.source, Source::Start);
}
