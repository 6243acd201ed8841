//! Gives up the controlling terminal.
//!
//! The runner leads a process group, so it cannot `setsid`. Without this a command that opens `/dev/tty` (ssh, git,
//! getpass) would be stopped by SIGTTIN for ever, since its group is not the terminal's foreground one.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Leaves the terminal to whoever else has it; false where there is none. A session's leader gets a SIGHUP for it.
pub(crate) fn give_up() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else { return false };
    #[expect(
        unsafe_code,
        reason = "no safe wrapper of TIOCNOTTY; it takes a descriptor that is open here, and no pointer"
    )]
    unsafe {
        libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY);
    }
    true
}
