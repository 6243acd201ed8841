//! What a sweep has used of its budgets, and when the next limit is reached. `wall` counts time in state running while
//! a controller was up; `gpu_hours` the runs that are over and those that live.

use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::loaded::Loaded;
use crate::sweep::{Budget, Command, SweepId};

/// Rounding may bring a timer a hair too early.
const HAIR: Duration = Duration::from_millis(1);

/// When a budget of the sweep is used up, if nothing changes; only moments after `last` count.
pub(super) fn next(loaded: &Loaded, last: Instant) -> Option<Instant> {
    if loaded.state.is_over() {
        return None;
    }
    let ends = [wall_ends(loaded), gpu_hours_end(loaded)].into_iter().flatten();
    ends.filter_map(|end| end.checked_add(HAIR)).filter(|end| *end > last).min()
}

fn wall_ends(loaded: &Loaded) -> Option<Instant> {
    let limit = loaded.state.definition().wall?;
    loaded.tally.running_since?.checked_add(limit.saturating_sub(loaded.tally.wall))
}

fn gpu_hours_end(loaded: &Loaded) -> Option<Instant> {
    let limit = loaded.state.definition().gpu_hours?;
    let burning = f64::from(loaded.burning());
    let newest = loaded.runs.values().filter_map(|run| run.started).max().filter(|_| burning > 0.0)?;
    let left = (limit - loaded.gpu_hours(newest)).max(0.0) * 3600.0 / burning;
    newest.checked_add(Duration::try_from_secs_f64(left).ok()?)
}

impl Core {
    /// Tells each sweep what it has used, where that reaches a limit.
    pub(super) fn measure_budgets(&mut self, now: Now) {
        let mut spent: Vec<(SweepId, Budget, f64)> = Vec::new();
        for (id, loaded) in &self.sweeps {
            let definition = loaded.state.definition();
            let wall = loaded.tally.wall(now.mono).as_secs_f64();
            if definition.wall.is_some_and(|limit| wall >= limit.as_secs_f64()) {
                spent.push((*id, Budget::Wall, wall));
            }
            let hours = loaded.gpu_hours(now.mono);
            if definition.gpu_hours.is_some_and(|limit| hours >= limit) {
                spent.push((*id, Budget::GpuHours, hours));
            }
        }
        for (id, budget, amount) in spent {
            let who = self.itself();
            // Reached before, or the sweep is over: nothing changes.
            let _ = self.command(id, &Command::Spent { budget, amount }, &who, "", now);
        }
    }
}
