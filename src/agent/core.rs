//! What an agent does, without doing it: inputs and the time go in, outputs come out. Streams, files and processes are
//! in the loop around it (`shell`), so that a test can lose, double and delay whatever it likes.
//!
//! A stream: `Welcome` names store and epoch; the shell enters that store's folder and says what lies there; `Hello`
//! tells the controller; its answers end with `Ready`, which holds a cursor for each run that goes on. From then on
//! a run's records flow from its cursor, within a window.
//!
//! Invariants:
//! - On one stream a run's numbers are sent densely from its cursor, never with a gap.
//! - A folder is forgotten only once its `Ended` is acknowledged, or the controller has said `End` and it is over.
//! - What is unacknowledged stays within [`WINDOW_REPORTS`] and [`WINDOW_BYTES`] (one item may pass the latter).
//! - A controller of a lower epoch of the same store, or of another store, is heard no further than its `Welcome`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::pb;
use crate::pb::agent_down::Kind as Down;
use crate::pb::agent_up::Kind as Up;
use crate::pb::held::Phase;
use crate::runner::{RunKey, is_sweep_id};

/// Reports a run may have unacknowledged.
pub(crate) const WINDOW_REPORTS: usize = 4096;
/// Bytes a run may have unacknowledged.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;
/// Between two heartbeats, unless the controller names another time.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long reports or an end may be unacknowledged before their spool is synced.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// The first and the longest wait before another connection is tried.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// What happened.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "messages as they come; each lives for one step")]
pub(crate) enum Input {
    /// A stream is open.
    Opened,
    /// It is gone, or could not be opened. `jitter` is drawn uniformly from [0, 1).
    Closed { jitter: f64 },
    /// A message came.
    Down(Down),
    /// The store's folder is entered: these runs are now this agent's, some of them from dead agents.
    Entered { runs: Vec<Found>, speaks_for: Vec<String> },
    /// Another agent died and this one has its lock and its runs.
    Inherited { agent: String, runs: Vec<Found> },
    /// The store's folder cannot be entered.
    Barred { why: String },
    /// The run has its folder and its runner, or an end that says why not.
    Launched(RunKey),
    /// The run got no folder: `is_hopeless` where no agent could start it.
    Unfit { run: RunKey, why: String, is_hopeless: bool },
    /// There may be more in the run's spool.
    Grew(RunKey),
    /// What lies in the spool behind `after`; `is_all`: nothing more for now.
    Read { run: RunKey, after: u64, items: Vec<Item>, is_all: bool },
    /// The run's runner is gone, and its end is in the spool.
    Gone(RunKey),
    /// Somebody removed the run's folder.
    Vanished(RunKey),
    /// The deadline has come.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "messages as they go; each lives for one step")]
pub(crate) enum Output {
    /// Open a stream.
    Open,
    /// Close the stream; answered by `Closed`.
    Close,
    /// Enter the store's folder, remembering the epoch; answered by `Entered` or `Barred`.
    Enter { store: String, epoch: u32 },
    /// Send on the stream.
    Send(Up),
    /// Start a run; answered by `Launched` or `Unfit`.
    Launch(Box<pb::Assign>),
    /// Read a run's spool behind `after`; answered by `Read`.
    Read { run: RunKey, after: u64, reports: usize, bytes: usize },
    /// Stop a run: its stop signal and grace, or SIGKILL now.
    Signal { run: RunKey, now: bool },
    /// Bring a run's spool to the disk.
    Sync(RunKey),
    /// Remove a run's folder.
    Forget(RunKey),
    /// Wait for the death of another agent.
    Watch(String),
    /// The controller knows who speaks for the dead: remove what they left.
    Bury,
    /// Send, or no longer send, a run's output.
    Follow(pb::Follow),
}

/// A run that was found in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) run: RunKey,
    pub(crate) phase: Phase,
    pub(crate) last_seq: u64,
    pub(crate) nonce: String,
    /// No runner holds it any more.
    pub(crate) gone: bool,
}

/// Some records of a spool that travel together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Number of the last record in it.
    pub(crate) seq: u64,
    pub(crate) kind: pb::run_up::Kind,
    pub(crate) reports: usize,
    pub(crate) bytes: usize,
}

/// What the agent says of itself in each hello.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) agent: String,
    pub(crate) incarnation: Vec<u8>,
    pub(crate) machine: String,
    pub(crate) boot: String,
    pub(crate) host: String,
    pub(crate) sweep: String,
    pub(crate) take_over: bool,
    pub(crate) inventory: pb::Inventory,
}

/// The agent's state.
#[derive(Debug)]
pub(crate) struct AgentCore {
    identity: Identity,
    link: Link,
    failures: u32,
    retry_after: Option<Duration>,
    store: Option<Store>,
    heartbeat: Duration,
    speaks_for: Vec<String>,
    runs: BTreeMap<RunKey, Held>,
    problem: Option<String>,
}

/// The one store this agent works for.
#[derive(Debug, PartialEq, Eq)]
struct Store {
    id: String,
    epoch: u32,
    entered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// No stream; one is tried at that time.
    Down {
        until: Instant,
    },
    Opening,
    /// Waiting for `Welcome`.
    Open,
    /// Waiting for the folder.
    Entering,
    /// Hello is said: its answers come.
    Greeted {
        beat: Instant,
    },
    Ready {
        beat: Instant,
    },
    /// Waiting for the end of a stream that is no longer wanted.
    Closing,
}

/// A run in a folder of this agent.
#[derive(Debug)]
struct Held {
    phase: Phase,
    nonce: String,
    /// Highest number known to be in the spool.
    last_seq: u64,
    /// Acknowledged up to here, on this stream; none: nothing of it is wanted.
    cursor: Option<u64>,
    /// Sent up to here, on this stream.
    sent: u64,
    window: Window,
    reading: bool,
    /// There may be more in the spool than was read.
    grew: bool,
    /// Since when something is unacknowledged that no sync has covered.
    exposed: Option<Instant>,
    stop: Option<bool>,
    /// Said to be forgotten once it is over.
    condemned: bool,
    gone: bool,
}

#[derive(Debug, Default)]
struct Window {
    /// (last number, reports, bytes) of each item.
    items: VecDeque<(u64, usize, usize)>,
    reports: usize,
    bytes: usize,
}

/// What the handle shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// A controller has answered the hello.
    pub connected: bool,
    /// Runs whose folder is held, ended and unacknowledged ones too.
    pub runs: usize,
    /// Those of them that have not ended.
    pub live: usize,
    /// Those of the live ones that were told to stop.
    pub stopping: usize,
    /// Why nothing goes on, if something is wrong.
    pub problem: Option<String>,
}

impl AgentCore {
    /// An agent without a stream. It wants one at once.
    pub(crate) fn new(identity: Identity, now: Instant) -> AgentCore {
        AgentCore {
            identity,
            link: Link::Down { until: now },
            failures: 0,
            retry_after: None,
            store: None,
            heartbeat: HEARTBEAT,
            speaks_for: Vec::new(),
            runs: BTreeMap::new(),
            problem: None,
        }
    }

    /// When `Tick` is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let link = match self.link {
            Link::Down { until } => Some(until),
            Link::Greeted { beat } | Link::Ready { beat } => Some(beat),
            Link::Opening | Link::Open | Link::Entering | Link::Closing => None,
        };
        let sync = self.runs.values().filter_map(|held| held.exposed).min().map(|since| since + SYNC_AFTER);
        link.into_iter().chain(sync).min()
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            connected: matches!(self.link, Link::Ready { .. }),
            runs: self.runs.len(),
            live: self.runs.values().filter(|held| held.phase != Phase::Ended).count(),
            stopping: self
                .runs
                .values()
                .filter(|held| held.phase != Phase::Ended && held.stop.is_some())
                .count(),
            problem: self.problem.clone(),
        }
    }

    /// Takes an input.
    pub(crate) fn on(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Opened => self.link = Link::Open,
            Input::Closed { jitter } => self.lost(jitter, now),
            Input::Down(message) => self.heard(message, now, &mut out),
            Input::Entered { runs, speaks_for } => self.entered(runs, speaks_for, now, &mut out),
            Input::Inherited { agent, runs } => self.inherited(agent, runs, now, &mut out),
            Input::Barred { why } => {
                self.problem = Some(why);
                self.close(&mut out);
            }
            Input::Launched(run) => self.launched(&run, now, &mut out),
            Input::Unfit { run, why, is_hopeless } => self.unfit(run, why, is_hopeless, &mut out),
            Input::Grew(run) => self.grew(&run, now, &mut out),
            Input::Read { run, after, items, is_all } => self.read(&run, after, items, is_all, &mut out),
            Input::Gone(run) => {
                if let Some(held) = self.runs.get_mut(&run) {
                    held.gone = true;
                    held.grew |= held.phase != Phase::Ended;
                }
                self.pump(&run, &mut out);
                self.settle(&run, &mut out);
            }
            Input::Vanished(run) => self.vanished(&run, &mut out),
            Input::Tick => self.tick(now, &mut out),
        }
        out
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        match &mut self.link {
            Link::Down { until } if *until <= now => {
                self.link = Link::Opening;
                out.push(Output::Open);
            }
            Link::Greeted { beat } | Link::Ready { beat } if *beat <= now => {
                *beat = now + self.heartbeat;
                out.push(Output::Send(Up::Heartbeat(pb::Heartbeat {})));
            }
            _ => {}
        }
        for (run, held) in &mut self.runs {
            if held.exposed.is_some_and(|since| since + SYNC_AFTER <= now) {
                held.exposed = None;
                out.push(Output::Sync(run.clone()));
            }
        }
    }

    fn lost(&mut self, jitter: f64, now: Instant) {
        let (first, longest) = BACK_OFF;
        let spread = 0.5 + jitter.clamp(0.0, 1.0) / 2.0;
        let back_off = (first * (1 << self.failures.min(16))).min(longest).mul_f64(spread);
        self.failures += 1;
        self.link = Link::Down { until: now + self.retry_after.take().unwrap_or(back_off) };
        for held in self.runs.values_mut() {
            held.cursor = None;
            held.window = Window::default();
        }
    }

    fn close(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.link, Link::Down { .. } | Link::Closing) {
            self.link = Link::Closing;
            out.push(Output::Close);
        }
    }

    fn heard(&mut self, message: Down, now: Instant, out: &mut Vec<Output>) {
        match (self.link, message) {
            (Link::Open, Down::Welcome(welcome)) => self.welcomed(welcome, now, out),
            (_, Down::Goodbye(goodbye)) => {
                self.retry_after = goodbye.retry_after.and_then(|after| Duration::try_from(after).ok());
                self.close(out);
            }
            (Link::Greeted { .. } | Link::Ready { .. }, message) => self.told(message, out),
            // From a stream that is over, or before its time.
            (_, _) => {}
        }
    }

    fn welcomed(&mut self, welcome: pb::Welcome, now: Instant, out: &mut Vec<Output>) {
        if let Some(period) = welcome.heartbeat.and_then(|period| Duration::try_from(period).ok()) {
            self.heartbeat = period.clamp(Duration::from_millis(10), Duration::from_secs(3600));
        }
        let known =
            self.store.get_or_insert_with(|| Store { id: welcome.store.clone(), epoch: 0, entered: false });
        if known.id != welcome.store {
            self.problem = Some(format!("another store ({}) answers here, not {}", welcome.store, known.id));
            return self.close(out);
        }
        if welcome.epoch < known.epoch {
            self.problem = Some(format!(
                "the controller is of epoch {}, and this store has seen epoch {}: an older copy of the store?",
                welcome.epoch, known.epoch
            ));
            return self.close(out);
        }
        if known.entered && welcome.epoch == known.epoch {
            return self.greet(now, out);
        }
        known.epoch = welcome.epoch;
        self.link = Link::Entering;
        out.push(Output::Enter { store: welcome.store, epoch: welcome.epoch });
    }

    fn entered(&mut self, runs: Vec<Found>, speaks_for: Vec<String>, now: Instant, out: &mut Vec<Output>) {
        self.speaks_for.extend(speaks_for);
        if let Some(store) = &mut self.store {
            store.entered = true;
        }
        self.adopt(runs, now);
        if self.link == Link::Entering {
            self.greet(now, out);
        }
    }

    /// Says hello again, on a new stream: it names one agent more.
    fn inherited(&mut self, agent: String, runs: Vec<Found>, now: Instant, out: &mut Vec<Output>) {
        if !self.speaks_for.contains(&agent) {
            self.speaks_for.push(agent);
        }
        self.adopt(runs, now);
        if matches!(self.link, Link::Greeted { .. } | Link::Ready { .. }) {
            self.retry_after = Some(Duration::ZERO);
            self.close(out);
        }
    }

    fn adopt(&mut self, runs: Vec<Found>, now: Instant) {
        for found in runs {
            self.runs.entry(found.run).or_insert_with(|| Held {
                phase: found.phase,
                nonce: found.nonce,
                last_seq: found.last_seq,
                gone: found.gone,
                exposed: Some(now),
                ..Held::new()
            });
        }
    }

    fn greet(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(store) = &self.store else { return };
        let identity = &self.identity;
        let runs = self.runs.iter().filter(|(_, held)| !held.condemned).map(|(run, held)| pb::Held {
            run: Some(to_wire(run)),
            phase: held.phase.into(),
            last_seq: held.last_seq,
            nonce: held.nonce.clone(),
        });
        out.push(Output::Send(Up::Hello(pb::Hello {
            agent: identity.agent.clone(),
            incarnation: identity.incarnation.clone().into(),
            machine: identity.machine.clone(),
            boot: identity.boot.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: store.id.clone(),
            epoch: store.epoch,
            speaks_for: self.speaks_for.clone(),
            inventory: Some(identity.inventory.clone()),
            runs: runs.collect(),
            take_over: identity.take_over,
            host: identity.host.clone(),
            sweep: identity.sweep.clone(),
        })));
        self.link = Link::Greeted { beat: now + self.heartbeat };
    }

    fn told(&mut self, message: Down, out: &mut Vec<Output>) {
        match message {
            Down::Assign(assign) => self.assigned(assign, out),
            Down::Stop(stop) => {
                if let Some(run) = from_wire(stop.run) {
                    self.stop(run, stop.now, out);
                }
            }
            Down::Ack(ack) => self.acknowledged(ack, out),
            Down::End(end) => {
                if let Some(run) = from_wire(end.run) {
                    self.end(run, out);
                }
            }
            Down::Ready(ready) => self.ready(ready, out),
            Down::Peer(peer) => {
                if peer.agent != self.identity.agent {
                    out.push(Output::Watch(peer.agent));
                }
            }
            Down::Follow(follow) => out.push(Output::Follow(follow)),
            Down::Welcome(_) | Down::Goodbye(_) => {}
        }
    }

    fn ready(&mut self, ready: pb::Ready, out: &mut Vec<Output>) {
        let Link::Greeted { beat } = self.link else { return };
        self.link = Link::Ready { beat };
        self.failures = 0;
        self.problem = None;
        for ack in ready.cursors {
            let Some(run) = from_wire(ack.run) else { continue };
            if let Some(held) = self.runs.get_mut(&run) {
                held.flow_from(ack.seq);
            }
        }
        if !self.speaks_for.is_empty() {
            out.push(Output::Bury);
        }
        let runs: Vec<RunKey> = self.runs.keys().cloned().collect();
        for run in runs {
            self.settle(&run, out);
            self.pump(&run, out);
        }
    }

    fn assigned(&mut self, assign: pb::Assign, out: &mut Vec<Output>) {
        let Some(run) = from_wire(assign.run.clone()) else { return };
        if let Some(held) = self.runs.get_mut(&run) {
            // Sent twice: it has been started, or is about to be.
            if held.cursor.is_none() && !held.condemned {
                held.flow_from(0);
                self.pump(&run, out);
            }
            return;
        }
        // There is nothing to read before the runner rings.
        self.runs.insert(run, Held { cursor: Some(0), grew: false, ..Held::new() });
        out.push(Output::Launch(Box::new(assign)));
    }

    fn launched(&mut self, run: &RunKey, now: Instant, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get_mut(run) else { return };
        if held.phase == Phase::NotStarted {
            held.phase = Phase::Live;
        }
        if let Some(kill) = held.stop {
            out.push(Output::Signal { run: run.clone(), now: kill });
        }
        if !held.condemned {
            held.exposed.get_or_insert(now);
        }
        self.pump(run, out);
    }

    /// Nothing remembers it: a controller that does not hear of it assigns the run again, to the same answer.
    fn unfit(&mut self, run: RunKey, why: String, is_hopeless: bool, out: &mut Vec<Output>) {
        let Some(held) = self.runs.remove(&run) else { return };
        if held.cursor.is_none() || held.condemned {
            return;
        }
        let run = Some(to_wire(&run));
        out.push(Output::Send(if is_hopeless {
            let exit = Some(pb::ended::Exit::NotStarted(why));
            let ended = pb::Ended { seq: 1, exit, ..pb::Ended::default() };
            Up::Run(pb::RunUp { run, kind: Some(pb::run_up::Kind::Ended(ended)) })
        } else {
            Up::Refused(pb::Refused { run, why })
        }));
    }

    /// The controller learns of it by a hello that lacks the run.
    fn vanished(&mut self, run: &RunKey, out: &mut Vec<Output>) {
        if self.runs.remove(run).is_some() {
            out.push(Output::Forget(run.clone()));
            self.retry_after = Some(Duration::ZERO);
            self.close(out);
        }
    }

    fn stop(&mut self, run: RunKey, kill: bool, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get_mut(&run) else { return };
        if held.stop == Some(true) || held.stop == Some(kill) {
            return;
        }
        held.stop = Some(kill);
        if held.phase == Phase::Live {
            out.push(Output::Signal { run, now: kill });
        }
    }

    fn end(&mut self, run: RunKey, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get_mut(&run) else { return };
        held.condemned = true;
        held.cursor = None;
        held.exposed = None;
        self.stop(run.clone(), true, out);
        self.settle(&run, out);
    }

    fn grew(&mut self, run: &RunKey, now: Instant, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get_mut(run) else { return };
        held.grew = true;
        if !held.condemned {
            held.exposed.get_or_insert(now);
        }
        self.pump(run, out);
    }

    /// Asks for the next records of a run where they are wanted and there is room.
    fn pump(&mut self, run: &RunKey, out: &mut Vec<Output>) {
        if !matches!(self.link, Link::Ready { .. }) {
            return;
        }
        let Some(held) = self.runs.get_mut(run) else { return };
        let Some((reports, bytes)) = held.window.room() else { return };
        if held.cursor.is_none() || held.reading || !held.grew || held.phase == Phase::NotStarted {
            return;
        }
        held.reading = true;
        held.grew = false;
        out.push(Output::Read { run: run.clone(), after: held.sent, reports, bytes });
    }

    fn read(&mut self, run: &RunKey, after: u64, items: Vec<Item>, is_all: bool, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get_mut(run) else { return };
        held.reading = false;
        let wanted = held.cursor.is_some() && held.sent == after && matches!(self.link, Link::Ready { .. });
        held.grew |= !wanted || !is_all;
        for item in items {
            held.note(&item);
            if wanted {
                held.sent = item.seq;
                held.window.push(&item);
                out.push(Output::Send(Up::Run(pb::RunUp { run: Some(to_wire(run)), kind: Some(item.kind) })));
            }
        }
        if held.grew {
            self.pump(run, out);
        } else {
            held.rest();
        }
        self.settle(run, out);
    }

    fn acknowledged(&mut self, ack: pb::Ack, out: &mut Vec<Output>) {
        let Some(run) = from_wire(ack.run) else { return };
        let Some(held) = self.runs.get_mut(&run) else { return };
        let Some(cursor) = &mut held.cursor else { return };
        *cursor = (*cursor).max(ack.seq);
        held.window.pop(ack.seq);
        held.rest();
        self.settle(&run, out);
        self.pump(&run, out);
    }

    /// Forgets a run that is over and known to be.
    fn settle(&mut self, run: &RunKey, out: &mut Vec<Output>) {
        let Some(held) = self.runs.get(run) else { return };
        let delivered =
            held.phase == Phase::Ended && held.cursor.is_some_and(|cursor| cursor >= held.last_seq);
        if held.gone && (held.condemned || delivered) {
            self.runs.remove(run);
            out.push(Output::Forget(run.clone()));
        }
    }
}

impl Held {
    fn new() -> Held {
        Held {
            phase: Phase::NotStarted,
            nonce: String::new(),
            last_seq: 0,
            cursor: None,
            sent: 0,
            window: Window::default(),
            reading: false,
            grew: true,
            exposed: None,
            stop: None,
            condemned: false,
            gone: false,
        }
    }

    /// Begins to send behind `seq`.
    fn flow_from(&mut self, seq: u64) {
        self.cursor = Some(seq);
        self.sent = seq;
        self.window = Window::default();
        self.grew = true;
    }

    /// Learns from what was read.
    fn note(&mut self, item: &Item) {
        self.last_seq = self.last_seq.max(item.seq);
        match &item.kind {
            pb::run_up::Kind::Started(started) => self.nonce.clone_from(&started.nonce),
            pb::run_up::Kind::Ended(_) => self.phase = Phase::Ended,
            pb::run_up::Kind::Reports(_) | pb::run_up::Kind::Names(_) => {}
        }
    }

    /// Where all that is known is acknowledged, nothing needs a sync.
    fn rest(&mut self) {
        if !self.grew && !self.reading && self.window.items.is_empty() {
            self.exposed = None;
        }
    }
}

impl Window {
    /// Reports and bytes that still fit; none: it is full.
    fn room(&self) -> Option<(usize, usize)> {
        let reports = WINDOW_REPORTS.checked_sub(self.reports).filter(|room| *room > 0)?;
        let bytes = WINDOW_BYTES.checked_sub(self.bytes).filter(|room| *room > 0)?;
        Some((reports, bytes))
    }

    fn push(&mut self, item: &Item) {
        self.items.push_back((item.seq, item.reports, item.bytes));
        self.reports += item.reports;
        self.bytes += item.bytes;
    }

    fn pop(&mut self, acknowledged: u64) {
        while let Some((_, reports, bytes)) = self.items.pop_front_if(|(seq, ..)| *seq <= acknowledged) {
            self.reports -= reports;
            self.bytes -= bytes;
        }
    }
}

/// The wire's name of a run.
pub(crate) fn to_wire(run: &RunKey) -> pb::RunKey {
    pb::RunKey { sweep: run.sweep.clone(), trial: run.trial, attempt: run.attempt, fence: run.fence }
}

/// The run that a message names; a message that names none is passed over. A sweep's id becomes part of a path, so one
/// that could lead out of the folder names none.
pub(crate) fn from_wire(run: Option<pb::RunKey>) -> Option<RunKey> {
    let run = run.filter(|run| is_sweep_id(&run.sweep))?;
    Some(RunKey { sweep: run.sweep, trial: run.trial, attempt: run.attempt, fence: run.fence })
}

#[cfg(test)]
mod tests;
