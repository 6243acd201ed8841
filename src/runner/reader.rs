//! Reads a spool while it grows: by an agent that sends it on, and by whoever adopts or closes it.
//!
//! The reader holds no lock and changes nothing. What a writer has not finished reads as "nothing yet". Behind the
//! spool's last frame it looks into the reserve file, where the end lies when the disk was full.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::folder::Folder;
use super::frame::{self, Parsed};
use super::record::{BadRecord, Record};

/// Why a spool cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system says no.
    #[error("spool {path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What happened.
        error: io::Error,
    },
    /// A frame with a wrong checksum or number: what lies before it is good.
    #[error("spool {path} is damaged at byte {offset}: what the run reported before it is kept")]
    Damaged {
        /// The file.
        path: String,
        /// Where the good part ends.
        offset: u64,
    },
    /// A sound frame that this binary cannot read.
    #[error("spool {path} at byte {offset}: {error}")]
    Record {
        /// The file.
        path: String,
        /// Where the frame begins.
        offset: u64,
        /// What is wrong with it.
        error: BadRecord,
    },
}

/// A record with its number; 0 for those that have none.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Dense from 1 over Started, Names, Report and Ended.
    pub seq: u64,
    /// What it says.
    pub record: Record,
}

/// Where a reader stands, to go on from later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    offset: u64,
    last_seq: u64,
    reserve: Option<u64>,
}

impl Position {
    /// Where the good part of the spool file ends, as far as it was read.
    pub(crate) fn spool_offset(self) -> u64 {
        self.offset
    }

    /// The same of the reserve file.
    pub(crate) fn reserve_offset(self) -> u64 {
        self.reserve.unwrap_or(0)
    }
}

/// Reads one run's spool from a position on.
#[derive(Debug)]
pub struct SpoolReader {
    folder: Folder,
    spool: File,
    at: Position,
    buffer: Vec<u8>,
    buffered_from: u64,
}

const CHUNK: usize = 64 << 10;

impl SpoolReader {
    /// Opens a run's spool at its begin.
    pub fn open(folder: &Folder) -> Result<SpoolReader, SpoolError> {
        SpoolReader::open_at(folder, Position::default())
    }

    /// Opens a run's spool where another reader of it stood.
    pub fn open_at(folder: &Folder, at: Position) -> Result<SpoolReader, SpoolError> {
        let spool = File::open(folder.spool()).map_err(|error| failed(folder, error))?;
        Ok(SpoolReader { folder: folder.clone(), spool, at, buffer: Vec::new(), buffered_from: 0 })
    }

    /// Where the next entry is looked for.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Number of the last numbered entry before the position; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.at.last_seq
    }

    /// Reads the next entry, or `None` where there is none yet.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that ends is done; this one goes on later"
    )]
    pub fn next(&mut self) -> Result<Option<Entry>, SpoolError> {
        if self.at.reserve.is_none()
            && let Some((entry, offset)) = self.read_frame(None, self.at.offset)?
        {
            self.at.offset = offset;
            return Ok(Some(entry));
        }
        let from = self.at.reserve.unwrap_or(0);
        let reserve = match File::open(self.folder.reserve()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            reserve => reserve.map_err(|error| failed(&self.folder, error))?,
        };
        // Before the end is written there, the reserve is zeros; half written, its last frame is no frame.
        match self.read_frame(Some(&reserve), from) {
            Ok(Some((entry, offset))) => {
                self.at.reserve = Some(offset);
                Ok(Some(entry))
            }
            Ok(None) | Err(SpoolError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_frame(&mut self, other: Option<&File>, offset: u64) -> Result<Option<(Entry, u64)>, SpoolError> {
        let mut own = Vec::new();
        let bytes = match other {
            Some(file) => {
                fill_with_frame(file, &mut own, offset).map_err(|error| failed(&self.folder, error))?;
                &own[..]
            }
            None => {
                let needed = self.fill_buffer(offset)?;
                &self.buffer[(offset - self.buffered_from) as usize..][..needed]
            }
        };
        let path = || self.folder.spool().display().to_string();
        let raw = match frame::parse(bytes) {
            Parsed::Frame(raw) => raw,
            Parsed::Incomplete { .. } => return Ok(None),
            Parsed::Damaged => return Err(SpoolError::Damaged { path: path(), offset }),
        };
        let record =
            Record::decode(&raw).map_err(|error| SpoolError::Record { path: path(), offset, error })?;
        let expected = if record.is_numbered() { self.at.last_seq + 1 } else { 0 };
        if raw.seq != expected {
            return Err(SpoolError::Damaged { path: path(), offset });
        }
        let (seq, end) = (raw.seq, offset + raw.encoded_len() as u64);
        self.at.last_seq = self.at.last_seq.max(seq);
        Ok(Some((Entry { seq, record }, end)))
    }

    /// Makes the buffer hold the frame at `offset`, if it is whole; returns how many bytes stand there.
    fn fill_buffer(&mut self, offset: u64) -> Result<usize, SpoolError> {
        let mut want = frame::HEADER;
        loop {
            let have = (self.buffered_from + self.buffer.len() as u64).saturating_sub(offset) as usize;
            if have >= want && offset >= self.buffered_from {
                match frame::parse(&self.buffer[(offset - self.buffered_from) as usize..]) {
                    Parsed::Incomplete { needed } => want = needed.max(have + 1),
                    Parsed::Frame(_) | Parsed::Damaged => return Ok(have),
                }
            }
            let read = fill(&self.spool, &mut self.buffer, offset, want.max(CHUNK))
                .map_err(|error| failed(&self.folder, error))?;
            self.buffered_from = offset;
            if read < want {
                return Ok(read);
            }
        }
    }
}

/// Reads the frame at `offset`, or its head where it is none.
fn fill_with_frame(file: &File, buffer: &mut Vec<u8>, offset: u64) -> io::Result<()> {
    fill(file, buffer, offset, frame::HEADER)?;
    if let Parsed::Incomplete { needed } = frame::parse(buffer) {
        fill(file, buffer, offset, needed)?;
    }
    Ok(())
}

/// Reads up to `most` bytes at `offset` into `buffer`, in place of what was there.
fn fill(file: &File, buffer: &mut Vec<u8>, offset: u64, most: usize) -> io::Result<usize> {
    buffer.resize(most, 0);
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(filled)
}

fn failed(folder: &Folder, error: io::Error) -> SpoolError {
    SpoolError::Io { path: folder.spool().display().to_string(), error }
}
