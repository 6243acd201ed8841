//! One run's task: hears its bell, reads its spool, signals its runner, learns of its end.
//!
//! The end of a runner that this agent started is learned by its pidfd; that of a dead agent's by a thread that waits
//! for the spool's lock. Where the runner could not, the spool is closed then. What is read here a process of this
//! machine wrote just before, so it lies in memory, and is read without another thread. Signals go by a pidfd alone.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::core::{Found, Input};
use super::uplink::{self, Uplink};
use crate::pb::held::Phase;
use crate::pb::run_up::Kind;
use crate::runner::{self, Folder, Record, RunKey, Runner, SpoolError, SpoolReader};

/// The thread waits and, at the end, reads one spool.
const WAITER_STACK: usize = 256 << 10;
const WAITER_NAME: &str = "swath-waiter";

/// What a run's task is told. Bounded by the core: one read at a time, two signals, a sync a second.
#[derive(Debug)]
pub(crate) enum Order {
    Read { after: u64, reports: usize, bytes: usize },
    Signal { now: bool },
    Sync,
}

/// One run in a folder of this agent.
#[derive(Debug)]
pub(crate) struct RunTask {
    run: RunKey,
    folder: Folder,
    uplink: Uplink,
    /// The spool's end was read.
    has_end: bool,
    /// A runner that another agent started, once it is known.
    found: Option<OwnedFd>,
    /// A signal for a runner that has not said yet who it is.
    unsent: Option<Signal>,
    inputs: mpsc::Sender<Input>,
}

/// How the runner's end is learned.
enum End {
    /// It is a child of this process.
    Child(AsyncFd<Runner>),
    /// A thread waits for its lock.
    Lock(oneshot::Receiver<()>),
    /// It is known already, or nobody can tell.
    Over,
}

impl RunTask {
    pub(crate) fn new(run: RunKey, folder: Folder, inputs: mpsc::Sender<Input>) -> RunTask {
        let uplink = Uplink::new(folder.clone());
        RunTask { run, folder, uplink, has_end: false, found: None, unsent: None, inputs }
    }

    /// Lives until the orders end. `runner`: the one just started, if this process did it.
    pub(crate) async fn live(mut self, runner: Option<Runner>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut end = self.await_end(runner);
        let mut bell = self.bell();
        loop {
            let input = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order, &end).await,
                    None => return,
                },
                rung = ring(&mut bell) => {
                    if !rung {
                        bell = None;
                    }
                    self.send_unsent(&end);
                    Some(Input::Grew(self.run.clone()))
                }
                () = ended(&mut end) => {
                    self.close(std::mem::replace(&mut end, End::Over)).await;
                    Some(Input::Gone(self.run.clone()))
                }
            };
            if let Some(input) = input
                && self.inputs.send(input).await.is_err()
            {
                return;
            }
        }
    }

    fn bell(&self) -> Option<pipe::Receiver> {
        let bell = pipe::OpenOptions::new().read_write(true).open_receiver(self.folder.bell());
        // Without it nothing is lost but time: the end still wakes the reader.
        bell.inspect_err(|error| tracing::warn!(run = self.run.display(), %error, "the run has no bell")).ok()
    }

    async fn obey(&mut self, order: Order, end: &End) -> Option<Input> {
        match order {
            Order::Read { after, reports, bytes } => Some(self.read(after, reports, bytes)),
            Order::Signal { now } => {
                self.unsent = Some(if now { Signal::QUIT } else { Signal::TERM });
                self.send_unsent(end);
                None
            }
            Order::Sync => {
                let spool = self.folder.spool();
                let synced = spawn_blocking(move || File::open(spool)?.sync_data()).await;
                if let Ok(Err(error)) = synced {
                    tracing::warn!(run = self.run.display(), %error, "a spool could not be brought to the disk");
                }
                None
            }
        }
    }

    fn read(&mut self, after: u64, reports: usize, bytes: usize) -> Input {
        let run = self.run.clone();
        match self.uplink.read(after, reports, bytes) {
            Ok(batch) => {
                self.has_end |= batch.items.iter().any(|item| matches!(item.kind, Kind::Ended(_)));
                Input::Read { run, after, items: batch.items, is_all: batch.is_all }
            }
            Err(SpoolError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                Input::Vanished(run)
            }
            // The lock's holder cuts what is half written; till then it is as if nothing were there.
            Err(error) => {
                tracing::warn!(run = run.display(), %error, "a spool cannot be read on");
                Input::Read { run, after, items: Vec::new(), is_all: true }
            }
        }
    }

    fn send_unsent(&mut self, end: &End) {
        let Some(signal) = self.unsent else { return };
        if self.found.is_none() && !matches!(end, End::Child(_)) {
            self.found = uplink::started(&self.folder).and_then(|started| runner::hold_runner(&started));
        }
        let pidfd = match end {
            End::Child(runner) => Some(&runner.get_ref().pidfd),
            End::Lock(_) | End::Over => self.found.as_ref(),
        };
        if let Some(pidfd) = pidfd {
            // A runner that is gone needs no signal.
            let _ = pidfd_send_signal(pidfd, signal);
            self.unsent = None;
        }
    }

    fn await_end(&self, runner: Option<Runner>) -> End {
        let child = runner.and_then(|runner| {
            #[expect(
                unsafe_code,
                reason = "the pidfd is the runner's own, open as long as it is, and never another"
            )]
            let watched = unsafe { AsyncFd::register_with_interest(runner, Interest::READABLE) };
            let told = watched.inspect_err(|error| {
                tracing::warn!(run = self.run.display(), %error, "a thread waits for the run's end instead");
            });
            told.ok()
        });
        child.map_or_else(|| self.await_lock(), End::Child)
    }

    /// A thread that waits for the runner's end, closes the run, and says so.
    fn await_lock(&self) -> End {
        let (say, gone) = oneshot::channel();
        let (run, folder) = (self.run.clone(), self.folder.clone());
        let wait = move || {
            close(&run, &folder);
            // Nobody hears it when the agent has left; the next one finds the run closed.
            let _ = say.send(());
        };
        let waiter = thread::Builder::new().name(WAITER_NAME.to_owned()).stack_size(WAITER_STACK).spawn(wait);
        match waiter {
            Ok(_) => End::Lock(gone),
            Err(error) => {
                tracing::error!(run = self.run.display(), %error, "no thread to wait for the run's end");
                End::Over
            }
        }
    }

    /// The runner is gone: takes its zombie away, and closes the spool unless its end was read.
    async fn close(&self, end: End) {
        let End::Child(runner) = end else { return };
        // Its end is in the spool; what it exited with says nothing more.
        let _ = runner.get_ref().wait();
        if !self.has_end {
            let (run, folder) = (self.run.clone(), self.folder.clone());
            // A panic in there is told when the run's end does not come.
            let _ = spawn_blocking(move || close(&run, &folder)).await;
        }
    }
}

/// Waits for the spool's lock, and writes the end that the runner could not.
fn close(run: &RunKey, folder: &Folder) {
    match runner::wait_for_lock(folder) {
        Ok(spool) => {
            if let Err(error) = runner::close_orphan(spool, run) {
                tracing::error!(run = run.display(), %error, "the run could not be closed");
            }
        }
        Err(error) => tracing::warn!(run = run.display(), %error, "the run's folder is gone"),
    }
}

/// Waits for the bell and silences it. False: it is broken.
async fn ring(bell: &mut Option<pipe::Receiver>) -> bool {
    let Some(bell) = bell else { return std::future::pending().await };
    if bell.readable().await.is_err() {
        return false;
    }
    let mut bytes = [0; 4096];
    while bell.try_read(&mut bytes).is_ok_and(|n| n == bytes.len()) {}
    true
}

/// Waits for the runner's end, which comes once.
async fn ended(end: &mut End) {
    let is_known = match end {
        End::Child(runner) => runner.readable().await.is_ok(),
        End::Lock(gone) => gone.await.is_ok(),
        End::Over => false,
    };
    if !is_known {
        *end = End::Over;
        std::future::pending().await
    }
}

/// Looks at a folder that another agent, or an earlier life of this one, left. None: nothing was begun in it.
pub(crate) fn find(run: &RunKey, folder: &Folder) -> Result<Option<Found>, SpoolError> {
    let io = |error| SpoolError::Io { path: folder.spool().display().to_string(), error };
    let gone = match runner::try_lock(folder) {
        Ok(Some(spool)) => {
            runner::close_orphan(spool, run)?;
            true
        }
        Ok(None) => false,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut reader = SpoolReader::open(folder)?;
    let mut found = Found { run: run.clone(), phase: Phase::Live, last_seq: 0, nonce: String::new(), gone };
    while let Some(entry) = reader.next()? {
        match entry.record {
            Record::Started(started) => found.nonce = uplink::nonce(&started),
            Record::Ended(_) => found.phase = Phase::Ended,
            Record::Spec(_) | Record::Names(_) | Record::Report(_) | Record::SignalSent(_) => {}
        }
    }
    found.last_seq = reader.last_seq();
    Ok(Some(found))
}
