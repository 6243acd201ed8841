//! What a sweep has used of its budgets, and when the next limit is reached. `wall` counts time in state running while
//! a controller was up; `gpu_hours` the runs that are over and those that live.
//!
//! No event says how much of `wall` has gone, so the sweep's row does. It is written again as time goes by, whenever the
//! core is awake anyway (its agents' heartbeats see to that): a kill costs a minute of it at most.

use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::loaded::Loaded;
use crate::sweep::{Budget, Command, SweepId};

/// How old the stored row of a sweep with a budget may be.
const NOTED: Duration = Duration::from_secs(60);
/// Rounding may bring a timer a hair too early.
const HAIR: Duration = Duration::from_millis(1);

/// When a budget of the sweep is used up, if nothing changes: now, where it is and nobody has noticed.
pub(super) fn next(loaded: &Loaded, now: Instant) -> Option<Instant> {
    if loaded.state.is_over() || loaded.state.is_hidden() {
        return None;
    }
    let definition = loaded.state.definition();
    let open = |budget| !loaded.state.has_used_up(budget);
    let wall = definition.wall.filter(|_| open(Budget::Wall)).and_then(|limit| {
        let runs = loaded.tally.running_since.is_some();
        let left = limit.as_secs_f64() - loaded.tally.wall(now).as_secs_f64();
        used_up_at(left, if runs { 1.0 } else { 0.0 }, now)
    });
    let gpus = definition.gpu_hours.filter(|_| open(Budget::GpuHours)).and_then(|limit| {
        used_up_at((limit - loaded.gpu_hours(now)) * 3600.0, f64::from(loaded.burning()), now)
    });
    [wall, gpus].into_iter().flatten().min()
}

/// When `left` seconds are gone, at `rate` of them a second.
fn used_up_at(left: f64, rate: f64, now: Instant) -> Option<Instant> {
    if left <= 0.0 {
        return Some(now);
    }
    // Never, at rate 0.
    let left = Duration::try_from_secs_f64(left / rate).ok()?;
    now.checked_add(left + HAIR)
}

impl Core {
    /// The rows of sweeps that use up a budget are written again once they are old.
    pub(super) fn note_budgets(&mut self, now: Now) {
        for (id, loaded) in &mut self.sweeps {
            let is_old = now.mono.saturating_duration_since(loaded.noted) >= NOTED;
            let runs = loaded.tally.running_since.is_some();
            if is_old && runs && loaded.state.definition().wall.is_some() && !self.is_pressed {
                self.pending.sweeps.insert(*id);
            }
            if self.pending.sweeps.contains(id) {
                loaded.noted = now.mono;
            }
        }
    }

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
