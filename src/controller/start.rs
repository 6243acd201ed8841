//! The thread around the core: gathers, commits, releases.
//!
//! It drains its mailbox before it looks at timers, so that what arrived while it waited for the disk counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::controller::clock::{Clock, Now};
use crate::controller::core::{Core, Fatal, SELF_NAME};
use crate::controller::draw::System;
use crate::controller::handle::{Handle, LinkId, Message, ROOM};
use crate::controller::keepers::Keepers;
use crate::controller::mailbox::{Found, Inbox, mailbox};
use crate::controller::pending::Output;
use crate::controller::readers::Library;
use crate::controller::watch::WATCHERS;
use crate::pb;
use crate::store::Store;

/// Inputs that one commit gathers at most.
const GATHER: usize = 4096;
/// How long deciding may hold up a commit.
const DECIDE: Duration = Duration::from_millis(2);
/// How long a batch that nobody waits for waits for company.
const COMPANY: Duration = Duration::from_millis(2);
/// A deadline missed by this much: this process stood still.
const GAP: Duration = Duration::from_secs(1);

/// What a controller needs to know.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Shown in its status, and where the database lies.
    pub data_dir: PathBuf,
}

/// A controller that runs on its own thread.
#[derive(Debug)]
pub struct Controller {
    /// The way to it.
    pub handle: Handle,
    /// Why it ended, once it has.
    pub ended: oneshot::Receiver<Ended>,
}

/// Why a controller ended. Nothing that it did not store was answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It was asked to.
    #[error("the controller was shut down")]
    Shutdown,
    /// Another process took the store: exit code 7.
    #[error("{0}")]
    Fenced(String),
    /// The store cannot be written or read any more: exit code 8.
    #[error("{0}")]
    Broken(String),
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read or written.
    #[error("the store cannot be used: {0}")]
    Store(String),
    /// The system gave no thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Senders to the connections of agents.
pub(super) type Outboxes = Arc<DashMap<LinkId, mpsc::Sender<pb::AgentDown>>>;

/// Folds what is unfinished and starts the core's thread. Blocks while it folds.
///
/// # Errors
///
/// The store cannot be read, or the first commit fails.
pub fn start(store: Store, options: Options) -> Result<Controller, StartError> {
    let clock = Clock::starting();
    let database: Arc<std::path::Path> = options.data_dir.join("store.db").into();
    let (sender, inbox) = mailbox();
    let (ended_at, ended) = oneshot::channel();
    let outboxes = Outboxes::default();
    let (ready, started) = std::sync::mpsc::channel();
    let pool = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(64)
        .thread_name("swath-reader")
        .enable_time()
        .build()?;
    let (library_mailbox, core_outboxes) = (sender.clone(), Arc::clone(&outboxes));
    std::thread::Builder::new().name("swath-core".to_owned()).spawn(move || {
        let core = match Core::start(store, options.data_dir, Box::new(System), clock.now()) {
            Ok(core) => core,
            Err(fatal) => return drop(ready.send(Err(fatal))),
        };
        let library = Library {
            readers: core.readers.clone(),
            feed: Arc::clone(&core.feed),
            mailbox: library_mailbox,
            database,
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        };
        let keepers = Keepers::new(library.mailbox.clone());
        let mut shell = Shell { core, clock, inbox, library, keepers, outboxes: core_outboxes, pool };
        let first = shell.commit(shell.clock.now());
        let _ = ready.send(first);
        let why = shell.run();
        let Shell { pool, core, .. } = shell;
        drop(core);
        pool.shutdown_background();
        // Whoever started it may have gone.
        let _ = ended_at.send(why);
    })?;
    match started.recv() {
        Ok(Ok(())) => {}
        Ok(Err(fatal)) => return Err(StartError::Store(fatal.to_string())),
        Err(_) => return Err(StartError::Store("the core ended at once".to_owned())),
    }
    let (links, room) = (Arc::new(AtomicU64::new(1)), Arc::new(Semaphore::new(ROOM)));
    let handle = Handle { mailbox: sender, actor: SELF_NAME.into(), links, outboxes, room };
    Ok(Controller { handle, ended })
}

struct Shell {
    core: Core,
    clock: Clock,
    inbox: Inbox<Message>,
    library: Library,
    keepers: Keepers,
    outboxes: Outboxes,
    pool: tokio::runtime::Runtime,
}

impl Shell {
    fn run(&mut self) -> Ended {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return Ended::Shutdown,
                Err(Fatal::Fenced(error)) => return Ended::Fenced(error.to_string()),
                Err(Fatal::Broken(why)) => return Ended::Broken(why),
            }
        }
    }

    /// Waits, gathers, commits, releases. False: it was asked to end, and has.
    fn turn(&mut self) -> Result<bool, Fatal> {
        let before = self.clock.now();
        let deadline = self.core.next_deadline(before.mono);
        let patience = deadline.map(|at| at.saturating_duration_since(before.mono));
        let found = self.inbox.wait(patience);
        let mut now = self.clock.now();
        self.core.leap = self.clock.leap();
        if let Some(deadline) = deadline {
            self.mind_the_gap(deadline.max(before.mono), now);
        }
        let woken = now;
        match found {
            Found::Letter(first) => self.gather(first, &mut now),
            Found::Nothing => {}
            Found::Closed => return Ok(false),
        }
        self.mind_the_gap(woken.mono, now);
        if self.core.next_deadline(now.mono).is_some_and(|at| at <= now.mono) {
            self.core.tick(now);
        }
        self.commit(now)?;
        Ok(!self.core.is_ending)
    }

    /// Nobody could be heard from a moment on that should have passed at once.
    fn mind_the_gap(&mut self, since: Instant, now: Now) {
        if now.mono.saturating_duration_since(since) > GAP {
            self.core.stood_still(now);
        }
    }

    fn gather(&mut self, first: Message, now: &mut Now) {
        let began = now.mono;
        self.core.on(first, *now);
        for _ in 1..GATHER {
            if self.core.store.is_pressed() || now.mono.saturating_duration_since(began) > DECIDE {
                return;
            }
            let Some(next) = self.inbox.next().or_else(|| self.company(began)) else { return };
            *now = self.clock.now();
            self.core.on(next, *now);
        }
    }

    /// Something more for a batch that nobody waits for, if it comes soon.
    fn company(&self, began: Instant) -> Option<Message> {
        if !self.core.may_wait() {
            return None;
        }
        let patience = COMPANY.saturating_sub(self.clock.now().mono.saturating_duration_since(began));
        match self.inbox.wait(Some(patience)) {
            Found::Letter(message) => Some(message),
            Found::Nothing | Found::Closed => None,
        }
    }

    fn commit(&mut self, now: Now) -> Result<(), Fatal> {
        let outputs = self.core.commit(now)?;
        self.mind_the_gap(now.mono, self.clock.now());
        outputs.into_iter().for_each(|output| self.release(output));
        Ok(())
    }

    fn release(&mut self, output: Output) {
        match output {
            // Whoever asked may have gone.
            Output::Answer(reply, answer) => drop(reply.send(answer)),
            Output::Down(link, message) => {
                let is_full =
                    self.outboxes.get(&link).is_some_and(|outbox| outbox.try_send(*message).is_err());
                if is_full {
                    self.outboxes.remove(&link); // it comes again, and its hello says what it missed
                }
            }
            Output::Close(link) => {
                self.outboxes.remove(&link);
            }
            Output::Read(job) => {
                self.library.begin(job, self.pool.handle());
            }
            Output::Think(task) => self.keepers.ask(task),
        }
    }
}
