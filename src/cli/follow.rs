//! Following a sweep: its log as it grows, the person's wishes, and what either means, until the sweep is over or the
//! person leaves.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::AgentHandle;
use crate::api::client::Client;
use crate::cli::connect::{self, Node};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::{Choice, View};
use crate::cli::session::request_id;
use crate::cli::settings::Settings;
use crate::pb;

/// What the person or the system asked of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// First Ctrl-C or SIGTERM: pause in order; the exit code that follows.
    Pause(Exit),
    /// SIGHUP, `d`: leave the runs alone and go.
    Detach,
    /// `s`: stop the sweep for good.
    Stop,
}

/// What a live view has to say by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A key was pressed.
    Wish(Wish),
    /// There is something to redraw.
    Redraw,
}

/// The signals that `run` and `watch` answer.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    suspend: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            suspend: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Option<Wish> {
        tokio::select! {
            _ = self.interrupt.recv() => Some(Wish::Pause(Exit::CtrlC)),
            _ = self.terminate.recv() => Some(Wish::Pause(Exit::Terminated)),
            _ = self.hangup.recv() => Some(Wish::Detach),
            _ = self.suspend.recv() => None,
        }
    }
}

/// Shows a sweep until it ends, pauses, or the person leaves. With an agent this process works for the sweep; without
/// one it only watches. Gives the sweep as it stands, and the code of the signal that ended the view.
///
/// # Errors
///
/// The controller is lost and nobody can take its place.
pub(super) async fn follow(
    node: &Node,
    agent: Option<&AgentHandle>,
    sweep: pb::Sweep,
    choice: Choice,
    settings: &Settings,
) -> Result<(pb::Sweep, Option<Exit>), Failure> {
    follow_until(node, agent, sweep, choice, settings, None).await
}

/// [`follow`], until `enough` holds.
///
/// # Errors
///
/// As [`follow`].
pub(super) async fn follow_until(
    node: &Node,
    agent: Option<&AgentHandle>,
    sweep: pb::Sweep,
    choice: Choice,
    settings: &Settings,
    enough: Option<&dyn Fn(&pb::Sweep) -> bool>,
) -> Result<(pb::Sweep, Option<Exit>), Failure> {
    let mut view = View::new(choice, &sweep, settings);
    view.begin(&sweep);
    let log = Log { id: sweep.sweep.clone(), from: sweep.pos + 1, client: node.client() };
    let mut follower = Follower { node, agent, log, view, sweep, enough, asked: None };
    let exit = follower.go().await?;
    follower.view.end(&follower.sweep);
    Ok((follower.sweep, exit))
}

/// One sweep, seen by one process.
struct Follower<'a> {
    node: &'a Node,
    agent: Option<&'a AgentHandle>,
    log: Log,
    view: View,
    /// As it was last heard of.
    sweep: pb::Sweep,
    /// What ends the view besides.
    enough: Option<&'a dyn Fn(&pb::Sweep) -> bool>,
    /// The signal that asked for a pause.
    asked: Option<Exit>,
}

/// What happens next.
enum Next {
    Wish(Wish),
    /// Ctrl-Z.
    Suspend,
    Redraw,
    /// The controller knows where runs can be put.
    Placed,
    Entries(pb::WatchResponse),
    /// The holder of the store has gone: another takes over, and the stream goes on where it was.
    Broken,
}

impl Follower<'_> {
    /// Goes on until it is over or somebody leaves; the code of the signal that ended it.
    async fn go(&mut self) -> Result<Option<Exit>, Failure> {
        let mut signals = Signals::new()?;
        let mut known = std::pin::pin!(is_known(self.agent));
        let mut is_placed = false;
        loop {
            let kinds = self.view.kinds(&self.sweep);
            let mut stream = self.log.open(self.view.detail(), &kinds).await?;
            let mut is_whole = true;
            loop {
                let next = tokio::select! {
                    wish = signals.next() => wish.map_or(Next::Suspend, Next::Wish),
                    () = &mut known, if !is_placed => Next::Placed,
                    turn = self.view.turn() => match turn {
                        Turn::Wish(wish) => Next::Wish(wish),
                        Turn::Redraw => Next::Redraw,
                    },
                    message = connect::next(&mut stream) => message?.map_or(Next::Broken, Next::Entries),
                };
                is_placed |= matches!(next, Next::Placed);
                match next {
                    Next::Broken => {
                        is_whole = false;
                        break;
                    }
                    Next::Wish(wish) => {
                        if let Some(exit) = self.obey(wish).await? {
                            return Ok(exit);
                        }
                    }
                    Next::Entries(message) => {
                        if self.take(&message).await? {
                            return Ok(self.asked);
                        }
                        if self.view.kinds(&self.sweep) != kinds {
                            break;
                        }
                    }
                    Next::Suspend => self.view.suspended(),
                    Next::Placed => {
                        self.sweep = self.log.get().await?;
                        self.view.remark(&self.sweep);
                    }
                    Next::Redraw => self.redraw().await?,
                }
            }
            if !is_whole && self.agent.is_none() {
                self.node.broke_off().await?;
            }
        }
    }

    async fn redraw(&mut self) -> Result<(), Failure> {
        if self.view.is_stale() {
            self.sweep = self.log.get().await?;
            self.view.refresh(&self.sweep);
        }
        self.view.draw();
        Ok(())
    }

    /// Takes in entries of the log. True: the sweep is over.
    async fn take(&mut self, message: &pb::WatchResponse) -> Result<bool, Failure> {
        self.log.from = self.log.from.max(message.pos + 1);
        if self.view.wants(message) || closes(message, &self.sweep) || self.enough.is_some() {
            self.sweep = self.log.get().await?;
            self.view.take(message, &self.sweep, &self.log.client).await?;
        }
        let is_enough = self.enough.is_some_and(|enough| enough(&self.sweep));
        let works_for_it = self.agent.is_some() || self.asked.is_some();
        Ok(is_enough || ends(message, &self.sweep) && is_over(&self.sweep, works_for_it))
    }

    /// Does what was asked for; with what code that ends the view, if it does.
    async fn obey(&mut self, wish: Wish) -> Result<Option<Option<Exit>>, Failure> {
        match (wish, self.agent) {
            (Wish::Detach, _) => return Ok(Some(Some(Exit::Done))),
            (Wish::Pause(exit), None) => return Ok(Some(Some(exit))),
            (Wish::Pause(exit), Some(agent)) if self.asked.is_some() => {
                agent.kill_runs();
                self.asked = Some(exit);
            }
            (Wish::Pause(exit), Some(_)) => {
                self.asked = Some(exit);
                self.pause().await?;
                if is_over(&self.sweep, true) {
                    return Ok(Some(self.asked));
                }
            }
            (Wish::Stop, _) => {
                let request = pb::StopSweepRequest { request_id: request_id(), sweep: self.log.id.clone() };
                self.log.client.sweeps().stop(request).await?;
            }
        }
        Ok(None)
    }

    async fn pause(&mut self) -> Result<(), Failure> {
        self.view
            .say("pausing: running trials are stopped and go back to the queue; Ctrl-C again kills them now");
        let (request_id, sweep) = (request_id(), self.log.id.clone());
        let request = pb::PauseSweepRequest { request_id, sweep, now: true };
        match self.log.client.sweeps().pause(request).await {
            Ok(response) => {
                if let Some(sweep) = response.into_inner().sweep {
                    self.sweep = sweep;
                }
            }
            // It ended meanwhile: the stream says so.
            Err(status) if status.code() == tonic::Code::FailedPrecondition => {}
            Err(status) => return Err(status.into()),
        }
        Ok(())
    }
}

/// Waits until the controller knows what the agent offers, and so where runs can be put.
async fn is_known(agent: Option<&AgentHandle>) {
    let Some(agent) = agent else { return std::future::pending().await };
    // An agent that has ended offers nothing any more.
    let _ = agent.watch().wait_for(|status| status.connected).await;
}

/// A sweep's log, which is opened again wherever its stream broke.
struct Log {
    id: String,
    from: u64,
    client: Client,
}

impl Log {
    async fn open(
        &self,
        detail: pb::watch_request::ReportDetail,
        kinds: &[&str],
    ) -> Result<tonic::Streaming<pb::WatchResponse>, Failure> {
        let request = pb::WatchRequest {
            sweep: self.id.clone(),
            from: self.from,
            reports: detail.into(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        Ok(self.client.sweeps().watch(request).await?.into_inner())
    }

    async fn get(&self) -> Result<pb::Sweep, Failure> {
        let request = pb::GetSweepRequest { sweep: self.id.clone(), model: false };
        Ok(self.client.sweeps().get(request).await?.into_inner())
    }
}

/// What may end or pause a sweep.
pub(super) const TURNS: [&str; 4] = ["SweepEnded", "SweepPaused", "SweepHidden", "SweepResumed"];
/// What may end a trial, and let a sweep that is paused or hidden go idle.
pub(super) const ENDS: [&str; 2] = ["RunEnded", "TrialWithdrawn"];

/// Whether a message may have ended or paused the sweep.
fn closes(message: &pb::WatchResponse, sweep: &pb::Sweep) -> bool {
    let works = works(sweep);
    let closes = |kind| TURNS.contains(&kind) || (!works && ENDS.contains(&kind));
    message.entries.iter().any(|entry| closes(entry.kind.as_str()))
}

/// Whether a message may be the last one of a sweep as a look found it. A look may be ahead of the messages: those of a
/// sweep that has ended go on to the entry that says so, and so does the view, with the line of every trial.
fn ends(message: &pb::WatchResponse, sweep: &pb::Sweep) -> bool {
    use pb::sweep::State;
    match sweep.state() {
        State::Finished | State::Stopped => message.entries.iter().any(|entry| entry.kind == "SweepEnded"),
        State::Running | State::Paused | State::Damaged | State::Unspecified => closes(message, sweep),
    }
}

/// Whether it is only events of its own that can end it.
pub(super) fn works(sweep: &pb::Sweep) -> bool {
    sweep.state() == pb::sweep::State::Running && !sweep.hidden
}

/// A sweep that works no more: ended, or paused with nothing running. Who only watches goes on watching a paused one.
fn is_over(sweep: &pb::Sweep, works_for_it: bool) -> bool {
    use pb::sweep::State;
    let idle = sweep.counts.unwrap_or_default().placed == 0;
    match sweep.state() {
        State::Finished | State::Stopped | State::Damaged => true,
        State::Paused => works_for_it && idle,
        State::Running | State::Unspecified => sweep.hidden && idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::sweep::State;

    fn message(kinds: &[&str]) -> pb::WatchResponse {
        let entry = |kind: &&str| pb::Entry { kind: (*kind).to_owned(), ..Default::default() };
        pb::WatchResponse { entries: kinds.iter().map(entry).collect(), ..Default::default() }
    }

    fn sweep(state: State, hidden: bool) -> pb::Sweep {
        pb::Sweep { state: state.into(), hidden, ..Default::default() }
    }

    #[test]
    fn a_view_behind_its_looks_goes_on_to_the_entry_that_ends_the_sweep() {
        for state in [State::Finished, State::Stopped] {
            let over = sweep(state, false);
            assert!(is_over(&over, true));
            assert!(!ends(&message(&["RunEnded"]), &over), "others may be still to come");
            assert!(!ends(&message(&["SweepPaused", "SweepResumed"]), &over), "it ended later");
            assert!(ends(&message(&["RunEnded", "SweepEnded"]), &over));
        }
        assert!(!ends(&message(&["RunEnded"]), &sweep(State::Running, false)));
        for idle in [sweep(State::Paused, false), sweep(State::Running, true)] {
            assert!(ends(&message(&["RunEnded"]), &idle), "its last run may be the last entry");
        }
    }
}
