//! What must hold after every step, and what the logs must say at the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::links::Link;
use crate::controller::loaded::Loaded;
use crate::controller::placement;
use crate::store::{Entry, Log, Reports, StoreBody};
use crate::sweep::{
    Body, Command, Event, Head, LogEntry, Outcome, Patch, Pos, QueueWhy, Run, Source, State, SweepId,
    SweepPhase, Trial, decide, due, rehearse,
};

use super::world::World;

impl World {
    /// The invariants of memory. A failure shows near its cause.
    pub(super) fn check(&mut self) {
        let core = self.core();
        core.links.check().unwrap();
        let mut live = BTreeMap::new();
        for (id, loaded) in &core.sweeps {
            loaded.state.check().unwrap_or_else(|broken| panic!("{id}: {broken}"));
            live.extend(loaded.state.live_runs().map(|run| ((*id, run.run.trial), run.placements)));
            self.check_waits(*id, loaded);
            self.check_nothing_is_due(*id, loaded);
        }
        core.fleet.check(&live).unwrap();
        assert!(core.damaged.is_empty(), "{:?}", core.damaged);
        if let Some(deadline) = core.next_deadline(self.now().mono) {
            // I3, P4: a timer that is due has been looked at in the same turn.
            assert!(deadline > self.now().mono, "a deadline is due, and nobody looked at it");
        }
        self.check_parallel();
    }

    /// I3: every live run is held by a link that lives, by a timer, or by its caller's lease.
    fn check_waits(&self, id: SweepId, loaded: &Loaded) {
        for run in loaded.state.live_runs() {
            let lease_end = loaded.runs.get(&run.run.trial).and_then(|live| live.lease_end);
            assert_eq!(lease_end.is_some(), run.lease.is_some(), "{id}: the lease of {}", run.run);
            for place in &run.placements {
                let (by, holder) = self
                    .core()
                    .links
                    .holder(&place.agent)
                    .unwrap_or_else(|| panic!("{id}: nobody waits for {}", run.run));
                if let Link::Alive { stream, .. } = holder.link {
                    assert!(self.core().links.is_open(stream), "{id}: {by} lives without a stream");
                }
            }
        }
    }

    /// A full scan finds nothing that the scan of what changed did not.
    fn check_nothing_is_due(&self, id: SweepId, loaded: &Loaded) {
        let core = self.core();
        if core.is_pressed {
            return;
        }
        let mut state = loaded.state.clone();
        state.touch_all();
        let missed = due(&state, None);
        assert_eq!(missed, None, "{id}: due, and not done");
        // Slots come by wake-ups alone: none may be free for somebody who wants one.
        let offer = placement::offer(loaded, &core.links, &core.fleet, self.now().mono);
        if let Some(offer) = offer {
            let missed = due(&state, Some(&offer));
            assert_eq!(missed, None, "{id}: a slot is free, and nobody was given it");
        }
    }

    /// I6: no more runs at once than allowed, but where the limit was lowered.
    fn check_parallel(&mut self) {
        let mut lived = BTreeMap::new();
        for (id, loaded) in &self.core().sweeps {
            let now = loaded.state.placed();
            let before = self.lived.get(id).copied().unwrap_or(0);
            if let Some(limit) = loaded.state.definition().parallel {
                assert!(now <= before.max(limit as usize), "{id}: {now} runs at once, allowed are {limit}");
            }
            lived.insert(*id, now);
        }
        self.lived = lived;
    }

    /// The hash of each sweep in memory.
    pub(super) fn hashes(&self) -> BTreeMap<SweepId, String> {
        let running = self.core().sweeps.iter().filter(|(_, loaded)| !loaded.state.is_over());
        running.map(|(id, loaded)| (*id, loaded.state.hash())).collect()
    }

    fn entries(&self, id: SweepId) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        let mut reader = self.core().readers.get().unwrap();
        reader
            .fold(Log::Sweep(id), Reports::All, Pos(0), |entry| match entry {
                Entry::Event(event) => entries.push(LogEntry::Event(Box::new(event))),
                Entry::Report(report) => entries.push(LogEntry::Report(report)),
                Entry::Store(_) => {}
            })
            .unwrap();
        entries
    }

    /// The reports that are stored, by run and number.
    pub(super) fn reports(&self, id: SweepId) -> BTreeSet<(Run, u64)> {
        reports(&self.entries(id))
    }

    pub(super) fn events(&self, id: SweepId) -> Vec<Event> {
        events(&self.entries(id)).cloned().collect()
    }

    /// The kinds of a sweep's events.
    pub(super) fn kinds(&self, id: SweepId) -> Vec<String> {
        let events = self.core().readers.get().unwrap().events(Log::Sweep(id), 0, 10_000).unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }

    /// The store's own log.
    pub(super) fn own_log(&self) -> Vec<StoreBody> {
        let mut bodies = Vec::new();
        let mut reader = self.core().readers.get().unwrap();
        reader
            .fold(Log::Store, Reports::None, Pos(0), |entry| match entry {
                Entry::Store(event) => bodies.push(event.body),
                Entry::Event(_) | Entry::Report(_) => {}
            })
            .unwrap();
        bodies
    }

    /// I1: what was acknowledged is in the store: sweeps that were created, frames up to each run's acknowledgement.
    pub(super) fn check_acknowledged(&self) {
        let known = |id: &SweepId| self.core().directory.contains(*id);
        assert!(self.sweeps.iter().all(known), "a sweep that was answered is gone");
        let mut logs = BTreeMap::new();
        for (id, acknowledged) in &self.acknowledged {
            let reports = logs.entry(id.sweep).or_insert_with(|| reports(&self.entries(id.sweep)));
            for seq in acknowledged {
                assert!(reports.contains(&(id.run, *seq)), "report {seq} of {id:?} is gone");
            }
        }
    }

    /// No run ended twice, no fence was used twice, no trial was retried too often (I6); what was proposed is what an
    /// undisturbed sweep proposes (I5), and what every method proposes again (Q9).
    pub(super) fn check_logs(&self) {
        let mut fences = BTreeSet::new();
        for id in &self.sweeps {
            let entries = self.entries(*id);
            let events: Vec<Event> = events(&entries).cloned().collect();
            let mut ended = BTreeSet::new();
            for event in &events {
                match &event.body {
                    Body::RunAssigned { fence, .. } => {
                        assert!(fences.insert(*fence), "{id}: {fence:?} twice")
                    }
                    Body::RunEnded { run, .. } => assert!(ended.insert(*run), "{id}: {run} ended twice"),
                    _ => {}
                }
            }
            let stamps = events.windows(2).all(|pair| pair[0].at <= pair[1].at);
            assert!(stamps, "F43: {id}'s times go backwards");
            check_retries(*id, &events);
            assert_eq!(rehearse(*id, &entries).unwrap().differ, [], "Q9: {id}");
            undisturbed(*id, &events);
        }
    }
}

fn events(entries: &[LogEntry]) -> impl Iterator<Item = &Event> {
    entries.iter().filter_map(|entry| match entry {
        LogEntry::Event(event) => Some(&**event),
        LogEntry::Report(_) => None,
    })
}

fn reports(entries: &[LogEntry]) -> BTreeSet<(Run, u64)> {
    let report = |entry: &LogEntry| match entry {
        LogEntry::Report(report) => Some((report.run, report.seq)),
        LogEntry::Event(_) => None,
    };
    entries.iter().filter_map(report).collect()
}

/// I6: no more crashes of a trial are retried than were allowed then, since a person last retried it.
fn check_retries(id: SweepId, events: &[Event]) {
    let (mut allowed, mut retried) = (0, BTreeMap::<Trial, u32>::new());
    for event in events {
        match &event.body {
            Body::SweepCreated { definition, .. } => allowed = definition.retries,
            Body::SweepChanged { patch, .. } => {
                for patch in patch {
                    if let Patch::Retries(retries) = patch {
                        allowed = *retries;
                    }
                }
            }
            Body::TrialRetried { trial, .. } => drop(retried.remove(trial)),
            Body::RunEnded { run, outcome: Outcome::Queued(QueueWhy::Crashed), .. } => {
                let times = retried.entry(run.trial).or_default();
                *times += 1;
                assert!(*times <= allowed, "{id}: trial {} is retried {times} times of {allowed}", run.trial);
            }
            _ => {}
        }
    }
}

/// Proposes a sweep's trials again, in a sweep to which nothing happens.
fn undisturbed(id: SweepId, events: &[Event]) {
    let mut state = State::begin(id, &events[0]).unwrap();
    let mut next = events[0].pos.0;
    let mut take = |state: &mut State, body: Body| {
        next += 1;
        let event = Event { pos: Pos(next), n: state.n() + 1, body, ..events[0].clone() };
        state.apply(&event).unwrap();
    };
    let patch = vec![Patch::RunCap(None), Patch::Parallel(Some(10_000)), Patch::Wall(None)];
    take(&mut state, Body::SweepChanged { version: 2, patch });
    if matches!(state.phase(), SweepPhase::Paused { .. }) {
        take(&mut state, Body::SweepResumed { home: None, keep_going: true });
    }
    for event in events {
        let Body::TrialProposed { trial, assignment, source, .. } = &event.body else { continue };
        if matches!(source, Source::Enqueued | Source::Repeat { .. } | Source::Model) {
            take(&mut state, event.body.clone());
            continue;
        }
        let head = Head { epoch: 1, next: Pos(1 << 30) };
        let assign = Command::Assign { trial: None, placements: Vec::new(), lease: None, suggestion: None };
        let proposed = decide(&state, &assign, head).unwrap().swap_remove(0);
        let Body::TrialProposed { trial: of, assignment: there, .. } = &proposed else {
            panic!("{id}: nothing is proposed for {trial}")
        };
        assert_eq!(
            (*of, there),
            (Trial(trial.0), assignment),
            "I5: {id} proposes something else undisturbed"
        );
        take(&mut state, proposed);
    }
}
