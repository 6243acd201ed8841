//! From a spool to the messages that carry it. The same for a run that this agent started and one it found.

use prost::Message;

use super::core::Item;
use crate::pb;
use crate::pb::run_up::Kind;
use crate::runner::{Ended, Fault, Folder, How, Lost, Record, Report, SpoolError, SpoolReader, Started};

/// Reports and bytes of one message at most: well within the limit of a message.
const MESSAGE_REPORTS: usize = 512;
const MESSAGE_BYTES: usize = 256 << 10;

/// Reads one run's spool for the controller.
#[derive(Debug)]
pub(crate) struct Uplink {
    folder: Folder,
    reader: Option<SpoolReader>,
    argv: Vec<String>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The spool's end was reached.
    pub(crate) is_all: bool,
}

impl Uplink {
    pub(crate) fn new(folder: Folder) -> Uplink {
        Uplink { folder, reader: None, argv: Vec::new() }
    }

    /// Reads what lies behind number `after`, as much as there is room for.
    pub(crate) fn read(&mut self, after: u64, reports: usize, bytes: usize) -> Result<Batch, SpoolError> {
        let mut reader = self.reader_at(after)?;
        let mut batch = Batch::default();
        let (mut taken_reports, mut taken_bytes) = (0, 0);
        while taken_reports < reports && taken_bytes < bytes {
            let Some(entry) = reader.next()? else {
                batch.is_all = true;
                break;
            };
            let Some(item) = self.item(entry.seq, entry.record) else { continue };
            if entry.seq <= after {
                continue;
            }
            taken_reports += item.reports;
            taken_bytes += item.bytes;
            batch.push(item);
        }
        self.reader = Some(reader);
        Ok(batch)
    }

    /// The reader where it stands, or a new one where it stands too far on. After an error it begins anew.
    fn reader_at(&mut self, after: u64) -> Result<SpoolReader, SpoolError> {
        match self.reader.take() {
            Some(reader) if reader.last_seq() <= after => Ok(reader),
            _ => SpoolReader::open(&self.folder),
        }
    }

    fn item(&mut self, seq: u64, record: Record) -> Option<Item> {
        let kind = match record {
            Record::Spec(spec) => {
                self.argv = spec.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
                return None;
            }
            Record::SignalSent(_) => return None,
            Record::Started(started) => Kind::Started(self.started(seq, started)),
            Record::Names(names) => {
                Kind::Names(pb::Names { seq, names: names.into_iter().map(|(_, name)| name).collect() })
            }
            Record::Report(report) => Kind::Reports(pb::Reports { reports: vec![to_wire(seq, report)] }),
            Record::Ended(ended) => Kind::Ended(end_to_wire(seq, *ended)),
        };
        let (reports, bytes) = match &kind {
            Kind::Started(started) => (0, started.encoded_len()),
            Kind::Names(names) => (0, names.encoded_len()),
            Kind::Reports(reports) => (1, reports.encoded_len()),
            Kind::Ended(ended) => (0, ended.encoded_len()),
        };
        Some(Item { seq, kind, reports, bytes })
    }

    fn started(&self, seq: u64, started: Started) -> pb::Started {
        pb::Started {
            seq,
            nonce: nonce(&started),
            runner_pid: started.runner.pid.unsigned_abs(),
            command_pid: started.command.pid.unsigned_abs(),
            boot: started.boot,
            argv: self.argv.clone(),
            notes: started.notes,
            facts: Default::default(),
            time: Some(time(i64::try_from(started.at_us).unwrap_or(i64::MAX))),
        }
    }
}

impl Batch {
    /// Reports that follow each other travel in one message.
    fn push(&mut self, item: Item) {
        if let (Some(last), Kind::Reports(more)) = (self.items.last_mut(), &item.kind)
            && let Kind::Reports(reports) = &mut last.kind
            && last.reports < MESSAGE_REPORTS
            && last.bytes < MESSAGE_BYTES
        {
            reports.reports.extend_from_slice(&more.reports);
            last.seq = item.seq;
            last.reports += item.reports;
            last.bytes += item.bytes;
            return;
        }
        self.items.push(item);
    }
}

/// How a runner's start is told from another one of the same run.
pub(crate) fn nonce(started: &Started) -> String {
    format!("{:016x}", started.nonce)
}

fn to_wire(seq: u64, report: Report) -> pb::Report {
    let (metric, value) = report.values.into_iter().unzip();
    pb::Report {
        seq,
        step: Some(report.step),
        time: Some(time(report.time_us)),
        metric,
        value,
        source: report.source.into(),
    }
}

fn end_to_wire(seq: u64, ended: Ended) -> pb::Ended {
    use pb::ended::{Exit, LostWhy};
    let timed_out = ended.timed_out();
    let exit = match ended.how {
        How::Exited(code) => Exit::Code(code),
        How::Signal(signal) => Exit::Signal(signal),
        How::NeverStarted { fault: Fault::User, message } => Exit::NotStarted(message),
        How::NeverStarted { fault: Fault::Infrastructure, message } => Exit::NotStartedHere(message),
        How::Lost(Lost::NeverStarted) => {
            Exit::NotStartedHere("its runner was not seen to start it".to_owned())
        }
        How::Lost(Lost::Runner) => Exit::Lost(LostWhy::Runner.into()),
        How::Lost(Lost::Machine) => Exit::Lost(LostWhy::Machine.into()),
    };
    pb::Ended {
        seq,
        exit: Some(exit),
        signalled: ended.signalled,
        killed: ended.killed,
        timed_out,
        wall_ms: ended.usage.wall_ms,
        cpu_ms: ended.usage.user_ms + ended.usage.system_ms,
        peak_memory_bytes: ended.usage.peak_rss_bytes,
        tail: ended.tail,
        notes: ended.notes,
        reports: ended.reports,
    }
}

fn time(us: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: us.div_euclid(1_000_000),
        nanos: i32::try_from(us.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// The start that a spool tells of, if it does yet.
pub(crate) fn started(folder: &Folder) -> Option<Started> {
    let mut reader = SpoolReader::open(folder).ok()?;
    while let Ok(Some(entry)) = reader.next() {
        if let Record::Started(started) = entry.record {
            return Some(started);
        }
    }
    None
}
