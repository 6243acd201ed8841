//! What a run's own messages mean: its start, its end, and that nobody will see its end.
//!
//! A message counts only with the fence of the trial's newest run.

use crate::sweep::outcome::{Circumstances, outcome};
use crate::sweep::trial::{Live, Past, TrialState};
use crate::sweep::{Body, Ended, Exit, Fence, LostWhy, Outcome, Refusal, Run, Started, State};

/// The run that a message speaks of.
pub(super) enum Sender<'a> {
    Live(&'a TrialState, &'a Live),
    /// It is the trial's newest, and over.
    Past(Past),
}

/// Who sends; refused with both attempts' names where another run is current.
pub(super) fn sender(state: &State, run: Run, fence: Fence) -> Result<Sender<'_>, Refusal> {
    let trial = state.trial(run.trial).ok_or(Refusal::NoSuchRun { run })?;
    if run.attempt == 0 || run.attempt > trial.attempt {
        return Err(Refusal::NoSuchRun { run });
    }
    let current = trial.live().map(|live| live.fence).or(trial.past.map(|past| past.fence));
    let current_fence = current.ok_or(Refusal::NoSuchRun { run })?;
    if current_fence != fence || run.attempt != trial.attempt {
        let current = trial.run(run.trial);
        return Err(Refusal::Superseded { given: run, given_fence: fence, current, current_fence });
    }
    match (trial.live(), trial.past) {
        (Some(live), _) => Ok(Sender::Live(trial, live)),
        (None, Some(past)) => Ok(Sender::Past(past)),
        (None, None) => Err(Refusal::NoSuchRun { run }),
    }
}

pub(super) fn started(
    state: &State,
    run: Run,
    fence: Fence,
    started: &Started,
) -> Result<Vec<Body>, Refusal> {
    let Sender::Live(_, live) = sender(state, run, fence)? else { return Ok(Vec::new()) };
    match live.phase.nonce() {
        None => Ok(vec![Body::RunStarted { run, started: Box::new(started.clone()) }]),
        Some(nonce) if nonce == started.nonce => Ok(Vec::new()),
        Some(_) => Err(Refusal::SecondStart { run }),
    }
}

pub(super) fn ended(state: &State, run: Run, fence: Fence, ended: &Ended) -> Result<Vec<Body>, Refusal> {
    match sender(state, run, fence)? {
        Sender::Live(trial, live) => Ok(vec![end_of(state, run, trial, live, ended.clone())]),
        Sender::Past(_) => Ok(Vec::new()),
    }
}

pub(super) fn lost(state: &State, run: Run, fence: Fence, why: LostWhy) -> Result<Vec<Body>, Refusal> {
    match sender(state, run, fence)? {
        Sender::Live(trial, live) => Ok(vec![loss_of(state, run, trial, live, why)]),
        Sender::Past(_) => Ok(Vec::new()),
    }
}

/// The end that the core gives a run which nobody will see end.
pub(super) fn loss_of(state: &State, run: Run, trial: &TrialState, live: &Live, why: LostWhy) -> Body {
    let devices: usize = live.placements.iter().map(|placement| placement.devices.len()).sum();
    let ended = Ended {
        exit: Exit::Lost(why),
        signalled: false,
        killed: false,
        timed_out: false,
        reports: live.reports,
        last_seq: live.seq,
        digest: String::new(),
        wall_ms: 0,
        cpu_ms: 0,
        peak_memory: 0,
        gpus: u32::try_from(devices).unwrap_or(u32::MAX),
        tail: None,
        notes: Vec::new(),
    };
    end_of(state, run, trial, live, ended)
}

fn end_of(state: &State, run: Run, trial: &TrialState, live: &Live, mut ended: Ended) -> Body {
    ended.last_seq = ended.last_seq.max(live.seq);
    let outcome = outcome(&ended, circumstances(state, trial, live));
    let marks = match outcome {
        Outcome::Queued(_) => None,
        Outcome::Succeeded | Outcome::Stopped(_) | Outcome::Failed(_) => {
            Some(Box::new(state.marks_so_far(run.trial)))
        }
    };
    Body::RunEnded { run, outcome, ended: Box::new(ended), marks }
}

fn circumstances(state: &State, trial: &TrialState, live: &Live) -> Circumstances {
    Circumstances {
        stop: live.phase.stop(),
        retries_left: state.definition.retries.saturating_sub(trial.crashes),
        losses: trial.losses,
        objective: trial.curve().map_or_else(Default::default, |curve| curve.objective_seen(&state.watched)),
    }
}
