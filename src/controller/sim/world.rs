//! The world: the controller and how it dies, its clock, and one step of everything at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::draw::Draw;
use crate::controller::handle::{LinkId, Message};
use crate::controller::keepers;
use crate::controller::pending::{Job, Output};
use crate::controller::recovery;
use crate::pb::agent_down::Kind as Down;
use crate::pb::{self, RunId};
use crate::store::{self, DataDir, Disk, Lock, NetworkRule, Store, SystemDisk};
use crate::sweep::{SweepId, Timestamp};

use super::machine::Machine;
use super::people::Issued;

/// splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len() as u64) as usize) }
    }
}

impl Draw for Rng {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}

/// A disk with as much room as the test says.
pub(super) struct Room(pub(super) AtomicU64);

pub(super) const PLENTY: u64 = 1 << 40;

impl Disk for Room {
    fn free(&self, _: &std::path::Path) -> std::io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn network(&self, _: &std::path::Path) -> std::io::Result<Option<String>> {
        Ok(None)
    }
}

/// Where the controller is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    BeforeAppend,
    BeforeRelease,
    AfterRelease,
}

/// How the methods' engines work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engines {
    Answer,
    /// They think for ever.
    Hang,
    /// They panic.
    Fail,
}

pub(super) struct World {
    pub(super) engines: Engines,
    /// Questions that hang.
    pub(super) hanging: Vec<keepers::Task>,
    pub(super) rng: Rng,
    pub(super) disk: Arc<Room>,
    pub(super) machines: Vec<Machine>,
    pub(super) issued: Vec<Issued>,
    pub(super) sweeps: Vec<SweepId>,
    /// The reports of each run that were acknowledged, by their numbers.
    pub(super) acknowledged: BTreeMap<RunId, BTreeSet<u64>>,
    /// Live runs of each sweep after the last step.
    pub(super) lived: BTreeMap<SweepId, usize>,
    /// Ticks so far.
    pub(super) ticks: u32,
    core: Option<Core>,
    letters: VecDeque<Message>,
    base: Instant,
    elapsed: Duration,
    wall: i64,
    links: u64,
    lock: Lock,
    dir: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        self.core = None;
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = root.join(format!("swath-sim-{}-{number}", std::process::id()));
        let prepared = DataDir::prepare(&dir, &SystemDisk, NetworkRule::Allow).unwrap();
        let mut rng = Rng(seed);
        let base = Instant::now();
        let machines = (0..2 + rng.below(2)).map(|k| {
            let gpus = rng.below(3) as u32;
            Machine::new(&format!("a{k}"), 1 + rng.below(3) as u32, gpus, base)
        });
        let machines = machines.collect();
        let mut world = World {
            engines: Engines::Answer,
            hanging: Vec::new(),
            disk: Arc::new(Room(PLENTY.into())),
            machines,
            issued: Vec::new(),
            sweeps: Vec::new(),
            acknowledged: BTreeMap::new(),
            lived: BTreeMap::new(),
            ticks: 0,
            core: None,
            letters: VecDeque::new(),
            base,
            elapsed: Duration::ZERO,
            wall: 1_800_000_000_000_000,
            links: 0,
            lock: Lock::take(&prepared).unwrap(),
            dir,
            rng,
        };
        world.open();
        world
    }

    pub(super) fn core(&self) -> &Core {
        self.core.as_ref().expect("the controller runs")
    }

    pub(super) fn core_mut(&mut self) -> &mut Core {
        self.core.as_mut().expect("the controller runs")
    }

    pub(super) fn now(&self) -> Now {
        let micros = i64::try_from(self.elapsed.as_micros()).unwrap();
        Now { at: Timestamp(self.wall + micros), mono: self.base + self.elapsed }
    }

    /// Starts the controller on what is stored, and takes its first commit.
    pub(super) fn open(&mut self) {
        self.open_accepting(None);
    }

    fn open_accepting(&mut self, accept_loss: Option<u32>) {
        let options = store::Options { accept_loss, disk: self.disk.clone() };
        let store = Store::open(&self.lock, &options).unwrap();
        let draw = Box::new(Rng(self.rng.next()));
        let core = Core::start(store, self.dir.clone(), draw, self.now()).unwrap();
        self.core = Some(core);
        self.turn();
        self.check_acknowledged();
    }

    /// SIGKILL at a boundary of the commit, then a start. What was under way is lost.
    pub(super) fn kill(&mut self, at: Boundary) {
        let mut before = None;
        if at != Boundary::BeforeAppend {
            let now = self.now();
            let outputs = self.core_mut().commit(now).unwrap();
            before = Some(self.hashes());
            if at == Boundary::AfterRelease {
                outputs.into_iter().for_each(|output| self.release(output));
            }
        }
        self.core = None;
        self.letters.clear();
        self.machines.iter_mut().for_each(Machine::lose_link);
        self.issued.iter_mut().for_each(Issued::note_silence);
        if self.rng.below(4) == 0 {
            self.wall += self.rng.below(7_200_000_000) as i64 - 3_600_000_000; // F43
        }
        self.elapsed += Duration::from_millis(self.rng.below(20_000));
        self.open();
        if let Some(before) = before {
            assert_eq!(before, self.hashes(), "I7: the log folds to what was in memory");
        }
    }

    /// The store's files as they are now, for [`World::lose`].
    pub(super) fn image(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = ["store.db", "store.db-wal"].map(|name| self.dir.join(name));
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
    }

    /// What was stored since `image` is gone from the disk, acknowledged or not, and somebody accepts that.
    pub(super) fn lose(&mut self, image: Vec<(PathBuf, Vec<u8>)>) {
        self.core = None;
        self.letters.clear();
        self.machines.iter_mut().for_each(Machine::lose_link);
        self.acknowledged.clear();
        let _ = std::fs::remove_file(self.dir.join("store.db-shm"));
        image.into_iter().for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
        self.open_accepting(Some(5));
    }

    /// Gives the core messages as the shell does, and commits.
    pub(super) fn put(&mut self, messages: Vec<Message>) {
        let now = self.now();
        for message in messages {
            self.core_mut().on(message, now);
        }
        self.turn();
    }

    /// The rest of the shell's turn: timers that are due, the commit, what leaves. What that made due is the next turn's,
    /// which comes at once.
    pub(super) fn turn(&mut self) {
        self.tick_if_due();
        self.commit();
        if self.tick_if_due() {
            self.commit();
        }
    }

    fn tick_if_due(&mut self) -> bool {
        let now = self.now();
        let is_due = self.core().next_deadline(self.now().mono).is_some_and(|at| at <= now.mono);
        if is_due {
            self.core_mut().tick(now);
            self.ticks += 1;
        }
        is_due
    }

    fn commit(&mut self) {
        let now = self.now();
        let outputs = self.core_mut().commit(now).unwrap();
        outputs.into_iter().for_each(|output| self.release(output));
    }

    fn release(&mut self, output: Output) {
        match output {
            Output::Answer(reply, answer) => drop(reply.send(answer)),
            Output::Down(link, message) => {
                let kind = message.kind.unwrap();
                let machine = self.machines.iter_mut().find(|machine| machine.link == Some(link));
                if let (Some(machine), Down::Ack(ack)) = (&machine, &kind) {
                    let id = RunId::try_from(ack.run.clone()).unwrap();
                    let reports = machine.reports_of(id).filter(|seq| *seq <= ack.seq);
                    self.acknowledged.entry(id).or_default().extend(reports);
                }
                if let Some(machine) = machine {
                    machine.down.push_back(kind);
                }
            }
            Output::Close(link) => {
                self.letters.push_back(Message::LinkClosed { link });
                let machine = self.machines.iter_mut().find(|machine| machine.link == Some(link));
                if let Some(machine) = machine {
                    machine.lose_link();
                }
            }
            Output::Read(Job::Fold { sweep }) => {
                let now = self.now().mono;
                let mut reader = self.core().readers.get().unwrap();
                let result = recovery::load(&mut reader, sweep, now).map(Box::new).map_err(|e| e.to_string());
                self.letters.push_back(Message::Folded { sweep, result });
            }
            Output::Think(task) if self.engines == Engines::Hang => self.hanging.push(task),
            Output::Think(task) => self.think(&task),
            Output::Read(_) => {}
        }
    }

    /// Answers from nothing but the question, as after a restart.
    fn think(&mut self, task: &keepers::Task) {
        let answer = match self.engines {
            Engines::Fail => Err("index out of bounds".to_owned()),
            Engines::Answer | Engines::Hang => keepers::answer(&mut None, task),
        };
        let (sweep, number) = (task.sweep, task.number);
        self.letters.push_back(Message::Suggested { sweep, number, answer });
    }

    /// Questions that hung are answered after all.
    pub(super) fn wake_up(&mut self) {
        self.engines = Engines::Answer;
        let hanging = std::mem::take(&mut self.hanging);
        hanging.iter().for_each(|task| self.think(task));
        self.post();
    }

    /// What waits for the core beside agents and people.
    pub(super) fn post(&mut self) {
        let letters: Vec<Message> = self.letters.drain(..).collect();
        self.put(letters);
    }

    // ---- time

    /// Time passes; agents that are there say so.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.elapsed < end {
            let deadline =
                self.core().next_deadline(self.now().mono).map(|at| at.saturating_duration_since(self.base));
            let step = Duration::from_secs(10).min(end - self.elapsed);
            let next = deadline.filter(|at| *at > self.elapsed).unwrap_or(Duration::MAX);
            self.elapsed = (self.elapsed + step).min(next);
            self.beat();
            self.turn();
            self.check();
        }
    }

    /// Heartbeats of the agents for which it is time.
    fn beat(&mut self) {
        let now = self.now().mono;
        let mut beats = Vec::new();
        for machine in self.machines.iter_mut().filter(|machine| machine.is_ready) {
            if now.saturating_duration_since(machine.said) >= Duration::from_secs(10) {
                machine.said = now;
                let message =
                    pb::AgentUp { kind: Some(pb::agent_up::Kind::Heartbeat(pb::Heartbeat::default())) };
                beats.push(Message::LinkSaid { link: machine.link.unwrap(), message });
            }
        }
        let now = self.now();
        beats.into_iter().for_each(|beat| self.core_mut().on(beat, now));
    }

    /// Everything stands still, controller and agents: a laptop is closed.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.elapsed += time;
        let now = self.now();
        self.core_mut().stood_still(now);
        self.turn();
    }

    // ---- links

    pub(super) fn connect(&mut self, machine: usize) {
        if self.machines[machine].is_off || self.machines[machine].link.is_some() {
            return;
        }
        self.links += 1;
        let link = LinkId(self.links);
        let now = self.now().mono;
        self.machines[machine].link = Some(link);
        self.machines[machine].said = now;
        self.put(vec![Message::LinkOpened { link }]);
    }

    /// The stream is cut; the controller sees it, or only its silence.
    pub(super) fn cut(&mut self, machine: usize, is_seen: bool) {
        let Some(link) = self.machines[machine].link else { return };
        self.machines[machine].lose_link();
        if is_seen {
            self.put(vec![Message::LinkClosed { link }]);
        }
    }

    /// Up to `count` messages of a machine reach the controller, in one batch.
    pub(super) fn deliver_up(&mut self, machine: usize, count: usize) {
        let Some(link) = self.machines[machine].link else { return };
        let up = &mut self.machines[machine].up;
        let kinds: Vec<_> = up.drain(..count.min(up.len())).collect();
        let said = |kind| Message::LinkSaid { link, message: pb::AgentUp { kind: Some(kind) } };
        self.put(kinds.into_iter().map(said).collect());
    }

    /// Everything that the machine has sent, a commit for each: what was under way when its stream is closed arrives too.
    pub(super) fn deliver_one_by_one(&mut self, machine: usize) {
        let Some(link) = self.machines[machine].link else { return };
        let kinds: Vec<_> = self.machines[machine].up.drain(..).collect();
        for kind in kinds {
            self.put(vec![Message::LinkSaid { link, message: pb::AgentUp { kind: Some(kind) } }]);
        }
    }

    pub(super) fn deliver_down(&mut self, machine: usize, count: usize) {
        for _ in 0..count {
            let Some(message) = self.machines[machine].down.pop_front() else { return };
            if self.machines[machine].hear(message, &mut self.rng) {
                return self.cut(machine, true);
            }
        }
    }

    // ---- one step

    pub(super) fn step(&mut self) {
        let machine = self.rng.below(self.machines.len() as u64) as usize;
        match self.rng.below(100) {
            0..=19 => {
                let count = 1 + self.rng.below(5) as usize;
                self.deliver_up(machine, count);
            }
            20..=39 => {
                let count = 1 + self.rng.below(5) as usize;
                self.deliver_down(machine, count);
            }
            40..=59 => self.go_on(machine),
            60..=63 => self.connect(machine),
            64..=72 => self.somebody_asks(),
            73..=77 => {
                let time = Duration::from_millis(self.rng.below(5_000));
                self.pass(time);
            }
            78 => {
                let time = Duration::from_secs(self.rng.below(400));
                self.pass(time);
            }
            79 => self.stand_still(Duration::from_secs(3600)),
            80..=83 => {
                let is_seen = self.rng.below(3) > 0;
                self.cut(machine, is_seen);
            }
            84..=86 => {
                let link = self.machines[machine].link;
                self.machines[machine].restart_agent();
                self.letters.extend(link.map(|link| Message::LinkClosed { link }));
            }
            87 => self.machines[machine].kill_runner(&mut self.rng),
            88..=89 => {
                let link = self.machines[machine].link;
                self.machines[machine].lose_power(&mut self.rng);
                if self.rng.below(2) == 0 {
                    self.letters.extend(link.map(|link| Message::LinkClosed { link }));
                }
            }
            90 => self.disk.0.store(if self.rng.below(2) == 0 { 1 << 20 } else { PLENTY }, Ordering::Relaxed),
            91 => self.disk.0.store(PLENTY, Ordering::Relaxed),
            92..=94 => self.kill_somewhere(machine),
            _ => self.post(),
        }
        self.check();
    }

    fn kill_somewhere(&mut self, machine: usize) {
        let at = [Boundary::BeforeAppend, Boundary::BeforeRelease, Boundary::AfterRelease]
            [self.rng.below(3) as usize];
        let now = self.now();
        if let Some(link) = self.machines[machine].link {
            let said = |kind| Message::LinkSaid { link, message: pb::AgentUp { kind: Some(kind) } };
            let all: Vec<Message> = self.machines[machine].up.drain(..).map(said).collect();
            all.into_iter().for_each(|message| self.core_mut().on(message, now));
        }
        self.kill(at);
    }

    /// The machine's runs go on, and it sends what they wrote.
    pub(super) fn go_on(&mut self, machine: usize) {
        let machine = &mut self.machines[machine];
        if machine.is_off {
            return;
        }
        for run in machine.runs.values_mut() {
            for _ in 0..self.rng.below(4) {
                run.go_on(&mut self.rng);
            }
        }
        machine.send(&mut self.rng);
    }

    /// All machines run, connect and are heard, until nothing is under way.
    pub(super) fn flow(&mut self) {
        for _ in 0..200 {
            for machine in 0..self.machines.len() {
                self.connect(machine);
                self.deliver_down(machine, 100);
                self.go_on(machine);
                self.deliver_up(machine, 100);
            }
            self.post();
            self.check();
            let idle = |machine: &Machine| {
                machine.is_off
                    || (machine.runs.is_empty() && machine.up.is_empty() && machine.down.is_empty())
            };
            if self.machines.iter().all(idle) && self.letters.is_empty() {
                return;
            }
        }
    }

    /// Nothing goes wrong any more: everything has to come to its end.
    pub(super) fn heal(&mut self) {
        self.disk.0.store(PLENTY, Ordering::Relaxed);
        self.machines.iter_mut().for_each(|machine| machine.is_off = false);
        for _ in 0..60 {
            self.flow();
            self.ask_again();
            self.resume_all();
            self.flow();
            if self.unfinished().is_empty() {
                break;
            }
            self.pass(Duration::from_secs(61));
        }
        assert_eq!(self.unfinished(), Vec::<String>::new(), "every sweep ends, or is paused for a reason");
        self.check_acknowledged();
        self.check_logs();
        self.kill(Boundary::AfterRelease);
    }
}
