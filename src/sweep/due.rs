//! What the state asks for now, one command at a time, in a fixed order: stops earned, pauses for what goes wrong,
//! ends, and, where a slot is free, the trial that takes it.
//!
//! Looks at what changed since it last found nothing ([`State::settle`]); [`State::touch_all`] makes it look at
//! everything. A sweep that a fault paused is asked nothing: a rule that panics would panic again.

use crate::space::{stream, uniform};
use crate::stopping;
use crate::sweep::apply::EARLY;
use crate::sweep::decide::stops_runs;
use crate::sweep::state::{EarlyEnds, TRIALS};
use crate::sweep::trial::{Live, TrialState};
use crate::sweep::{
    AfterStop, Budget, Command, EndWhy, Evidence, LostWhy, Offer, PauseHow, PauseWhy, State, StopWhy,
    SweepPhase, Trial,
};

/// Runs in a row that a machine could not start: something is wrong with all of them.
const FLAPPING: u32 = 5;

/// The next command that the state asks for; `offer`: a slot that the scheduler has for this sweep.
pub fn due(state: &State, offer: Option<&Offer>) -> Option<Command> {
    if matches!(state.phase, SweepPhase::Paused { why: PauseWhy::Fault(_), .. } | SweepPhase::Ended(_)) {
        return None;
    }
    stop_earned(state)
        .or_else(|| trouble(state))
        .or_else(|| taken_back(state))
        .or_else(|| ending(state))
        .or_else(|| offer.and_then(|offer| assignment(state, offer)))
}

impl State {
    /// `due` has found nothing: it need not look at this again.
    pub fn settle(&mut self) {
        self.touched.clear();
    }

    /// Makes `due` look at everything, as it must after a fold.
    pub fn touch_all(&mut self) {
        self.touched = self.live.clone();
    }
}

fn stop_earned(state: &State) -> Option<Command> {
    let judge = |trial: Trial| {
        let known = state.trial(trial)?;
        let live = known.live()?;
        if matches!(live.phase.stop(), Some((AfterStop::End, _))) {
            return None;
        }
        let run = known.run(trial);
        match earned(state, trial, known)? {
            (StopWhy::Rule, Some(evidence)) if is_audited(state, trial) => {
                Some(Command::SpareRun { run, evidence })
            }
            (why, evidence) => Some(Command::StopRun { run, then: AfterStop::End, why, evidence }),
        }
    };
    state.touched.iter().find_map(|trial| judge(*trial))
}

fn earned(state: &State, trial: Trial, known: &TrialState) -> Option<(StopWhy, Option<Evidence>)> {
    if known.curve()?.diverged(&state.watched) {
        return Some((StopWhy::Diverged, None));
    }
    let rule = state.rule.as_ref().filter(|_| !known.spared)?;
    let stopping::Evidence { rung, value, threshold, count, chance } = rule.verdict(trial.0)?;
    let rule = rule.name().to_owned();
    Some((StopWhy::Rule, Some(Evidence { rule, rung, value, threshold, count, chance })))
}

/// Whether a trial is of the share that goes on although the rule condemns it.
fn is_audited(state: &State, trial: Trial) -> bool {
    let share = state.definition.early_terminate.as_ref().map_or(0.0, |stopping| stopping.audit);
    share > 0.0 && uniform(&mut stream(state.birth.seed, "audit", u64::from(trial.0))) < share
}

/// Pauses: the first trials all failed alike, or no machine can start anything.
fn trouble(state: &State) -> Option<Command> {
    let going = match &state.phase {
        SweepPhase::Running => true,
        SweepPhase::Ending(why) => !stops_runs(*why),
        SweepPhase::Paused { .. } | SweepPhase::Ended(_) => false,
    };
    if !going {
        return None;
    }
    let early = matches!(&state.early, EarlyEnds::Alike { trials, .. } if trials.len() >= EARLY);
    let why = if early {
        PauseWhy::EarlyFailure
    } else if state.failed_starts >= FLAPPING {
        PauseWhy::Flapping
    } else {
        return None;
    };
    Some(Command::Pause { how: PauseHow::Drain, why })
}

/// A caller's run in a sweep that stops what runs: there is no process to wait for.
fn taken_back(state: &State) -> Option<Command> {
    let SweepPhase::Ending(why) = &state.phase else { return None };
    let trial = state.asked.first().filter(|_| stops_runs(*why))?;
    let known = state.trial(*trial)?;
    Some(Command::Lost { run: known.run(*trial), fence: known.live()?.fence, why: LostWhy::Ended })
}

fn ending(state: &State) -> Option<Command> {
    let budget = state.budget_used().map(|(budget, _, _)| match budget {
        Budget::Wall => EndWhy::Wall,
        Budget::GpuHours => EndWhy::GpuHours,
    });
    match (&state.phase, budget) {
        (SweepPhase::Running | SweepPhase::Paused { .. }, Some(why)) => Some(Command::End { why }),
        (SweepPhase::Ending(before), Some(why)) if !stops_runs(*before) => Some(Command::End { why }),
        (SweepPhase::Running, None) => reached(state).map(|why| Command::End { why }),
        (SweepPhase::Ending(_), _) => {
            (state.live.is_empty() && state.queue.is_empty()).then_some(Command::Finish)
        }
        (SweepPhase::Paused { .. }, None) | (SweepPhase::Ended(_), _) => None,
    }
}

/// The limit that a running sweep has reached. The target ends it at once, the others when nothing is queued.
fn reached(state: &State) -> Option<EndWhy> {
    let target = !state.at_target.is_empty();
    if target && !state.target_waived {
        return Some(EndWhy::Target);
    }
    if !state.queue.is_empty() {
        return None;
    }
    if state.trial_count() >= cap(state) {
        Some(EndWhy::RunCap)
    } else if target {
        Some(EndWhy::Target)
    } else if state.used_up() {
        Some(EndWhy::SpaceUsedUp)
    } else {
        None
    }
}

fn cap(state: &State) -> u32 {
    state.definition.run_cap.unwrap_or(TRIALS).min(TRIALS)
}

fn assignment(state: &State, offer: &Offer) -> Option<Command> {
    if !hands_out(state) {
        return None;
    }
    let Offer { placements, lease, .. } = offer;
    let assign = |trial| {
        let placements = placements.clone();
        Some(Command::Assign { trial, placements, lease: *lease, suggestion: None })
    };
    let is_replaceable = |live: &Live| live.lease.is_none() && live.phase.stop().is_none();
    let replaced = state.live().find(|(trial, _, live)| offer.silent.contains(trial) && is_replaceable(live));
    if let Some((trial, _, _)) = replaced {
        return assign(Some(trial));
    }
    if lease.is_none() && state.placed() >= state.parallel(offer.parallel) {
        return None;
    }
    let queued = state.queue.iter().map(|(_, trial)| *trial).find(|trial| !offer.held_back.contains(trial));
    match queued {
        Some(trial) => assign(Some(trial)),
        None if proposes(state) && (offer.has_suggestion || !state.learns()) => assign(None),
        None => None,
    }
}

/// Whether this offer waits for a suggestion alone.
pub fn lacks_suggestion(state: &State, offer: &Offer) -> bool {
    let with = Offer { has_suggestion: true, ..offer.clone() };
    let waits = matches!(assignment(state, &with), Some(Command::Assign { trial: None, .. }));
    waits && assignment(state, offer).is_none()
}

/// Whether trials are handed out at all.
pub(super) fn hands_out(state: &State) -> bool {
    match &state.phase {
        _ if state.hidden => false,
        SweepPhase::Running => true,
        SweepPhase::Ending(why) => !stops_runs(*why),
        SweepPhase::Paused { .. } | SweepPhase::Ended(_) => false,
    }
}

/// Whether new trials are proposed.
pub(super) fn proposes(state: &State) -> bool {
    state.phase == SweepPhase::Running
        && !state.hidden
        && state.at_target.is_empty()
        && state.trial_count() < cap(state)
        && !state.used_up()
}
