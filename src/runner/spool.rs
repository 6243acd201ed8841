//! Writes a run's spool. The writer holds its lock; there is one a run, the runner, or who closes an orphan.
//!
//! A frame is one `write` in append mode. A failed or short one (disk full, EIO) is cut off again; then frames stay in
//! memory up to 1 MiB and the writer tries again each second. Beyond that, and beyond 1 GiB on disk, reports are
//! thinned to the best and the last values of each metric. The last frame has its place in the reserve file, so a full
//! disk never turns a finished run into a lost one. Numbers are given when a frame is written: they stay dense.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::ended::Ended;
use super::folder::{Folder, RESERVE_BYTES};
use super::frame;
use super::record::{Record, Report};
use super::thin::Thinner;

/// Memory that stands in for a full disk.
const MEMORY_BYTES: usize = 1 << 20;
/// A spool does not grow beyond this but by its end.
const SPOOL_BYTES: u64 = 1 << 30;
const RETRY: Duration = Duration::from_secs(1);

/// The writing end of a spool.
#[derive(Debug)]
pub(crate) struct SpoolWriter {
    spool: File,
    size: u64,
    limit: u64,
    last_seq: u64,
    reports: u64,
    bell: Option<File>,
    reserve: Option<File>,
    reserve_offset: u64,
    waiting: Waiting,
    retry_at: Option<Instant>,
}

/// What the disk had no room for.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Record>,
    weight: usize,
    thinner: Thinner,
    taken: u64,
    thinned: u64,
}

impl SpoolWriter {
    /// Goes on behind `size` bytes of good frames, the last of them numbered `last_seq`.
    pub(crate) fn new(folder: &Folder, spool: File, size: u64, last_seq: u64) -> SpoolWriter {
        SpoolWriter {
            spool,
            size,
            limit: SPOOL_BYTES,
            last_seq,
            reports: 0,
            bell: folder.open_bell().ok(),
            reserve: File::options().write(true).open(folder.reserve()).ok(),
            reserve_offset: 0,
            waiting: Waiting::default(),
            retry_at: None,
        }
    }

    /// For an orphan's closer: counts `reports` already there; an end in the reserve goes behind `reserve_offset`.
    pub(crate) fn resume(mut self, reports: u64, reserve_offset: u64) -> SpoolWriter {
        self.reports = reports;
        self.reserve_offset = reserve_offset;
        self
    }

    /// Writes a record, or keeps it until there is room.
    pub(crate) fn write(&mut self, record: Record, now: Instant) {
        self.retry(now);
        let goes_on = self.waiting.is_empty() && self.size < self.limit;
        if goes_on && self.append(&record) {
            self.ring();
            return;
        }
        self.retry_at.get_or_insert(now + RETRY);
        self.waiting.push(record);
    }

    /// When [`SpoolWriter::retry`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Tries again what did not fit, when its time has come.
    pub(crate) fn retry(&mut self, now: Instant) {
        if self.retry_at.is_none_or(|at| now < at) {
            return;
        }
        let done = self.size < self.limit && self.write_waiting();
        self.retry_at = (!done).then_some(now + RETRY);
    }

    /// Writes the end, in the spool or else in the reserve; nothing may follow. `first`: metrics that have precedence
    /// where room is short.
    pub(crate) fn end(&mut self, ended: Ended, first: &BTreeSet<u32>) -> std::io::Result<()> {
        if self.reserve_offset == 0 && self.write_waiting() && self.append(&self.with_numbers(ended.clone()))
        {
            self.ring();
            return Ok(());
        }
        let frames = self.reserve_frames(ended, first);
        let reserve = self.reserve.as_ref().ok_or(std::io::ErrorKind::StorageFull)?;
        reserve.write_all_at(&frames, self.reserve_offset)?;
        self.ring();
        Ok(())
    }

    /// Writes all that waits; false when there is no room yet.
    fn write_waiting(&mut self) -> bool {
        let before = self.last_seq;
        if !matches!(self.waiting.queue.front(), Some(Record::Names(_))) {
            self.waiting.unthin();
        }
        while let Some(record) = self.waiting.queue.pop_front() {
            if !self.append(&record) {
                self.waiting.queue.push_front(record);
                break;
            }
            self.waiting.weight = self.waiting.weight.saturating_sub(record.weight());
            // Names go before what refers to them, and what was thinned before what came later.
            if !matches!(self.waiting.queue.front(), Some(Record::Names(_))) {
                self.waiting.unthin();
            }
        }
        if self.last_seq > before {
            self.ring();
        }
        self.waiting.queue.is_empty()
    }

    fn append(&mut self, record: &Record) -> bool {
        let mut bytes = Vec::new();
        let seq = encode(record, self.last_seq, &mut bytes);
        match self.spool.write(&bytes) {
            Ok(n) if n == bytes.len() => {
                self.size += n as u64;
                self.count(record, seq);
                true
            }
            // A file of a full disk can be shortened; where even that fails, the next write's frame is not found, and
            // the end goes to the reserve when the spool refuses it.
            Ok(_) | Err(_) => {
                let _ = self.spool.set_len(self.size);
                false
            }
        }
    }

    fn count(&mut self, record: &Record, seq: u64) {
        self.last_seq = seq;
        self.reports += u64::from(matches!(record, Record::Report(_)));
    }

    /// The frames that the reserve has room for: names, best and last values, those of `first` before others, the end.
    fn reserve_frames(&mut self, ended: Ended, first: &BTreeSet<u32>) -> Vec<u8> {
        self.waiting.thin_all();
        let room = RESERVE_BYTES.saturating_sub(self.reserve_offset as usize) - encoded_len(&ended);
        let names: Vec<Record> = std::mem::take(&mut self.waiting.queue).into();
        let reports = self.waiting.thinner.drain();
        let (preferred, others): (Vec<_>, Vec<_>) =
            reports.into_iter().map(|report| split(report, first)).unzip();
        let rows =
            preferred.into_iter().chain(others).filter(|row| !row.values.is_empty()).map(Record::Report);
        let mut out = Vec::new();
        for record in names.into_iter().chain(rows) {
            let before = out.len();
            let seq = encode(&record, self.last_seq, &mut out);
            if out.len() > room {
                out.truncate(before);
                break;
            }
            self.count(&record, seq);
        }
        encode(&self.with_numbers(ended), self.last_seq, &mut out);
        out
    }

    fn with_numbers(&self, mut ended: Ended) -> Record {
        (ended.last_seq, ended.reports) = (self.last_seq, self.reports);
        ended.counts.thinned_rows += self.waiting.thinned;
        Record::Ended(Box::new(ended))
    }

    /// One byte; a full bell is as good.
    fn ring(&mut self) {
        if let Some(bell) = &mut self.bell {
            let _ = bell.write(&[1]);
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.thinner.is_empty()
    }

    fn push(&mut self, record: Record) {
        self.weight += record.weight();
        self.queue.push_back(record);
        if self.weight > MEMORY_BYTES {
            self.thin_all();
        }
    }

    /// Puts what was thinned before what waits.
    fn unthin(&mut self) {
        for report in self.thinner.drain().into_iter().rev() {
            self.queue.push_front(Record::Report(report));
        }
    }

    /// Thins every report that waits; names stay, since what was kept refers to them, and their number is limited.
    fn thin_all(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        self.weight = 0;
        for record in queue {
            if let Record::Report(report) = record {
                self.taken += 1;
                self.thinned += 1;
                self.thinner.take(&report, self.taken);
            } else {
                self.queue.push_back(record);
            }
        }
    }
}

/// Appends the record's frame; returns the last number after it.
fn encode(record: &Record, last_seq: u64, out: &mut Vec<u8>) -> u64 {
    let (kind, body) = record.encode().expect("only a spec can hold what JSON cannot");
    let numbered = record.is_numbered();
    frame::encode(if numbered { last_seq + 1 } else { 0 }, kind, &body, out);
    last_seq + u64::from(numbered)
}

/// Bytes of the end's frame, with room for its numbers to grow.
fn encoded_len(ended: &Ended) -> usize {
    let mut bytes = Vec::new();
    encode(&Record::Ended(Box::new(ended.clone())), 0, &mut bytes);
    bytes.len() + 64
}

fn split(report: Report, first: &BTreeSet<u32>) -> (Report, Report) {
    let (wanted, others) = report.values.iter().partition(|(id, _)| first.contains(id));
    (Report { values: wanted, ..report.clone() }, Report { values: others, ..report })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::adopt;
    use crate::runner::ended::How;
    use crate::runner::reader::SpoolReader;
    use crate::runner::spec::Spec;
    use crate::runner::testing::{TempDir, a_spec};

    fn report(step: i64, values: &[(u32, f64)]) -> Record {
        Record::Report(Report { step, time_us: step, source: 3, values: values.to_vec() })
    }

    fn names(names: &[&str]) -> Record {
        Record::Names(names.iter().enumerate().map(|(id, name)| (id as u32, (*name).to_owned())).collect())
    }

    /// A spool with its spec, written by `file` from then on.
    fn a_spool(dir: &TempDir, spec: &Spec, file: Option<File>) -> (Folder, SpoolWriter) {
        let spool = adopt::create_locked(dir.path(), spec).unwrap();
        let folder = spool.folder().clone();
        let (own, size) = spool.into_file().unwrap();
        let writer = SpoolWriter::new(&folder, file.unwrap_or(own), size, 0);
        (folder, writer)
    }

    fn read(folder: &Folder) -> Vec<(u64, Record)> {
        let mut reader = SpoolReader::open(folder).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).map(|entry| (entry.seq, entry.record)).skip(1).collect()
    }

    #[test]
    fn what_is_written_is_read_in_order_and_numbered_densely() {
        let dir = TempDir::new();
        let (folder, mut writer) = a_spool(&dir, &a_spec(&["true"]), None);
        let now = Instant::now();
        writer.write(names(&["loss"]), now);
        writer.write(report(0, &[(0, 0.5)]), now);
        let mut reader = SpoolReader::open(&folder).unwrap();
        while reader.next().unwrap().is_some() {}
        let position = reader.position();
        writer.write(report(1, &[(0, f64::INFINITY)]), now);
        writer.end(Ended::of(How::Exited(0)), &BTreeSet::new()).unwrap();
        let later = SpoolReader::open_at(&folder, position).unwrap().next().unwrap().unwrap();
        assert_eq!((later.seq, later.record), (3, report(1, &[(0, f64::INFINITY)])));
        let all = read(&folder);
        assert_eq!(all.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let Record::Ended(ended) = &all[3].1 else { panic!("{all:?}") };
        assert_eq!((ended.last_seq, ended.reports), (3, 2));
    }

    #[test]
    fn f64_a_full_disk_keeps_best_and_last_values_and_the_end() {
        let dir = TempDir::new();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (folder, mut writer) = a_spool(&dir, &a_spec(&["true"]), Some(full));
        let now = Instant::now();
        writer.write(names(&["loss", "wanted"]), now);
        for step in 0..50_000 {
            let loss = ((step - 30_000) as f64).abs();
            writer.write(report(step, &[(0, loss), (1, -loss)]), now + Duration::from_millis(step as u64));
        }
        writer.end(Ended::of(How::Exited(0)), &BTreeSet::from([1])).unwrap();
        let all = read(&folder);
        assert_eq!(all[0].1, names(&["loss", "wanted"]));
        let value = |step: i64, id: u32| {
            all.iter().any(|(_, record)| match record {
                Record::Report(row) => row.step == step && row.values.iter().any(|(own, _)| *own == id),
                _ => false,
            })
        };
        for (step, id) in [(30_000, 0), (49_999, 0), (30_000, 1), (49_999, 1)] {
            assert!(value(step, id), "step {step} of metric {id}");
        }
        let Record::Ended(ended) = &all.last().unwrap().1 else { panic!("no end") };
        assert!(ended.counts.thinned_rows > 40_000, "{ended:?}");
        assert_eq!(ended.last_seq as usize, all.len() - 1);
    }

    #[test]
    fn f64_what_waited_is_written_when_there_is_room_again() {
        let dir = TempDir::new();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (folder, mut writer) = a_spool(&dir, &a_spec(&["true"]), Some(full));
        let now = Instant::now();
        writer.write(names(&["loss"]), now);
        for step in 0..20_000 {
            writer.write(report(step, &[(0, step as f64)]), now);
        }
        assert_eq!(read(&folder), []);
        writer.spool = File::options().append(true).open(folder.spool()).unwrap();
        writer.write(report(20_000, &[(0, -1.0)]), writer.deadline().unwrap());
        let all = read(&folder);
        assert_eq!(all[0].1, names(&["loss"]), "names go first");
        let steps: Vec<i64> = all[1..]
            .iter()
            .map(|(_, record)| if let Record::Report(row) = record { row.step } else { -1 })
            .collect();
        assert!(steps.is_sorted() && steps.len() > 2, "{steps:?}");
        assert_eq!((steps[0], steps[steps.len() - 1]), (0, 20_000), "least, then what came last");
        assert_eq!(
            all.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
            (1..=all.len() as u64).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_torn_last_frame_is_cut_and_the_orphan_closed() {
        let dir = TempDir::new();
        let spec = a_spec(&["true"]);
        let (folder, mut writer) = a_spool(&dir, &spec, None);
        writer.write(names(&["loss"]), Instant::now());
        drop(writer);
        let mut bytes = std::fs::read(folder.spool()).unwrap();
        let whole = bytes.len();
        frame::encode(2, 4, &[0; 40], &mut bytes);
        std::fs::write(folder.spool(), &bytes[..bytes.len() - 7]).unwrap();
        assert_eq!(read(&folder).len(), 1, "a torn frame is none yet");
        let spool = adopt::try_lock(&folder).unwrap().unwrap();
        let ended = adopt::close_orphan(spool, &spec.run).unwrap();
        assert_eq!(ended.how, How::Lost(crate::runner::Lost::NeverStarted));
        let all = read(&folder);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1], (2, Record::Ended(Box::new(ended.clone()))));
        assert!(std::fs::read(folder.spool()).unwrap().len() > whole);
        let again = adopt::close_orphan(adopt::try_lock(&folder).unwrap().unwrap(), &spec.run).unwrap();
        assert_eq!(again, ended, "an end is written once");
    }
}
