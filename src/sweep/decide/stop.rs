//! Stops: of one run, of one trial, of everything that runs.
//!
//! `end` overrides `requeue`, never the reverse; a stop that is on its way already is not given again.

use crate::sweep::trial::{Live, Status};
use crate::sweep::{AfterStop, Body, Evidence, Refusal, Run, State, StopWhy, Trial, WithdrawWhy};

/// A run is not worth going on; nothing if it is over or superseded meanwhile.
pub(super) fn run(
    state: &State,
    run: Run,
    then: AfterStop,
    why: StopWhy,
    evidence: Option<&Evidence>,
) -> Result<Vec<Body>, Refusal> {
    let trial = state.known(run.trial)?;
    let live = trial.live().filter(|live| trial.attempt == run.attempt && is_new(live, then));
    Ok(live.map(|_| Body::StopDecided { run, then, why, evidence: evidence.cloned() }).into_iter().collect())
}

/// The audit lets a condemned run go on; nothing if it is over or superseded meanwhile.
pub(super) fn spare(state: &State, run: Run, evidence: &Evidence) -> Result<Vec<Body>, Refusal> {
    let trial = state.known(run.trial)?;
    let is_current = trial.live().is_some() && trial.attempt == run.attempt && !trial.spared;
    Ok(is_current.then(|| Body::RunSpared { run, evidence: evidence.clone() }).into_iter().collect())
}

fn is_new(live: &Live, then: AfterStop) -> bool {
    live.phase.stop().is_none_or(|(decided, _)| then > decided)
}

/// `trial stop`: a queued one is withdrawn.
pub(super) fn trial(state: &State, trial: Trial) -> Result<Vec<Body>, Refusal> {
    let known = state.known(trial)?;
    match &known.status {
        Status::Queued(_) => Ok(vec![Body::TrialWithdrawn { trial, why: WithdrawWhy::Person }]),
        Status::Running(_) => run(state, known.run(trial), AfterStop::End, StopWhy::Person, None),
        Status::Succeeded | Status::Stopped(_) | Status::Withdrawn(_) | Status::Failed(_) => {
            Err(Refusal::TrialState { trial, state: known.shown().word(), asked: "stopped" })
        }
    }
}

/// Stops everything that runs; a pause leaves callers their trials.
pub(super) fn all(state: &State, then: AfterStop, why: StopWhy) -> impl Iterator<Item = Body> {
    state
        .live()
        .filter(move |(_, _, live)| is_new(live, then) && (then == AfterStop::End || live.lease.is_none()))
        .map(move |(trial, known, _)| Body::StopDecided { run: known.run(trial), then, why, evidence: None })
}
