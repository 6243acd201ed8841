//! A trial as people see it: made from its events, one after the other, and kept beside them as a row of the store.
//! Derived: the log alone can make it again.

use std::time::Duration;

use prost::Message as _;

use crate::controller::{reasons, words};
use crate::pb;
use crate::space::stream;
use crate::store::{SweepRow, TrialRow};
use crate::sweep::{
    Body, Ended, Event, Mark, Phase, Shown, State, SweepId, TextRef, Timestamp, Trial, TrialView,
};

/// What an event needs beside itself to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside<'a> {
    /// The name of who did it.
    pub(super) author: &'a str,
    /// The text that the event refers to.
    pub(super) text: &'a str,
}

/// The trial that an event is about; none: the sweep itself.
pub(super) fn about(body: &Body) -> Option<Trial> {
    match body {
        Body::TrialProposed { trial, .. }
        | Body::TrialRetried { trial, .. }
        | Body::TrialWithdrawn { trial, .. }
        | Body::Excluded { trial }
        | Body::Included { trial } => Some(*trial),
        Body::RunAssigned { run, .. }
        | Body::RunStarted { run, .. }
        | Body::StopDecided { run, .. }
        | Body::RunSpared { run, .. }
        | Body::RunEnded { run, .. } => Some(run.trial),
        Body::Annotated { trial, .. } | Body::Tagged { trial, .. } => *trial,
        Body::SweepCreated { .. }
        | Body::SweepChanged { .. }
        | Body::SweepPaused { .. }
        | Body::SweepResumed { .. }
        | Body::SweepEnding { .. }
        | Body::SweepEnded { .. }
        | Body::SweepHidden {}
        | Body::SweepRestored {}
        | Body::MetricNamed { .. }
        | Body::ModelFitted { .. }
        | Body::BudgetReached { .. } => None,
    }
}

/// The text that an event of a trial refers to.
pub(super) fn text_of(body: &Body) -> Option<&TextRef> {
    match body {
        Body::RunEnded { ended, .. } => ended.tail.as_ref(),
        Body::Annotated { text, .. } => Some(text),
        _ => None,
    }
}

/// The row as it is stored.
pub(super) fn stored(sweep: SweepId, row: &pb::Trial) -> TrialRow {
    let value = row.objectives.first().and_then(|objective| objective.value);
    let over = [pb::trial::State::Succeeded, pb::trial::State::Stopped].map(i32::from);
    TrialRow {
        sweep,
        trial: row.trial,
        state: pb::trial::State::try_from(row.state).unwrap_or_default().as_str_name().to_lowercase(),
        value,
        ranked: value.filter(|_| row.feasible && over.contains(&row.state)),
        seconds: seconds(row),
        body: row.encode_to_vec(),
    }
}

fn seconds(row: &pb::Trial) -> f64 {
    let of = |duration: &prost_types::Duration| duration.seconds as f64 + f64::from(duration.nanos) * 1e-9;
    row.runs.iter().filter_map(|run| run.duration.as_ref()).map(of).sum()
}

/// A sweep's row as it is stored.
pub(super) fn stored_sweep(id: SweepId, created: Timestamp, message: &pb::Sweep) -> SweepRow {
    SweepRow {
        id,
        name: message.name.clone(),
        project: message.project.clone(),
        state: pb::sweep::State::try_from(message.state).unwrap_or_default().as_str_name().to_lowercase(),
        hidden: message.hidden,
        created,
        body: message.encode_to_vec(),
    }
}

/// A trial's row before its first event.
pub(super) fn fresh(state: &State, trial: Trial) -> pb::Trial {
    pb::Trial {
        sweep: state.id().to_string(),
        trial: trial.0,
        seed: seed(state, trial),
        ..Default::default()
    }
}

/// `SWATH_SEED`: the same for all attempts of a trial.
pub(super) fn seed(state: &State, trial: Trial) -> u32 {
    use rand::Rng;
    stream(state.seed(), "trial", u64::from(trial.0)).next_u32() >> 1
}

/// Takes an event of the trial in; `state` has taken it in already.
pub(super) fn take(row: &mut pb::Trial, event: &Event, state: &State, beside: Beside<'_>) {
    let mut last_end = None;
    let mut moves = true;
    match &event.body {
        Body::TrialProposed { assignment, source, reason, .. } => {
            row.params = Some(assignment.into());
            row.source = reasons::of_source(*source, reason.as_deref(), state.definition());
            row.proposed = Some(pb::timestamp(event.at));
        }
        Body::RunAssigned { run, fence, placements, lease } => row.runs.push(pb::Run {
            attempt: run.attempt,
            state: pb::run::State::Assigned.into(),
            placements: placements.iter().map(Into::into).collect(),
            fence: fence.0,
            caller: lease.map(|_| beside.author.to_owned()).unwrap_or_default(),
            start: lease.map(|_| pb::timestamp(event.at)),
            lease_end: lease.map(|lease| pb::timestamp(event.at.after(Duration::from_millis(lease.ms)))),
            ..Default::default()
        }),
        Body::RunStarted { started, .. } => {
            row.command.clone_from(&started.argv);
            row.environment = started.facts.iter().cloned().collect();
            if let Some(run) = row.runs.last_mut() {
                run.start = Some(pb::timestamp(started.at));
                run.notes.clone_from(&started.notes);
            }
        }
        Body::StopDecided { why, evidence, .. } => {
            if let Some(run) = row.runs.last_mut() {
                run.stop = words::of_stop(*why, evidence.as_ref());
            }
        }
        Body::RunSpared { evidence, .. } => {
            if let Some(run) = row.runs.last_mut() {
                run.notes.push(words::of_spared(evidence));
            }
        }
        Body::RunEnded { ended, .. } => {
            beside.text.clone_into(&mut row.tail);
            if let Some(run) = row.runs.last_mut() {
                end(run, ended);
            }
            last_end = Some(ended.as_ref());
        }
        Body::Annotated { step, .. } => row.annotations.push(pb::Annotation {
            author: beside.author.to_owned(),
            time: Some(pb::timestamp(event.at)),
            step: *step,
            text: beside.text.to_owned(),
        }),
        Body::TrialRetried { .. } | Body::TrialWithdrawn { .. } => {}
        _ => moves = false,
    }
    moves &= !matches!(event.body, Body::Annotated { .. });
    row.pos = event.pos.0;
    if let Some(view) = state.trial_view(Trial(row.trial)) {
        refresh(row, &view, state);
        if moves {
            let stop = row.runs.last().map(|run| run.stop.clone()).unwrap_or_default();
            row.reason = words::of_trial(&view, state.definition(), &stop, last_end);
        }
    }
}

fn end(run: &mut pb::Run, ended: &Ended) {
    run.state = pb::run::State::Ended.into();
    run.duration = Some(pb::duration(Duration::from_millis(ended.wall_ms)));
    run.exit = Some(pb::exit(ended));
    run.cpu_seconds = ended.cpu_ms as f64 / 1000.0;
    run.peak_memory_bytes = ended.peak_memory;
    run.gpu_hours = ended.wall_ms as f64 * f64::from(ended.gpus) / 3_600_000.0;
    run.reports = ended.reports;
    run.lease_end = None;
    (run.names, run.names_seq) = (Vec::new(), 0); // no report will be counted by them any more
    run.notes.extend(ended.notes.iter().cloned());
}

/// What follows from the state.
fn refresh(row: &mut pb::Trial, view: &TrialView, state: &State) {
    let definition = state.definition();
    row.state = shown(view.shown).into();
    row.tags.clone_from(&view.tags);
    row.excluded = view.excluded;
    row.feasible = view.feasible.unwrap_or(true);
    row.last_step = view.step;
    row.objectives = objectives(state, &view.values);
    row.constraints = definition
        .constraints
        .iter()
        .enumerate()
        .map(|(k, limit)| pb::Constraint {
            metric: limit.metric.clone(),
            max: limit.max,
            min: limit.min,
            value: view.constraints.get(k).copied().flatten(),
        })
        .collect();
    if let (Some(run), Some(live)) = (row.runs.last_mut(), &view.run) {
        run.state = match live.phase {
            Phase::Assigned => pb::run::State::Assigned,
            Phase::Running(_) => pb::run::State::Running,
            Phase::Stopping { .. } => pb::run::State::Stopping,
        }
        .into();
        run.reports = live.reports;
    }
}

/// A trial of the front: what the state itself knows of it.
pub(super) fn of_front(state: &State, trial: Trial) -> Option<pb::Trial> {
    let view = state.trial_view(trial)?;
    let mut row = fresh(state, trial);
    row.params = Some((&view.assignment).into());
    refresh(&mut row, &view, state);
    Some(row)
}

/// The sweep's objectives with these values.
pub(super) fn objectives(state: &State, values: &[Option<Mark>]) -> Vec<pb::Objective> {
    let values = values.iter().copied().chain(std::iter::repeat(None));
    let objective = |(objective, value): (&crate::spec::Objective, Option<Mark>)| pb::Objective {
        name: objective.name.clone(),
        goal: match objective.goal {
            crate::spec::Goal::Minimize => pb::objective::Goal::Minimize,
            crate::spec::Goal::Maximize => pb::objective::Goal::Maximize,
        }
        .into(),
        target: objective.target,
        value: value.map(|mark| mark.value),
        step: value.map(|mark| mark.step),
    };
    state.definition().objectives.iter().zip(values).map(objective).collect()
}

fn shown(shown: Shown) -> pb::trial::State {
    match shown {
        Shown::Queued => pb::trial::State::Queued,
        Shown::Running => pb::trial::State::Running,
        Shown::Succeeded => pb::trial::State::Succeeded,
        Shown::Stopped => pb::trial::State::Stopped,
        Shown::Failed => pb::trial::State::Failed,
    }
}
