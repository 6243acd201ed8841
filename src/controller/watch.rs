//! Watching a sweep: its entries from a position on, first from the store until the ring has the rest, then as they are
//! committed.
//!
//! A watcher holds a task, never a thread: it pulls, and sleeps between two commits. One that is slower than the ring
//! finds its place gone and reads on from the store, a page at a time; nothing is held for it in between.

use tokio::sync::mpsc;

use crate::controller::core::{SELF_NAME, internal};
use crate::controller::feed::{Page, Wanted, event_message, report_message};
use crate::controller::readers::{Library, unread};
use crate::controller::{Refused, RefusedKind};
use crate::pb;
use crate::spec::Code;
use crate::store::{Log, LogEvent, Reader};
use crate::sweep::{Pos, Report, SweepId};

/// Watchers at once.
pub(super) const WATCHERS: usize = 4096;
/// Entries of each kind that a page of history has at most.
const PAGE: usize = 1000;
/// Pages that wait for a slow receiver.
const AHEAD: usize = 4;

type Watcher = mpsc::Sender<Result<pb::WatchResponse, Refused>>;

/// What one watcher wants.
struct Watch {
    sweep: SweepId,
    wanted: Wanted,
    /// Metric names; none: not known yet.
    names: Option<Vec<String>>,
    /// Everything up to here was sent.
    after: Pos,
}

impl Library {
    /// Hands the stream over and fills it until nobody listens; an error is its last message.
    pub(super) async fn watch(
        self,
        sweep: SweepId,
        request: pb::WatchRequest,
        metrics: Vec<String>,
        reply: crate::controller::handle::Opened<pb::WatchResponse>,
    ) {
        let Ok(_place) = self.watchers.clone().try_acquire_owned() else {
            let message = format!("{WATCHERS} watchers are here already");
            let refused = Refused::new(RefusedKind::ResourceExhausted, Code::OverLimit, message);
            // Whoever asked may have gone.
            return drop(reply.send(Err(refused)));
        };
        let (to, pages) = mpsc::channel(AHEAD);
        if reply.send(Ok(pages)).is_err() {
            return;
        }
        if !metrics.is_empty() {
            self.feed.know(sweep, &metrics);
        }
        let watch = Watch {
            sweep,
            wanted: Wanted {
                events_only: request.reports == i32::from(pb::watch_request::ReportDetail::None),
                kinds: request.kinds,
            },
            names: None,
            after: Pos(request.from.saturating_sub(1)),
        };
        if let Err(refused) = self.follow(watch, &to).await {
            // Whoever asked may have gone.
            let _ = to.send(Err(refused)).await;
        }
    }

    async fn follow(&self, mut watch: Watch, to: &Watcher) -> Result<(), Refused> {
        let mut news = self.feed.news();
        loop {
            let head = *news.borrow_and_update();
            let page = self.feed.page(watch.sweep, watch.after, &watch.wanted);
            let (entries, reached) = match page {
                Page::Entries { entries, to } => (entries, to),
                Page::Gone => {
                    let library = self.clone();
                    let read = tokio::task::spawn_blocking(move || library.history(watch, head));
                    let entries;
                    (watch, entries) = read.await.map_err(|panic| internal(&panic.to_string()))??;
                    (entries, watch.after)
                }
            };
            watch.after = reached;
            if !entries.is_empty()
                && to.send(Ok(pb::WatchResponse { entries, pos: reached.0 })).await.is_err()
            {
                return Ok(());
            }
            if reached >= head {
                tokio::select! {
                    changed = news.changed() => if changed.is_err() { return Ok(()) },
                    () = to.closed() => return Ok(()),
                }
            }
        }
    }

    /// The next stored entries, none of them above `head`.
    fn history(&self, mut watch: Watch, head: Pos) -> Result<(Watch, Vec<pb::Entry>), Refused> {
        let names = match watch.names.take() {
            Some(names) => names,
            None => self.names(watch.sweep)?,
        };
        let reader = self.reader()?; // one at a time: whoever waits for a second one may wait for itself
        let log = Log::Sweep(watch.sweep);
        let events = reader.events_from(Some(log), watch.after, PAGE).map_err(unread)?;
        let reports = match watch.wanted.events_only {
            true => Vec::new(),
            false => reader
                .reports_from(watch.sweep, watch.after, PAGE)
                .map_err(|error| internal(&error.to_string()))?,
        };
        // A full page ends where its last entry is: what the other kind has beyond that comes with the next one.
        let full = |last: Option<Pos>, rows: usize| last.filter(|_| rows == PAGE).unwrap_or(head);
        let until = full(events.last().map(|event| event.pos), events.len())
            .min(full(reports.last().map(|report| report.pos), reports.len()))
            .min(head);
        let mut entries = merge(&reader, watch.sweep, events, reports, &names, until);
        entries.retain(|entry| entry.n == 0 || watch.wanted.is_kind(&entry.kind));
        watch.names = Some(names);
        watch.after = until;
        Ok((watch, entries))
    }
}

fn merge(
    reader: &Reader,
    sweep: SweepId,
    events: Vec<LogEvent>,
    reports: Vec<Report>,
    names: &[String],
    until: Pos,
) -> Vec<pb::Entry> {
    let of_event = |event: LogEvent| {
        let actor = reader.actor(event.actor).ok().flatten().unwrap_or_else(|| SELF_NAME.to_owned());
        event_message(sweep, event.pos, event.n, event.at, &actor, event.kind, event.body)
    };
    let mut entries: Vec<pb::Entry> = events.into_iter().map(of_event).collect();
    entries.extend(reports.iter().map(|report| report_message(sweep, report, names)));
    entries.retain(|entry| entry.pos <= until.0);
    entries.sort_by_key(|entry| entry.pos);
    entries
}
