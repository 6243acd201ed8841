//! The high-water mark: a file outside the WAL that says how far the store was acknowledged.
//!
//! SQLite takes a cut or flipped WAL for its end and says nothing; the mark is what tells (F38). Written after each
//! commit, never before, so it is at most as far as the store; synced at checkpoints.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::dir::create_private;

const SIZE: usize = 64;

/// 64 bytes: store id, epoch, pos, hash of the head, zeros, crc32c.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) store: u64,
    pub(super) epoch: u32,
    pub(super) pos: u64,
    pub(super) hash: [u8; 32],
}

impl Mark {
    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&self.store.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.pos.to_le_bytes());
        bytes[20..52].copy_from_slice(&self.hash);
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Mark> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (store, rest) = body.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (pos, rest) = rest.split_first_chunk()?;
        let (hash, _) = rest.split_first_chunk()?;
        Some(Mark {
            store: u64::from_le_bytes(*store),
            epoch: u32::from_le_bytes(*epoch),
            pos: u64::from_le_bytes(*pos),
            hash: *hash,
        })
    }

    /// Makes or replaces the file, synced.
    pub(super) fn create(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = create_private(path)?;
        file.write_all_at(&self.encode(), 0)?;
        file.sync_all()
    }

    /// What the file says; none when it is absent, `InvalidData` when it is damaged.
    pub(super) fn read(path: &Path) -> io::Result<Option<Mark>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = [0; SIZE];
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the mark is damaged");
        file.read_exact_at(&mut bytes, 0).map_err(|_| damaged())?;
        Mark::decode(&bytes).map(Some).ok_or_else(damaged)
    }

    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.encode(), 0)
    }
}

/// For writing. An absent one is made empty, which reads as damaged until the first commit.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
