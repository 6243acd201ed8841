//! Pause and resume.

use crate::sweep::decide::{not_now, stop};
use crate::sweep::state::EarlyEnds;
use crate::sweep::trial::Status;
use crate::sweep::{
    AfterStop, Body, EndWhy, PauseHow, PauseWhy, Refusal, RetryWhy, State, StopWhy, SweepPhase, Trial,
};

/// No new trials. `Requeue`: running ones come back to the queue; it overrides a pause that lets them end. A fault is
/// recorded over any other reason: nothing is asked of the rules until somebody resumes.
pub(super) fn pause(state: &State, how: PauseHow, why: &PauseWhy) -> Result<Vec<Body>, Refusal> {
    let already = match &state.phase {
        SweepPhase::Running => false,
        SweepPhase::Paused { how: had, why: because } => {
            let harder = how == PauseHow::Requeue && *had == PauseHow::Drain;
            let fault = matches!(why, PauseWhy::Fault(_)) && !matches!(because, PauseWhy::Fault(_));
            !harder && !fault
        }
        SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(_) => return Err(not_now(state, "paused")),
        SweepPhase::Ending(_) => false,
    };
    if already {
        return Ok(Vec::new());
    }
    let mut bodies = vec![Body::SweepPaused { how, why: why.clone() }];
    if how == PauseHow::Requeue {
        bodies.extend(stop::all(state, AfterStop::Requeue, StopWhy::Paused));
    }
    Ok(bodies)
}

/// Goes on; a running sweep only moves to another home.
pub(super) fn resume(state: &State, home: Option<&String>, keep_going: bool) -> Result<Vec<Body>, Refusal> {
    let moves = home.is_some_and(|home| state.home.as_ref() != Some(home));
    match &state.phase {
        SweepPhase::Paused { .. } => {}
        SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(_) => return Err(not_now(state, "resumed")),
        SweepPhase::Running | SweepPhase::Ending(_) if moves => {}
        SweepPhase::Running | SweepPhase::Ending(_) => return Ok(Vec::new()),
    }
    let mut bodies = vec![Body::SweepResumed { home: home.cloned(), keep_going }];
    bodies.extend(failed_early(state).map(|trial| Body::TrialRetried { trial, why: RetryWhy::Resumed }));
    Ok(bodies)
}

/// The trials that a resume after an early failure tries again.
fn failed_early(state: &State) -> impl Iterator<Item = Trial> {
    let paused_for_it = matches!(state.phase, SweepPhase::Paused { why: PauseWhy::EarlyFailure, .. });
    let trials: &[Trial] = match &state.early {
        EarlyEnds::Alike { trials, .. } if paused_for_it => trials,
        EarlyEnds::Alike { .. } | EarlyEnds::Settled => &[],
    };
    let failed = |trial: &Trial| state.trial(*trial).is_some_and(|t| matches!(t.status, Status::Failed(_)));
    trials.iter().copied().filter(failed)
}
