//! Callers: who asks for trials, to run them by means of their own, and what they tell of them.
//!
//! The asks of a sweep are served one after the other, each trial after the one before it, so that a method that learns sees
//! what was given already; one that has to wait for a suggestion waits here. What was given is in the log at once: an ask
//! that is sent again, answered or cut short by a kill, gets just that.
//!
//! A caller holds its trial by a lease, which every word renews. A lease is kept by the monotonic clock and is not stored:
//! after a start, and after a gap in which this process stood still, everybody has a full new term.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::controller::clock::Now;
use crate::controller::core::{Core, Who, internal};
use crate::controller::handle::{Answer, Call};
use crate::controller::pending::Asked;
use crate::controller::request::Before;
use crate::controller::{Refused, row, words};
use crate::pb;
use crate::store::{Entry, Log, Reports};
use crate::sweep::{
    Body, Command, Fence, Lease, LostWhy, Offer, Pos, Refusal, Run, SweepId, Trial, lacks_suggestion,
};

/// Trials of one ask.
const MOST: u32 = 1000;
/// Of an ask that names none.
const LEASE: Duration = Duration::from_secs(3600);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_secs(366 * 86_400);
/// Where a request that was given nothing has its first entry.
const NOTHING: Pos = Pos(0);

/// An ask that is served, or waits for the one before it.
#[derive(Debug)]
pub(super) struct Caller {
    who: Who,
    request: pb::AskRequest,
    lease: Duration,
    /// Of the call: what is stored beside its request id.
    args: [u8; 32],
    /// The first entry that was made for it; none: nothing was given yet.
    at: Option<Pos>,
    /// It was carried out by an earlier process, or batch.
    is_repeated: bool,
    given: Vec<(Run, Fence)>,
    /// Whoever sent this request, once or again.
    replies: Vec<oneshot::Sender<Result<Answer, Refused>>>,
}

impl Caller {
    pub(super) fn into_replies(self) -> impl Iterator<Item = oneshot::Sender<Result<Answer, Refused>>> {
        self.replies.into_iter()
    }

    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        self.replies.iter().all(oneshot::Sender::is_closed)
    }

    fn wanted(&self) -> usize {
        self.request.n.max(1) as usize
    }
}

impl Core {
    /// Somebody asks for trials: the answer comes when all are there, or no more can be.
    pub(super) fn ask_for_trials(&mut self, id: SweepId, asked: Asked, now: Now) {
        let Asked { call, actor, reply } = asked;
        let Call::AskForTrials(request) = &call else {
            return self.answer(reply, Err(internal("not an ask for trials")));
        };
        let same = |caller: &&mut Caller| {
            !request.request_id.is_empty()
                && caller.who.name == actor
                && caller.request.request_id == request.request_id
        };
        if let Some(caller) = self.callers.get_mut(&id).and_then(|all| all.iter_mut().find(same)) {
            if caller.request == *request {
                return caller.replies.push(reply);
            }
            let used = Before::used(&request.request_id);
            return self.answer(reply, Err(used));
        }
        let before = self.who(&actor).and_then(|who| {
            let before = self.before(&who, &request.request_id, &call, now)?;
            Ok((who, before))
        });
        let caller = match before {
            Ok((_, Before::InBatch(answer))) => return self.answer(reply, *answer),
            Ok((who, Before::Nothing { args })) => self.new_caller(id, request, who, args, None),
            Ok((who, Before::Stored { args, pos })) => self.new_caller(id, request, who, args, Some(pos)),
            Err(refused) => Err(refused),
        };
        match caller {
            Ok(mut caller) => {
                caller.replies.push(reply);
                self.callers.entry(id).or_default().push_back(caller);
                self.dirty.insert(id);
            }
            Err(refused) => self.answer(reply, Err(refused)),
        }
    }

    /// A caller to be served; `at`: where the entries begin that an equal request made before.
    fn new_caller(
        &self,
        id: SweepId,
        request: &pb::AskRequest,
        who: Who,
        args: [u8; 32],
        at: Option<Pos>,
    ) -> Result<Caller, Refused> {
        if request.n > MOST {
            return Err(Refused::invalid("n", format!("n is {}; allowed are 1 to {MOST}", request.n)));
        }
        let lease = lease(request.lease.as_ref())?;
        if at.is_none() && self.sweeps.get(&id).is_some_and(|loaded| loaded.state.is_hidden()) {
            return Err(Refusal::Hidden.into());
        }
        let given = at.filter(|at| *at != NOTHING).map_or(Ok(Vec::new()), |at| self.given_from(id, at))?;
        let (is_repeated, request) = (at.is_some(), request.clone());
        Ok(Caller { who, request, lease, args, at, is_repeated, given, replies: Vec::new() })
    }

    /// The runs that an ask was given, whose first entry was `at`.
    fn given_from(&self, id: SweepId, at: Pos) -> Result<Vec<(Run, Fence)>, Refused> {
        let mut reader = self.readers.get().map_err(|error| internal(&error.to_string()))?;
        let mut given = Vec::new();
        reader
            .fold(Log::Sweep(id), Reports::None, Pos(at.0 - 1), |entry| {
                if let Entry::Event(event) = entry
                    && let Body::RunAssigned { run, fence, lease: Some(lease), .. } = event.body
                    && lease.request == at
                {
                    given.push((run, fence));
                }
            })
            .map_err(|error| internal(&error.to_string()))?;
        Ok(given)
    }

    /// Gives those who wait what there is for them.
    pub(super) fn serve_callers(&mut self, id: SweepId, now: Now) {
        if self.is_pressed {
            return;
        }
        while let Some(mut caller) = self.callers.get_mut(&id).and_then(VecDeque::pop_front) {
            if caller.is_abandoned() {
                continue; // what it was given is kept for it, until the leases are over
            } else if self.serve(id, &mut caller, now) {
                self.answer_caller(id, caller, now);
            } else {
                self.callers.entry(id).or_default().push_front(caller);
                return;
            }
        }
        self.callers.remove(&id);
    }

    /// False: the next trial waits for the method's suggestion.
    fn serve(&mut self, id: SweepId, caller: &mut Caller, now: Now) -> bool {
        while caller.given.len() < caller.wanted() && !caller.is_repeated {
            let Some(loaded) = self.sweeps.get(&id) else { return true };
            let request = caller.at.unwrap_or(self.head().next);
            let ms = u64::try_from(caller.lease.as_millis()).unwrap_or(u64::MAX);
            let offer = Offer {
                lease: Some(Lease { ms, request }),
                has_suggestion: loaded.has_suggestion(),
                ..Offer::default()
            };
            let next = Trial(loaded.state.trials() + 1);
            let Some(command) = self.due(id, Some(&offer), now) else {
                let waits =
                    self.sweeps.get(&id).is_some_and(|loaded| lacks_suggestion(&loaded.state, &offer));
                self.ask_for_suggestion(id, &offer, now);
                return !waits;
            };
            let Command::Assign { trial, .. } = &command else {
                let who = self.itself();
                if !self.carry_out(id, &command, &who, now) {
                    return true;
                }
                continue;
            };
            let trial = trial.unwrap_or(next);
            let command = self.with_suggestion(id, command);
            if !self.carry_out(id, &command, &caller.who.clone(), now) {
                return true;
            }
            if caller.at.is_none() {
                caller.at = Some(request);
                self.note_request(&caller.who, &caller.request.request_id, caller.args, request, now);
            }
            caller.given.extend(self.live(id, trial).map(|run| (run.run, run.fence)));
        }
        true
    }

    fn answer_caller(&mut self, id: SweepId, caller: Caller, now: Now) {
        if caller.at.is_none() {
            self.note_request(&caller.who, &caller.request.request_id, caller.args, NOTHING, now);
        }
        let answer = self.given_to_caller(id, &caller, now).map(Answer::AskForTrials);
        let request_id = &caller.request.request_id;
        if !request_id.is_empty() {
            let key = (Arc::clone(&caller.who.name), request_id.clone());
            self.pending.requests.insert(key, (caller.args, answer.clone()));
        }
        caller.into_replies().for_each(|reply| self.answer(reply, answer.clone()));
    }

    fn given_to_caller(&self, id: SweepId, caller: &Caller, now: Now) -> Result<pb::AskResponse, Refused> {
        let sweep = self.message(id, now)?;
        let Some(loaded) = self.sweeps.get(&id) else { return Err(internal("the sweep is not loaded")) };
        let trial = |(run, fence): &(Run, Fence)| {
            let live = loaded.state.live_run(run.trial).filter(|live| live.run == *run);
            let row = live.and_then(|_| loaded.rows.get(&run.trial)?.runs.last().cloned());
            pb::AskedTrial {
                run: format!("{id}/{run}"),
                params: loaded.state.assignment(run.trial).as_ref().map(Into::into),
                sweep: id.to_string(),
                trial: run.trial.0,
                attempt: run.attempt,
                fence: fence.0,
                seed: row::seed(&loaded.state, run.trial),
                lease_end: row.and_then(|row| row.lease_end),
            }
        };
        let why = match caller.given.len() < caller.wanted() {
            true if caller.is_repeated => "that is what this request was given; ask anew for more".to_owned(),
            true => words::of_no_more(&loaded.state),
            false => String::new(),
        };
        Ok(pb::AskResponse { trials: caller.given.iter().map(trial).collect(), sweep: Some(sweep), why })
    }

    /// Nobody who waits for trials of this sweep will get any.
    pub(super) fn turn_away(&mut self, id: SweepId, why: &Refused) {
        for caller in self.callers.remove(&id).unwrap_or_default() {
            caller.into_replies().for_each(|reply| self.answer(reply, Err(why.clone())));
        }
    }

    // ---- leases

    /// Ends the runs of whose callers nothing was heard for too long.
    pub(super) fn end_leases(&mut self, now: Now) {
        let over = self.sweeps.iter().flat_map(|(id, loaded)| {
            let trials = loaded.leases_over(now.mono);
            trials.filter_map(|trial| Some((*id, loaded.state.live_run(trial)?)))
        });
        for (id, run) in over.collect::<Vec<_>>() {
            let lost = Command::Lost { run: run.run, fence: run.fence, why: LostWhy::Lease };
            let who = self.itself();
            self.carry_out(id, &lost, &who, now);
        }
    }

    /// The caller of a trial has said something: its lease begins anew, and its row says so.
    pub(super) fn renew_lease(&mut self, id: SweepId, trial: Trial, now: Now) {
        let Some(loaded) = self.sweeps.get_mut(&id) else { return };
        if loaded.renew_lease(trial, now) {
            self.pending.rows.insert((id, trial));
        }
    }

    /// Every caller has a full new term.
    pub(super) fn renew_leases(&mut self, now: Now) {
        let leased = self.sweeps.iter().flat_map(|(id, loaded)| {
            let runs = loaded.state.live_runs().filter(|run| run.lease.is_some());
            runs.map(|run| (*id, run.run.trial))
        });
        for (id, trial) in leased.collect::<Vec<_>>() {
            self.renew_lease(id, trial, now);
        }
    }
}

/// How long the caller may say nothing.
fn lease(given: Option<&prost_types::Duration>) -> Result<Duration, Refused> {
    let Some(given) = given else { return Ok(LEASE) };
    let lease = Duration::try_from(*given).ok();
    lease.filter(|lease| (SHORTEST_LEASE..=LONGEST_LEASE).contains(lease)).ok_or_else(|| {
        let shown = format!("{}.{:09}s", given.seconds, given.nanos.unsigned_abs());
        Refused::invalid("lease", format!("a lease of {shown} is none; allowed are 1s to 366d"))
    })
}
