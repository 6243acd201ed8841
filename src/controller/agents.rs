//! What agents say, and what they are told.
//!
//! A hello is answered in one batch, run by run: what goes on gets its cursor, what is superseded or unknown is to end,
//! what never arrived is sent again, and what the agent lost is ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::clock::Now;
use crate::controller::core::{Core, PATIENCE_OF_A_FULL_DISK, internal};
use crate::controller::handle::LinkId;
use crate::controller::links::{Agent, HEARTBEAT, Link};
use crate::controller::loaded::LiveRun;
use crate::controller::pending::Output;
use crate::controller::{Refused, RefusedKind, row, words};
use crate::pb::agent_down::Kind as Down;
use crate::pb::agent_up::Kind as Up;
use crate::pb::{self, RunId};
use crate::spec::StopSignal;
use crate::store::{Log, Text, text_ref};
use crate::sweep::{
    AfterStop, Command, Device, Ended, Exit, Fence, Incoming, LostWhy, Phase, Refusal, Run, RunView, Started,
    StopWhy, SweepId, TextRef, Trial, decide_report,
};

/// Output kept in the log, at most.
const TAIL_BYTES: usize = 16 << 10;

impl Core {
    /// An agent's stream is open: it is told which store this is.
    pub(super) fn opened(&mut self, link: LinkId) {
        self.links.opened(link);
        if self.is_ending {
            return self.part(link, "the controller ends");
        }
        self.pending.down(
            link,
            Down::Welcome(pb::Welcome {
                store: format!("{:016x}", self.store.id()),
                epoch: self.store.epoch(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                heartbeat: Some(pb::duration(HEARTBEAT)),
            }),
        );
    }

    pub(super) fn closed(&mut self, link: LinkId, now: Now) {
        self.forget_followers(link);
        let Some(agent) = self.links.closed(link, now.mono) else { return };
        for (sweep, _) in self.fleet.given_to(&agent) {
            self.dirty.insert(sweep);
        }
    }

    fn part(&mut self, link: LinkId, why: &str) {
        let retry_after = self.is_pressed.then(|| pb::duration(PATIENCE_OF_A_FULL_DISK));
        let goodbye = pb::Goodbye { why: why.to_owned(), retry_after, see_other: String::new() };
        self.pending.down(link, Down::Goodbye(goodbye));
        self.pending.outputs.push(Output::Close(link));
        self.links.part(link);
    }

    pub(super) fn said(&mut self, link: LinkId, message: pb::AgentUp, now: Now) {
        if !self.links.is_heard(link) {
            return;
        }
        self.links.heard(link, now.mono);
        match message.kind {
            Some(Up::Hello(hello)) => self.hello(link, hello, now),
            Some(Up::Heartbeat(_)) | None => {}
            Some(_) if self.links.speaker(link).is_none() => self.part(link, "hello comes first"),
            Some(Up::Run(up)) => self.run_said(link, up, now),
            Some(Up::Refused(refused)) => self.refused(refused, now),
            Some(Up::Drain(drain)) => self.drain(link, drain.now, now),
            Some(Up::Output(output)) => self.output(output),
        }
    }

    // ---- hello

    fn hello(&mut self, link: LinkId, hello: pb::Hello, now: Now) {
        if let Some(why) = self.unwelcome(link, &hello) {
            return self.part(link, &why);
        }
        if let Some(Link::Alive { stream, .. }) =
            self.links.agent(&hello.agent).map(|agent| agent.link.clone())
            && stream != link
        {
            self.part(stream, "the same agent came again");
            self.links.closed(stream, now.mono);
        }
        let inventory = hello.inventory.unwrap_or_default();
        let agent = Agent {
            incarnation: hello.incarnation.to_vec(),
            machine: hello.machine.clone(),
            host: hello.host.clone(),
            slots: inventory.slots,
            devices: inventory.devices.iter().map(Device::from).collect(),
            only: hello.sweep.parse().ok(),
            is_draining: false,
            link: Link::Alive { stream: link, heard: now.mono },
        };
        self.introduce(&hello.agent, &hello.machine);
        self.links.greeted(link, &hello.agent, agent, &hello.speaks_for);
        self.reconcile(link, &hello.agent, hello.runs, now);
        self.wake_all();
    }

    /// Why this agent may not come in.
    fn unwelcome(&self, link: LinkId, hello: &pb::Hello) -> Option<String> {
        if self.links.speaker(link).is_some() {
            return Some("hello comes once a stream".to_owned());
        }
        if hello.agent.is_empty() || hello.agent.len() > 200 {
            return Some("an agent needs a name of 1 to 200 bytes".to_owned());
        }
        let ours = format!("{:016x}", self.store.id());
        if hello.store == ours && hello.epoch > self.store.epoch() {
            return Some(format!(
                "this controller is of epoch {}, and the agent has seen epoch {}: an older copy of the store?",
                self.store.epoch(),
                hello.epoch
            ));
        }
        let other = self.links.agent(&hello.agent).filter(|known| {
            matches!(known.link, Link::Alive { .. })
                && known.incarnation != hello.incarnation
                && !hello.take_over
        });
        other.map(|_| format!("another agent named {} is here already", hello.agent))
    }

    /// Agents of one machine watch over each other.
    fn introduce(&mut self, id: &str, machine: &str) {
        let others = self.links.agents().filter(|(other, agent)| *other != id && agent.machine == machine);
        let streams: Vec<LinkId> = others.filter_map(|(other, _)| self.links.stream_to(other)).collect();
        for stream in streams {
            self.pending.down(stream, Down::Peer(pb::Peer { agent: id.to_owned() }));
        }
    }

    fn reconcile(&mut self, link: LinkId, agent: &str, held: Vec<pb::Held>, now: Now) {
        let mut cursors = Vec::new();
        let mut seen = BTreeSet::new();
        for held in held {
            let Ok(id) = RunId::try_from(held.run.clone()) else { continue };
            seen.insert((id.sweep, id.run.trial, id.fence));
            if let Some(cursor) = self.judge_held(link, id, &held, now) {
                cursors.push(pb::Ack { run: Some(id.into()), seq: cursor });
            }
        }
        for id in self.links.held_by(agent) {
            for (sweep, trial) in self.fleet.given_to(&id) {
                let Some(run) = self.live(sweep, trial) else { continue };
                if !seen.contains(&(sweep, trial, run.fence)) {
                    self.judge_missing(sweep, &run, id == agent, agent, now);
                }
            }
        }
        self.pending.down(link, Down::Ready(pb::Ready { cursors }));
    }

    /// What becomes of a run that an agent holds: its cursor if it goes on.
    fn judge_held(&mut self, link: LinkId, id: RunId, held: &pb::Held, now: Now) -> Option<u64> {
        if self.damaged.contains_key(&id.sweep) {
            return None; // kept: nobody knows yet what it is worth
        }
        let live = self.live(id.sweep, id.run.trial).filter(|run| run.run == id.run && run.fence == id.fence);
        let Some(run) = live else {
            self.end_run(link, id, "it was superseded, or is over");
            return None;
        };
        let nonce = match &run.phase {
            Phase::Running(nonce) => Some(nonce.clone()),
            Phase::Stopping { nonce, .. } => nonce.clone(),
            Phase::Assigned => None,
        };
        if nonce.as_ref().is_some_and(|nonce| !held.nonce.is_empty() && *nonce != held.nonce) {
            self.end_run(link, id, "it was started by another runner");
            return None;
        }
        let unstarted = held.phase == i32::from(pb::held::Phase::NotStarted);
        // The end of a run that has not ended here comes after all that was taken in.
        let has_ended = held.phase == i32::from(pb::held::Phase::Ended) && run.seq > 0;
        let too_short = held.last_seq < run.seq || (has_ended && held.last_seq == run.seq);
        if too_short || (unstarted && nonce.is_some()) {
            self.lose(id, LostWhy::Machine, now);
            self.end_run(link, id, words::of_loss(LostWhy::Machine));
            return None;
        }
        if matches!(run.phase, Phase::Stopping { .. }) {
            self.send_stop(id.sweep, id.run.trial);
        }
        let known = self.sweeps.get_mut(&id.sweep)?.runs.get_mut(&id.run.trial)?;
        let again = known.names.is_none();
        known.names.get_or_insert_with(Vec::new);
        if again {
            known.names_seq = 0;
        }
        // Where its names are lost with its row, everything is heard again, and what is new is kept.
        Some(if again { 0 } else { run.seq })
    }

    /// What becomes of a run that was given to an agent, or to one it speaks for, and that it does not hold.
    fn judge_missing(&mut self, sweep: SweepId, run: &RunView, is_own: bool, agent: &str, now: Now) {
        let id = RunId { sweep, run: run.run, fence: run.fence };
        let at_home = self.sweeps.get(&sweep).is_some_and(|loaded| loaded.state.home() == Some(agent));
        match &run.phase {
            Phase::Assigned if is_own || at_home => {
                self.send_assign(sweep, run.run, run.fence);
            }
            Phase::Assigned | Phase::Running(_) | Phase::Stopping { .. } => {
                self.lose(id, LostWhy::Gone, now);
            }
        }
    }

    fn lose(&mut self, id: RunId, why: LostWhy, now: Now) {
        let lost = Command::Lost { run: id.run, fence: id.fence, why };
        if let Err(refused) = self.command(id.sweep, &lost, &self.itself(), "", now) {
            tracing::debug!(%refused, run = %id.run, "the run was over already");
        }
    }

    pub(super) fn live(&self, sweep: SweepId, trial: Trial) -> Option<RunView> {
        self.sweeps.get(&sweep)?.state.live_run(trial)
    }

    // ---- runs

    fn run_said(&mut self, link: LinkId, up: pb::RunUp, now: Now) {
        let Ok(id) = RunId::try_from(up.run) else { return self.part(link, "a message names no run") };
        if self.damaged.contains_key(&id.sweep) {
            return;
        }
        if !self.sweeps.contains_key(&id.sweep) {
            return self.end_run(link, id, "its sweep is over, or unknown");
        }
        if self.is_pressed && !matches!(up.kind, Some(pb::run_up::Kind::Ended(_))) {
            // On a full disk ends are taken still, so what comes before the end of a run on its way out is, too.
            if !matches!(up.kind, Some(pb::run_up::Kind::Started(_))) && !self.is_on_its_way_out(id) {
                return self.part(link, "the disk of the controller is full"); // kept beside the run until there is room
            }
            self.pending.is_essential |= self.pending.batch.is_empty();
        }
        let taken = match up.kind {
            Some(pb::run_up::Kind::Started(started)) => self.started(id, &started, now).map(|()| started.seq),
            Some(pb::run_up::Kind::Names(names)) => self.names(id, names),
            Some(pb::run_up::Kind::Reports(reports)) => self.reports(id, reports, now),
            Some(pb::run_up::Kind::Ended(ended)) => self.ended(id, &ended, now).map(|()| ended.seq),
            None => return,
        };
        match taken {
            Ok(seq) => self.pending.acknowledge(link, id, seq),
            // A fault of ours: it is not acknowledged, and the run goes on.
            Err(refused) if refused.kind == RefusedKind::Internal => {
                tracing::error!(%refused, sweep = %id.sweep, run = %id.run, "a run's message was not taken in");
            }
            Err(refused) => self.end_run(link, id, &refused.message),
        }
    }

    fn is_on_its_way_out(&self, id: RunId) -> bool {
        let run = self.live(id.sweep, id.run.trial).filter(|run| run.fence == id.fence);
        run.is_some_and(|run| matches!(run.phase, Phase::Stopping { .. }))
    }

    fn started(&mut self, id: RunId, started: &pb::Started, now: Now) -> Result<(), Refused> {
        let started = Box::new(Started::from(started));
        let command = Command::Started { run: id.run, fence: id.fence, started };
        self.command(id.sweep, &command, &self.itself(), "", now).map(|_| ())
    }

    fn names(&mut self, id: RunId, names: pb::Names) -> Result<u64, Refused> {
        if let Some(run) = self.known_run(id)
            && names.seq > run.names_seq
        {
            run.names_seq = names.seq;
            run.names.get_or_insert_with(Vec::new).extend(names.names);
            // Kept beside the trial: a controller that comes after this one need not hear them again.
            let known = (run.names.clone().unwrap_or_default(), run.names_seq);
            let loaded = self.sweeps.get_mut(&id.sweep);
            let row = loaded.and_then(|loaded| loaded.rows.get_mut(&id.run.trial));
            if let Some(shown) = row.and_then(|row| row.runs.last_mut()) {
                (shown.names, shown.names_seq) = known;
                self.pending.rows.insert((id.sweep, id.run.trial));
            }
        }
        Ok(names.seq)
    }

    fn known_run(&mut self, id: RunId) -> Option<&mut LiveRun> {
        let loaded = self.sweeps.get_mut(&id.sweep)?;
        loaded.state.live_run(id.run.trial).filter(|run| run.run == id.run && run.fence == id.fence)?;
        loaded.runs.get_mut(&id.run.trial)
    }

    /// Takes in reports; returns the last number of them.
    fn reports(&mut self, id: RunId, reports: pb::Reports, now: Now) -> Result<u64, Refused> {
        let mut last = 0;
        for report in reports.reports {
            last = last.max(report.seq);
            let names = self.known_run(id).and_then(|run| run.names.clone()).unwrap_or_default();
            let values = report.metric.iter().zip(&report.value);
            let incoming = Incoming {
                run: id.run,
                fence: id.fence,
                seq: report.seq,
                step: report.step,
                at: pb::from_timestamp(report.time.as_ref()),
                values: values
                    .filter_map(|(of, value)| Some((names.get(*of as usize)?.clone(), *value)))
                    .collect(),
                source: report.source,
            };
            self.report(id.sweep, &incoming, now)?;
        }
        Ok(last)
    }

    /// Takes in a report; returns how many of its values were left out.
    pub(super) fn report(&mut self, sweep: SweepId, incoming: &Incoming, now: Now) -> Result<u32, Refused> {
        let head = self.head();
        let loaded =
            self.sweeps.get(&sweep).ok_or_else(|| Refused::from(Refusal::NoSuchRun { run: incoming.run }))?;
        let decide = std::panic::AssertUnwindSafe(|| decide_report(&loaded.state, incoming, head));
        let taken = match std::panic::catch_unwind(decide) {
            Ok(taken) => taken?,
            Err(panic) => {
                return Err(self.fault(sweep, &crate::controller::recovery::panic_text(&*panic), now));
            }
        };
        if !taken.named.is_empty() {
            self.take(sweep, taken.named, &self.itself(), "", now)?;
        }
        if let Some(report) = taken.report {
            self.take_report(sweep, report, now)?;
        }
        Ok(taken.left_out)
    }

    fn ended(&mut self, id: RunId, ended: &pb::Ended, now: Now) -> Result<(), Refused> {
        let mut end = Ended::try_from(ended).map_err(|bad| internal(&bad.to_string()))?;
        if let Some(run) = self.known_run(id) {
            end.digest = run.digest.hex();
            end.gpus = run.gpus;
        }
        let tail = cut(&ended.tail);
        if !tail.is_empty() && self.live(id.sweep, id.run.trial).is_some() {
            end.tail = Some(self.text(id.sweep, tail));
        }
        self.pending.is_essential |= self.pending.batch.is_empty();
        let command = Command::Ended { run: id.run, fence: id.fence, ended: Box::new(end) };
        self.command(id.sweep, &command, &self.itself(), tail, now).map(|_| ())
    }

    /// A text of its own row, so that it can be erased.
    pub(super) fn text(&mut self, sweep: SweepId, body: &str) -> TextRef {
        let text = Text {
            id: self.store.next_text(),
            log: Log::Sweep(sweep),
            salt: crate::controller::draw::array(&mut *self.draw),
            body: body.to_owned(),
        };
        let reference = text_ref(&text);
        self.pending.batch.text(text);
        reference
    }

    /// The agent cannot start a run: nothing of it exists out there.
    fn refused(&mut self, refused: pb::Refused, now: Now) {
        let Ok(id) = RunId::try_from(refused.run) else { return };
        let Some(run) = self.live(id.sweep, id.run.trial).filter(|run| run.fence == id.fence) else { return };
        let ended = Ended {
            exit: Exit::NotStartedHere { why: refused.why },
            signalled: false,
            killed: false,
            timed_out: false,
            reports: 0,
            last_seq: run.seq,
            digest: String::new(),
            wall_ms: 0,
            cpu_ms: 0,
            peak_memory: 0,
            gpus: 0,
            tail: None,
            notes: Vec::new(),
        };
        let command = Command::Ended { run: id.run, fence: id.fence, ended: Box::new(ended) };
        if let Err(refused) = self.command(id.sweep, &command, &self.itself(), "", now) {
            tracing::debug!(%refused, run = %id.run, "the run was over already");
        }
    }

    fn drain(&mut self, link: LinkId, at_once: bool, now: Now) {
        let Some(agent) = self.links.speaker(link).map(str::to_owned) else { return };
        self.links.drain(&agent);
        let given = if at_once { self.fleet.given_to(&agent) } else { Vec::new() };
        for (sweep, trial) in given {
            let Some(run) = self.live(sweep, trial) else { continue };
            let stop = Command::StopRun {
                run: run.run,
                then: AfterStop::Requeue,
                why: StopWhy::Paused,
                evidence: None,
            };
            if let Err(refused) = self.command(sweep, &stop, &self.itself(), "", now) {
                tracing::debug!(%refused, %run.run, "the run was not stopped");
            }
        }
    }

    // ---- what agents are told

    fn end_run(&mut self, link: LinkId, id: RunId, why: &str) {
        self.pending.down(link, Down::End(pb::End { run: Some(id.into()), why: why.to_owned() }));
    }

    pub(super) fn send_stop(&mut self, sweep: SweepId, trial: Trial) {
        let Some(run) = self.live(sweep, trial) else { return };
        let why = match &run.phase {
            Phase::Stopping { why, .. } => words::of_stop(*why, None),
            Phase::Assigned | Phase::Running(_) => return,
        };
        let id = RunId { sweep, run: run.run, fence: run.fence };
        for placement in &run.placements {
            if let Some(stream) = self.links.stream_to(&placement.agent) {
                self.pending.down(
                    stream,
                    Down::Stop(pb::Stop { run: Some(id.into()), now: false, why: why.clone() }),
                );
            }
        }
    }

    pub(super) fn send_assign(&mut self, sweep: SweepId, run: Run, fence: Fence) {
        let Some(loaded) = self.sweeps.get(&sweep) else { return };
        let Some(live) = loaded.state.live_run(run.trial) else { return };
        let id = RunId { sweep, run, fence };
        let mut messages: BTreeMap<LinkId, pb::Assign> = BTreeMap::new();
        for placement in &live.placements {
            let Some(stream) = self.links.stream_to(&placement.agent) else { continue };
            let assign = pb::Assign {
                run: Some(id.into()),
                spec: Some(spec(loaded, run.trial)),
                placement: Some(placement.into()),
            };
            messages.insert(stream, assign);
        }
        for (stream, assign) in messages {
            self.pending.down(stream, Down::Assign(assign));
        }
    }
}

/// All that a runner needs to know.
fn spec(loaded: &crate::controller::loaded::Loaded, trial: Trial) -> pb::RunSpec {
    let state = &loaded.state;
    let definition = state.definition();
    let mut wanted: Vec<String> =
        definition.objectives.iter().map(|objective| objective.name.clone()).collect();
    let objectives = wanted.clone();
    wanted.extend(definition.constraints.iter().map(|constraint| constraint.metric.clone()));
    wanted.extend(definition.early_terminate.iter().map(|stopping| stopping.metric.clone()));
    wanted.sort();
    wanted.dedup();
    let env = loaded
        .env
        .iter()
        .map(|(name, value)| pb::run_spec::EnvVar { name: name.clone(), value: value.clone() });
    pb::RunSpec {
        command: definition.command.clone(),
        program: definition.program.clone().unwrap_or_default(),
        assignment: state.assignment(trial).as_ref().map(Into::into),
        env: env.collect(),
        workdir: definition.workdir.clone().unwrap_or_default(),
        timeout: definition.timeout.map(pb::duration),
        grace: Some(pb::duration(definition.grace)),
        stop_signal: match definition.stop_signal {
            StopSignal::Term => "TERM",
            StopSignal::Int => "INT",
        }
        .to_owned(),
        seed: row::seed(state, trial),
        wanted,
        collect: serde_json::to_string(&definition.collect).expect("text keys only"),
        sweep_name: definition.name.clone(),
        tags: state.summary().tags,
        stop_after: definition.on_silence.stop_after.map(pb::duration),
        objectives,
    }
}

/// The end of a text, at most as much as is kept, cut between characters.
fn cut(text: &str) -> &str {
    let from = text.len().saturating_sub(TAIL_BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[from..]
}
