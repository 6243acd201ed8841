//! What an appended report and event cost: CPU of the writer, bytes on the disk (MEASURES P7, P13).
//!
//! `cargo bench --bench store` prints a table; the sizes of commits are those of a quiet, a busy and a full controller.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::time::Instant;

use swath::store::{
    Batch, DataDir, Lock, Log, NetworkRule, Options, Store, StoreBody, StoreEvent, SystemDisk,
};
use swath::sweep::{Actor, Body, Event, Fence, Pos, Report, Run, SweepId, Timestamp, Trial};

const RUNS: u32 = 500;

fn main() {
    println!("{:>9} {:>10} {:>12} {:>12} {:>14}", "kind", "a commit", "rows/s", "CPU us", "B on disk");
    for (commit, total) in [(1, 400), (200, 100_000), (4096, 200_000)] {
        measure(Kind::Report, commit, total);
        measure(Kind::Event, commit, total);
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Report,
    Event,
}

fn measure(kind: Kind, commit: u64, total: u64) {
    let path = std::env::temp_dir().join(format!("swath-bench-{}", std::process::id()));
    let dir = DataDir::prepare(&path, &SystemDisk, NetworkRule::Allow).expect("a directory");
    let lock = Lock::take(&dir).expect("the lock");
    let mut store = Store::open(&lock, &Options::default()).expect("a store");
    store.begin(Timestamp(1), Actor(0), "bench").expect("an epoch");
    let keys = assign(&mut store);
    let size = || std::fs::metadata(path.join("store.db")).map_or(0, |meta| meta.len());
    let (before, began, cpu) = (size(), Instant::now(), cpu_us());
    let mut done = 0;
    while done < total {
        let mut batch = Batch::default();
        for k in done..(done + commit).min(total) {
            let pos = store.next_pos();
            match kind {
                Kind::Report => {
                    let trial = (k % u64::from(RUNS)) as usize;
                    batch.report(keys[trial], report(pos, trial as u32 + 1, k / u64::from(RUNS) + 1));
                }
                Kind::Event => batch.event(sweep(), event(pos, u64::from(RUNS) + 1 + k)),
            }
        }
        done += commit;
        store.append(&batch).expect("stored");
    }
    let (cpu, wall) = (cpu_us() - cpu, began.elapsed());
    drop(store);
    let rows = total as f64;
    println!(
        "{:>9} {commit:>10} {:>12.0} {:>12.2} {:>14.1}",
        format!("{kind:?}"),
        rows / wall.as_secs_f64(),
        cpu / rows,
        size().saturating_sub(before) as f64 / rows
    );
    std::fs::remove_dir_all(&path).expect("gone");
}

fn sweep() -> SweepId {
    SweepId::from_bits(7)
}

fn assign(store: &mut Store) -> Vec<Pos> {
    let mut batch = Batch::default();
    let n = store.next_n(Log::Store).expect("log 0");
    let (at, actor, pos) = (Timestamp(2), Actor(0), store.next_pos());
    batch.store_event(StoreEvent { pos, n, at, actor, body: StoreBody::SweepRegistered { sweep: sweep() } });
    batch.key(sweep(), [1; 32]);
    let keys = (1..=RUNS).map(|trial| {
        let pos = store.next_pos();
        let run = Run { trial: Trial(trial), attempt: 1 };
        let body = Body::RunAssigned { run, fence: Fence::new(1, pos), placements: vec![], lease: None };
        batch.event(sweep(), Event { pos, n: u64::from(trial), at, actor, body });
        pos
    });
    let keys = keys.collect();
    store.append(&batch).expect("stored");
    keys
}

fn report(pos: Pos, trial: u32, seq: u64) -> Report {
    let run = Run { trial: Trial(trial), attempt: 1 };
    let values = vec![(0, seq as f64 / 3.0), (1, 0.5)];
    let at = Timestamp(1_700_000_000_000_000 + seq as i64);
    Report { pos, run, seq, step: Some(seq as i64), at, values, source: 1 }
}

fn event(pos: Pos, n: u64) -> Event {
    let body = Body::MetricNamed { id: n as u32, name: format!("metric {n}") };
    Event { pos, n, at: Timestamp(n as i64), actor: Actor(0), body }
}

/// CPU time of the process, the upkeep thread's included.
fn cpu_us() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
