//! How a sweep ends, and how it is hidden and shown again.

use crate::sweep::decide::{not_now, stop};
use crate::sweep::trial::Rank;
use crate::sweep::{AfterStop, Body, Budget, EndWhy, Refusal, State, StopWhy, SweepPhase, WithdrawWhy};

/// `sweep stop`: for good.
pub(super) fn stop(state: &State) -> Result<Vec<Body>, Refusal> {
    match &state.phase {
        SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(EndWhy::Person) => Ok(Vec::new()),
        SweepPhase::Ended(_) => Err(not_now(state, "stopped")),
        SweepPhase::Running | SweepPhase::Paused { .. } | SweepPhase::Ending(_) => {
            Ok(ending(state, EndWhy::Person))
        }
    }
}

/// A limit is reached. A budget also ends what an earlier ending let go on.
pub(super) fn end(state: &State, why: EndWhy) -> Result<Vec<Body>, Refusal> {
    match &state.phase {
        SweepPhase::Running | SweepPhase::Paused { .. } => Ok(ending(state, why)),
        SweepPhase::Ending(before) if !stops_runs(*before) && stops_runs(why) => Ok(ending(state, why)),
        SweepPhase::Ending(_) | SweepPhase::Ended(_) => Ok(Vec::new()),
    }
}

/// Whether an ending stops what runs; the others let it end, retries included.
pub(in crate::sweep) fn stops_runs(why: EndWhy) -> bool {
    match why {
        EndWhy::Person | EndWhy::Wall | EndWhy::GpuHours => true,
        EndWhy::RunCap | EndWhy::SpaceUsedUp | EndWhy::Target => false,
    }
}

fn ending(state: &State, why: EndWhy) -> Vec<Body> {
    let mut bodies = vec![Body::SweepEnding { why }];
    if stops_runs(why) {
        let because = if why == EndWhy::Person { StopWhy::Person } else { StopWhy::Budget };
        bodies.extend(stop::all(state, AfterStop::End, because));
    }
    let stays = |rank: Rank| rank == Rank::Again && !stops_runs(why);
    let leaving = state.queue.iter().filter(|(rank, _)| !stays(*rank));
    bodies.extend(
        leaving.map(|(_, trial)| Body::TrialWithdrawn { trial: *trial, why: WithdrawWhy::SweepEnding }),
    );
    bodies
}

/// The last run of an ending sweep has ended.
pub(super) fn finish(state: &State) -> Result<Vec<Body>, Refusal> {
    match &state.phase {
        SweepPhase::Ending(why) if state.live.is_empty() && state.queue.is_empty() => {
            Ok(vec![Body::SweepEnded { why: *why, best: state.best() }])
        }
        SweepPhase::Ended(_) => Ok(Vec::new()),
        SweepPhase::Running | SweepPhase::Paused { .. } | SweepPhase::Ending(_) => {
            Err(Refusal::SweepState { state: state.phase.word(), asked: "finished while trials are open" })
        }
    }
}

/// A budget's amount, as the shell measured it; it counts once, when it reaches the limit.
pub(super) fn spent(state: &State, budget: Budget, amount: f64) -> Result<Vec<Body>, Refusal> {
    if !amount.is_finite() || amount < 0.0 {
        let allowed = "a finite number from 0 up";
        return Err(Refusal::OutOfRange { what: "amount", given: amount.to_string(), allowed });
    }
    let limit = match budget {
        Budget::Wall => state.definition.wall.map(|wall| wall.as_secs_f64()),
        Budget::GpuHours => state.definition.gpu_hours,
    };
    let over = matches!(state.phase, SweepPhase::Ended(_));
    let reached = !over && !state.has_used_up(budget) && limit.is_some_and(|limit| amount >= limit);
    Ok(reached.then_some(Body::BudgetReached { budget, amount }).into_iter().collect())
}

/// `delete`: what runs is stopped for good first.
pub(super) fn hide(state: &State) -> Vec<Body> {
    if state.hidden {
        return Vec::new();
    }
    let mut bodies = match &state.phase {
        SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(_) => Vec::new(),
        SweepPhase::Running | SweepPhase::Paused { .. } | SweepPhase::Ending(_) => {
            ending(state, EndWhy::Person)
        }
    };
    bodies.push(Body::SweepHidden {});
    bodies
}

/// `delete --undo`.
pub(super) fn restore(state: &State) -> Vec<Body> {
    state.hidden.then_some(Body::SweepRestored {}).into_iter().collect()
}
