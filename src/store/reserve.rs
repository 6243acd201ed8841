//! The reserve: 16 MiB kept on the disk so that stops, ends and deletes can be stored when it is full (F35, F65).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use super::dir::{DataDir, create_private};
use super::disk::Disk;
use super::error::AppendError;

const SIZE: u64 = 16 << 20;
/// Below this (and twice the batch) nothing but essential batches is taken ..
const LOW: u64 = 8 << 20;
/// .. until this much is free again.
const ENOUGH: u64 = 64 << 20;

/// Free space, and whether the store is pressed by the lack of it.
pub(super) struct Reserve {
    dir: DataDir,
    disk: Arc<dyn Disk>,
    pressed: bool,
}

impl Reserve {
    /// Looks at the disk before anything is written; a full one gets the reserve back.
    pub(super) fn open(dir: &DataDir, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let mut reserve = Reserve { dir: dir.clone(), disk, pressed: false };
        if reserve.free()? < LOW {
            reserve.release()?;
        } else {
            reserve.refill()?;
        }
        Ok(reserve)
    }

    /// Whether only essential batches are taken now.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressed
    }

    /// Whether a batch of about `size` bytes may be tried.
    pub(super) fn admit(&mut self, size: u64, essential: bool) -> Result<(), AppendError> {
        let broken = |error: io::Error| AppendError::Broken(format!("free space cannot be told: {error}"));
        let free = self.free().map_err(broken)?;
        if self.pressed && free >= ENOUGH {
            self.refill().map_err(broken)?;
            self.pressed = false;
        }
        if !self.pressed && free < LOW + 2 * size {
            self.release().map_err(broken)?;
        }
        if self.pressed && !essential { Err(AppendError::Full { needed: ENOUGH, free }) } else { Ok(()) }
    }

    /// The disk turned out to be full.
    pub(super) fn full(&mut self) -> AppendError {
        if let Err(error) = self.release() {
            return AppendError::Broken(format!("the reserve cannot be released: {error}"));
        }
        AppendError::Full { needed: ENOUGH, free: self.free().unwrap_or(0) }
    }

    fn free(&self) -> io::Result<u64> {
        self.disk.free(self.dir.path())
    }

    fn path(&self) -> PathBuf {
        self.dir.file("reserve")
    }

    fn release(&mut self) -> io::Result<()> {
        self.pressed = true;
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Room for the reserve itself may lack: then the next look tries again.
    fn refill(&mut self) -> io::Result<()> {
        if fs::metadata(self.path()).is_ok_and(|meta| meta.len() == SIZE) || self.free()? < SIZE + LOW {
            return Ok(());
        }
        let temporary = self.dir.file("reserve.new");
        let _ = fs::remove_file(&temporary);
        let file = create_private(&temporary)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
            Ok(()) => fs::rename(&temporary, self.path()),
            // no room, or a file system that cannot reserve any: go on without
            Err(_) => fs::remove_file(&temporary),
        }
    }
}
