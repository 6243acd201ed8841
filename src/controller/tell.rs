//! What a caller tells of a trial that it asked for: metrics on the way, its end.

use crate::controller::Refused;
use crate::controller::clock::Now;
use crate::controller::core::{Core, Who};
use crate::controller::handle::Answer;
use crate::pb;
use crate::pb::tell_request::State as Said;
use crate::sweep::{
    Command, Ended, Exit, Fence, Incoming, Phase, Run, RunView, SweepId, Told, Trial, teller,
};

/// Metrics of one report.
const METRICS: usize = 1000;

impl Core {
    pub(super) fn tell(
        &mut self,
        id: SweepId,
        request: &pb::TellRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let end = end_of(request)?;
        let trial = Trial(request.trial);
        let attempt = Some(request.attempt).filter(|attempt| *attempt > 0);
        let fence = Some(request.fence).filter(|fence| *fence > 0).map(Fence);
        let run = teller(&self.sweeps[&id].state, trial, attempt, fence)?;
        let left_out = match request.metrics.is_empty() {
            true => 0,
            false => self.take_metrics(id, &run, request, now)?,
        };
        match end {
            None => self.renew_lease(id, trial, now),
            Some(told) => {
                let ended = Box::new(self.ended_as(id, &run, told, now));
                let command = Command::Ended { run: run.run, fence: run.fence, ended };
                self.command(id, &command, who, "", now)?;
            }
        }
        // What the rules make of it is part of the answer.
        let itself = self.itself();
        self.follow_up(id, &itself, now);
        Ok(Answer::TellTrial(pb::TellResponse { left_out, ..self.standing(id, run.run) }))
    }

    /// Takes in a report; returns how many of its values were left out.
    fn take_metrics(
        &mut self,
        id: SweepId,
        run: &RunView,
        request: &pb::TellRequest,
        now: Now,
    ) -> Result<u32, Refused> {
        let incoming = Incoming {
            run: run.run,
            fence: run.fence,
            seq: run.seq + 1,
            step: request.step,
            at: self.stamp(now),
            values: request.metrics.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            source: 0,
        };
        self.report(id, &incoming, now)
    }

    /// The end of a run as its caller says it.
    fn ended_as(&self, id: SweepId, run: &RunView, told: Told, now: Now) -> Ended {
        let loaded = &self.sweeps[&id];
        let live = loaded.runs.get(&run.run.trial);
        let reported = loaded.state.live_run(run.run.trial);
        let wall = live
            .and_then(|live| live.started)
            .map(|started| now.mono.saturating_duration_since(started))
            .unwrap_or_default();
        Ended {
            exit: Exit::Told(told),
            signalled: false,
            killed: false,
            timed_out: false,
            reports: reported.as_ref().map_or(0, |run| run.reports),
            last_seq: reported.as_ref().map_or(0, |run| run.seq),
            digest: live.map(|live| live.digest.hex()).unwrap_or_default(),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            cpu_ms: 0,
            peak_memory: 0,
            gpus: 0,
            tail: None,
            notes: Vec::new(),
        }
    }

    /// How a trial that was told about stands.
    pub(super) fn standing(&self, id: SweepId, run: Run) -> pb::TellResponse {
        let row = self.row(id, run.trial).unwrap_or_default();
        let live = self.live(id, run.trial).filter(|live| live.run == run);
        let stop = live.is_some_and(|live| matches!(live.phase, Phase::Stopping { .. }));
        let why = match row.runs.last() {
            Some(shown) if stop => shown.stop.clone(),
            _ => row.reason.clone(),
        };
        pb::TellResponse { stop, why, state: row.state, run: format!("{id}/{run}"), left_out: 0 }
    }
}

/// The end that a request tells of; none: the trial goes on.
fn end_of(request: &pb::TellRequest) -> Result<Option<Told>, Refused> {
    if request.metrics.len() > METRICS {
        let given = request.metrics.len();
        return Err(Refused::invalid("metrics", format!("{given} metrics; allowed are {METRICS}")));
    }
    if let Some(name) = request.metrics.keys().find(|name| !crate::sweep::is_metric_name(name)) {
        let name: String = name.chars().take(80).collect();
        return Err(Refused::invalid("metrics", format!("{name:?} is no name of a metric"))
            .with_help("1 to 256 bytes, no control characters"));
    }
    match Said::try_from(request.state) {
        Ok(Said::Succeeded) => Ok(Some(Told::Succeeded)),
        Ok(Said::Failed) => Ok(Some(Told::Failed)),
        Ok(Said::Stopped) => Ok(Some(Told::Stopped)),
        Ok(Said::Unspecified) if request.step.is_some() && request.metrics.is_empty() => {
            Err(Refused::invalid("metrics", "a step without a value tells nothing"))
        }
        Ok(Said::Unspecified) if request.step.is_some() => Ok(None),
        Ok(Said::Unspecified) if request.metrics.is_empty() => {
            Err(Refused::invalid("metrics", "neither a value nor a state is told"))
        }
        Ok(Said::Unspecified) => Ok(Some(Told::Succeeded)),
        Err(_) => Err(Refused::invalid("state", format!("there is no state {}", request.state))),
    }
}
