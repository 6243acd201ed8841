//! The changes that people ask for: which commands each means, and its answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::controller::clock::Now;
use crate::controller::core::{Core, SELF, Who, internal};
use crate::controller::handle::Answer;
use crate::controller::{Refused, RefusedKind};
use crate::pb;
use crate::spec::{self, Code};
use crate::sweep::{Command, Enqueued, Event, Head, Patch, Pos, State, SweepId, Timestamp, Trial, decide};

/// Longest note.
const NOTE_BYTES: usize = 64 << 10;

impl Core {
    pub(super) fn set(
        &mut self,
        id: SweepId,
        request: &pb::SetSweepRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let version = match request.etag.as_str() {
            "" => None,
            etag => {
                Some(etag.parse().map_err(|_| Refused::invalid("etag", format!("'{etag}' is not an etag")))?)
            }
        };
        let patch =
            request.set.iter().map(|text| self.patch(id, text)).collect::<Result<Vec<Patch>, Refused>>()?;
        self.command(id, &Command::Change { patch, version }, who, "", now)?;
        for text in &request.set {
            if let (Some(notes), Some(loaded)) = (text.strip_prefix("notes="), self.sweeps.get_mut(&id)) {
                notes.clone_into(&mut loaded.notes);
            }
        }
        Ok(Answer::SetSweep(pb::SetSweepResponse { sweep: Some(self.message(id, now)?) }))
    }

    fn patch(&mut self, id: SweepId, text: &str) -> Result<Patch, Refused> {
        let patch: spec::Patch = text.parse().map_err(|bad: spec::BadPatch| {
            Refused::new(RefusedKind::InvalidArgument, Code::BadPatch, bad.to_string()).at("set")
        })?;
        Ok(match patch {
            spec::Patch::Name(name) => Patch::Name(name),
            spec::Patch::Parallel(parallel) => Patch::Parallel(parallel),
            spec::Patch::RunCap(cap) => Patch::RunCap(cap),
            spec::Patch::GpuHours(hours) => Patch::GpuHours(hours),
            spec::Patch::Wall(wall) => Patch::Wall(wall.map(|wall| wall.as_secs_f64())),
            spec::Patch::Retries(retries) => Patch::Retries(retries),
            spec::Patch::Timeout(timeout) => Patch::Timeout(timeout.map(|timeout| timeout.as_secs_f64())),
            spec::Patch::Priority(priority) => Patch::Priority(priority),
            spec::Patch::Tags(tags) => Patch::Tags(tags),
            spec::Patch::Notes(notes) => Patch::Notes(notes.map(|notes| self.text(id, &notes))),
        })
    }

    pub(super) fn resume(
        &mut self,
        id: SweepId,
        request: &pb::ResumeSweepRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let mut patch: Vec<Patch> =
            request.trials.map(|trials| Patch::RunCap(Some(trials))).into_iter().collect();
        for budget in &request.budget {
            for limit in budget.split(',') {
                patch.push(
                    self.patch(id, &format!("budget.{}", limit.trim())).map_err(|bad| bad.at("budget"))?,
                );
            }
        }
        let change = (!patch.is_empty()).then_some(Command::Change { patch, version: None });
        let home = (!request.home.is_empty()).then(|| request.home.clone());
        let resume = Command::Resume { home, keep_going: false };
        self.together(id, &change.into_iter().chain([resume]).collect::<Vec<_>>(), who, "", now)?;
        Ok(Answer::ResumeSweep(pb::ResumeSweepResponse { sweep: Some(self.message(id, now)?) }))
    }

    /// Carries out all of these commands or, where one is refused, none (L8): they are rehearsed on a copy first.
    fn together(
        &mut self,
        id: SweepId,
        commands: &[Command],
        who: &Who,
        text: &str,
        now: Now,
    ) -> Result<(), Refused> {
        if let (Some(loaded), [_, _, ..]) = (self.sweeps.get(&id), commands) {
            let (head, mut copy) = (self.head(), loaded.state.clone());
            let rehearsal = AssertUnwindSafe(|| rehearse(&mut copy, commands, head));
            // Code that panics is met again at once, where it pauses the sweep.
            catch_unwind(rehearsal).unwrap_or(Ok(()))?;
        }
        commands.iter().try_for_each(|command| self.command(id, command, who, text, now).map(drop))
    }

    pub(super) fn retry(
        &mut self,
        id: SweepId,
        request: &pb::RetryTrialsRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let mut trials: Vec<Trial> = request.trials.iter().copied().map(Trial).collect();
        if !request.state.is_empty() {
            let state = &self.sweeps[&id].state;
            let all = (1..=state.trials()).map(Trial);
            trials.extend(
                all.filter(|t| state.trial_view(*t).is_some_and(|view| view.shown.word() == request.state)),
            );
        }
        trials.sort();
        trials.dedup();
        self.command(id, &Command::Retry { trials: trials.clone() }, who, "", now)?;
        let trials = trials.into_iter().map(|trial| trial.0).collect();
        Ok(Answer::RetryTrials(pb::RetryTrialsResponse { trials, sweep: Some(self.message(id, now)?) }))
    }

    pub(super) fn enqueue(
        &mut self,
        id: SweepId,
        request: &pb::EnqueueRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let what = match request.from {
            Some(trial) => Enqueued::From(Trial(trial)),
            None => {
                let read = |text: &String| {
                    serde_json::from_str(text).map_err(|bad| {
                        Refused::invalid(
                            "params",
                            format!("'{text}' is not a JSON object of parameters: {bad}"),
                        )
                        .with_help(r#"one value a parameter: {"lr": 0.001, "layers": 3}"#)
                    })
                };
                Enqueued::Assignments(request.params.iter().map(read).collect::<Result<_, _>>()?)
            }
        };
        let (first, cap) = (self.sweeps[&id].state.trials() + 1, self.sweeps[&id].state.definition().run_cap);
        self.command(id, &Command::Enqueue { what, repeat: request.repeat.max(1) }, who, "", now)?;
        let state = &self.sweeps[&id].state;
        let note = match (cap, state.definition().run_cap) {
            (Some(old), Some(new)) if old != new => format!("run_cap raised to {new}"),
            _ => String::new(),
        };
        let trials = (first..=state.trials()).collect();
        Ok(Answer::Enqueue(pb::EnqueueResponse { trials, sweep: Some(self.message(id, now)?), note }))
    }

    pub(super) fn annotate(
        &mut self,
        id: SweepId,
        request: &pb::AnnotateRequest,
        who: &Who,
        now: Now,
    ) -> Result<Answer, Refused> {
        let trial = request.trial.map(Trial);
        if request.text.len() > NOTE_BYTES {
            return Err(Refused::invalid(
                "text",
                format!("the note has {} bytes; allowed are 65536", request.text.len()),
            ));
        }
        let mut commands = Vec::new();
        if !request.add_tags.is_empty() || !request.remove_tags.is_empty() {
            let (add, remove) = (request.add_tags.clone(), request.remove_tags.clone());
            commands.push(Command::Tag { trial, add, remove });
        }
        match (request.excluded, trial) {
            (Some(true), Some(trial)) => commands.push(Command::Exclude { trial }),
            (Some(false), Some(trial)) => commands.push(Command::Include { trial }),
            (Some(_), None) => return Err(Refused::invalid("excluded", "only a trial can be excluded")),
            (None, _) => {}
        }
        if !request.text.is_empty() {
            let text = self.text(id, &request.text);
            commands.push(Command::Annotate { trial, step: request.step, text });
        }
        self.together(id, &commands, who, &request.text, now)?;
        let trial = trial.and_then(|trial| self.row(id, trial));
        Ok(Answer::Annotate(pb::AnnotateResponse { trial, sweep: Some(self.message(id, now)?) }))
    }
}

fn rehearse(state: &mut State, commands: &[Command], head: Head) -> Result<(), Refused> {
    let mut next = head.next;
    for command in commands {
        for body in decide(state, command, Head { next, ..head })? {
            let event = Event { pos: next, n: state.n() + 1, at: Timestamp(0), actor: SELF, body };
            state.apply(&event).map_err(|damaged| internal(&damaged.to_string()))?;
            next = Pos(next.0 + 1);
        }
    }
    Ok(())
}
