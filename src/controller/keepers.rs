//! Model keepers: a thread for each sweep whose method learns, which keeps its engine and answers one question at a time.
//!
//! The core asks when a slot is free and nothing is queued, and goes on with everything else; the answer comes back as a
//! message. What a keeper holds is a cache: one that was made anew, from the question alone, answers the same. Keepers
//! run at a lower priority and at most one fewer than there are cores at once, so a fit that takes seconds delays
//! neither reports nor other sweeps. One that is not asked for a while ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::controller::handle::Message;
use crate::controller::mailbox::Mailbox;
use crate::controller::recovery::panic_text;
use crate::search::{Engine, Fit, History, Problem};
use crate::spec::Definition;
use crate::sweep::{Question, Suggestion, SweepId, engine};

/// A keeper that nobody asked for so long ends.
const IDLE: Duration = Duration::from_secs(60);
/// How much less they want than the core.
const NICENESS: i32 = 10;

/// A question on its way to a keeper.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) sweep: SweepId,
    /// By which the core knows the answer again.
    pub(super) number: u64,
    pub(super) definition: Arc<Definition>,
    pub(super) problem: Arc<Problem>,
    pub(super) question: Box<Question>,
}

/// None: the space is used up. An error is a fault of the search.
pub(super) type Answer = Result<Option<Box<Suggestion>>, String>;

/// An engine, and what it was made of.
#[derive(Debug)]
pub(super) struct Kept {
    engine: Engine,
    version: u32,
    fit: Option<Fit>,
}

/// All keepers.
pub(super) struct Keepers {
    mailbox: Mailbox<Message>,
    threads: BTreeMap<SweepId, Sender<Task>>,
    places: Arc<Places>,
}

impl Keepers {
    pub(super) fn new(mailbox: Mailbox<Message>) -> Keepers {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let places = Places { free: Mutex::new(cores.saturating_sub(1).max(1)), freed: Condvar::new() };
        Keepers { mailbox, threads: BTreeMap::new(), places: Arc::new(places) }
    }

    /// Has a question answered.
    pub(super) fn ask(&mut self, task: Task) {
        let sweep = task.sweep;
        let task = match self.threads.get(&sweep) {
            // It may have ended just now.
            Some(keeper) => match keeper.send(task) {
                Ok(()) => return,
                Err(returned) => returned.0,
            },
            None => task,
        };
        let (number, (questions, asked)) = (task.number, channel::<Task>());
        let (mailbox, places) = (self.mailbox.clone(), Arc::clone(&self.places));
        let keep = move || {
            // Without it it only competes more.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            let mut kept = None;
            loop {
                match asked.recv_timeout(IDLE) {
                    Ok(task) => {
                        let answer = places.within(|| answer(&mut kept, &task));
                        let message = Message::Suggested { sweep, number: task.number, answer };
                        // A core that has ended wants no answer.
                        if mailbox.push(message).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        match thread::Builder::new().name("swath-keeper".to_owned()).spawn(keep) {
            Ok(_) => {
                let _ = questions.send(task); // it was just started, and waits
                self.threads.insert(sweep, questions);
            }
            Err(error) => {
                let answer = Err(format!("no thread for the search could be started: {error}"));
                // A core that has ended wants no answer.
                let _ = self.mailbox.push(Message::Suggested { sweep, number, answer });
            }
        }
    }
}

/// How many may think at once.
struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Places {
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        drop(free);
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

/// Answers a question; a panic in there is an answer too.
pub(super) fn answer(kept: &mut Option<Kept>, task: &Task) -> Answer {
    let thought = catch_unwind(AssertUnwindSafe(|| think(kept, task)));
    thought.unwrap_or_else(|panic| {
        *kept = None;
        Err(panic_text(&*panic))
    })
}

fn think(kept: &mut Option<Kept>, task: &Task) -> Answer {
    let Question { trial, basis, version, fit, observations, pending } = &*task.question;
    if kept.as_ref().is_none_or(|kept| kept.version != *version) {
        let engine = engine(&task.definition, &task.problem).map_err(|error| error.to_string())?;
        *kept = Some(Kept { engine, version: *version, fit: None });
    }
    let Some(Kept { engine, fit: known, .. }) = kept else { return Ok(None) };
    if let Some(fit) = fit.as_ref().filter(|fit| known.as_ref() != Some(*fit)) {
        engine.record(fit.clone());
        *known = Some(fit.clone());
    }
    let proposed = engine.propose(trial.0, &History { observations, pending });
    Ok(proposed.ok().map(|proposed| {
        Box::new(Suggestion {
            trial: *trial,
            point: proposed.proposal.point,
            reason: proposed.proposal.reason,
            fit: proposed.fit,
            basis: *basis,
            version: *version,
        })
    }))
}
