//! The promises of FAULTS.md that the store keeps, one test a line.

mod damage;
mod faults;
mod files;
mod full;
mod log;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sweep::{Actor, Body, Event, Fence, Pos, Report, Run, SweepId, Timestamp, Trial};

use super::*;

/// A directory of its own, gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("swath-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn dir(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store with its lock.
struct Opened {
    store: Store,
    _lock: Lock,
}

fn try_open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    let dir = DataDir::prepare(dir, options.disk.as_ref(), NetworkRule::Allow)?;
    let lock = Lock::take(&dir).unwrap();
    Ok(Opened { store: Store::open(&lock, options)?, _lock: lock })
}

fn open(dir: &Path) -> Opened {
    let mut opened = try_open(dir, &Options::default()).unwrap();
    opened.store.begin(Timestamp(1), Actor(0), "test").unwrap();
    opened
}

fn sweep(number: u64) -> SweepId {
    SweepId::from_bits(number)
}

const RUN: Run = Run { trial: Trial(1), attempt: 1 };

fn named(store: &mut Store, batch: &mut Batch, n: u64, sweep: SweepId) -> Pos {
    let body = Body::MetricNamed { id: n as u32, name: format!("metric {n}") };
    let pos = store.next_pos();
    batch.event(sweep, Event { pos, n, at: Timestamp(n as i64), actor: Actor(0), body });
    pos
}

/// Registers a sweep, assigns its run 1.1; returns the run's key.
fn register(store: &mut Store, sweep: SweepId) -> Pos {
    let mut batch = Batch::default();
    let n = store.next_n(Log::Store).unwrap();
    let (at, actor) = (Timestamp(2), Actor(0));
    let pos = store.next_pos();
    batch.store_event(StoreEvent { pos, n, at, actor, body: StoreBody::SweepRegistered { sweep } });
    batch.key(sweep, [3; 32]);
    let pos = store.next_pos();
    let body = Body::RunAssigned {
        run: RUN,
        fence: Fence::new(store.epoch(), pos),
        placements: vec![],
        lease: None,
    };
    batch.event(sweep, Event { pos, n: 1, at, actor, body });
    store.append(&batch).unwrap();
    pos
}

fn report(pos: Pos, seq: u64) -> Report {
    let values = vec![(0, seq as f64 / 3.0), (1, f64::NAN)];
    Report {
        pos,
        run: RUN,
        seq,
        step: Some(seq as i64),
        at: Timestamp(1_700_000_000_000_000),
        values,
        source: 2,
    }
}

fn append_reports(store: &mut Store, key: Pos, seqs: std::ops::Range<u64>) -> Result<Appended, AppendError> {
    let mut batch = Batch::default();
    for seq in seqs {
        let pos = store.next_pos();
        batch.report(key, report(pos, seq));
    }
    store.append(&batch)
}

/// Everything of a log in words, so that NaN equals itself.
fn folded(store: &Store, log: Log) -> Vec<String> {
    let mut entries = Vec::new();
    store.fold(log, Reports::All, Pos(0), |entry| entries.push(format!("{entry:?}"))).unwrap();
    entries
}

/// A disk that says what the test wants.
struct Says {
    free: std::sync::atomic::AtomicU64,
    network: Option<&'static str>,
}

impl Says {
    fn free(bytes: u64) -> Arc<Self> {
        Arc::new(Says { free: bytes.into(), network: None })
    }
}

impl Disk for Says {
    fn free(&self, _: &Path) -> std::io::Result<u64> {
        Ok(self.free.load(Ordering::Relaxed))
    }

    fn network(&self, _: &Path) -> std::io::Result<Option<String>> {
        Ok(self.network.map(str::to_owned))
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "reserve" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
