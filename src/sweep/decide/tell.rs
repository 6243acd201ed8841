//! Who may say what became of a trial: the caller that has its newest run.

use crate::sweep::trial::{Status, TrialState};
use crate::sweep::{Fence, Refusal, Run, RunView, State, Trial};

/// The run that is told about. `attempt` and `fence`: those of the caller, where it says them; what it says late, of a run
/// that another took over or that is over, is refused.
pub fn teller(
    state: &State,
    trial: Trial,
    attempt: Option<u32>,
    fence: Option<Fence>,
) -> Result<RunView, Refusal> {
    let known = state.known(trial)?;
    let attempt = attempt.unwrap_or(known.attempt);
    late(known, Run { trial, attempt })?;
    let Status::Running(live) = &known.status else {
        return Err(Refusal::TrialState { trial, state: known.shown().word(), asked: "told about" });
    };
    let (current, current_fence) = (known.run(trial), live.fence);
    if live.lease.is_none() {
        let host = live.placements.first().map(|place| place.host.clone()).unwrap_or_default();
        return Err(Refusal::NotAsked { run: current, host });
    }
    match fence.filter(|fence| *fence != current_fence) {
        Some(given_fence) => Err(Refusal::Superseded { given: current, given_fence, current, current_fence }),
        None => state.live_run(trial).ok_or(Refusal::NoSuchRun { run: current }),
    }
}

/// Refuses what is said of an attempt that is not the newest, or that the trial does not wait for any more.
fn late(known: &TrialState, given: Run) -> Result<(), Refusal> {
    match &known.status {
        _ if given.attempt > known.attempt => Err(Refusal::NoSuchRun { run: given }),
        Status::Queued(_) if known.attempt > 0 => {
            Err(Refusal::Late { given, current: known.attempt + 1, is_queued: true })
        }
        _ if given.attempt < known.attempt => {
            Err(Refusal::Late { given, current: known.attempt, is_queued: false })
        }
        _ => Ok(()),
    }
}
