//! What a sweep has used of its budgets, and when the next limit is reached. `wall` counts time in state running while
//! a controller was up; `gpu_hours` the runs that are over and those that live.

use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::loaded::Loaded;
use crate::sweep::{Budget, Command, SweepId};

/// Rounding may bring a timer a hair too early.
const HAIR: Duration = Duration::from_millis(1);

/// When a budget of the sweep is used up, if nothing changes.
pub(super) fn next(loaded: &Loaded, now: Instant) -> Option<Instant> {
    if loaded.state.is_over() {
        return None;
    }
    let definition = loaded.state.definition();
    let wall = definition.wall.filter(|_| loaded.tally.running_since.is_some()).and_then(|limit| {
        let left = limit.saturating_sub(loaded.tally.wall(now));
        (!left.is_zero()).then(|| now + left + HAIR)
    });
    let burning = f64::from(loaded.burning());
    let gpus = definition.gpu_hours.filter(|_| burning > 0.0).and_then(|limit| {
        let left = (limit - loaded.gpu_hours(now)) * 3600.0 / burning;
        let left = Duration::try_from_secs_f64(left).ok().filter(|left| !left.is_zero())?;
        now.checked_add(left + HAIR)
    });
    [wall, gpus].into_iter().flatten().min()
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
