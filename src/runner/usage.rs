//! What all processes of a run used: those that this process has waited for.

use std::mem::MaybeUninit;
use std::time::Duration;

use super::ended::Usage;

/// User and system time of the children that were reaped, and the largest resident set among them.
pub(crate) fn of_children(wall: Duration) -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(
        unsafe_code,
        reason = "no safe wrapper of getrusage; it writes one struct, which is valid as zeros too"
    )]
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let millis = |time: libc::timeval| (time.tv_sec as u64) * 1_000 + (time.tv_usec as u64) / 1_000;
    Usage {
        wall_ms: wall.as_millis() as u64,
        user_ms: millis(usage.ru_utime),
        system_ms: millis(usage.ru_stime),
        peak_rss_bytes: usage.ru_maxrss as u64 * 1_024,
    }
}
