//! Request ids: what is sent again has one effect, and its first answer.

use std::sync::Arc;

use crate::controller::ask::sweep_of;
use crate::controller::clock::Now;
use crate::controller::core::{Core, Who, internal};
use crate::controller::handle::{Answer, Call};
use crate::controller::{Refused, RefusedKind, create};
use crate::pb;
use crate::spec::Code;
use crate::store::Request;
use crate::sweep::{Pos, Run, Trial};

/// Longest request id.
const REQUEST_ID: usize = 64;

/// What became of a request before, by its id. `args`: the hash of its arguments.
#[derive(Debug)]
pub(super) enum Before {
    /// It was never carried out.
    Nothing { args: [u8; 32] },
    /// It was, in this batch.
    InBatch(Box<Result<Answer, Refused>>),
    /// It was, and is on the disk; `pos`: the first entry that it made.
    Stored { args: [u8; 32], pos: Pos },
}

impl Before {
    /// Another request came under the same id.
    pub(super) fn used(id: &str) -> Refused {
        let why = format!("request id '{id}' was used for another request");
        Refused::new(RefusedKind::AlreadyExists, Code::RequestIdUsed, why).at("request_id")
    }
}

impl Core {
    /// Somebody as an actor of the log.
    pub(super) fn who(&mut self, name: &Arc<str>) -> Result<Who, Refused> {
        let actor = self.store.actor(name, &mut self.pending.batch);
        Ok(Who { actor: actor.map_err(|error| internal(&error.to_string()))?, name: Arc::clone(name) })
    }

    /// What became of a request before.
    pub(super) fn before(&mut self, who: &Who, id: &str, call: &Call, now: Now) -> Result<Before, Refused> {
        let args = *blake3::hash(&call.encoded()).as_bytes();
        if id.is_empty() {
            return Ok(Before::Nothing { args });
        }
        if id.len() > REQUEST_ID {
            let why = format!("request_id has {} bytes; allowed are 1 to 64", id.len());
            return Err(Refused::invalid("request_id", why));
        }
        let key = (Arc::clone(&who.name), id.to_owned());
        if let Some((known, answer)) = self.pending.requests.get(&key) {
            return if *known == args {
                Ok(Before::InBatch(Box::new(answer.clone())))
            } else {
                Err(Before::used(id))
            };
        }
        let stored = self.store.request(who.actor, id.as_bytes(), now.at);
        match stored.map_err(|error| internal(&error.to_string()))? {
            Some(request) if request.args != args => Err(Before::used(id)),
            Some(request) => Ok(Before::Stored { args, pos: request.pos }),
            None => Ok(Before::Nothing { args }),
        }
    }

    /// A request is carried out: its id is stored with what it makes from `pos` on.
    pub(super) fn note_request(&mut self, who: &Who, id: &str, args: [u8; 32], pos: Pos, now: Now) {
        if !id.is_empty() {
            let at = self.stamp(now);
            let request = Request { caller: who.actor, id: id.as_bytes().to_vec(), args, pos, at };
            self.pending.batch.request(request);
        }
    }

    /// Carries a request out unless it was already: the same id gets the first answer, another request under it none.
    pub(super) fn once(
        &mut self,
        name: &Arc<str>,
        id: &str,
        call: &Call,
        now: Now,
        carry: impl FnOnce(&mut Core, &Who) -> Result<Answer, Refused>,
    ) -> Result<Answer, Refused> {
        let who = self.who(name)?;
        let args = match self.before(&who, id, call, now)? {
            Before::Nothing { args } => args,
            Before::InBatch(answer) => return *answer,
            Before::Stored { pos, .. } => return self.repeat(call, pos, now),
        };
        let pos = self.head().next;
        let answer = carry(self, &who);
        if answer.is_ok() && !id.is_empty() {
            self.note_request(&who, id, args, pos, now);
            self.pending.requests.insert((who.name, id.to_owned()), (args, answer.clone()));
        }
        answer
    }

    /// The answer to a request that was carried out before: how things stand now, and which trials it made.
    fn repeat(&mut self, call: &Call, pos: Pos, now: Now) -> Result<Answer, Refused> {
        if let Call::CreateSweep(_) = call {
            return create::repeat(self, pos, now).map(Answer::CreateSweep);
        }
        let name = sweep_of(call).unwrap_or_default();
        let id = self.directory.find(name)?;
        let sweep = Some(self.message(id, now)?);
        Ok(match call {
            Call::SetSweep(_) => Answer::SetSweep(pb::SetSweepResponse { sweep }),
            Call::PauseSweep(_) => Answer::PauseSweep(pb::PauseSweepResponse { sweep }),
            Call::ResumeSweep(_) => Answer::ResumeSweep(pb::ResumeSweepResponse { sweep }),
            Call::StopSweep(_) => Answer::StopSweep(pb::StopSweepResponse { sweep }),
            Call::DeleteSweep(_) => Answer::DeleteSweep(pb::DeleteSweepResponse { sweep }),
            Call::StopTrial(request) => {
                Answer::StopTrial(pb::StopTrialResponse { trial: self.row(id, Trial(request.trial)) })
            }
            Call::RetryTrials(request) => {
                Answer::RetryTrials(pb::RetryTrialsResponse { trials: request.trials.clone(), sweep })
            }
            Call::Enqueue(request) => {
                let count = request.params.len().max(1) * request.repeat.max(1) as usize;
                let trials = create::proposed_from(self, id, pos, count)?;
                Answer::Enqueue(pb::EnqueueResponse { trials, sweep, note: String::new() })
            }
            Call::Annotate(request) => {
                let trial = request.trial.and_then(|trial| self.row(id, Trial(trial)));
                Answer::Annotate(pb::AnnotateResponse { trial, sweep })
            }
            Call::TellTrial(request) => {
                let trial = Trial(request.trial);
                let attempt = self.sweeps.get(&id).and_then(|loaded| loaded.state.trial_view(trial));
                let attempt = attempt.map_or(0, |view| view.attempt);
                let run = Run { trial, attempt: if request.attempt > 0 { request.attempt } else { attempt } };
                Answer::TellTrial(self.standing(id, run))
            }
            _ => return Err(internal("a request that changes nothing has no id")),
        })
    }
}
