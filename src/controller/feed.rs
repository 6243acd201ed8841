//! The entries as they are committed, for watchers: the last 64 Ki of them, shared.
//!
//! Watchers pull. One that is slower than the ring finds its place gone and reads on from the store; nobody waits for
//! it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::pb;
use crate::sweep::{Body, Event, Pos, Report, SweepId};

/// Entries kept.
const RING: usize = 64 << 10;
/// Entries a page.
const PAGE: usize = 1000;

/// A committed entry.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) sweep: SweepId,
    pub(super) actor: Arc<str>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Event(Event),
    Report(Report),
}

impl Fresh {
    pub(super) fn pos(&self) -> Pos {
        match &self.what {
            What::Event(event) => event.pos,
            What::Report(report) => report.pos,
        }
    }
}

/// The shared end.
#[derive(Debug)]
pub(super) struct Feed {
    ring: Mutex<Ring>,
    head: watch::Sender<Pos>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Fresh>,
    /// Everything committed above this is in the ring.
    from: Pos,
    /// Everything up to here is committed.
    to: Pos,
    names: BTreeMap<SweepId, Vec<String>>,
}

/// A page of entries, or the news that the ring does not reach so far back.
#[derive(Debug)]
pub(super) enum Page {
    /// Entries in (after, .. `to`].
    Entries {
        entries: Vec<pb::Entry>,
        to: Pos,
    },
    Gone,
}

impl Feed {
    /// `head`: the last position stored before this process.
    pub(super) fn new(head: Pos) -> Arc<Feed> {
        let ring = Ring { entries: VecDeque::new(), from: head, to: head, names: BTreeMap::new() };
        Arc::new(Feed { ring: Mutex::new(ring), head: watch::Sender::new(head) })
    }

    /// Wakes when something is committed.
    pub(super) fn news(&self) -> watch::Receiver<Pos> {
        self.head.subscribe()
    }

    /// A sweep was loaded with these metric names.
    pub(super) fn loaded(&self, sweep: SweepId, names: &[String]) {
        self.lock().names.insert(sweep, names.to_vec());
    }

    /// As `loaded`, unless more is known already.
    pub(super) fn know(&self, sweep: SweepId, names: &[String]) {
        self.lock().names.entry(sweep).or_insert_with(|| names.to_vec());
    }

    /// These entries are committed, and everything up to `to`.
    pub(super) fn publish(&self, entries: Vec<Fresh>, to: Pos) {
        let mut ring = self.lock();
        for entry in entries {
            if let What::Event(Event { body: Body::MetricNamed { name, .. }, .. }) = &entry.what {
                ring.names.entry(entry.sweep).or_default().push(name.clone());
            }
            ring.entries.push_back(entry);
        }
        while ring.entries.len() > RING {
            if let Some(old) = ring.entries.pop_front() {
                ring.from = old.pos();
            }
        }
        ring.to = to;
        drop(ring);
        self.head.send_replace(to);
    }

    /// The entries of one sweep above `after` that are wanted.
    pub(super) fn page(&self, sweep: SweepId, after: Pos, wanted: &Wanted) -> Page {
        let ring = self.lock();
        if after < ring.from {
            return Page::Gone;
        }
        let start = ring.entries.partition_point(|entry| entry.pos() <= after);
        let none = Vec::new();
        let names = ring.names.get(&sweep).unwrap_or(&none);
        let mut entries = Vec::new();
        let mut to = ring.to;
        for entry in ring.entries.range(start..) {
            let is_report = matches!(entry.what, What::Report(_));
            if entry.sweep != sweep || (is_report && wanted.events_only) {
                continue;
            }
            if entries.len() == PAGE {
                to = Pos(entry.pos().0 - 1);
                break;
            }
            entries.extend(message(entry, names, wanted));
        }
        Page::Entries { entries, to }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which entries a watcher wants.
#[derive(Debug)]
pub(super) struct Wanted {
    /// No reports.
    pub(super) events_only: bool,
    /// Events of these kinds; none: of all.
    pub(super) kinds: Vec<String>,
}

impl Wanted {
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }
}

fn message(entry: &Fresh, names: &[String], wanted: &Wanted) -> Option<pb::Entry> {
    match &entry.what {
        What::Event(event) => {
            let kind = Some(event.body.kind()).filter(|kind| wanted.is_kind(kind))?.to_owned();
            let body = serde_json::to_string(&event.body).expect("an event has text keys only");
            Some(event_message(entry.sweep, event.pos, event.n, event.at, &entry.actor, kind, body))
        }
        What::Report(report) => Some(report_message(entry.sweep, report, names)),
    }
}

/// An event as watchers get it.
pub(super) fn event_message(
    sweep: SweepId,
    pos: Pos,
    n: u64,
    at: crate::sweep::Timestamp,
    actor: &str,
    kind: String,
    body_json: String,
) -> pb::Entry {
    pb::Entry {
        pos: pos.0,
        n,
        at: Some(pb::timestamp(at)),
        actor: Some(pb::Actor { name: actor.to_owned() }),
        kind,
        body_json,
        sweep: sweep.to_string(),
    }
}

/// A report as watchers get it.
pub(super) fn report_message(sweep: SweepId, report: &Report, names: &[String]) -> pb::Entry {
    let number = |value: f64| match serde_json::Number::from_f64(value) {
        Some(number) => serde_json::Value::Number(number),
        None => crate::space::float_name(value).into(),
    };
    let name = |id: u32| names.get(id as usize).cloned().unwrap_or_else(|| id.to_string());
    let values: serde_json::Map<String, serde_json::Value> =
        report.values.iter().map(|(id, value)| (name(*id), number(*value))).collect();
    let body = serde_json::json!({
        "kind": "Report",
        "run": { "trial": report.run.trial.0, "attempt": report.run.attempt },
        "seq": report.seq,
        "step": report.step,
        "values": values,
    });
    pb::Entry {
        pos: report.pos.0,
        n: 0,
        at: Some(pb::timestamp(report.at)),
        actor: None,
        kind: "Report".to_owned(),
        body_json: body.to_string(),
        sweep: sweep.to_string(),
    }
}
