//! Turns rows of metrics into the spool's records: names become numbers, long rows become several.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::channels::{Channel, Row};
use super::ended::Ended;
use super::record::{Record, Report};
use super::spool::SpoolWriter;

/// Values a report; a larger row is split (64 KiB a report hold them with their names' numbers).
const REPORT_VALUES: usize = 1_000;

/// The dictionary of a run's metric names, before its spool.
#[derive(Debug)]
pub(crate) struct Recorder {
    spool: SpoolWriter,
    names: BTreeMap<String, u32>,
    wanted: Vec<String>,
}

impl Recorder {
    /// `wanted`: names that have precedence where room is short.
    pub(crate) fn new(spool: SpoolWriter, wanted: Vec<String>) -> Recorder {
        Recorder { spool, names: BTreeMap::new(), wanted }
    }

    pub(crate) fn spool(&mut self) -> &mut SpoolWriter {
        &mut self.spool
    }

    /// Records one row.
    pub(crate) fn row(&mut self, row: Row, now: Instant) {
        let mut values = Vec::with_capacity(row.metrics.len());
        let mut fresh = Vec::new();
        for (name, value) in row.metrics {
            values.push((self.number(name, &mut fresh), value));
        }
        if !fresh.is_empty() {
            self.spool.write(Record::Names(fresh), now);
        }
        let time_us = row.time.map_or_else(now_us, |seconds| (seconds * 1e6) as i64);
        let source = number_of(row.source);
        for values in values.chunks(REPORT_VALUES) {
            let report = Report { step: row.step, time_us, source, values: values.to_vec() };
            self.spool.write(Record::Report(report), now);
        }
    }

    /// Writes the end.
    pub(crate) fn end(&mut self, ended: Ended) -> std::io::Result<()> {
        let first: BTreeSet<u32> =
            self.wanted.iter().filter_map(|name| self.names.get(name).copied()).collect();
        self.spool.end(ended, &first)
    }

    fn number(&mut self, name: String, fresh: &mut Vec<(u32, String)>) -> u32 {
        if let Some(id) = self.names.get(&name) {
            return *id;
        }
        let id = self.names.len() as u32;
        fresh.push((id, name.clone()));
        self.names.insert(name, id);
        id
    }
}

/// The channel's number in reports; these never change.
pub(crate) fn number_of(channel: Channel) -> u8 {
    match channel {
        Channel::Json => 1,
        Channel::Wandb => 2,
        Channel::Stdout => 3,
    }
}

/// A random number, other in every process and at every call; not for secrets.
pub(crate) fn random() -> u64 {
    // Asked of the system each time: what a library keeps for later, a fork would have twice.
    let mut bytes = [0; 8];
    // Below 256 bytes it is never cut short, and fails on no system that runs this.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::INSECURE);
    u64::from_le_bytes(bytes)
}

/// Microseconds since 1970, by the machine's clock.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
