//! One run's task: hears its bell, reads its spool, signals its runner, learns of its end.
//!
//! The runner's end is learned by a thread that waits for the spool's lock: it wakes exactly then, for a child as for a
//! runner of a dead agent's, and closes the spool where the runner could not. Signals go by a pidfd alone.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::thread;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::core::{Found, Input};
use super::uplink::{self, Uplink};
use crate::pb::held::Phase;
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
    pidfd: Option<OwnedFd>,
    /// A signal for a runner that has not said yet who it is.
    unsent: Option<Signal>,
    inputs: mpsc::Sender<Input>,
}

impl RunTask {
    pub(crate) fn new(run: RunKey, folder: Folder, inputs: mpsc::Sender<Input>) -> RunTask {
        RunTask { uplink: Uplink::new(folder.clone()), run, folder, pidfd: None, unsent: None, inputs }
    }

    /// Lives until the orders end. `runner`: the one just started, if this process did it.
    pub(crate) async fn live(mut self, runner: Option<Runner>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let child = runner.map(|runner| {
            self.pidfd = Some(runner.pidfd);
            runner.child
        });
        let mut gone = Some(self.await_end(child));
        let mut bell = self.bell();
        loop {
            let input = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                rung = ring(&mut bell) => {
                    if !rung {
                        bell = None;
                    }
                    self.send_unsent();
                    Some(Input::Grew(self.run.clone()))
                }
                () = ended(&mut gone) => Some(Input::Gone(self.run.clone())),
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

    async fn obey(&mut self, order: Order) -> Option<Input> {
        match order {
            Order::Read { after, reports, bytes } => Some(self.read(after, reports, bytes).await),
            Order::Signal { now } => {
                self.unsent = Some(if now { Signal::QUIT } else { Signal::TERM });
                self.send_unsent();
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

    async fn read(&mut self, after: u64, reports: usize, bytes: usize) -> Input {
        let mut uplink = std::mem::replace(&mut self.uplink, Uplink::new(self.folder.clone()));
        let read = spawn_blocking(move || {
            let batch = uplink.read(after, reports, bytes);
            (uplink, batch)
        });
        let run = self.run.clone();
        let Ok((uplink, batch)) = read.await else {
            return Input::Read { run, after, items: Vec::new(), is_all: true };
        };
        self.uplink = uplink;
        match batch {
            Ok(batch) => Input::Read { run, after, items: batch.items, is_all: batch.is_all },
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

    fn send_unsent(&mut self) {
        let Some(signal) = self.unsent else { return };
        if self.pidfd.is_none() {
            self.pidfd = uplink::started(&self.folder).and_then(|started| runner::hold_runner(&started));
        }
        if let Some(pidfd) = &self.pidfd {
            // A runner that is gone needs no signal.
            let _ = pidfd_send_signal(pidfd, signal);
            self.unsent = None;
        }
    }

    /// A thread that waits for the runner's end, closes the run, and says so.
    fn await_end(&self, child: Option<Child>) -> oneshot::Receiver<()> {
        let (say, gone) = oneshot::channel();
        let (run, folder) = (self.run.clone(), self.folder.clone());
        let wait = move || {
            close(&run, &folder, child);
            // Nobody hears it when the agent has left; the next one finds the run closed.
            let _ = say.send(());
        };
        let waiter = thread::Builder::new().name(WAITER_NAME.to_owned()).stack_size(WAITER_STACK).spawn(wait);
        if let Err(error) = waiter {
            tracing::error!(run = self.run.display(), %error, "no thread to wait for the run's end");
        }
        gone
    }
}

fn close(run: &RunKey, folder: &Folder, child: Option<Child>) {
    match runner::wait_for_lock(folder) {
        Ok(spool) => {
            if let Err(error) = runner::close_orphan(spool, run) {
                tracing::error!(run = run.display(), %error, "the run could not be closed");
            }
        }
        Err(error) => tracing::warn!(run = run.display(), %error, "the run's folder is gone"),
    }
    if let Some(mut child) = child {
        // Its end is in the spool; this only takes the zombie away.
        let _ = child.wait();
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

/// Waits for the word of the run's end, which comes once.
async fn ended(gone: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = gone {
        let end = receiver.await;
        *gone = None;
        if end.is_ok() {
            return;
        }
    }
    std::future::pending().await
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
