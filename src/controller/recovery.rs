//! From the store back into memory: a sweep is its log, folded by the one `apply`.

use std::time::{Duration, Instant};

use prost::Message;

use crate::controller::loaded::{Loaded, assigned_at};
use crate::controller::row;
use crate::pb;
use crate::store::{Entry, FoldError, Log, ReadError, Reader, Reports};
use crate::sweep::{Body, Event, Pos, State, SweepId, SweepPhase, Timestamp, Trial};

/// Why a sweep cannot be loaded; the others go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error(transparent)]
    Store(#[from] FoldError),
    #[error(transparent)]
    Misfit(#[from] crate::sweep::Damaged),
    #[error("its log is empty")]
    Empty,
    #[error("an entry of its log ends swath's own code: {0}")]
    Panic(String),
}

/// Folds a sweep's log.
pub(super) fn load(reader: &mut Reader, id: SweepId, now: Instant) -> Result<Loaded, Damage> {
    let mut loaded = fold(reader, id, Reports::Live, now, |_, _| {})?;
    read_rows(reader, &mut loaded).map_err(|error| Damage::Store(error.into()))?;
    Ok(loaded)
}

/// A sweep as its log alone has it; `seen` is told each event once the sweep has taken it in.
pub(super) fn fold(
    reader: &mut Reader,
    id: SweepId,
    reports: Reports,
    now: Instant,
    mut seen: impl FnMut(&mut Loaded, &Event),
) -> Result<Loaded, Damage> {
    let unread = |error: ReadError| Damage::Store(error.into());
    let mut wall = Wall { starts: reader.epochs().map_err(unread)?, ..Wall::default() };
    let mut loaded: Option<Loaded> = None;
    let mut misfit = None;
    let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reader.fold(Log::Sweep(id), reports, Pos(0), |entry| {
            if misfit.is_some() {
                return;
            }
            misfit = take(&mut loaded, id, &entry, now).err();
            if let (Entry::Event(event), Some(loaded), None) = (&entry, &mut loaded, &misfit) {
                wall.take(event, loaded.state.phase());
                seen(loaded, event);
            }
        })
    }));
    folded.map_err(|panic| Damage::Panic(panic_text(&*panic)))??;
    let mut loaded = match (misfit, loaded) {
        (Some(misfit), _) => return Err(misfit),
        (None, Some(loaded)) => loaded,
        (None, None) => return Err(Damage::Empty),
    };
    loaded.tally.wall = wall.total;
    loaded.count_infeasible();
    loaded.state.touch_all();
    read_texts(reader, &mut loaded).map_err(unread)?;
    Ok(loaded)
}

/// Adds up the time in which a sweep was running while a controller was up: between two of its events, or an epoch's
/// beginning and an event. What an epoch did after its last event is not known.
#[derive(Default)]
struct Wall {
    /// Beginnings of epochs, in order.
    starts: Vec<(Pos, Timestamp)>,
    begun: usize,
    /// The sweep was running from here on.
    since: Option<Timestamp>,
    total: Duration,
}

impl Wall {
    fn take(&mut self, event: &Event, phase: &SweepPhase) {
        while let Some((_, at)) = self.starts.get(self.begun).filter(|(pos, _)| *pos < event.pos) {
            self.since = self.since.map(|_| *at);
            self.begun += 1;
        }
        if let Some(since) = self.since {
            self.total += Duration::from_micros(u64::try_from(event.at.0 - since.0).unwrap_or(0));
        }
        let runs = matches!(phase, SweepPhase::Running | SweepPhase::Ending(_));
        self.since = runs.then_some(event.at);
    }
}

fn take(loaded: &mut Option<Loaded>, id: SweepId, entry: &Entry, now: Instant) -> Result<(), Damage> {
    match (entry, loaded.as_mut()) {
        (Entry::Event(first), None) => {
            let state = State::begin(id, first)?;
            *loaded = Some(Loaded::new(state, String::new(), now));
        }
        (Entry::Event(event), Some(loaded)) => {
            loaded.state.apply(event)?;
            loaded.follow(event, now);
            if let Body::RunAssigned { run, .. } = &event.body
                && let Some(live) = loaded.runs.get_mut(&run.trial)
            {
                live.names = None; // whoever was told them is gone
            }
        }
        (Entry::Report(report), Some(loaded)) => {
            loaded.state.apply_report(report)?;
            let objective = loaded.objective();
            if let Some(live) = loaded.runs.get_mut(&report.run.trial) {
                live.report(report, objective);
            }
        }
        (Entry::Report(_) | Entry::Store(_), _) => {}
    }
    Ok(())
}

/// What events only refer to.
fn read_texts(reader: &Reader, loaded: &mut Loaded) -> Result<(), ReadError> {
    let text = |reference: Option<&crate::sweep::TextRef>| match reference {
        Some(reference) => reader.text(reference.id).map(Option::unwrap_or_default),
        None => Ok(String::new()),
    };
    let env = text(loaded.state.env())?;
    // Erased, or none: the command runs without it.
    loaded.env = serde_json::from_str(&env).unwrap_or_default();
    loaded.notes = text(loaded.state.summary().notes.as_ref())?;
    loaded.tally.failed_tail = text(loaded.tally.failed.as_ref())?;
    let owner = loaded.state.summary().owner;
    loaded.owner = reader.actor(owner)?.unwrap_or_default();
    Ok(())
}

/// The rows that go on: those of trials that are not final, and the best one's.
fn read_rows(reader: &Reader, loaded: &mut Loaded) -> Result<(), ReadError> {
    let id = loaded.state.id();
    if let Some(row) = reader.sweep(id)? {
        // Up to its last commit the process before this one knew better than the log.
        let wall = pb::Sweep::decode(row.body.as_slice()).unwrap_or_default().wall;
        let wall = wall.and_then(|wall| Duration::try_from(wall).ok()).unwrap_or_default();
        loaded.tally.wall = loaded.tally.wall.max(wall);
    }
    let read = |trial: Trial| -> Result<Option<pb::Trial>, ReadError> {
        Ok(reader.trial(id, trial.0)?.and_then(|row| pb::Trial::decode(row.body.as_slice()).ok()))
    };
    if let Some(best) = loaded.state.best() {
        loaded.best = read(best)?;
    }
    for trial in (1..=loaded.state.trials()).map(Trial) {
        if loaded.state.needs_reports(trial)
            && let Some(row) = read(trial)?
        {
            if let Some(live) = loaded.runs.get_mut(&trial) {
                live.know_names(&row);
            }
            loaded.rows.insert(trial, row);
        }
    }
    Ok(())
}

/// The rows of a sweep and all its trials, made from the log alone.
pub(super) fn rows(reader: &mut Reader, texts: &Reader, id: SweepId, now: Instant) -> Result<Loaded, Damage> {
    let mut rows = std::collections::BTreeMap::new();
    let mut loaded = fold(reader, id, Reports::All, now, |loaded, event| {
        let Some(trial) = row::about(&event.body) else { return };
        let row = rows.entry(trial).or_insert_with(|| row::fresh(&loaded.state, trial));
        // A text or a name that is not there was erased.
        let text = row::text_of(&event.body).and_then(|text| texts.text(text.id).ok().flatten());
        let author = texts.actor(event.actor).ok().flatten();
        let beside = row::Beside {
            author: author.as_deref().unwrap_or_default(),
            text: text.as_deref().unwrap_or_default(),
        };
        if let (Body::RunEnded { .. }, Some((values, step))) = (&event.body, loaded.ended_last.take()) {
            row.last = values;
            row.last_step = step;
        }
        row::take(row, event, &loaded.state, beside);
    })?;
    loaded.best = loaded.state.best().and_then(|best| rows.get(&best).cloned());
    loaded.rows = rows;
    Ok(loaded)
}

/// The text of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// The key of a run's reports.
pub(super) fn report_key(fence: u64) -> crate::sweep::Pos {
    assigned_at(crate::sweep::Fence(fence))
}
