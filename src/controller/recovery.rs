//! From the store back into memory: a sweep is its log, folded by the one `apply`.

use std::time::Instant;

use prost::Message;

use crate::controller::loaded::{Loaded, assigned_at};
use crate::pb;
use crate::store::{Entry, FoldError, Log, Reader, Reports};
use crate::sweep::{Body, State, SweepId, Trial};

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
    let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold(reader, id, now)));
    let mut loaded = folded.map_err(|panic| Damage::Panic(panic_text(&*panic)))??;
    loaded.state.touch_all();
    furnish(reader, &mut loaded, now).map_err(|error| Damage::Store(error.into()))?;
    Ok(loaded)
}

fn fold(reader: &mut Reader, id: SweepId, now: Instant) -> Result<Loaded, Damage> {
    let mut loaded: Option<Loaded> = None;
    let mut misfit = None;
    reader.fold(Log::Sweep(id), Reports::Live, crate::sweep::Pos(0), |entry| {
        if misfit.is_none() {
            misfit = take(&mut loaded, id, &entry, now).err();
        }
    })?;
    match (misfit, loaded) {
        (Some(misfit), _) => Err(misfit),
        (None, Some(loaded)) => Ok(loaded),
        (None, None) => Err(Damage::Empty),
    }
}

fn take(loaded: &mut Option<Loaded>, id: SweepId, entry: &Entry, now: Instant) -> Result<(), Damage> {
    match (entry, loaded.as_mut()) {
        (Entry::Event(first), None) => {
            let state = State::begin(id, first)?;
            *loaded = Some(Loaded::new(state, String::new(), String::new(), now));
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

/// What the log itself does not hold: texts, and the rows beside it.
fn furnish(reader: &Reader, loaded: &mut Loaded, now: Instant) -> Result<(), crate::store::ReadError> {
    let text = |reference: Option<&crate::sweep::TextRef>| match reference {
        Some(reference) => reader.text(reference.id).map(Option::unwrap_or_default),
        None => Ok(String::new()),
    };
    let env = text(loaded.state.env())?;
    // Erased, or none: the command runs without it.
    loaded.env = serde_json::from_str(&env).unwrap_or_default();
    loaded.notes = text(loaded.state.summary().notes.as_ref())?;
    let owner = loaded.state.summary().owner;
    loaded.owner = reader.actor(owner)?.unwrap_or_default();
    let id = loaded.state.id();
    if let Some(row) = reader.sweep(id)? {
        loaded.project = row.project;
        let message = pb::Sweep::decode(row.body.as_slice()).unwrap_or_default();
        loaded.tally.restore(&message, now);
        loaded.best = message.best;
    }
    let open: Vec<Trial> =
        (1..=loaded.state.trials()).map(Trial).filter(|trial| loaded.state.needs_reports(*trial)).collect();
    for trial in open {
        if let Some(row) = reader.trial(id, trial.0)? {
            loaded.rows.insert(trial, pb::Trial::decode(row.body.as_slice()).unwrap_or_default());
        }
    }
    Ok(())
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
