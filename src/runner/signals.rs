//! Signals as the loop sees them: caught ones set a flag and wake its `poll`.
//!
//! Nothing is set to "ignore": a command would inherit that, while `exec` resets what is caught. So HUP, TTIN, TTOU,
//! USR1 and USR2 are caught and dropped, and under an agent INT too: the runner's orders are TERM and QUIT alone.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level};

/// What was caught since the last look.
#[derive(Debug)]
pub(crate) struct Signals {
    wake: UnixStream,
    stop: Arc<AtomicBool>,
    stop_now: Arc<AtomicBool>,
}

impl Signals {
    /// Catches. `by_hand`: INT and HUP stop the run as TERM does.
    pub(crate) fn catch(by_hand: bool) -> io::Result<Signals> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (stop, stop_now) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let dropped = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2] {
            let meaning = match signal {
                SIGTERM => &stop,
                SIGINT | SIGHUP if by_hand => &stop,
                SIGQUIT => &stop_now,
                _ => &dropped,
            };
            flag::register(signal, Arc::clone(meaning))?;
        }
        let waking: &[i32] = if by_hand { &[SIGTERM, SIGQUIT, SIGINT, SIGHUP] } else { &[SIGTERM, SIGQUIT] };
        for signal in waking {
            low_level::pipe::register(*signal, waker.try_clone()?)?;
        }
        low_level::pipe::register(SIGCHLD, waker)?;
        Ok(Signals { wake, stop, stop_now })
    }

    /// Readable after a signal that means something.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Forgets the wake-ups so far. Before children and flags are looked at, so that none is missed.
    pub(crate) fn clear(&mut self) {
        let mut bytes = [0; 256];
        while self.wake.read(&mut bytes).is_ok_and(|n| n == bytes.len()) {}
    }

    /// TERM came since the last call.
    pub(crate) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::SeqCst)
    }

    /// QUIT came since the last call.
    pub(crate) fn take_stop_now(&self) -> bool {
        self.stop_now.swap(false, Ordering::SeqCst)
    }
}
