//! Starts runners at little cost: a small process of one thread that forks one for each spool it is handed.
//!
//! A start of the binary costs three times a fork (0.9 ms of CPU to 0.25), and every trial pays it. So an agent keeps
//! one process, `swath exec --nursery`, which has started already and does nothing but fork. A runner made so is the
//! agent's own child (`CLONE_PARENT`): the agent waits for it, and the nursery may go at any time. It goes with its
//! agent, since its link is closed then.
//!
//! ```text
//! agent   -> nursery   the folder's path, and the locked spool as a descriptor
//! nursery -> agent     the runner's pid, or the negative number of an error
//! ```
//!
//! The spool's lock belongs to the descriptor, so it goes on in the runner, whoever closes what. Where the link breaks
//! before the answer, a runner may or may not be there: the agent closes its own descriptor and waits for the lock, as
//! for any run of which it knows no more.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, setpgid, waitid};

use super::adopt::LockedSpool;
use super::folder::Folder;
use super::{frame, terminal};
use crate::failpoint;

/// The flag by which the process knows that its stdin is an agent's link.
pub(crate) const NURSERY: &str = "--nursery";
/// The longest path there is.
const PATH_BYTES: usize = 4096;

/// A runner that this process started.
#[derive(Debug)]
pub struct Runner {
    /// Takes its signals; readable when it is gone. To be waited for ([`Runner::wait`]), or it stays as a zombie.
    pub pidfd: OwnedFd,
}

impl AsRawFd for Runner {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

impl Runner {
    /// Waits until it is gone, and takes the zombie away.
    pub fn wait(&self) -> io::Result<Option<WaitIdStatus>> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// The agent's side.
#[derive(Debug)]
pub struct Nursery {
    link: OwnedFd,
    process: Child,
}

impl Nursery {
    /// Starts one of `program`, which is swath itself ([`super::OWN_BINARY`]). What its runners have to say goes to the
    /// file `log`.
    pub fn start(program: &Path, log: &Path) -> io::Result<Nursery> {
        let (link, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        let mut command = Command::new(program);
        command.arg0("swath").args(["exec", NURSERY]).process_group(0);
        command.stdin(theirs).stdout(log.try_clone()?).stderr(Stdio::from(log));
        Ok(Nursery { link, process: command.spawn()? })
    }

    /// Starts a runner on a spool and hands it the lock.
    pub fn run(&self, spool: &LockedSpool) -> io::Result<Runner> {
        let path = spool.folder().path().as_os_str().as_bytes();
        let fds = [spool.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.link, &[IoSlice::new(path)], &mut ancillary, SendFlags::NOSIGNAL)?;
        let mut answer = [0; 4];
        let length = loop {
            match recv(&self.link, &mut answer, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                result => break result?.0,
            }
        };
        if length != answer.len() {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the process that starts runners has ended",
            ));
        }
        failpoint::reach("after_spawn");
        let answer = i32::from_le_bytes(answer);
        let pid = Pid::from_raw(answer).filter(|pid| !pid.is_init());
        let pid = pid.filter(|_| answer > 0).ok_or_else(|| io::Error::from_raw_os_error(-answer))?;
        // A child of this process that nobody has waited for: the pid is its own.
        Ok(Runner { pidfd: pidfd_open(pid, PidfdFlags::empty())? })
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // Its link is about to break; killing it spares the wait. It holds nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a forked runner begins with.
pub(crate) struct Born {
    pub(crate) folder: Folder,
    /// Holds the lock.
    pub(crate) spool: OwnedFd,
}

/// The nursery's life: forks for each message, until the link ends. In a runner it returns what that begins with; in
/// the nursery itself, at the end, none.
pub(crate) fn tend() -> io::Result<Option<Born>> {
    let link = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    // Once for all that come after: they have no terminal from the start, and know the processor.
    terminal::give_up();
    frame::warm_up();
    loop {
        let Some((path, spool)) = next(link.as_fd())? else { return Ok(None) };
        let answer = match fork_sibling() {
            Ok(Some(pid)) => pid.as_raw_nonzero().get(),
            Ok(None) => {
                drop(link);
                // The nursery's group is not a run's: what is sent to one must not reach the others.
                setpgid(None, None)?;
                return Ok(Some(Born { folder: Folder::at(OsStr::from_bytes(&path)), spool }));
            }
            Err(error) => -error.raw_os_error(),
        };
        drop(spool);
        match send(&link, &answer.to_le_bytes(), SendFlags::NOSIGNAL) {
            // The agent has gone; the next message says so.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next message; none: the agent has gone.
fn next(link: BorrowedFd<'_>) -> io::Result<Option<(Vec<u8>, OwnedFd)>> {
    let mut path = vec![0; PATH_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got =
            match recvmsg(link, &mut [IoSliceMut::new(&mut path)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return Ok(None),
                result => result?,
            };
        let fd = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let bytes = got.bytes;
        match fd {
            _ if bytes == 0 => return Ok(None),
            Some(fd) if !got.flags.contains(ReturnFlags::TRUNC) => {
                path.truncate(bytes);
                return Ok(Some((path, fd)));
            }
            // No agent sends such a thing.
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a message without a spool")),
        }
    }
}

/// Forks a child of this process's parent; none in the child.
fn fork_sibling() -> Result<Option<Pid>, Errno> {
    #[expect(
        unsafe_code,
        reason = "no safe wrapper of clone; without a stack and without CLONE_VM it is fork, and this process has one \
                  thread, so all of it is in the child too"
    )]
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
    match pid {
        -1 => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}
