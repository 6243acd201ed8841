//! The only place that reads a clock.
//!
//! `at`, the stamp of entries: the wall clock when the epoch began, and the time since then by the clock that goes on
//! while the machine sleeps; never below the last one stored. Steps of the wall clock do nothing until the next start.
//! Everything that waits or measures uses the monotonic clock, which stands still while the machine sleeps, as its runs
//! do.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::sweep::Timestamp;

/// A wall clock that is this far from ours has leapt.
const LEAP: Duration = Duration::from_secs(1);

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// For the log.
    pub(super) at: Timestamp,
    /// For everything else.
    pub(super) mono: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Clock {
    wall: i64,
    boot: Duration,
    floor: Timestamp,
}

impl Clock {
    /// `last`: the last stamp stored.
    pub(super) fn starting(last: Timestamp) -> Self {
        Clock { wall: wall_now(), boot: since_boot(), floor: last }
    }

    pub(super) fn now(&self) -> Now {
        let at = Timestamp(self.ours()).max(self.floor);
        Now { at, mono: monotonic() }
    }

    /// How far the wall clock has leapt since the start, if it is worth a warning.
    pub(super) fn leap(&self) -> Option<Duration> {
        let off = Duration::from_micros(wall_now().abs_diff(self.ours()));
        (off > LEAP).then_some(off)
    }

    fn ours(&self) -> i64 {
        let since = since_boot().saturating_sub(self.boot);
        self.wall.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

fn monotonic() -> Instant {
    Instant::now()
}

/// Microseconds since 1970; a clock before that is taken as 1970.
fn wall_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f43_stamps_never_fall_below_what_is_stored() {
        let later = Timestamp(wall_now() + 3_600_000_000);
        let clock = Clock::starting(later);
        assert_eq!(clock.now().at, later);
        assert_eq!(clock.leap(), None);
    }
}
