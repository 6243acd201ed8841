//! The listings made anew from the logs: they are derived, so a damaged page of them costs nobody anything.

use std::time::Instant;

use crate::controller::core::{Fatal, fatal};
use crate::controller::loaded::Loaded;
use crate::controller::{recovery, row};
use crate::store::{Batch, Entry, Log, Reports, Store, StoreBody};
use crate::sweep::{Pos, SweepId};

/// Rows of one commit.
const ROWS: usize = 1000;

/// Throws the listings away and fills them by folding every sweep. One that cannot be folded stays out of them.
pub(super) fn rebuild(store: &mut Store, now: Instant) -> Result<(), Fatal> {
    let sweeps = registered(store)?;
    let texts = store.readers().get()?;
    store.clear_projections().map_err(fatal)?;
    let mut reader = store.readers().get()?;
    for id in sweeps {
        match recovery::rows(&mut reader, &texts, id, now) {
            Ok(loaded) => write(store, id, &loaded, now)?,
            Err(damage) => tracing::error!(sweep = %id, %damage, "the sweep cannot be listed"),
        }
    }
    Ok(())
}

fn registered(store: &Store) -> Result<Vec<SweepId>, Fatal> {
    let mut sweeps = Vec::new();
    let take = |entry| {
        if let Entry::Store(event) = entry
            && let StoreBody::SweepRegistered { sweep } = event.body
        {
            sweeps.push(sweep);
        }
    };
    store.fold(Log::Store, Reports::None, Pos(0), take).map_err(|error| Fatal::Broken(error.to_string()))?;
    Ok(sweeps)
}

fn write(store: &mut Store, id: SweepId, loaded: &Loaded, now: Instant) -> Result<(), Fatal> {
    let rows: Vec<_> = loaded.rows.values().collect();
    for rows in rows.chunks(ROWS) {
        let mut batch = Batch::default();
        rows.iter().for_each(|trial| batch.trial_row(row::stored(id, trial)));
        store.append(&batch).map_err(fatal)?;
    }
    let mut batch = Batch::default();
    let created = loaded.state.summary().created;
    batch.sweep_row(row::stored_sweep(id, created, &loaded.message(now, false)));
    store.append(&batch).map_err(fatal)?;
    Ok(())
}
