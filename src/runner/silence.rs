//! `on_silence.stop_after`: notices that no agent is there. A living agent holds its lock file locked.
//!
//! The lock is tried now and then for a moment and shared, so that runners do not see each other. Who takes an agent's
//! lock with `try_lock` may meet such a moment and tries again.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::spec;

/// Watches one agent's lock.
#[derive(Debug)]
pub(crate) struct SilenceWatch {
    lock: PathBuf,
    stop_after: Duration,
    free_since: Option<Instant>,
    look_at: Instant,
}

impl SilenceWatch {
    pub(crate) fn new(silence: &spec::Silence, now: Instant) -> SilenceWatch {
        let stop_after = Duration::from_millis(silence.stop_after_ms);
        SilenceWatch { lock: silence.agent_lock.clone(), stop_after, free_since: None, look_at: now }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.look_at
    }

    /// Whether the agent has been away for too long.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        if now < self.look_at {
            return false;
        }
        self.free_since = self.is_free().then(|| self.free_since.unwrap_or(now));
        let left = match self.free_since {
            Some(since) => self.stop_after.saturating_sub(now - since),
            None => self.stop_after,
        };
        self.look_at = now + left.min(Duration::from_secs(5)).max(Duration::from_millis(20));
        self.free_since.is_some() && left.is_zero()
    }

    fn is_free(&self) -> bool {
        match File::open(&self.lock) {
            Ok(file) => !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}
