//! A report as it lies in its row: crc32c, then time, source, step and values.
//!
//! The checksum covers the row's keys too, so that a moved row shows.

use crate::sweep::{Pos, Report, Run, Timestamp};

/// Encodes what is not in the row's own columns.
pub(super) fn encode(run: Pos, report: &Report) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20 + 9 * report.values.len());
    bytes.extend([0; 4]);
    put(&mut bytes, zigzag(report.at.0));
    put(&mut bytes, u64::from(report.source) << 1 | u64::from(report.step.is_some()));
    if let Some(step) = report.step {
        put(&mut bytes, zigzag(step));
    }
    put(&mut bytes, report.values.len() as u64);
    for (id, value) in &report.values {
        put(&mut bytes, u64::from(*id));
        bytes.extend(value.to_bits().to_le_bytes());
    }
    let sum = checksum(run, report.seq, report.pos, &bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Reads a row back; `None` when it is not what was written.
pub(super) fn decode(key: Pos, run: Run, seq: u64, pos: Pos, bytes: &[u8]) -> Option<Report> {
    let (sum, mut rest) = bytes.split_first_chunk::<4>()?;
    if checksum(key, seq, pos, rest) != u32::from_le_bytes(*sum) {
        return None;
    }
    let at = Timestamp(unzigzag(take(&mut rest)?));
    let flags = take(&mut rest)?;
    let step = if flags & 1 == 1 { Some(unzigzag(take(&mut rest)?)) } else { None };
    let count = take(&mut rest)?;
    let mut values = Vec::with_capacity(rest.len() / 9);
    for _ in 0..count {
        let id = u32::try_from(take(&mut rest)?).ok()?;
        let (bits, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        values.push((id, f64::from_bits(u64::from_le_bytes(*bits))));
    }
    let source = u32::try_from(flags >> 1).ok()?;
    rest.is_empty().then_some(Report { pos, run, seq, step, at, values, source })
}

fn checksum(run: Pos, seq: u64, pos: Pos, body: &[u8]) -> u32 {
    let mut keys = [0; 24];
    keys[..8].copy_from_slice(&run.0.to_le_bytes());
    keys[8..16].copy_from_slice(&seq.to_le_bytes());
    keys[16..].copy_from_slice(&pos.0.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&keys), body)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for k in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * k);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// blake3 over the stored reports of one run, in their order: `RunEnded.digest`.
#[derive(Clone, Debug, Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    /// The next report of the run that was assigned at `run`.
    pub fn add(&mut self, run: Pos, report: &Report) {
        self.add_frame(&encode(run, report));
    }

    pub(super) fn add_frame(&mut self, frame: &[u8]) {
        self.0.update(frame);
    }

    /// In hex.
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
