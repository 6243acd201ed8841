//! The agent's core against a controller that only remembers, over a network that loses, doubles and delays.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn key(trial: u32) -> RunKey {
    RunKey { sweep: "q7k2m9xa".to_owned(), trial, attempt: 1, fence: 1 << 40 | u64::from(trial) }
}

fn identity() -> Identity {
    Identity {
        agent: "me".to_owned(),
        incarnation: vec![1],
        machine: "m".to_owned(),
        boot: "b".to_owned(),
        host: "h".to_owned(),
        sweep: String::new(),
        take_over: false,
        inventory: pb::Inventory { slots: 4, ..pb::Inventory::default() },
    }
}

fn report(seq: u64) -> Item {
    let reports = vec![pb::Report { seq, ..pb::Report::default() }];
    Item { seq, kind: pb::run_up::Kind::Reports(pb::Reports { reports }), reports: 1, bytes: 40 }
}

fn ended(seq: u64) -> Item {
    let ended = pb::Ended { seq, ..pb::Ended::default() };
    Item { seq, kind: pb::run_up::Kind::Ended(ended), reports: 0, bytes: 200 }
}

fn welcome(epoch: u32) -> Input {
    Input::Down(Down::Welcome(pb::Welcome { store: "s".to_owned(), epoch, ..pb::Welcome::default() }))
}

fn cursor(run: &RunKey, seq: u64) -> pb::Ack {
    pb::Ack { run: Some(to_wire(run)), seq }
}

fn assign(run: &RunKey) -> Input {
    Input::Down(Down::Assign(pb::Assign { run: Some(to_wire(run)), ..pb::Assign::default() }))
}

/// An agent that has said hello, and was told that the answer is complete.
fn ready(now: Instant) -> AgentCore {
    let mut core = AgentCore::new(identity(), now);
    assert_eq!(core.on(Input::Tick, now), [Output::Open]);
    assert_eq!(core.on(Input::Opened, now), []);
    assert_eq!(core.on(welcome(1), now), [Output::Enter { store: "s".to_owned(), epoch: 1 }]);
    let hello = core.on(Input::Entered { runs: Vec::new(), speaks_for: Vec::new() }, now);
    assert!(matches!(hello[..], [Output::Send(Up::Hello(_))]), "{hello:?}");
    assert_eq!(core.on(Input::Down(Down::Ready(pb::Ready::default())), now), []);
    core
}

#[test]
fn a_run_goes_from_assignment_to_a_forgotten_folder() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(1));
    assert!(matches!(core.on(assign(&run), now)[..], [Output::Launch(_)]));
    assert_eq!(core.on(assign(&run), now), [], "sent twice, started once");
    assert_eq!(core.on(Input::Launched(run.clone()), now), [], "nothing to read yet");
    let read = core.on(Input::Grew(run.clone()), now);
    assert_eq!(
        read,
        [Output::Read { run: run.clone(), after: 0, reports: WINDOW_REPORTS, bytes: WINDOW_BYTES }]
    );
    let items = vec![report(1), ended(2)];
    let sent = core.on(Input::Read { run: run.clone(), after: 0, items, is_all: true }, now);
    assert_eq!(sent.len(), 2);
    assert_eq!(core.status().live, 0);
    let gone = core.on(Input::Gone(run.clone()), now);
    assert!(!gone.contains(&Output::Forget(run.clone())), "the end is not acknowledged");
    assert_eq!(core.on(Input::Down(Down::Ack(cursor(&run, 1))), now), []);
    assert_eq!(core.on(Input::Down(Down::Ack(cursor(&run, 2))), now), [Output::Forget(run)]);
    assert_eq!(core.status().runs, 0);
}

#[test]
fn a_stop_that_overtakes_the_start_is_kept_and_now_overrides_grace() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(1));
    let stop =
        |now| Input::Down(Down::Stop(pb::Stop { run: Some(to_wire(&key(1))), now, why: String::new() }));
    core.on(assign(&run), now);
    assert_eq!(core.on(stop(false), now), []);
    let out = core.on(Input::Launched(run.clone()), now);
    assert!(out.contains(&Output::Signal { run: run.clone(), now: false }));
    assert_eq!(core.on(stop(false), now), []);
    assert_eq!(core.on(stop(true), now), [Output::Signal { run, now: true }]);
    assert_eq!(core.on(stop(false), now), []);
}

#[test]
fn a_run_that_is_not_wanted_is_killed_and_forgotten_without_an_acknowledgement() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(1));
    core.on(assign(&run), now);
    core.on(Input::Launched(run.clone()), now);
    let end = Input::Down(Down::End(pb::End { run: Some(to_wire(&run)), why: String::new() }));
    assert_eq!(core.on(end, now), [Output::Signal { run: run.clone(), now: true }]);
    let nothing =
        core.on(Input::Read { run: run.clone(), after: 0, items: vec![report(1)], is_all: true }, now);
    assert_eq!(nothing, []);
    assert_eq!(core.on(Input::Gone(run.clone()), now), [Output::Forget(run)]);
}

#[test]
fn a_lower_epoch_and_another_store_are_heard_no_further() {
    let now = Instant::now();
    let mut core = ready(now);
    core.on(Input::Closed { jitter: 0.0 }, now);
    core.on(Input::Tick, now + BACK_OFF.1);
    core.on(Input::Opened, now);
    assert_eq!(core.on(welcome(0), now), [Output::Close]);
    assert!(core.status().problem.unwrap().contains("epoch 0"));
    core.on(Input::Closed { jitter: 0.0 }, now);
    core.on(Input::Tick, now + BACK_OFF.1);
    core.on(Input::Opened, now);
    let other = pb::Welcome { store: "t".to_owned(), epoch: 9, ..pb::Welcome::default() };
    assert_eq!(core.on(Input::Down(Down::Welcome(other)), now), [Output::Close]);
    assert!(core.status().problem.unwrap().contains("another store (t)"));
}

#[test]
fn the_back_off_grows_to_its_limit_and_a_good_link_resets_it() {
    let now = Instant::now();
    let mut core = AgentCore::new(identity(), now);
    let mut waits = Vec::new();
    for _ in 0..20 {
        core.on(Input::Closed { jitter: 1.0 }, now);
        waits.push(core.next_deadline().unwrap() - now);
    }
    assert_eq!(waits[0], BACK_OFF.0);
    assert!(waits.is_sorted());
    assert_eq!(waits[19], BACK_OFF.1);
    let mut core = ready(now);
    core.on(Input::Closed { jitter: 0.0 }, now);
    assert_eq!(core.next_deadline(), Some(now + BACK_OFF.0 / 2));
}

#[test]
fn what_is_unacknowledged_for_a_second_is_synced_once() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(1));
    core.on(assign(&run), now);
    core.on(Input::Launched(run.clone()), now);
    core.on(Input::Read { run: run.clone(), after: 0, items: vec![report(1)], is_all: true }, now);
    let due = now + SYNC_AFTER;
    assert_eq!(core.next_deadline(), Some(due));
    assert_eq!(core.on(Input::Tick, due), [Output::Sync(run.clone())]);
    assert_ne!(core.next_deadline(), Some(due));
    core.on(Input::Grew(run.clone()), due);
    core.on(Input::Read { run: run.clone(), after: 1, items: vec![report(2)], is_all: true }, due);
    core.on(Input::Down(Down::Ack(cursor(&run, 2))), due);
    assert_eq!(core.on(Input::Tick, due + SYNC_AFTER), [], "all of it is acknowledged");
}

#[test]
fn a_full_window_waits_for_acknowledgements() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(1));
    core.on(assign(&run), now);
    core.on(Input::Launched(run.clone()), now);
    let many: Vec<Item> = (1..=WINDOW_REPORTS as u64).map(report).collect();
    let out = core.on(Input::Read { run: run.clone(), after: 0, items: many, is_all: false }, now);
    assert!(out.iter().all(|output| matches!(output, Output::Send(_))), "no further read");
    assert_eq!(core.on(Input::Grew(run.clone()), now), []);
    let out = core.on(Input::Down(Down::Ack(cursor(&run, 10))), now);
    let after = WINDOW_REPORTS as u64;
    assert!(matches!(out[..], [Output::Read { after: a, reports: 10, .. }] if a == after), "{out:?}");
}

#[test]
fn a_dead_agents_runs_are_named_on_a_new_stream() {
    let now = Instant::now();
    let (mut core, run) = (ready(now), key(7));
    let found =
        Found { run: run.clone(), phase: Phase::Live, last_seq: 3, nonce: "n".to_owned(), gone: false };
    assert_eq!(
        core.on(Input::Inherited { agent: "dead".to_owned(), runs: vec![found] }, now),
        [Output::Close]
    );
    core.on(Input::Closed { jitter: 1.0 }, now);
    assert_eq!(core.on(Input::Tick, now), [Output::Open], "at once");
    core.on(Input::Opened, now);
    let out = core.on(welcome(1), now);
    let [Output::Send(Up::Hello(hello))] = &out[..] else { panic!("{out:?}") };
    assert_eq!(hello.speaks_for, ["dead"]);
    assert_eq!(hello.runs[0].last_seq, 3);
}

#[test]
fn a_run_without_a_cursor_is_kept_and_stays_silent() {
    let now = Instant::now();
    let (mut core, run) = (AgentCore::new(identity(), now), key(1));
    core.on(Input::Tick, now);
    core.on(Input::Opened, now);
    core.on(welcome(1), now);
    let found =
        Found { run: run.clone(), phase: Phase::Ended, last_seq: 3, nonce: "n".to_owned(), gone: true };
    core.on(Input::Entered { runs: vec![found], speaks_for: Vec::new() }, now);
    assert_eq!(core.on(Input::Down(Down::Ready(pb::Ready::default())), now), []);
    assert_eq!(core.on(Input::Grew(run), now), []);
    assert_eq!(core.status().runs, 1);
}

/// The world around the core: spools that grow, a link, and a controller that remembers what it made durable.
struct World {
    now: Instant,
    core: AgentCore,
    /// Records in each run's spool; the last is its end once `whole`.
    spools: BTreeMap<RunKey, u64>,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    is_open: bool,
    reads: VecDeque<(RunKey, u64, usize)>,
    /// What the controller has of each run.
    durable: BTreeMap<RunKey, u64>,
    greeted: bool,
    forgotten: Vec<RunKey>,
}

const LENGTH: u64 = 12;

impl World {
    fn new() -> World {
        let now = Instant::now();
        World {
            now,
            core: AgentCore::new(identity(), now),
            spools: BTreeMap::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_open: false,
            reads: VecDeque::new(),
            durable: (1..=3).map(|trial| (key(trial), 0)).collect(),
            greeted: false,
            forgotten: Vec::new(),
        }
    }

    fn put(&mut self, input: Input) {
        for output in self.core.on(input, self.now) {
            match output {
                Output::Open => {
                    self.is_open = true;
                    self.greeted = false;
                    self.put(Input::Opened);
                    let welcome = pb::Welcome { store: "s".to_owned(), epoch: 1, ..pb::Welcome::default() };
                    self.down.push_back(Down::Welcome(welcome));
                }
                Output::Close => self.cut(),
                Output::Enter { .. } => self.put(Input::Entered { runs: Vec::new(), speaks_for: Vec::new() }),
                Output::Send(message) => self.up.push_back(message),
                Output::Launch(assign) => {
                    let run = from_wire(assign.run).unwrap();
                    assert!(self.spools.insert(run.clone(), 0).is_none(), "started twice");
                    self.put(Input::Launched(run));
                }
                Output::Read { run, after, reports, .. } => self.reads.push_back((run, after, reports)),
                Output::Forget(run) => {
                    assert_eq!(self.durable[&run], LENGTH, "forgotten before its end was durable");
                    self.forgotten.push(run);
                }
                Output::Signal { .. }
                | Output::Sync(_)
                | Output::Watch(_)
                | Output::Bury
                | Output::Follow(_) => {}
            }
        }
    }

    fn cut(&mut self) {
        if self.is_open {
            self.is_open = false;
            self.up.clear();
            self.down.clear();
            self.put(Input::Closed { jitter: 0.5 });
        }
    }

    fn step(&mut self, choice: u8, amount: u8) {
        match choice {
            0 => {
                self.now += Duration::from_millis(u64::from(amount) * 50);
                self.put(Input::Tick);
            }
            1..=3 => self.grow(key(u32::from(choice)), u64::from(amount % 4) + 1),
            4 | 5 => self.deliver_up(usize::from(amount % 6) + 1),
            6 | 7 => self.deliver_down(usize::from(amount % 6) + 1),
            8 | 9 => self.answer_read(amount),
            10 => self.repeat_down(),
            _ => self.cut(),
        }
    }

    fn grow(&mut self, run: RunKey, by: u64) {
        if let Some(size) = self.spools.get_mut(&run) {
            *size = (*size + by).min(LENGTH);
            let over = *size == LENGTH;
            self.put(if over { Input::Gone(run) } else { Input::Grew(run) });
        }
    }

    fn answer_read(&mut self, amount: u8) {
        let Some((run, after, room)) = self.reads.pop_front() else { return };
        let size = self.spools[&run];
        let to = size.min(after + u64::from(amount % 5)).min(after + room as u64);
        let items =
            (after + 1..=to).map(|seq| if seq == LENGTH { ended(seq) } else { report(seq) }).collect();
        self.put(Input::Read { run, after, items, is_all: to == size });
    }

    /// The last message once more: a controller that acknowledges or assigns twice.
    fn repeat_down(&mut self) {
        if let Some(message @ (Down::Ack(_) | Down::Assign(_))) = self.down.back().cloned() {
            self.down.push_back(message);
        }
    }

    fn deliver_down(&mut self, count: usize) {
        for _ in 0..count {
            let Some(message) = self.down.pop_front() else { return };
            self.put(Input::Down(message));
        }
    }

    fn deliver_up(&mut self, count: usize) {
        for _ in 0..count {
            match self.up.pop_front() {
                Some(Up::Hello(hello)) => self.greet(hello),
                Some(Up::Run(message)) => self.store(message),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn greet(&mut self, hello: pb::Hello) {
        self.greeted = true;
        let held: Vec<RunKey> = hello.runs.into_iter().filter_map(|held| from_wire(held.run)).collect();
        let mut cursors = Vec::new();
        for (run, seq) in &self.durable {
            if held.contains(run) {
                cursors.push(cursor(run, *seq));
            } else if *seq < LENGTH {
                assert_eq!(*seq, 0, "a started run is missing from the hello");
                self.down
                    .push_back(Down::Assign(pb::Assign { run: Some(to_wire(run)), ..pb::Assign::default() }));
            }
        }
        self.down.push_back(Down::Ready(pb::Ready { cursors }));
    }

    fn store(&mut self, message: pb::RunUp) {
        assert!(self.greeted, "records before the hello");
        let run = from_wire(message.run).unwrap();
        let seq = match message.kind.unwrap() {
            pb::run_up::Kind::Reports(reports) => reports.reports[0].seq,
            pb::run_up::Kind::Ended(ended) => ended.seq,
            other => panic!("{other:?}"),
        };
        let durable = self.durable.get_mut(&run).unwrap();
        assert!(seq <= *durable + 1, "a gap: {seq} after {durable}");
        *durable = (*durable).max(seq);
        self.down.push_back(Down::Ack(cursor(&run, *durable)));
    }

    /// Lets everything arrive.
    fn heal(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_secs(1);
            self.put(Input::Tick);
            for trial in 1..=3 {
                self.grow(key(trial), LENGTH);
            }
            self.deliver_up(1000);
            self.deliver_down(1000);
            while !self.reads.is_empty() {
                self.answer_read(4);
            }
        }
    }
}

proptest! {
    #[test]
    fn f31_whatever_the_network_does_everything_is_acknowledged_once(
        steps in prop::collection::vec((0u8..12, any::<u8>()), 0..200),
    ) {
        let mut world = World::new();
        for (choice, amount) in steps {
            world.step(choice, amount);
        }
        world.heal();
        prop_assert!(world.durable.values().all(|seq| *seq == LENGTH), "{:?}", world.durable);
        world.forgotten.sort();
        prop_assert_eq!(&world.forgotten, &world.durable.keys().cloned().collect::<Vec<_>>());
        prop_assert_eq!(world.core.status().runs, 0);
    }
}

#[test]
fn a_sweep_that_would_lead_out_of_the_folder_names_no_run() {
    let named = |sweep: &str| pb::RunKey { sweep: sweep.to_owned(), trial: 1, attempt: 1, fence: 7 };
    assert!(from_wire(Some(named("q7k2m9xa"))).is_some());
    for hostile in ["", "..", "../../etc", "a/b", "a\0b", "Q7K2M9XA"] {
        assert_eq!(from_wire(Some(named(hostile))), None, "{hostile}");
    }
}
