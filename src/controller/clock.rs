//! The only place that reads a clock.
//!
//! `at`, the stamp of entries: the wall clock when the epoch began, and the time since then by the clock that goes on
//! while the machine sleeps; the core lets none fall below the last one stored. Steps of the wall clock do nothing until the next start.
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
}

impl Clock {
    /// The epoch begins now.
    pub(super) fn starting() -> Self {
        Clock { wall: wall_now(), boot: since_boot() }
    }

    pub(super) fn now(&self) -> Now {
        Now { at: Timestamp(self.ours()), mono: monotonic() }
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
    fn f43_stamps_go_on_evenly_when_the_wall_clock_leaps() {
        let mut clock = Clock::starting();
        assert_eq!(clock.leap(), None);
        let hour = 3_600_000_000;
        clock.wall -= hour; // the wall clock is an hour ahead of ours from now on
        let (first, leap) = (clock.now().at, clock.leap().unwrap());
        assert!(leap > Duration::from_secs(3590) && clock.now().at >= first);
        assert!(first.0 < wall_now() - hour / 2, "our stamps did not follow it");
    }
}
