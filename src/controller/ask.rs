//! What people ask for: the sweep that a request names, and its answer.

use crate::controller::clock::Now;
use crate::controller::core::{Core, Who, disk_full, internal};
use crate::controller::handle::{Answer, Call};
use crate::controller::loaded::Loaded;
use crate::controller::pending::{Asked, Job};
use crate::controller::{Refused, RefusedKind, placement};
use crate::pb;
use crate::spec::Code;
use crate::sweep::{Command, PauseHow, PauseWhy, State, SweepId, Trial};

impl Core {
    /// Answers a request, now or once its sweep has been folded.
    pub(super) fn asked(&mut self, asked: Asked, now: Now) {
        if self.is_ending {
            return self.answer(asked.reply, Err(Refused::gone()));
        }
        if self.is_pressed
            && !is_taken_on_a_full_disk(&asked.call)
            && let Err(full) = self.store.room()
        {
            return self.answer(asked.reply, Err(disk_full(&full)));
        }
        let Some(name) = sweep_of(&asked.call) else { return self.asked_of_all(asked, now) };
        let id = match self.directory.find(name) {
            Ok(id) => id,
            Err(refused) => return self.answer(asked.reply, Err(refused)),
        };
        match asked.call {
            Call::ListTrials(request) => {
                return self.read(Job::ListTrials { sweep: id, request, reply: asked.reply });
            }
            Call::GetTrial(request) if !request.best => {
                let (trial, metrics) = (Some(Trial(request.trial)), self.metrics(id));
                return self.read(Job::GetTrial { sweep: id, trial, metrics, reply: asked.reply });
            }
            _ => {}
        }
        if let Some(why) = self.damaged.get(&id) {
            let refused = Refused::new(
                RefusedKind::FailedPrecondition,
                Code::SweepDamaged,
                format!("sweep {id} is damaged: {why}"),
            )
            .with_help("swath audit verify says more; a backup holds it as it was");
            return self.answer(asked.reply, Err(refused));
        }
        if !self.sweeps.contains_key(&id) {
            match asked.call {
                Call::GetSweep(request) => {
                    let model = request.model;
                    return self.read(Job::GetSweep { sweep: id, model, reply: asked.reply });
                }
                Call::GetTrial(_) => {
                    let reply = asked.reply;
                    return self.read(Job::GetTrial { sweep: id, trial: None, metrics: Vec::new(), reply });
                }
                _ => {}
            }
            let waiting = self.folding.entry(id).or_default();
            waiting.push(asked);
            if waiting.len() == 1 {
                self.read(Job::Fold { sweep: id });
            }
            return;
        }
        self.asked_of(id, asked, now);
    }

    /// A reader has folded a sweep that is over: those who waited for it go on.
    pub(super) fn folded(&mut self, id: SweepId, result: Result<Box<Loaded>, String>, now: Now) {
        match result {
            Ok(loaded) if !self.sweeps.contains_key(&id) => self.adopt(id, *loaded, now.mono),
            Ok(_) => {}
            Err(why) => {
                self.damaged.insert(id, why);
            }
        }
        for asked in self.folding.remove(&id).unwrap_or_default() {
            self.asked(asked, now);
        }
    }

    fn asked_of_all(&mut self, asked: Asked, now: Now) {
        if let Call::CreateSweep(request) = &asked.call {
            return self.asked_to_create(request.clone(), asked, now);
        }
        let Asked { call, actor, reply } = asked;
        match call {
            Call::ListSweeps(request) => {
                let there = self.links.agents().filter(|(id, _)| self.links.is_alive(id));
                let alive = there.map(|(id, _)| id.clone()).collect();
                self.read(Job::ListSweeps { request, caller: actor, alive, reply });
            }
            Call::Status(_) => {
                let status = Answer::Status(self.status());
                self.answer(reply, Ok(status));
            }
            Call::Verify(_) => self.read(Job::Verify { reply }),
            Call::Backup(request) => self.read(Job::Backup { to: request.path.into(), reply }),
            _ => self.answer(reply, Err(internal("a request that names no sweep"))),
        }
    }

    fn asked_of(&mut self, id: SweepId, asked: Asked, now: Now) {
        let Asked { call, actor, reply } = asked;
        if let Call::GetSweep(request) = &call {
            return match self.whole(id, now) {
                Ok(whole) if request.model => {
                    self.read(Job::Believe { sweep: id, whole: Box::new(whole), reply })
                }
                answer => self.answer(reply, answer.map(Answer::GetSweep)),
            };
        }
        if let Call::GetTrial(_) = &call {
            let Some(loaded) = self.sweeps.get(&id) else {
                return self.answer(reply, Err(internal("the sweep is not loaded")));
            };
            let Some(best) = loaded.state.best() else {
                let refused = no_best(&loaded.state);
                return self.answer(reply, Err(refused));
            };
            let (trial, metrics) = (Some(best), self.metrics(id));
            return self.read(Job::GetTrial { sweep: id, trial, metrics, reply });
        }
        if let Call::AskForTrials(_) = &call {
            return self.ask_for_trials(id, Asked { call, actor, reply }, now);
        }
        self.pending.is_essential |= self.pending.batch.is_empty() && ends_something(&call);
        let request_id = request_id(&call).to_owned();
        let again = call.clone();
        let answer = self.once(&actor, &request_id, &again, now, |core, who| core.carry(id, call, who, now));
        self.answer(reply, answer);
    }

    fn carry(&mut self, id: SweepId, call: Call, who: &Who, now: Now) -> Result<Answer, Refused> {
        match call {
            Call::SetSweep(request) => self.set(id, &request, who, now),
            Call::PauseSweep(request) => {
                let how = if request.now { PauseHow::Requeue } else { PauseHow::Drain };
                self.command(id, &Command::Pause { how, why: PauseWhy::Person }, who, "", now)?;
                Ok(Answer::PauseSweep(pb::PauseSweepResponse { sweep: Some(self.message(id, now)?) }))
            }
            Call::ResumeSweep(request) => self.resume(id, &request, who, now),
            Call::StopSweep(_) => {
                self.command(id, &Command::Stop, who, "", now)?;
                Ok(Answer::StopSweep(pb::StopSweepResponse { sweep: Some(self.message(id, now)?) }))
            }
            Call::DeleteSweep(request) => {
                let command = if request.undo { Command::Restore } else { Command::Hide };
                self.command(id, &command, who, "", now)?;
                Ok(Answer::DeleteSweep(pb::DeleteSweepResponse { sweep: Some(self.message(id, now)?) }))
            }
            Call::StopTrial(request) => {
                let trial = Trial(request.trial);
                self.command(id, &Command::StopTrial { trial }, who, "", now)?;
                Ok(Answer::StopTrial(pb::StopTrialResponse { trial: self.row(id, trial) }))
            }
            Call::RetryTrials(request) => self.retry(id, &request, who, now),
            Call::Enqueue(request) => self.enqueue(id, &request, who, now),
            Call::Annotate(request) => self.annotate(id, &request, who, now),
            Call::TellTrial(request) => self.tell(id, &request, who, now),
            _ => Err(internal("not a request on a sweep")),
        }
    }

    pub(super) fn row(&self, id: SweepId, trial: Trial) -> Option<pb::Trial> {
        let kept = self.sweeps.get(&id).and_then(|loaded| loaded.rows.get(&trial).cloned());
        kept.or_else(|| self.stored_row(id, trial))
    }

    pub(super) fn message(&self, id: SweepId, now: Now) -> Result<pb::Sweep, Refused> {
        let loaded = self.sweeps.get(&id).ok_or_else(|| internal("the sweep is not loaded"))?;
        Ok(loaded.message(now.mono, self.home_alive(loaded)))
    }

    fn home_alive(&self, loaded: &Loaded) -> bool {
        loaded.state.home().is_some_and(|home| self.links.is_alive(home))
    }

    /// The sweep, whole, and what is odd about where its runs go.
    fn whole(&self, id: SweepId, now: Now) -> Result<pb::Sweep, Refused> {
        let loaded = self.sweeps.get(&id).ok_or_else(|| internal("the sweep is not loaded"))?;
        let mut message = loaded.whole(now.mono, self.home_alive(loaded));
        message.remarks.extend(placement::remark(loaded, &self.links));
        Ok(message)
    }
}

/// Why there is no best trial.
pub(super) fn no_best(state: &State) -> Refused {
    const NAMED: usize = 10;
    let (sweep, front) = (state.id(), state.front());
    if state.definition().objectives.len() < 2 || front.is_empty() {
        return Refused::not_found(format!("sweep {sweep} has no best trial yet")).at("trial");
    }
    let mut names: Vec<String> = front.iter().take(NAMED).map(ToString::to_string).collect();
    if let Some(more) = front.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    let front = names.join(", ");
    let message =
        format!("sweep {sweep} has several objectives, so no single best trial; its front: {front}");
    Refused::not_found(message).at("trial").with_help(format!("name one of them: {sweep}/{}", names[0]))
}

/// Whether a request only reads, or ends something.
fn is_taken_on_a_full_disk(call: &Call) -> bool {
    let reads = matches!(
        call,
        Call::GetSweep(_)
            | Call::ListSweeps(_)
            | Call::ListTrials(_)
            | Call::GetTrial(_)
            | Call::Status(_)
            | Call::Verify(_)
            | Call::Backup(_)
    );
    reads || ends_something(call)
}

fn ends_something(call: &Call) -> bool {
    matches!(call, Call::StopSweep(_) | Call::DeleteSweep(_) | Call::StopTrial(_))
}

/// The sweep that a request names; none: it is about all of them.
pub(super) fn sweep_of(call: &Call) -> Option<&str> {
    match call {
        Call::GetSweep(r) => Some(&r.sweep),
        Call::SetSweep(r) => Some(&r.sweep),
        Call::PauseSweep(r) => Some(&r.sweep),
        Call::ResumeSweep(r) => Some(&r.sweep),
        Call::StopSweep(r) => Some(&r.sweep),
        Call::DeleteSweep(r) => Some(&r.sweep),
        Call::ListTrials(r) => Some(&r.sweep),
        Call::GetTrial(r) => Some(&r.sweep),
        Call::StopTrial(r) => Some(&r.sweep),
        Call::RetryTrials(r) => Some(&r.sweep),
        Call::Enqueue(r) => Some(&r.sweep),
        Call::Annotate(r) => Some(&r.sweep),
        Call::AskForTrials(r) => Some(&r.sweep),
        Call::TellTrial(r) => Some(&r.sweep),
        Call::CreateSweep(_) | Call::ListSweeps(_) | Call::Status(_) | Call::Verify(_) | Call::Backup(_) => {
            None
        }
    }
}

fn request_id(call: &Call) -> &str {
    match call {
        Call::SetSweep(r) => &r.request_id,
        Call::PauseSweep(r) => &r.request_id,
        Call::ResumeSweep(r) => &r.request_id,
        Call::StopSweep(r) => &r.request_id,
        Call::DeleteSweep(r) => &r.request_id,
        Call::StopTrial(r) => &r.request_id,
        Call::RetryTrials(r) => &r.request_id,
        Call::Enqueue(r) => &r.request_id,
        Call::Annotate(r) => &r.request_id,
        Call::TellTrial(r) => &r.request_id,
        _ => "",
    }
}
