//! A slot, or a caller, takes a trial: a queued one, one whose run is silent, or a new one.

use crate::sweep::decide::run::loss_of;
use crate::sweep::trial::Status;
use crate::sweep::{
    Body, Fence, Head, Lease, LostWhy, Outcome, Placement, Refusal, Run, Source, State, Suggestion, Trial,
    due,
};

/// Who takes it: an agent's slot, or a caller with its lease.
#[derive(Clone, Copy)]
pub(super) struct Taker<'a> {
    pub(super) placements: &'a [Placement],
    pub(super) lease: Option<Lease>,
}

pub(super) fn assign(
    state: &State,
    trial: Option<Trial>,
    taker: Taker<'_>,
    suggestion: Option<&Suggestion>,
    head: Head,
) -> Result<Vec<Body>, Refusal> {
    let mut bodies = match trial {
        Some(trial) => taken(state, trial)?,
        None => proposal(state, suggestion)?,
    };
    if matches!(bodies.last(), Some(Body::RunEnded { outcome, .. }) if !matches!(outcome, Outcome::Queued(_)))
    {
        return Ok(bodies); // the loss was one too many: there is no next attempt
    }
    let trial = trial.unwrap_or(state.next_trial());
    let attempt = state.trial(trial).map_or(0, |known| known.attempt) + 1;
    let fence = Fence::new(head.epoch, head.pos(bodies.len()));
    let Taker { placements, lease } = taker;
    let placements = placements.to_vec();
    bodies.push(Body::RunAssigned { run: Run { trial, attempt }, fence, placements, lease });
    Ok(bodies)
}

/// What precedes the assignment of a trial that exists.
fn taken(state: &State, trial: Trial) -> Result<Vec<Body>, Refusal> {
    let known = state.known(trial)?;
    match &known.status {
        Status::Queued(_) if due::hands_out(state) => Ok(Vec::new()),
        Status::Running(live) if live.phase.stop().is_none() && due::hands_out(state) => {
            Ok(vec![loss_of(state, known.run(trial), known, live, LostWhy::Replaced)])
        }
        Status::Queued(_) | Status::Running(_) => {
            Err(Refusal::SweepState { state: state.phase.word(), asked: "handed out" })
        }
        Status::Succeeded | Status::Stopped(_) | Status::Withdrawn(_) | Status::Failed(_) => {
            Err(Refusal::TrialState { trial, state: known.shown().word(), asked: "run" })
        }
    }
}

fn proposal(state: &State, suggestion: Option<&Suggestion>) -> Result<Vec<Body>, Refusal> {
    let refusal = Refusal::SweepState { state: state.phase.word(), asked: "given new trials" };
    if !due::proposes(state) {
        return Err(refusal);
    }
    let (trial, version) = (state.next_trial(), state.version);
    if state.learns() {
        let suggestion = suggestion.filter(|suggestion| state.suits(suggestion));
        return Ok(suggested(state, suggestion.ok_or(Refusal::NoSuggestion { trial })?));
    }
    let next = state.proposals.next(&state.definition, state.birth.seed, trial);
    let (assignment, source) = next.ok_or(refusal)?;
    Ok(vec![Body::TrialProposed { trial, assignment, source, reason: None, basis: state.pos, version }])
}

/// A suggestion becomes a trial; before it comes the fit that it was made with.
fn suggested(state: &State, suggestion: &Suggestion) -> Vec<Body> {
    let Suggestion { trial, point, reason, fit, basis, version } = suggestion.clone();
    let fitted = fit.map(|fit| Body::ModelFitted { fit: Box::new(fit), basis });
    let proposed = Body::TrialProposed {
        trial,
        assignment: state.definition.space.assignment(&point),
        source: Source::Model,
        reason: Some(Box::new(reason)),
        basis,
        version,
    };
    fitted.into_iter().chain([proposed]).collect()
}
