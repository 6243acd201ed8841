//! What the frames of a spool say. `Spec`, `Started`, `SignalSent` and `Ended` are JSON; `Names` and `Report`, of which
//! there are many, are packed little endian.
//!
//! Started, Names, Report and Ended are numbered, dense from 1: that number is the one the controller acknowledges.

use serde::{Deserialize, Serialize};

use super::ended::{Ended, StopCause};
use super::frame::RawFrame;
use super::spec::{FORMAT, Spec};

/// One entry of a spool.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Frame 0: the order.
    Spec(Box<Spec>),
    /// The command runs.
    Started(Started),
    /// New entries of the dictionary of metric names.
    Names(Vec<(u32, String)>),
    /// Metrics at one step.
    Report(Report),
    /// The runner signalled its command; for the reader of a spool, not sent on.
    SignalSent(SignalSent),
    /// The end; nothing follows.
    Ended(Box<Ended>),
}

/// The command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Random: a second start under one fence shows.
    pub nonce: u64,
    /// The runner.
    pub runner: Process,
    /// The command, which leads its process group.
    pub command: Process,
    /// The machine's boot.
    pub boot: String,
    /// Microseconds since 1970, by this machine's clock.
    pub at_us: u64,
    /// Sentences for the user, such as `python3` taken for `python`.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A process beyond doubt, within one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id, which is used again some day.
    pub pid: i32,
    /// Its start in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

/// Metrics at one step, from one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The step; not negative.
    pub step: i64,
    /// Microseconds since 1970: the script's own time, else when it was read.
    pub time_us: i64,
    /// Number of the channel.
    pub source: u8,
    /// (name's number, value); NaN and infinities keep their bits.
    pub values: Vec<(u32, f64)>,
}

/// The runner signalled its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSent {
    /// The signal's number.
    pub signal: i32,
    /// Milliseconds after the start.
    pub after_ms: u64,
    /// Why; none for processes that outlived the command.
    pub cause: Option<StopCause>,
}

/// A body that says nothing this binary knows.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// Written by a newer swath.
    #[error("format {found}, and this swath reads up to {FORMAT}: use the newer binary that wrote it")]
    Format {
        /// The format number found.
        found: u64,
    },
    /// No such kind.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// The packed form ends early or goes on.
    #[error("packed frame of kind {0} has a wrong length or a name that is not UTF-8")]
    Packed(u8),
    /// Not the JSON it should be.
    #[error("frame of kind {kind}: {error}")]
    Json {
        /// Which kind.
        kind: u8,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

const SPEC: u8 = 1;
const STARTED: u8 = 2;
const NAMES: u8 = 3;
const REPORT: u8 = 4;
const SIGNAL_SENT: u8 = 5;
const ENDED: u8 = 6;

impl Record {
    /// Whether the record is sent on and so has a number.
    pub fn is_numbered(&self) -> bool {
        !matches!(self, Record::Spec(_) | Record::SignalSent(_))
    }

    /// The frame's kind and body. Fails for a spec that names a path that is not UTF-8.
    pub(crate) fn encode(&self) -> Result<(u8, Vec<u8>), serde_json::Error> {
        Ok(match self {
            Record::Spec(spec) => (SPEC, serde_json::to_vec(spec)?),
            Record::Started(started) => (STARTED, serde_json::to_vec(started)?),
            Record::Names(names) => (NAMES, pack_names(names)),
            Record::Report(report) => (REPORT, pack_report(report)),
            Record::SignalSent(sent) => (SIGNAL_SENT, serde_json::to_vec(sent)?),
            Record::Ended(ended) => (ENDED, serde_json::to_vec(ended)?),
        })
    }

    pub(crate) fn decode(frame: &RawFrame<'_>) -> Result<Record, BadRecord> {
        let (kind, body) = (frame.kind, frame.body);
        let json = |error| BadRecord::Json { kind, error };
        match kind {
            SPEC => decode_spec(body).map(|spec| Record::Spec(Box::new(spec))),
            STARTED => serde_json::from_slice(body).map(Record::Started).map_err(json),
            NAMES => unpack_names(body).map(Record::Names).ok_or(BadRecord::Packed(kind)),
            REPORT => unpack_report(body).map(Record::Report).ok_or(BadRecord::Packed(kind)),
            SIGNAL_SENT => serde_json::from_slice(body).map(Record::SignalSent).map_err(json),
            ENDED => serde_json::from_slice(body).map(Record::Ended).map_err(json),
            _ => Err(BadRecord::Kind(kind)),
        }
    }

    /// Bytes it holds in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Record::Report(report) => 64 + 16 * report.values.len(),
            Record::Names(names) => names.iter().map(|(_, name)| 32 + name.len()).sum(),
            _ => 1024,
        }
    }
}

fn decode_spec(body: &[u8]) -> Result<Spec, BadRecord> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
    }
    let json = |error| BadRecord::Json { kind: SPEC, error };
    let head: Head = serde_json::from_slice(body).map_err(json)?;
    if head.format > u64::from(FORMAT) {
        return Err(BadRecord::Format { found: head.format });
    }
    serde_json::from_slice(body).map_err(json)
}

fn pack_names(names: &[(u32, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, name) in names {
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    out
}

fn unpack_names(mut body: &[u8]) -> Option<Vec<(u32, String)>> {
    let mut names = Vec::new();
    while !body.is_empty() {
        let id = u32::from_le_bytes(take(&mut body)?);
        let len = u32::from_le_bytes(take(&mut body)?) as usize;
        let (name, rest) = body.split_at_checked(len)?;
        names.push((id, std::str::from_utf8(name).ok()?.to_owned()));
        body = rest;
    }
    Some(names)
}

fn pack_report(report: &Report) -> Vec<u8> {
    let mut out = Vec::with_capacity(17 + 12 * report.values.len());
    out.push(report.source);
    out.extend_from_slice(&report.step.to_le_bytes());
    out.extend_from_slice(&report.time_us.to_le_bytes());
    for (id, value) in &report.values {
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    out
}

fn unpack_report(mut body: &[u8]) -> Option<Report> {
    let [source] = take(&mut body)?;
    let step = i64::from_le_bytes(take(&mut body)?);
    let time_us = i64::from_le_bytes(take(&mut body)?);
    let mut values = Vec::with_capacity(body.len() / 12);
    while !body.is_empty() {
        let id = u32::from_le_bytes(take(&mut body)?);
        values.push((id, f64::from_bits(u64::from_le_bytes(take(&mut body)?))));
    }
    Some(Report { step, time_us, source, values })
}

fn take<const N: usize>(body: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = body.split_first_chunk::<N>()?;
    *body = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(record: &Record) -> Record {
        let (kind, body) = record.encode().unwrap();
        Record::decode(&RawFrame { seq: 1, kind, body: &body }).unwrap()
    }

    proptest! {
        #[test]
        fn packed_records_read_back_bit_for_bit(
            step in any::<i64>(), time_us in any::<i64>(), source in any::<u8>(),
            bits in prop::collection::vec((any::<u32>(), any::<u64>()), 0..20),
            names in prop::collection::vec((any::<u32>(), ".{0,20}"), 0..20),
        ) {
            let values: Vec<_> = bits.iter().map(|(id, bits)| (*id, f64::from_bits(*bits))).collect();
            let Record::Report(read) = back(&Record::Report(Report { step, time_us, source, values })) else { panic!() };
            prop_assert_eq!((read.step, read.time_us, read.source), (step, time_us, source));
            let read: Vec<_> = read.values.iter().map(|(id, value)| (*id, value.to_bits())).collect();
            prop_assert_eq!(read, bits);
            prop_assert_eq!(back(&Record::Names(names.clone())), Record::Names(names));
        }

        #[test]
        fn any_body_of_any_kind_is_read_or_refused(kind in 0u8..9, body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::decode(&RawFrame { seq: 1, kind, body: &body });
        }
    }

    #[test]
    fn a_spec_of_a_newer_format_is_refused_by_its_number() {
        let body = br#"{"format": 99, "what": "nobody knows"}"#;
        let error = Record::decode(&RawFrame { seq: 0, kind: SPEC, body }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "format 99, and this swath reads up to 1: use the newer binary that wrote it"
        );
    }
}
