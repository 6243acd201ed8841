//! The loop around the core: carries out what it says and brings it what happened.
//!
//! It owns the store's place, one task a run, and the stream. All that may block is done on other threads. It leaves
//! when it is told to, and the runs then go on without it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::core::{AgentCore, Found, Identity, Input, Output, Status, from_wire};
use super::follow::{self, Place};
use super::handle::Options;
use super::home::{self, Estate, Home};
use super::kept;
use super::launch::{self, Ground, Starter, Unfit};
use super::link::Link;
use super::run::{self, Order, RunTask};
use super::task::Task;
use crate::pb;
use crate::runner::{Folder, RunKey, Runner};

/// What the tasks may have to say before they wait.
const QUEUE: usize = 1024;
/// A thread that only waits for a lock.
const WATCHER_STACK: usize = 64 << 10;

/// What a task or thread says.
#[derive(Debug)]
enum Event {
    /// A start went through, or did not.
    Launched { run: RunKey, result: Result<Option<Runner>, Unfit> },
    /// Another agent has died and this process has its lock.
    Dead(Estate),
}

pub(crate) struct Shell {
    core: AgentCore,
    options: Options,
    starter: Arc<Starter>,
    agent: String,
    status: watch::Sender<Status>,
    leave: CancellationToken,
    kill: Arc<Notify>,
    place: Option<InStore>,
    link: Option<Link>,
    /// What waits for room in the link's outbox.
    backlog: VecDeque<pb::AgentUp>,
    runs: BTreeMap<RunKey, mpsc::UnboundedSender<Order>>,
    follows: BTreeMap<u64, Task>,
    watched: Vec<String>,
    inputs: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    tasks: JoinSet<()>,
}

/// The store that is worked for, and the place on disk.
struct InStore {
    store: String,
    home: Home,
}

/// A folder that was found, and what lies in it.
type Adopted = Vec<(Found, Folder)>;

impl Shell {
    pub(crate) fn new(
        options: Options,
        identity: Identity,
        status: watch::Sender<Status>,
        leave: CancellationToken,
        kill: Arc<Notify>,
    ) -> Shell {
        Shell {
            agent: identity.agent.clone(),
            core: AgentCore::new(identity, Instant::now()),
            starter: Arc::new(Starter::new(options.program.clone())),
            options,
            status,
            leave,
            kill,
            place: None,
            link: None,
            backlog: VecDeque::new(),
            runs: BTreeMap::new(),
            follows: BTreeMap::new(),
            watched: Vec::new(),
            inputs: mpsc::channel(QUEUE),
            events: mpsc::channel(QUEUE),
            tasks: JoinSet::new(),
        }
    }

    /// Works until it is told to leave.
    pub(crate) async fn live(mut self) {
        loop {
            let deadline = self.core.next_deadline().map(tokio::time::Instant::from_std);
            let input = tokio::select! {
                () = self.leave.cancelled() => break,
                () = self.kill.notified() => {
                    for run in self.runs.keys() {
                        self.order(run, Order::Signal { now: true });
                    }
                    continue;
                }
                Some(input) = self.inputs.1.recv() => input,
                Some(event) = self.events.1.recv() => match self.handle(event).await {
                    Some(input) => input,
                    None => continue,
                },
                input = exchange(&mut self.link, &mut self.backlog) => match input {
                    Some(input) => input,
                    None => self.lose_link(),
                },
                Some(end) = self.tasks.join_next() => {
                    if let Err(error) = end {
                        tracing::error!(%error, "a task of the agent failed");
                    }
                    continue;
                }
                () = sleep_until(deadline) => Input::Tick,
            };
            self.put(input).await;
        }
        self.depart();
    }

    /// Feeds the core until nothing more follows at once.
    async fn put(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.core.on(input, Instant::now()) {
                inputs.extend(self.perform(output).await);
            }
        }
        let status = self.core.status();
        self.status.send_if_modified(|shown| {
            let is_new = *shown != status;
            *shown = status;
            is_new
        });
    }

    async fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Open => self.link = Some(Link::open(&self.options.client)),
            Output::Close => return Some(self.lose_link()),
            Output::Send(kind) => self.backlog.push_back(pb::AgentUp { kind: Some(kind) }),
            Output::Enter { store, epoch } => return Some(self.enter(store, epoch).await),
            Output::Launch(assign) => return self.launch(*assign),
            Output::Read { run, after, reports, bytes } => {
                self.order(&run, Order::Read { after, reports, bytes })
            }
            Output::Signal { run, now } => self.order(&run, Order::Signal { now }),
            Output::Sync(run) => self.order(&run, Order::Sync),
            Output::Forget(run) => self.forget(&run),
            Output::Watch(agent) => self.watch(agent),
            Output::Bury => {
                if let Some(place) = &mut self.place {
                    place.home.bury();
                }
            }
            Output::Follow(ask) => self.follow(ask),
        }
        None
    }

    fn order(&self, run: &RunKey, order: Order) {
        // A task that is gone has failed, which was told when it ended.
        if let Some(orders) = self.runs.get(run) {
            let _ = orders.send(order);
        }
    }

    /// Drops the stream with all that waits for it.
    fn lose_link(&mut self) -> Input {
        self.link = None;
        self.backlog.clear();
        self.follows.clear();
        Input::Closed { jitter: rand::random() }
    }

    async fn enter(&mut self, store: String, epoch: u32) -> Input {
        let (work, machine) = (self.options.work_dir.clone(), self.options.machine.id.clone());
        let (agent, place) = (self.agent.clone(), self.place.take());
        let entered = spawn_blocking(move || enter(place, &work, store, &machine, &agent, epoch)).await;
        match entered {
            Ok((place, Ok(entered))) => {
                self.place = place;
                for peer in entered.living {
                    self.watch(peer);
                }
                self.tidy();
                let runs = self.adopt(entered.adopted);
                Input::Entered { runs, speaks_for: entered.dead }
            }
            Ok((place, Err(error))) => {
                self.place = place;
                tracing::warn!(%error, "this agent cannot work here");
                Input::Barred { why: error.to_string() }
            }
            Err(error) => Input::Barred { why: error.to_string() },
        }
    }

    /// Beside all else: it may take a while, and nothing waits for it.
    fn tidy(&mut self) {
        let Some(logs) = self.place.as_ref().map(|place| place.home.logs()) else { return };
        self.tasks.spawn_blocking(move || {
            if let Err(error) = kept::tidy(&logs, kept::KEPT_BYTES) {
                tracing::warn!(%error, "old output could not be removed");
            }
        });
    }

    fn adopt(&mut self, adopted: Adopted) -> Vec<Found> {
        let mut runs = Vec::new();
        for (found, folder) in adopted {
            self.begin(found.run.clone(), folder, None);
            runs.push(found);
        }
        runs
    }

    /// Gives a run its task.
    fn begin(&mut self, run: RunKey, folder: Folder, runner: Option<Runner>) {
        let (orders, hears) = mpsc::unbounded_channel();
        let task = RunTask::new(run.clone(), folder, self.inputs.0.clone());
        self.tasks.spawn(task.live(runner, hears));
        self.runs.insert(run, orders);
    }

    fn launch(&mut self, assign: pb::Assign) -> Option<Input> {
        let run = from_wire(assign.run.clone())?;
        let unfit = |run, why: String| Some(Input::Unfit { run, why, is_hopeless: false });
        if self.options.slots == 0 {
            return unfit(run, "this agent starts nothing".to_owned());
        }
        let Some(place) = &self.place else { return unfit(run, "no store is entered".to_owned()) };
        let folder = Folder::of(&place.home.runs(), &run);
        if let Err(error) = place.home.claim(&folder) {
            return unfit(run, format!("claiming the run's folder: {error}"));
        }
        let ground = Ground {
            store: place.store.clone(),
            machine: self.options.machine.clone(),
            start_dir: self.options.start_dir.clone(),
            starter: Arc::clone(&self.starter),
            runs: place.home.runs(),
            checkpoints: place.home.checkpoints(&run),
            lock: place.home.lock_path(),
        };
        let events = self.events.0.clone();
        self.tasks.spawn_blocking(move || {
            let start = || launch::plan(assign, &ground).and_then(|plan| launch::start(&plan, &ground));
            let result = catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| {
                Err(Unfit::Io { what: "starting", error: io::Error::other("a fault inside swath") })
            });
            // Where the agent has left, the run is found by the next one.
            let _ = events.blocking_send(Event::Launched { run, result });
        });
        None
    }

    async fn handle(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Launched { run, result: Ok(runner) } => {
                let folder = Folder::of(&self.place.as_ref()?.home.runs(), &run);
                self.begin(run.clone(), folder, runner);
                Some(Input::Launched(run))
            }
            Event::Launched { run, result: Err(unfit) } => {
                let home = &self.place.as_ref()?.home;
                if let Err(error) = home.forget(&Folder::of(&home.runs(), &run)) {
                    tracing::warn!(run = run.display(), %error, "a folder that was not begun could not be removed");
                }
                let is_hopeless = matches!(unfit, Unfit::Command(_));
                Some(Input::Unfit { run, why: unfit.to_string(), is_hopeless })
            }
            Event::Dead(estate) => self.inherit(estate).await,
        }
    }

    async fn inherit(&mut self, estate: Estate) -> Option<Input> {
        let mut place = self.place.take()?;
        let agent = estate.agent.clone();
        self.watched.retain(|watched| *watched != agent);
        let inherited = spawn_blocking(move || {
            let adopted = place.home.inherit(estate).map(look_into);
            (place, adopted)
        });
        // A panic in there is a fault of this program; without its place it can do nothing more here.
        let (place, adopted) = inherited.await.ok()?;
        self.place = Some(place);
        match adopted {
            Ok(adopted) => {
                tracing::info!(agent, runs = adopted.len(), "speaking for a dead agent");
                let runs = self.adopt(adopted);
                Some(Input::Inherited { agent, runs })
            }
            Err(error) => {
                tracing::error!(agent, %error, "a dead agent's runs could not be taken over");
                None
            }
        }
    }

    fn forget(&mut self, run: &RunKey) {
        self.runs.remove(run);
        let Some(place) = &self.place else { return };
        if let Err(error) = place.home.forget(&Folder::of(&place.home.runs(), run)) {
            tracing::warn!(run = run.display(), %error, "a run's folder could not be removed");
        }
    }

    /// Waits in a thread of its own for another agent's death.
    fn watch(&mut self, agent: String) {
        let Some(path) = self.place.as_ref().and_then(|place| place.home.peer_lock(&agent)) else { return };
        if self.watched.contains(&agent) {
            return;
        }
        self.watched.push(agent.clone());
        let events = self.events.0.clone();
        let wait = move || {
            if let Some(estate) = home::wait_for_death(&agent, &path) {
                // Where this agent has left, the lock is free again for others.
                let _ = events.blocking_send(Event::Dead(estate));
            }
        };
        let watcher =
            thread::Builder::new().name("swath-watcher".to_owned()).stack_size(WATCHER_STACK).spawn(wait);
        if let Err(error) = watcher {
            tracing::error!(%error, "no thread to wait for another agent's end");
        }
    }

    fn follow(&mut self, ask: pb::Follow) {
        if ask.cancel {
            self.follows.remove(&ask.request);
            return;
        }
        let (Some(place), Some(link)) = (&self.place, &self.link) else { return };
        let Some(run) = from_wire(ask.run.clone()) else { return };
        let folder = Folder::of(&place.home.runs(), &run);
        let place = Place { kept: place.home.kept(&folder), folder };
        let request = ask.request;
        let task = Task::spawn(follow::follow(place, ask, link.outbox.clone()));
        self.follows.retain(|_, task| !task.is_finished());
        self.follows.insert(request, task);
    }

    /// The runs go on; where none is left, neither is a trace of this agent.
    fn depart(self) {
        if let Some(place) = self.place.filter(|_| self.core.status().runs == 0) {
            place.home.leave();
        }
    }
}

/// What entering came to.
struct Entered {
    adopted: Adopted,
    dead: Vec<String>,
    living: Vec<String>,
}

fn enter(
    place: Option<InStore>,
    work: &std::path::Path,
    store: String,
    machine: &str,
    agent: &str,
    epoch: u32,
) -> (Option<InStore>, Result<Entered, home::HomeError>) {
    let is_new = place.is_none();
    let place = match place {
        Some(place) => Ok(place),
        None => Home::enter(work, &store, machine, agent).map(|home| InStore { store, home }),
    };
    let mut place = match place {
        Ok(place) => place,
        Err(error) => return (None, Err(error)),
    };
    if let Err(error) = place.home.remember(epoch) {
        // Its lock goes too: it holds nothing there.
        return (Some(place).filter(|_| !is_new), Err(error));
    }
    let mut entered = Entered { adopted: Vec::new(), dead: Vec::new(), living: Vec::new() };
    let looked = if is_new { look_around(&mut place.home, &mut entered) } else { Ok(()) };
    match looked {
        Ok(()) => (Some(place), Ok(entered)),
        Err(error) => (None, Err(home::HomeError::Io { what: "looking into", path: work.to_owned(), error })),
    }
}

/// Finds this agent's own runs, those of the dead, and the living.
fn look_around(home: &mut Home, entered: &mut Entered) -> io::Result<()> {
    let mut claimed = home.claimed()?;
    for agent in home.peers()? {
        let Some(path) = home.peer_lock(&agent) else { continue };
        match home::is_dead(&agent, &path) {
            Some(estate) => {
                claimed.extend(home.inherit(estate)?);
                entered.dead.push(agent);
            }
            None => entered.living.push(agent),
        }
    }
    entered.adopted = look_into(claimed);
    Ok(())
}

fn look_into(claimed: Vec<(RunKey, Folder)>) -> Adopted {
    let mut adopted = Vec::new();
    for (run, folder) in claimed {
        match run::find(&run, &folder) {
            Ok(Some(found)) => adopted.push((found, folder)),
            // Nothing was begun: the controller assigns it again. Its claim goes at the next start.
            Ok(None) => {
                if let Err(error) = folder.remove() {
                    tracing::warn!(run = run.display(), %error, "an empty folder could not be removed");
                }
            }
            Err(error) => {
                tracing::error!(run = run.display(), %error, "a run's folder cannot be read, and is left")
            }
        }
    }
    adopted
}

/// The next word of the link, and, meanwhile, what waits for it goes out. None: the link is over.
async fn exchange(link: &mut Option<Link>, backlog: &mut VecDeque<pb::AgentUp>) -> Option<Input> {
    let Some(link) = link else { return std::future::pending().await };
    loop {
        tokio::select! {
            input = link.inbox.recv() => return input,
            Ok(room) = link.outbox.reserve(), if !backlog.is_empty() => {
                if let Some(message) = backlog.pop_front() {
                    room.send(message);
                }
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
