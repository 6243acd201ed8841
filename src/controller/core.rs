//! The core: every loaded sweep, the fleet, and the one way in which anything changes.
//!
//! ```text
//! inputs -> decide -> entries of the batch, applied at once -> due, until it asks for nothing -> one commit -> outputs
//! ```
//!
//! Invariants:
//! - nothing leaves before the commit that it depends on;
//! - what follows from a command is in its batch: a crash leaves no half-done reaction;
//! - a sweep whose code fails is paused, or shown as damaged; the others go on.
//!
//! No clock, no thread, no socket: `now` comes with the input, and `next_deadline` says when to look again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use tokio::sync::oneshot;

use crate::controller::callers::Caller;
use crate::controller::clock::Now;
use crate::controller::directory::Directory;
use crate::controller::draw::Draw;
use crate::controller::feed::{Feed, Fresh, What};
use crate::controller::fleet::Fleet;
use crate::controller::handle::{Answer, Message, Opened};
use crate::controller::links::Links;
use crate::controller::loaded::Loaded;
use crate::controller::logs::Follower;
use crate::controller::pending::{Asked, Job, Output, Pending};
use crate::controller::recovery::{self, panic_text};
use crate::controller::row::{self, Beside};
use crate::controller::{Refused, RefusedKind, budgets, placement, rebuild};
use crate::failpoint;
use crate::pb;
use crate::spec::Code;
use crate::store::{AppendError, ReadError, Reader, Readers, Store, SweepFilter};
use crate::sweep::{
    Actor, Body, Command, Event, Head, LostWhy, Outcome, PauseHow, PauseWhy, Pos, QueueWhy, Report, SweepId,
    Timestamp, Trial, decide, due,
};

/// The controller itself, as an actor.
pub(super) const SELF: Actor = Actor(0);
/// Its name.
pub(super) const SELF_NAME: &str = "swath";
/// A commit that took longer is worth a warning, and gave agents no chance to be heard.
const SLOW: Duration = Duration::from_secs(1);
/// How long agents stay away from a controller whose disk is full.
pub(super) const PATIENCE_OF_A_FULL_DISK: Duration = Duration::from_secs(5);
/// Between two looks at a disk that is full.
const LOOK: Duration = Duration::from_secs(1);

/// Entries that may wait for company.
const FEW: usize = 8;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) actor: Actor,
    pub(super) name: Arc<str>,
}

pub(super) struct Core {
    pub(super) store: Store,
    pub(super) readers: Readers,
    pub(super) sweeps: BTreeMap<SweepId, Loaded>,
    /// What is wrong with sweeps that could not be loaded.
    pub(super) damaged: BTreeMap<SweepId, String>,
    pub(super) directory: Directory,
    pub(super) links: Links,
    pub(super) fleet: Fleet,
    pub(super) pending: Pending,
    pub(super) feed: Arc<Feed>,
    pub(super) draw: Box<dyn Draw>,
    pub(super) data_dir: PathBuf,
    /// Who asked for trials and waits for them, by sweep.
    pub(super) callers: BTreeMap<SweepId, VecDeque<Caller>>,
    /// Requests that wait until a sweep that is over has been folded.
    pub(super) folding: BTreeMap<SweepId, Vec<Asked>>,
    /// Who reads which run's output over which stream.
    pub(super) followers: BTreeMap<u64, Follower>,
    pub(super) follow_requests: u64,
    /// Questions asked so far.
    pub(super) questions: u64,
    /// Sweeps that `due` has to look at.
    pub(super) dirty: BTreeSet<SweepId>,
    pub(super) is_ending: bool,
    /// A sweep is being paused for a fault: a second fault is damage.
    is_pausing: bool,
    /// The disk was full when last looked at: nothing but stops, deletes and ends is taken.
    pub(super) is_pressed: bool,
    pub(super) slow_commit: Option<Duration>,
    pub(super) leap: Option<Duration>,
    #[cfg(test)]
    pub(super) trips: BTreeMap<SweepId, Trip>,
    next: Pos,
    last_at: Timestamp,
    last_tick: Instant,
}

/// Where a test makes the code of one sweep panic.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trip {
    /// Deciding what `due` asked for.
    Decide,
    Due,
    Apply,
}

#[cfg(test)]
impl Trip {
    /// Pauses get through: the point is what becomes of the rest.
    fn at(trips: &BTreeMap<SweepId, Trip>, id: SweepId, here: Trip) {
        assert!(trips.get(&id) != Some(&here), "tripped at {here:?}");
    }
}

/// Why the core cannot go on. Nothing that was not stored was answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fatal {
    #[error("{0}")]
    Fenced(AppendError),
    #[error("{0}")]
    Broken(String),
}

impl From<ReadError> for Fatal {
    fn from(error: ReadError) -> Self {
        Fatal::Broken(error.to_string())
    }
}

impl Core {
    /// Loads what is unfinished, begins the epoch, and looks at everything once. What follows waits for `commit`.
    pub(super) fn start(
        mut store: Store,
        data_dir: PathBuf,
        draw: Box<dyn Draw>,
        now: Now,
    ) -> Result<Core, Fatal> {
        let last_at = store.last_at()?.max(now.at); // a wall clock that was set back goes on from there
        store.begin(last_at, SELF, env!("CARGO_PKG_VERSION")).map_err(fatal)?;
        if store.needs_rebuild() {
            tracing::warn!("the listings are damaged: they are made anew from the logs");
            rebuild::rebuild(&mut store, now.mono)?;
        }
        let feed = Feed::new(store.last_pos());
        let mut core = Core {
            readers: store.readers(),
            next: Pos(store.last_pos().0 + 1),
            store,
            sweeps: BTreeMap::new(),
            damaged: BTreeMap::new(),
            directory: Directory::default(),
            links: Links::default(),
            fleet: Fleet::default(),
            pending: Pending::default(),
            feed,
            draw,
            data_dir,
            callers: BTreeMap::new(),
            folding: BTreeMap::new(),
            followers: BTreeMap::new(),
            follow_requests: 0,
            questions: 0,
            dirty: BTreeSet::new(),
            is_ending: false,
            is_pausing: false,
            is_pressed: false,
            slow_commit: None,
            leap: None,
            #[cfg(test)]
            trips: BTreeMap::new(),
            last_at,
            last_tick: now.mono,
        };
        core.is_pressed = core.store.is_pressed();
        core.load(now)?;
        core.renew_leases(now);
        core.settle(now);
        Ok(core)
    }

    /// Everything that the store says of sweeps that are not over.
    fn load(&mut self, now: Now) -> Result<(), Fatal> {
        let mut reader = self.readers.get()?;
        self.list(&reader)?;
        for id in self.store.unfinished()? {
            match recovery::load(&mut reader, id, now.mono) {
                Ok(mut loaded) => {
                    loaded.catch_up(now);
                    self.adopt(id, loaded, now.mono);
                }
                Err(damage) => {
                    tracing::error!(sweep = %id, %damage, "the sweep cannot be loaded");
                    self.damaged.insert(id, damage.to_string());
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, reader: &Reader) -> Result<(), Fatal> {
        let mut filter = SweepFilter { hidden: true, limit: 1000, ..SweepFilter::default() };
        loop {
            let rows = reader.sweeps(&filter)?;
            let Some(last) = rows.last() else { return Ok(()) };
            filter.after = Some((last.created, last.id));
            for row in rows {
                self.directory.set(row.id, &row.name, row.created, row.hidden);
            }
        }
    }

    /// A sweep comes into memory.
    pub(super) fn adopt(&mut self, id: SweepId, loaded: Loaded, now: Instant) {
        for run in loaded.state.live_runs() {
            self.fleet.occupy(id, run.run.trial, &run.placements);
            for placement in &run.placements {
                self.links.expect(&placement.agent, &placement.machine, &placement.host, now);
            }
        }
        self.feed.loaded(id, loaded.state.metrics());
        let summary = loaded.state.summary();
        self.directory.set(id, &summary.name, summary.created, summary.hidden);
        self.sweeps.insert(id, loaded);
        self.dirty.insert(id);
    }

    /// Takes an input. Nothing leaves before the next `commit`.
    pub(super) fn on(&mut self, message: Message, now: Now) {
        match message {
            Message::Ask { call, actor, reply } => self.asked(Asked { call, actor, reply }, now),
            Message::Export { request, reply } => self.export(request, reply),
            Message::Watch { request, reply } => self.watch(request, reply),
            Message::Logs { request, reply } => self.logs(request, reply),
            Message::Unfollow { number } => self.unfollow(number),
            Message::LinkOpened { link } => self.opened(link),
            Message::LinkSaid { link, message } => self.said(link, message, now),
            Message::LinkClosed { link } => self.closed(link, now),
            Message::Folded { sweep, result } => self.folded(sweep, result, now),
            Message::Taught { pupil, asked, read } => self.taught(pupil, *asked, read, now),
            Message::Suggested { sweep, number, answer } => self.suggested(sweep, number, answer, now),
            Message::BackedUp { file, last } => {
                let taken = crate::store::StoreBody::BackupTaken { file, last };
                if let Err(error) = self.own_event(taken, SELF, now) {
                    tracing::error!(%error, "the backup is not recorded");
                }
            }
            Message::Shutdown => self.shut_down(),
        }
        self.settle(now);
    }

    /// Looks at the timers. Only when no input waits: what it says may be that somebody is there.
    pub(super) fn tick(&mut self, now: Now) {
        for stream in self.links.silent_streams(now.mono) {
            tracing::warn!(agent = self.links.speaker(stream), "an agent was silent for a whole term");
            self.pending.outputs.push(Output::Close(stream));
            self.closed(stream, now);
        }
        self.dirty.extend(self.fleet.waits_over(self.last_tick, now.mono));
        let with_silent = |loaded: &Loaded| !placement::silent(loaded, &self.links, now.mono).is_empty();
        let silent = self.sweeps.iter().filter(|(_, loaded)| with_silent(loaded)).map(|(id, _)| *id);
        self.dirty.extend(silent);
        if self.is_pressed && self.store.room().is_ok() {
            tracing::warn!("there is room on the disk again: all goes on");
            self.is_pressed = false;
            self.dirty.extend(self.sweeps.keys());
        }
        self.end_leases(now);
        self.measure_budgets(now);
        self.give_up_thinking(now);
        self.last_tick = now.mono;
        self.settle(now);
    }

    /// When `tick` has something to do that it had not the last time.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let last = self.last_tick;
        let sweeps = self.sweeps.values();
        let per_sweep = sweeps
            .flat_map(|l| {
                [
                    placement::next_silent(l, &self.links, last),
                    budgets::next(l, now),
                    l.model.deadline(),
                    l.next_lease_end(),
                ]
            })
            .flatten()
            .min();
        let look = self.is_pressed.then_some(last + LOOK);
        let others = [self.links.next_silence(), self.fleet.next_end_of_wait(last), look];
        others.into_iter().chain([per_sweep]).flatten().min()
    }

    /// This process stood still, so nobody could be heard: everybody has a full new term.
    pub(super) fn stood_still(&mut self, now: Now) {
        tracing::warn!("this process stood still; every agent has a full new term");
        self.links.renew(now.mono);
        self.renew_leases(now);
    }

    // ---- taking

    /// Decides a command and takes in what follows. True: something changed.
    pub(super) fn command(
        &mut self,
        id: SweepId,
        command: &Command,
        who: &Who,
        text: &str,
        now: Now,
    ) -> Result<bool, Refused> {
        let head = self.head();
        let Some(loaded) = self.sweeps.get(&id) else { return Err(internal("the sweep is not loaded")) };
        let decided = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            Trip::at(&self.trips, id, Trip::Decide);
            decide(&loaded.state, command, head)
        }));
        match decided {
            Ok(Ok(bodies)) if bodies.is_empty() => Ok(false),
            Ok(Ok(bodies)) => self.take(id, bodies, who, text, now).map(|()| true),
            Ok(Err(refusal)) => Err(refusal.into()),
            Err(panic) => Err(self.fault(id, &panic_text(&*panic), now)),
        }
    }

    pub(super) fn head(&self) -> Head {
        Head { epoch: self.store.epoch(), next: self.next }
    }

    fn advance(&mut self) -> Pos {
        let pos = self.next;
        self.next = Pos(pos.0 + 1);
        pos
    }

    /// The stamp of an entry: never below the one before.
    pub(super) fn stamp(&mut self, now: Now) -> Timestamp {
        self.last_at = self.last_at.max(now.at);
        self.last_at
    }

    /// An event of log 0.
    pub(super) fn own_event(
        &mut self,
        body: crate::store::StoreBody,
        actor: Actor,
        now: Now,
    ) -> Result<(), ReadError> {
        let n = self.store.next_n(crate::store::Log::Store)? + self.pending.own;
        self.pending.own += 1;
        let (pos, at) = (self.advance(), self.stamp(now));
        self.pending.batch.store_event(crate::store::StoreEvent { pos, n, at, actor, body });
        Ok(())
    }

    /// Numbers events, applies each, keeps their effects back.
    pub(super) fn take(
        &mut self,
        id: SweepId,
        bodies: Vec<Body>,
        who: &Who,
        text: &str,
        now: Now,
    ) -> Result<(), Refused> {
        for body in bodies {
            let (pos, at) = (self.advance(), self.stamp(now));
            let Some(loaded) = self.sweeps.get_mut(&id) else {
                return Err(internal("the sweep is not loaded"));
            };
            let event = Event { pos, n: loaded.state.n() + 1, at, actor: who.actor, body };
            let before = about_row(loaded, &event);
            let applied = catch_unwind(AssertUnwindSafe(|| {
                #[cfg(test)]
                if !self.is_pausing {
                    Trip::at(&self.trips, id, Trip::Apply);
                }
                loaded.state.apply(&event)
            }));
            if let Some(wrong) = what_went_wrong(applied) {
                self.next = pos;
                return Err(self.refold(id, &wrong, now));
            }
            loaded.follow(&event, now.mono);
            self.effects(id, &event, before, who, text, now);
            self.pending.batch.event(id, event.clone());
            self.pending.fresh.push(Fresh {
                sweep: id,
                actor: Arc::clone(&who.name),
                what: What::Event(event),
            });
        }
        Ok(())
    }

    /// Takes in the first event of a sweep.
    pub(super) fn take_first(
        &mut self,
        id: SweepId,
        body: Body,
        who: &Who,
        now: Now,
    ) -> Result<Event, Refused> {
        let (pos, at) = (self.advance(), self.stamp(now));
        let event = Event { pos, n: 1, at, actor: who.actor, body };
        self.pending.batch.event(id, event.clone());
        let fresh = Fresh { sweep: id, actor: Arc::clone(&who.name), what: What::Event(event.clone()) };
        self.pending.fresh.push(fresh);
        self.pending.sweeps.insert(id);
        Ok(event)
    }

    /// Takes in a report that was decided on.
    pub(super) fn take_report(&mut self, id: SweepId, report: Report, now: Now) -> Result<(), Refused> {
        let pos = self.advance();
        let Some(loaded) = self.sweeps.get_mut(&id) else { return Err(internal("the sweep is not loaded")) };
        let applied = catch_unwind(AssertUnwindSafe(|| loaded.state.apply_report(&report)));
        if let Some(wrong) = what_went_wrong(applied) {
            self.next = pos;
            return Err(self.refold(id, &wrong, now));
        }
        let objective = loaded.objective();
        if let Some(live) = loaded.runs.get_mut(&report.run.trial) {
            live.report(&report, objective);
            self.pending.batch.report(live.assigned, report.clone());
        }
        self.pending.fresh.push(Fresh { sweep: id, actor: SELF_NAME.into(), what: What::Report(report) });
        self.dirty.insert(id);
        Ok(())
    }

    /// What an event means for the fleet, for agents and for rows.
    fn effects(&mut self, id: SweepId, event: &Event, before: bool, who: &Who, text: &str, now: Now) {
        self.dirty.insert(id);
        self.pending.sweeps.insert(id);
        if let Some(trial) = row::about(&event.body) {
            self.note_row(id, trial, event, before, Beside { author: &who.name, text });
        }
        match &event.body {
            Body::RunAssigned { run, fence, placements, lease: _ } => {
                self.fleet.occupy(id, run.trial, placements);
                for placement in placements {
                    self.links.expect(&placement.agent, &placement.machine, &placement.host, now.mono);
                }
                self.send_assign(id, *run, *fence);
            }
            Body::RunStarted { run, .. } => self.fleet.stop_waiting(id, run.trial),
            Body::StopDecided { run, .. } => self.send_stop(id, run.trial),
            Body::RunEnded { run, outcome, .. } => {
                if *outcome == Outcome::Queued(QueueWhy::NotStarted) {
                    self.fleet.wait(id, run.trial, now.mono);
                }
                self.fleet.release(id, run.trial);
                self.wake_all();
                let agents = &self.fleet;
                self.links.forget(|agent| agents.runs_of(agent) > 0);
            }
            Body::SweepChanged { .. } | Body::SweepHidden {} | Body::SweepRestored {} => {
                if let Some(loaded) = self.sweeps.get(&id) {
                    let summary = loaded.state.summary();
                    self.directory.set(id, &summary.name, summary.created, summary.hidden);
                }
            }
            _ => {}
        }
    }

    /// Something became free: whoever wants it is looked at.
    pub(super) fn wake_all(&mut self) {
        let alive = |loaded: &Loaded| loaded.state.home().is_some_and(|home| self.links.is_alive(home));
        let ids = self.sweeps.iter().filter(|(_, loaded)| alive(loaded)).map(|(id, _)| *id);
        self.dirty.extend(ids.collect::<Vec<_>>());
    }

    fn note_row(
        &mut self,
        id: SweepId,
        trial: Trial,
        event: &Event,
        was_infeasible: bool,
        beside: Beside<'_>,
    ) {
        if self.sweeps.get(&id).is_some_and(|loaded| !loaded.rows.contains_key(&trial)) {
            let stored = match event.body {
                Body::TrialProposed { .. } => None,
                _ => self.stored_row(id, trial),
            };
            if let Some(loaded) = self.sweeps.get_mut(&id) {
                let fresh = stored.unwrap_or_else(|| row::fresh(&loaded.state, trial));
                loaded.rows.insert(trial, fresh);
            }
        }
        let Some(loaded) = self.sweeps.get_mut(&id) else { return };
        let last = match event.body {
            Body::RunEnded { .. } => loaded.ended_last.take(),
            _ => None,
        };
        if let Some(row) = loaded.rows.get_mut(&trial) {
            if let Some((values, step)) = last {
                row.last = values;
                row.last_step = step;
            }
            row::take(row, event, &loaded.state, beside);
            let is_infeasible = counts_infeasible(row);
            match (was_infeasible, is_infeasible) {
                (false, true) => loaded.tally.infeasible += 1,
                (true, false) => loaded.tally.infeasible = loaded.tally.infeasible.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
            if let (Body::RunEnded { outcome: Outcome::Failed(_), .. }, false) =
                (&event.body, beside.text.is_empty())
            {
                beside.text.clone_into(&mut loaded.tally.failed_tail);
            }
        }
        let best = loaded.state.best();
        if best.map(|best| best.0) != loaded.best.as_ref().map(|row| row.trial) || best == Some(trial) {
            let row = best.and_then(|best| loaded.rows.get(&best).cloned());
            let row = row.or_else(|| best.and_then(|best| self.stored_row(id, best)));
            if let Some(loaded) = self.sweeps.get_mut(&id) {
                loaded.best = row;
            }
        }
        self.pending.rows.insert((id, trial));
    }

    pub(super) fn stored_row(&self, id: SweepId, trial: Trial) -> Option<pb::Trial> {
        let row = self.readers.get().ok()?.trial(id, trial.0).ok()??;
        pb::Trial::decode(row.body.as_slice()).ok()
    }

    // ---- what follows

    /// Asks the sweeps that changed for what they want, until they want nothing.
    pub(super) fn settle(&mut self, now: Now) {
        let who = self.itself();
        let mut hungry = std::mem::take(&mut self.dirty);
        loop {
            hungry.extend(std::mem::take(&mut self.dirty));
            for id in hungry.clone() {
                self.follow_up(id, &who, now);
                if self.callers.contains_key(&id) {
                    self.serve_callers(id, now);
                    self.follow_up(id, &who, now);
                }
            }
            hungry.extend(std::mem::take(&mut self.dirty)); // a run that was ended made room for others
            let takes = !self.is_ending && !self.is_pressed;
            let Some(id) = self.neediest(&hungry) else { break };
            let placed = takes && self.place(id, &who, now);
            if !placed {
                hungry.remove(&id);
                if let Some(loaded) = self.sweeps.get_mut(&id) {
                    loaded.state.settle();
                }
            }
        }
        self.unload_ended();
    }

    /// Of the sweeps that may want a slot, the one with the fewest runs; the oldest of those.
    fn neediest(&self, hungry: &BTreeSet<SweepId>) -> Option<SweepId> {
        let need =
            |id: &SweepId| self.sweeps.get(id).map(|l| (l.state.placed(), l.state.summary().created, *id));
        hungry.iter().copied().min_by_key(|id| need(id).unwrap_or((0, Timestamp(0), *id)))
    }

    /// All that a sweep wants but slots.
    pub(super) fn follow_up(&mut self, id: SweepId, who: &Who, now: Now) {
        loop {
            while let Some(command) = self.due(id, None, now) {
                if !self.carry_out(id, &command, who, now) {
                    return;
                }
            }
            if !self.end_silent(id, now) {
                return;
            }
        }
    }

    fn place(&mut self, id: SweepId, who: &Who, now: Now) -> bool {
        let Some(loaded) = self.sweeps.get(&id) else { return false };
        let Some(offer) = placement::offer(loaded, &self.links, &self.fleet, now.mono) else { return false };
        match self.due(id, Some(&offer), now) {
            Some(command) => {
                let command = self.with_suggestion(id, command);
                self.carry_out(id, &command, who, now)
            }
            None => {
                self.ask_for_suggestion(id, &offer, now);
                false
            }
        }
    }

    pub(super) fn due(
        &mut self,
        id: SweepId,
        offer: Option<&crate::sweep::Offer>,
        now: Now,
    ) -> Option<Command> {
        let loaded = self.sweeps.get(&id)?;
        let asked = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            if !matches!(loaded.state.phase(), crate::sweep::SweepPhase::Paused { .. }) {
                Trip::at(&self.trips, id, Trip::Due);
            }
            due(&loaded.state, offer)
        }));
        match asked {
            Ok(command) => command,
            Err(panic) => {
                self.fault(id, &panic_text(&*panic), now);
                None
            }
        }
    }

    /// A command of `due` itself; one that is refused or changes nothing would be asked for for ever.
    pub(super) fn carry_out(&mut self, id: SweepId, command: &Command, who: &Who, now: Now) -> bool {
        match self.command(id, command, who, "", now) {
            Ok(true) => true,
            Ok(false) => {
                self.fault(id, &format!("it asked for something that changes nothing: {command:?}"), now);
                false
            }
            Err(refused) => {
                if refused.kind != RefusedKind::Internal {
                    self.fault(id, &refused.message, now);
                }
                false
            }
        }
    }

    /// A fault of the sweep's own: it is paused with the message, and the others go on.
    pub(super) fn fault(&mut self, id: SweepId, message: &str, now: Now) -> Refused {
        tracing::error!(sweep = %id, message, "a fault: the sweep is paused");
        let why = PauseWhy::Fault(message.to_owned());
        let pause = Command::Pause { how: PauseHow::Drain, why };
        let head = self.head();
        let decided =
            self.sweeps.get(&id).map(|l| catch_unwind(AssertUnwindSafe(|| decide(&l.state, &pause, head))));
        self.is_pausing = true;
        let taken = match decided {
            Some(Ok(Ok(bodies))) => self.take(id, bodies, &self.itself(), "", now).is_ok(),
            Some(Ok(Err(_)) | Err(_)) | None => false,
        };
        self.is_pausing = false;
        if !taken {
            self.drop_damaged(id, message);
        }
        internal(message)
    }

    /// `apply` failed: the state is folded again from what is stored and what this batch holds, then paused.
    fn refold(&mut self, id: SweepId, message: &str, now: Now) -> Refused {
        let folded = self
            .readers
            .get()
            .map_err(|e| e.to_string())
            .and_then(|mut reader| recovery::load(&mut reader, id, now.mono).map_err(|e| e.to_string()));
        let mut state = match folded {
            Ok(loaded) => loaded.state,
            Err(why) => {
                self.drop_damaged(id, &why);
                return internal(message);
            }
        };
        let mut replay = self.pending.fresh.iter().filter(|fresh| fresh.sweep == id);
        let replayed = catch_unwind(AssertUnwindSafe(|| {
            replay.all(|fresh| match &fresh.what {
                What::Event(event) => state.apply(event).is_ok(),
                What::Report(report) => state.apply_report(report).is_ok(),
            })
        }));
        let known = self.sweeps.get_mut(&id).filter(|_| matches!(replayed, Ok(true)) && !self.is_pausing);
        let Some(known) = known else {
            self.drop_damaged(id, message); // not even a pause can be taken in
            return internal(message);
        };
        known.state = state; // what is kept beside it follows what was applied
        self.fault(id, message, now)
    }

    fn drop_damaged(&mut self, id: SweepId, message: &str) {
        self.sweeps.remove(&id);
        self.fleet.release_all(id);
        self.damaged.insert(id, message.to_owned());
        self.turn_away(id, &internal(message));
    }

    /// Silent runs that are to stop are ended: no slot will ever come for them. True: there was one.
    fn end_silent(&mut self, id: SweepId, now: Now) -> bool {
        let Some(loaded) = self.sweeps.get(&id) else { return false };
        let silent = placement::silent(loaded, &self.links, now.mono);
        let runs: Vec<_> = loaded
            .state
            .live_runs()
            .filter(|run| silent.contains(&run.run.trial) && run.phase.stop().is_some())
            .map(|run| (run.run, run.fence))
            .collect();
        let mut has_ended = false;
        for (run, fence) in runs {
            let lost = Command::Lost { run, fence, why: LostWhy::Silent };
            // Nobody waits for an answer; a refusal says that it has ended.
            has_ended |= self.command(id, &lost, &self.itself(), "", now).is_ok();
        }
        has_ended
    }

    /// A sweep that is over needs no memory.
    fn unload_ended(&mut self) {
        let over = self.sweeps.iter().filter(|(_, loaded)| loaded.state.is_over() && !loaded.is_wanted);
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(loaded) = self.sweeps.get_mut(&id) {
                loaded.is_wanted = true;
            }
            self.pending.unload.insert(id);
        }
    }

    pub(super) fn itself(&self) -> Who {
        Who { actor: SELF, name: SELF_NAME.into() }
    }

    /// Whether the batch holds only what nobody waits for: starts, names and a few reports.
    pub(super) fn may_wait(&self) -> bool {
        let is_soft = |fresh: &Fresh| match &fresh.what {
            What::Event(event) => matches!(event.body, Body::RunStarted { .. } | Body::MetricNamed { .. }),
            What::Report(_) => true,
        };
        let fresh = &self.pending.fresh;
        let is_small = (1..FEW).contains(&fresh.len());
        is_small && self.pending.outputs.is_empty() && fresh.iter().all(is_soft)
    }

    // ---- commit

    /// Stores the batch and gives what may leave now.
    pub(super) fn commit(&mut self, now: Now) -> Result<Vec<Output>, Fatal> {
        self.note_budgets(now);
        self.write_rows(now);
        let pending = std::mem::take(&mut self.pending);
        let Pending { mut batch, mut outputs, fresh, acks, is_essential, unload, rows, .. } = pending;
        if !batch.is_empty() {
            if is_essential || self.is_pressed {
                batch.mark_essential(); // nothing else came in
            }
            failpoint::reach("before_commit");
            match self.store.append(&batch) {
                Ok(done) => {
                    if self.store.is_pressed() && !self.is_pressed {
                        tracing::error!(
                            "the disk is nearly full; nothing but stops and ends is taken until there is room"
                        );
                        self.is_pressed = true;
                    }
                    failpoint::reach("after_commit");
                    self.slow_commit = (done.took > SLOW).then_some(done.took);
                    self.feed.publish(fresh, done.last);
                }
                Err(full @ AppendError::Full { .. }) => return self.start_over(outputs, &full, now),
                Err(error) => return Err(fatal(error)),
            }
        }
        self.next = Pos(self.store.last_pos().0 + 1);
        let acks = acks.into_iter().filter(|((link, _), _)| self.links.is_open(*link));
        outputs.extend(acks.map(|((link, run), seq)| {
            let ack = pb::agent_down::Kind::Ack(pb::Ack { run: Some(run.into()), seq });
            Output::Down(link, Box::new(pb::AgentDown { kind: Some(ack) }))
        }));
        self.forget_rows(rows, unload);
        Ok(outputs)
    }

    fn write_rows(&mut self, now: Now) {
        for (id, trial) in &self.pending.rows {
            let Some(row) = self.sweeps.get(id).and_then(|loaded| loaded.rows.get(trial)) else { continue };
            self.pending.batch.trial_row(row::stored(*id, row));
        }
        for id in &self.pending.sweeps {
            let Some(loaded) = self.sweeps.get(id) else { continue };
            let message = loaded.message(now.mono, false);
            let created = loaded.state.summary().created;
            self.pending.batch.sweep_row(row::stored_sweep(*id, created, &message));
        }
    }

    /// Rows of trials that are final, and sweeps that are over, leave the memory.
    fn forget_rows(&mut self, rows: BTreeSet<(SweepId, Trial)>, unload: BTreeSet<SweepId>) {
        for (id, trial) in rows {
            if let Some(loaded) = self.sweeps.get_mut(&id)
                && !loaded.state.needs_reports(trial)
            {
                loaded.rows.remove(&trial);
            }
        }
        for id in unload {
            if self.sweeps.get(&id).is_some_and(|loaded| loaded.state.is_over()) {
                self.sweeps.remove(&id);
                self.fleet.release_all(id);
            } else if let Some(loaded) = self.sweeps.get_mut(&id) {
                loaded.is_wanted = false;
            }
        }
    }

    /// The disk is full: what was decided is undone by folding again, and whoever waits is told.
    fn start_over(
        &mut self,
        outputs: Vec<Output>,
        full: &AppendError,
        now: Now,
    ) -> Result<Vec<Output>, Fatal> {
        tracing::error!("{full}; nothing but stops and ends is taken until there is room");
        let mut kept = Vec::new();
        for output in outputs {
            match output {
                Output::Answer(reply, _) => kept.push(Output::Answer(reply, Err(disk_full(full)))),
                Output::Close(link) => kept.push(Output::Close(link)),
                Output::Read(job) => kept.push(Output::Read(job)),
                Output::Down(..) | Output::Think(_) => {}
            }
        }
        for stream in self.links.streams().collect::<Vec<_>>() {
            let goodbye = pb::Goodbye {
                why: full.to_string(),
                retry_after: Some(pb::duration(PATIENCE_OF_A_FULL_DISK)),
                see_other: String::new(),
            };
            let down = pb::AgentDown { kind: Some(pb::agent_down::Kind::Goodbye(goodbye)) };
            kept.push(Output::Down(stream, Box::new(down)));
            kept.push(Output::Close(stream));
        }
        for caller in std::mem::take(&mut self.callers).into_values().flatten() {
            let refused = |reply| Output::Answer(reply, Err(disk_full(full)));
            kept.extend(caller.into_replies().map(refused));
        }
        self.pending = Pending::default();
        self.is_pressed = true;
        self.sweeps.clear();
        self.damaged.clear();
        self.directory = Directory::default();
        self.followers.clear();
        self.links = Links::default();
        self.fleet = Fleet::default();
        self.dirty.clear();
        self.next = Pos(self.store.last_pos().0 + 1);
        self.load(now)?;
        self.renew_leases(now);
        Ok(kept)
    }

    pub(super) fn answer(
        &mut self,
        reply: oneshot::Sender<Result<Answer, Refused>>,
        answer: Result<Answer, Refused>,
    ) {
        self.pending.outputs.push(Output::Answer(reply, answer));
    }

    pub(super) fn read(&mut self, job: Job) {
        self.pending.outputs.push(Output::Read(job));
    }

    fn shut_down(&mut self) {
        self.is_ending = true;
        for stream in self.links.streams().collect::<Vec<_>>() {
            let goodbye = pb::Goodbye { why: "the controller ends".to_owned(), ..Default::default() };
            self.pending.down(stream, pb::agent_down::Kind::Goodbye(goodbye));
            self.pending.outputs.push(Output::Close(stream));
        }
    }

    fn export(&mut self, request: pb::ExportSweepRequest, reply: Opened<pb::ExportChunk>) {
        match self.directory.find(&request.sweep) {
            Ok(sweep) => {
                let metrics = self.metrics(sweep);
                self.read(Job::Export { sweep, request, metrics, reply });
            }
            Err(refused) => drop(reply.send(Err(refused))),
        }
    }

    fn watch(&mut self, request: pb::WatchRequest, reply: Opened<pb::WatchResponse>) {
        match self.directory.find(&request.sweep) {
            Ok(sweep) => {
                let metrics = self.metrics(sweep);
                self.read(Job::Watch { sweep, request, metrics, reply });
            }
            Err(refused) => drop(reply.send(Err(refused))),
        }
    }

    /// Metric names of a loaded sweep; empty: a reader finds them.
    pub(super) fn metrics(&self, sweep: SweepId) -> Vec<String> {
        self.sweeps.get(&sweep).map(|loaded| loaded.state.metrics().to_vec()).unwrap_or_default()
    }
}

/// Why a state did not take an entry: it does not fit, or `apply` panicked.
fn what_went_wrong(applied: std::thread::Result<Result<(), crate::sweep::Damaged>>) -> Option<String> {
    match applied {
        Ok(Ok(())) => None,
        Ok(Err(damaged)) => Some(damaged.to_string()),
        Err(panic) => Some(panic_text(&*panic)),
    }
}

/// Whether the event's trial counted as infeasible before it.
fn about_row(loaded: &Loaded, event: &Event) -> bool {
    row::about(&event.body).and_then(|trial| loaded.rows.get(&trial)).is_some_and(counts_infeasible)
}

fn counts_infeasible(row: &pb::Trial) -> bool {
    let over = [pb::trial::State::Succeeded, pb::trial::State::Stopped].map(i32::from);
    over.contains(&row.state) && !row.feasible
}

pub(super) fn fatal(error: AppendError) -> Fatal {
    match error {
        AppendError::Fenced => Fatal::Fenced(error),
        AppendError::Full { .. } | AppendError::Broken(_) => Fatal::Broken(error.to_string()),
    }
}

pub(super) fn disk_full(full: &AppendError) -> Refused {
    Refused::new(RefusedKind::ResourceExhausted, Code::DiskFull, full.to_string())
        .with_help("make room on the disk; runs go on, and what they report is kept beside them")
}

pub(super) fn internal(message: &str) -> Refused {
    Refused::new(RefusedKind::Internal, Code::Internal, message)
}
