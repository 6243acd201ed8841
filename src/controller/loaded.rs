//! A sweep in memory: its state, and what the shell keeps beside it. All of it follows from the store and the runs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::suggest::Model;
use crate::controller::{lessons, row, words};
use crate::pb;
use crate::spec::Definition;
use crate::store::Digest;
use crate::sweep::{
    Body, EndWhy, Event, Exit, Fence, Outcome, PauseWhy, Pos, Report, Shown, State, SweepPhase, TextRef,
    Timestamp, Trial, TrialView,
};

/// Points of a curve that a live view is given.
const POINTS: usize = 200;
/// Points of a sweep's trend.
const TREND: usize = 40;
/// Trials of a front that are shown.
const FRONT: usize = 1000;
/// Durations kept for the remaining time.
const DURATIONS: usize = 200;

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) owner: String,
    /// The command's environment, by name.
    pub(super) env: BTreeMap<String, String>,
    pub(super) notes: String,
    /// What is known of the live runs.
    pub(super) runs: BTreeMap<Trial, LiveRun>,
    /// Trials as people see them: those that are not final, and those of the batch.
    pub(super) rows: BTreeMap<Trial, pb::Trial>,
    pub(super) tally: Tally,
    /// Trials that limits and space allow; none: no end. Follows from the definition, and a grid takes time to count.
    planned: Option<u128>,
    pub(super) best: Option<pb::Trial>,
    /// What the run that just ended said last: metric values and the step.
    pub(super) ended_last: Option<(BTreeMap<String, f64>, Option<i64>)>,
    /// What its method is asked and has answered.
    pub(super) model: Model,
    /// It is over, and kept until the commit.
    pub(super) is_wanted: bool,
    /// When its row was last written.
    pub(super) noted: Instant,
}

/// What the shell keeps of a live run.
#[derive(Debug, Default)]
pub(super) struct LiveRun {
    /// The position of its `RunAssigned`: the key of its reports.
    pub(super) assigned: Pos,
    /// Names that its reports' numbers count; none: they were said to a process before this one.
    pub(super) names: Option<Vec<String>>,
    /// Of the last `Names` taken in.
    pub(super) names_seq: u64,
    pub(super) digest: Digest,
    /// When its caller's lease is over; none: an agent has it.
    pub(super) lease_end: Option<Instant>,
    /// Since when it has run, for `budget.gpu_hours`, and the stamp of that.
    pub(super) started: Option<Instant>,
    pub(super) started_at: Timestamp,
    pub(super) gpus: u32,
    /// Last value of each metric, by the sweep's number.
    pub(super) last: BTreeMap<u32, f64>,
    pub(super) last_step: Option<i64>,
    pub(super) curve: Thinned,
}

/// A list that stays short: once it is twice as long as wanted, every other element goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Thinned {
    points: Vec<pb::trial::Point>,
    every: u64,
    seen: u64,
}

/// What a sweep's row adds up over its trials.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) trend: Vec<f64>,
    pub(super) since_gain: u32,
    pub(super) run_seconds: VecDeque<f64>,
    pub(super) infeasible: u32,
    /// Time in state running while a controller was up, before `running_since`.
    pub(super) wall: Duration,
    pub(super) running_since: Option<Instant>,
    pub(super) ended: Option<prost_types::Timestamp>,
    /// The last lines of the last run that failed, where they are stored, and once they have been read.
    pub(super) failed: Option<TextRef>,
    pub(super) failed_tail: String,
    /// What the machine said that could not start the last run of those that none could.
    pub(super) not_started: String,
}

impl Thinned {
    pub(super) fn push(&mut self, step: Option<i64>, value: f64, wanted: usize) {
        self.every = self.every.max(1);
        if self.seen.is_multiple_of(self.every) {
            self.points.push(pb::trial::Point { step, value });
        }
        self.seen += 1;
        if self.points.len() >= 2 * wanted {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.every *= 2;
        }
    }

    pub(super) fn points(&self) -> Vec<pb::trial::Point> {
        self.points.clone()
    }
}

impl LiveRun {
    pub(super) fn assigned(fence: Fence, gpus: u32) -> Self {
        LiveRun { assigned: assigned_at(fence), names: Some(Vec::new()), gpus, ..LiveRun::default() }
    }

    /// What an earlier process was told, as it stored it: what a run said before its cursor is not said again.
    pub(super) fn know_names(&mut self, row: &pb::Trial) {
        let stored = row.runs.last().filter(|run| assigned_at(Fence(run.fence)) == self.assigned);
        if let Some(run) = stored.filter(|run| run.names_seq > 0) {
            self.names = Some(run.names.clone());
            self.names_seq = run.names_seq;
        }
    }

    /// Takes in a report that the state took in.
    pub(super) fn report(&mut self, report: &Report, objective: Option<u32>) {
        self.digest.add(self.assigned, report);
        self.last.extend(report.values.iter().copied());
        self.last_step = report.step.or(self.last_step);
        let value = objective.and_then(|id| report.values.iter().find(|(of, _)| *of == id));
        if let Some((_, value)) = value {
            self.curve.push(report.step, *value, POINTS);
        }
    }
}

/// The position of the `RunAssigned` that made a fence.
pub(super) fn assigned_at(fence: Fence) -> Pos {
    Pos(fence.0 & ((1 << 40) - 1))
}

impl Tally {
    /// Time in state running until `now`.
    pub(super) fn wall(&self, now: Instant) -> Duration {
        self.wall + self.running_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn phase(&mut self, phase: &SweepPhase, now: Instant) {
        let runs = matches!(phase, SweepPhase::Running | SweepPhase::Ending(_));
        match (runs, self.running_since) {
            (true, None) => self.running_since = Some(now),
            (false, Some(_)) => {
                self.wall = self.wall(now);
                self.running_since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn improve(&mut self, best: Option<f64>) {
        let Some(best) = best else { return };
        let gained = self.trend.last() != Some(&best);
        self.since_gain = if gained { 0 } else { self.since_gain + 1 };
        self.trend.push(best);
        if self.trend.len() >= 2 * TREND {
            let last = self.trend.len() - 1;
            let mut k = 0;
            self.trend.retain(|_| {
                k += 1;
                (k - 1) % 2 == last % 2
            });
        }
    }
}

impl Loaded {
    pub(super) fn new(state: State, owner: String, now: Instant) -> Self {
        let mut tally = Tally::default();
        tally.phase(state.phase(), now);
        Loaded {
            planned: planned(state.definition()),
            model: Model::default(),
            state,
            owner,
            env: BTreeMap::new(),
            notes: String::new(),
            runs: BTreeMap::new(),
            rows: BTreeMap::new(),
            tally,
            best: None,
            ended_last: None,
            is_wanted: false,
            noted: now,
        }
    }

    /// The metric whose curve is shown.
    pub(super) fn objective(&self) -> Option<u32> {
        let name = &self.state.definition().objectives.first()?.name;
        let at = self.state.metrics().iter().position(|known| known == name)?;
        u32::try_from(at).ok()
    }

    /// Counts the trials that ended well and break a constraint.
    pub(super) fn count_infeasible(&mut self) {
        if self.state.definition().constraints.is_empty() {
            return;
        }
        let breaks = |view: &TrialView| {
            matches!(view.shown, Shown::Succeeded | Shown::Stopped) && view.feasible == Some(false)
        };
        let views = (1..=self.state.trials()).filter_map(|trial| self.state.trial_view(Trial(trial)));
        self.tally.infeasible = u32::try_from(views.filter(breaks).count()).unwrap_or(u32::MAX);
    }

    /// What an event that the state took in means for the rest.
    pub(super) fn follow(&mut self, event: &Event, now: Instant) {
        self.tally.phase(self.state.phase(), now);
        match &event.body {
            Body::RunAssigned { run, fence, placements, lease } => {
                let gpus = placements.iter().map(|placement| placement.devices.len()).sum::<usize>();
                let mut live = LiveRun::assigned(*fence, u32::try_from(gpus).unwrap_or(u32::MAX));
                if let Some(lease) = lease {
                    live.lease_end = Some(now + Duration::from_millis(lease.ms));
                    (live.started, live.started_at) = (Some(now), event.at);
                }
                self.runs.insert(run.trial, live);
            }
            Body::RunStarted { run, .. } => {
                if let Some(live) = self.runs.get_mut(&run.trial) {
                    (live.started, live.started_at) = (Some(now), event.at);
                }
            }
            Body::RunEnded { run, ended, marks, outcome } => {
                if let Exit::NotStartedHere { why } = &ended.exit {
                    self.tally.not_started.clone_from(why);
                }
                if let (Outcome::Failed(_), Some(tail)) = (outcome, &ended.tail) {
                    self.tally.failed = Some(tail.clone());
                }
                let live = self.runs.remove(&run.trial);
                self.ended_last = live.map(|live| (self.named(&live.last), live.last_step));
                self.tally.run_seconds.push_back(ended.wall_ms as f64 / 1000.0);
                if self.tally.run_seconds.len() > DURATIONS {
                    self.tally.run_seconds.pop_front();
                }
                if marks.is_some() {
                    match self.state.best_values().as_slice() {
                        [best] => self.tally.improve(best.map(|mark| mark.value)),
                        [] => {}
                        _ if self.state.is_on_front(run.trial) => self.tally.since_gain = 0,
                        _ => self.tally.since_gain += 1,
                    }
                }
            }
            Body::SweepEnded { .. } => self.tally.ended = Some(pb::timestamp(event.at)),
            Body::SweepResumed { .. } => self.tally.ended = None,
            Body::SweepChanged { .. } => self.planned = planned(self.state.definition()),
            _ => {}
        }
    }

    /// The lease of a trial begins anew. False: no caller has it.
    pub(super) fn renew_lease(&mut self, trial: Trial, now: Now) -> bool {
        let Some(lease) = self.state.live_run(trial).and_then(|run| run.lease) else { return false };
        let lease = Duration::from_millis(lease.ms);
        if let Some(live) = self.runs.get_mut(&trial) {
            live.lease_end = Some(now.mono + lease);
        }
        if let Some(run) = self.rows.get_mut(&trial).and_then(|row| row.runs.last_mut()) {
            run.lease_end = Some(pb::timestamp(now.at.after(lease)));
        }
        true
    }

    /// When the next lease is over.
    pub(super) fn next_lease_end(&self) -> Option<Instant> {
        self.runs.values().filter_map(|run| run.lease_end).min()
    }

    /// Trials whose lease is over.
    pub(super) fn leases_over(&self, now: Instant) -> impl Iterator<Item = Trial> {
        let is_over = move |run: &LiveRun| run.lease_end.is_some_and(|end| end <= now);
        self.runs.iter().filter(move |(_, run)| is_over(run)).map(|(trial, _)| *trial)
    }

    /// Whether the method has said what the next trial should be.
    pub(super) fn has_suggestion(&self) -> bool {
        self.model.suggestion.as_ref().is_some_and(|one| self.state.suits(one))
    }

    /// Its runs went on while nobody counted their time.
    pub(super) fn catch_up(&mut self, now: Now) {
        for run in self.runs.values_mut().filter(|run| run.started.is_some()) {
            let gone = u64::try_from(now.at.0 - run.started_at.0).unwrap_or(0);
            run.started = now.mono.checked_sub(Duration::from_micros(gone)).or(run.started);
        }
    }

    /// GPU hours of the runs that are over and of those that live.
    pub(super) fn gpu_hours(&self, now: Instant) -> f64 {
        let live = |run: &LiveRun| {
            let since = run.started.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            since.as_secs_f64() * f64::from(run.gpus)
        };
        let live: f64 = self.runs.values().map(live).sum();
        (self.state.usage().gpu_ms as f64 / 1000.0 + live) / 3600.0
    }

    /// GPUs that runs burn now.
    pub(super) fn burning(&self) -> u32 {
        self.runs.values().filter(|run| run.started.is_some()).map(|run| run.gpus).sum()
    }

    fn named(&self, values: &BTreeMap<u32, f64>) -> BTreeMap<String, f64> {
        let names = self.state.metrics();
        let name = |id: &u32| names.get(*id as usize).cloned();
        values.iter().filter_map(|(id, value)| Some((name(id)?, *value))).collect()
    }

    /// The row of a live trial with what its run last said.
    pub(super) fn live_row(&self, trial: Trial) -> Option<pb::Trial> {
        let mut row = self.rows.get(&trial)?.clone();
        let run = self.runs.get(&trial)?;
        row.last = self.named(&run.last);
        row.last_step = run.last_step;
        row.curve = run.curve.points();
        if let Some(view) = self.state.trial_view(trial) {
            row.objectives = row::objectives(&self.state, &view.values);
        }
        if let (Some(shown), Some(live)) = (row.runs.last_mut(), self.state.live_run(trial)) {
            shown.reports = live.reports;
        }
        Some(row)
    }

    /// The sweep as lists show it.
    pub(super) fn message(&self, now: Instant, home_alive: bool) -> pb::Sweep {
        let (state, summary) = (&self.state, self.state.summary());
        let definition = state.definition();
        let origin = state.origin();
        let counts = summary.counts;
        pb::Sweep {
            sweep: state.id().to_string(),
            name: summary.name,
            project: state.project().to_owned(),
            state: shown(state.phase()).into(),
            reason: words::of_sweep(state.phase()),
            method: definition.method.word().to_owned(),
            objectives: row::objectives(state, &state.best_values()),
            constraints: definition
                .constraints
                .iter()
                .map(|limit| pb::Constraint {
                    metric: limit.metric.clone(),
                    max: limit.max,
                    min: limit.min,
                    value: None,
                })
                .collect(),
            seed: state.seed().to_string(),
            trials: self.planned.map(|n| n.to_string()),
            counts: Some(pb::Counts {
                queued: counts.queued,
                running: counts.running,
                succeeded: counts.succeeded,
                stopped: counts.stopped,
                failed: counts.failed,
                infeasible: self.tally.infeasible,
                placed: u32::try_from(self.state.placed()).unwrap_or(u32::MAX),
            }),
            trend: self.tally.trend.clone(),
            since_gain: self.tally.since_gain,
            gpu_hours: self.gpu_hours(now),
            gpu_hours_budget: definition.gpu_hours,
            wall: Some(pb::duration(self.tally.wall(now))),
            wall_budget: definition.wall.map(pb::duration),
            parallel: definition.parallel,
            owner: self.owner.clone(),
            tags: summary.tags,
            notes: self.notes.clone(),
            created: Some(pb::timestamp(summary.created)),
            ended: self.tally.ended,
            etag: summary.version.to_string(),
            hidden: summary.hidden,
            home: summary.home.unwrap_or_default(),
            home_alive,
            file: origin.map(|origin| origin.file.clone()).unwrap_or_default(),
            folder: origin.map(|origin| origin.folder.clone()).unwrap_or_default(),
            origin_hash: origin.map(|origin| origin.hash.clone()).unwrap_or_default(),
            pos: summary.pos.0,
            verdict: self.verdict(),
            remarks: self.remarks(),
            best: self.best.clone(),
            front: self.front(1),
            front_size: self.front_size(),
            savings: state.savings().map(|savings| pb::Savings {
                rule: state.rule().map(|rule| rule.name().to_owned()).unwrap_or_default(),
                stopped: savings.stopped,
                hours: savings.hours,
                gpu_hours: savings.gpu_hours,
                share: savings.share,
                spared: savings.audit.spared,
                audited: savings.audit.ended,
                wrong: savings.audit.wrong,
            }),
            ..Default::default()
        }
    }

    /// The sweep with what runs now, its definition and its runs' durations.
    pub(super) fn whole(&self, now: Instant, home_alive: bool) -> pb::Sweep {
        pb::Sweep {
            front: self.front(FRONT),
            running: self.state.live_runs().filter_map(|run| self.live_row(run.run.trial)).collect(),
            definition: serde_json::to_string(self.state.definition()).expect("text keys only"),
            run_seconds: self.tally.run_seconds.iter().copied().collect(),
            from: lessons::words(&self.state),
            ..self.message(now, home_alive)
        }
    }

    /// The first trials of the front of several objectives.
    fn front(&self, most: usize) -> Vec<pb::Trial> {
        match self.front_size() {
            0 => Vec::new(),
            _ => {
                let front = self.state.front().into_iter().take(most);
                front.filter_map(|trial| row::of_front(&self.state, trial)).collect()
            }
        }
    }

    /// 0 with one objective, or none.
    fn front_size(&self) -> u32 {
        let several = self.state.definition().objectives.len() > 1;
        if several { u32::try_from(self.state.front_size()).unwrap_or(u32::MAX) } else { 0 }
    }

    /// The exit code of `swath run` for how the sweep stands: ended, or paused by itself or by somebody.
    fn verdict(&self) -> Option<u32> {
        let state = &self.state;
        let won = match state.definition().objectives.is_empty() {
            true => state.counts().succeeded > 0,
            false => state.front_size() > 0,
        };
        match state.phase() {
            SweepPhase::Running | SweepPhase::Ending(_) => None,
            SweepPhase::Paused { why: PauseWhy::Person, .. } | SweepPhase::Ended(EndWhy::Person) => Some(11),
            SweepPhase::Paused { .. } => Some(10),
            SweepPhase::Ended(_) if won => Some(0),
            SweepPhase::Ended(_) => Some(10),
        }
    }

    /// Sentences about what is odd, the answer first.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some((trials, _)) = self.state.failed_early().filter(|(trials, _)| trials.len() >= 3) {
            let names: Vec<String> = trials.iter().map(ToString::to_string).collect();
            remarks.push(format!("trials {} failed in the same way", names.join(", ")));
            remarks.extend(self.tally.failed_tail.lines().map(str::to_owned));
        }
        if matches!(self.state.phase(), SweepPhase::Paused { why: PauseWhy::Flapping, .. }) {
            remarks.push(format!("the last of them could not be started: {}", self.tally.not_started));
        }
        remarks
    }
}

fn planned(definition: &Definition) -> Option<u128> {
    let cap = definition.run_cap.map(u128::from);
    let space = match definition.method {
        crate::spec::Method::Grid => definition.space.grid().ok().and_then(|grid| match grid.len() {
            crate::space::Count::Exact(n) => Some(n),
            crate::space::Count::Beyond => None,
        }),
        _ => None,
    };
    [cap, space].into_iter().flatten().min()
}

fn shown(phase: &SweepPhase) -> pb::sweep::State {
    match phase {
        SweepPhase::Running | SweepPhase::Ending(_) => pb::sweep::State::Running,
        SweepPhase::Paused { .. } => pb::sweep::State::Paused,
        SweepPhase::Ended(EndWhy::Person) => pb::sweep::State::Stopped,
        SweepPhase::Ended(_) => pb::sweep::State::Finished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_first_point_and_an_even_grid() {
        let mut curve = Thinned::default();
        (0..10_000).for_each(|k| curve.push(Some(k), k as f64, POINTS));
        let steps: Vec<i64> = curve.points().iter().filter_map(|point| point.step).collect();
        assert!(steps.len() >= POINTS && steps.len() < 2 * POINTS, "{}", steps.len());
        let gaps: std::collections::BTreeSet<i64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((steps[0], gaps.len()), (0, 1));
    }
}
