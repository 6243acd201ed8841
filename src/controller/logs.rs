//! The output of a run: from the agent that holds it, piece by piece, else the lines that were stored at its end.
//!
//! The core never waits for a reader. One that is too slow, or whose agent goes, is told so; once a reader has gone the
//! agent is told to stop.

use tokio::sync::mpsc;

use crate::controller::core::{Core, internal};
use crate::controller::handle::{LinkId, Message, Opened};
use crate::controller::pending::Job;
use crate::controller::readers::{Library, unread};
use crate::controller::{Refused, RefusedKind};
use crate::pb::agent_down::Kind as Down;
use crate::pb::{self, RunId};
use crate::spec::Code;
use crate::store::{Entry, Log, Reports};
use crate::sweep::{Body, Fence, Pos, Run, SweepId, TextRef, Trial};

/// Readers of output at once.
const FOLLOWERS: usize = 64;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 1024;

/// Who reads a run's output, and over which link it comes.
#[derive(Debug)]
pub(super) struct Follower {
    link: LinkId,
    run: RunId,
    pieces: mpsc::Sender<pb::LogsChunk>,
}

/// Which stored lines are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) sweep: SweepId,
    pub(super) trial: Trial,
    /// 0: the last one.
    pub(super) attempt: u32,
    pub(super) is_stderr: bool,
    /// More will come once the run's agent is there again.
    pub(super) is_for_now: bool,
}

impl Core {
    pub(super) fn logs(&mut self, request: pb::LogsRequest, reply: Opened<pb::LogsChunk>) {
        let sweep = match self.directory.find(&request.sweep) {
            Ok(sweep) => sweep,
            Err(refused) => return drop(reply.send(Err(refused))),
        };
        let trial = Trial(request.trial);
        let mut runs = self.row(sweep, trial).map(|row| row.runs).unwrap_or_default();
        let run = match request.attempt {
            0 => runs.pop(),
            attempt => runs.into_iter().find(|run| run.attempt == attempt),
        };
        let link = run.as_ref().and_then(|run| self.reader_of(run.placements.first()?));
        let (Some(run), Some(link)) = (&run, link) else {
            let is_live = run.is_some_and(|run| run.state() != pb::run::State::Ended);
            let wanted = Stored {
                sweep,
                trial,
                attempt: request.attempt,
                is_stderr: request.stderr,
                is_for_now: request.follow && is_live,
            };
            return self.read(Job::Tail { wanted, reply });
        };
        if self.followers.len() >= FOLLOWERS {
            let why = format!("{FOLLOWERS} readers of output are here already");
            return drop(reply.send(Err(Refused::new(RefusedKind::ResourceExhausted, Code::OverLimit, why))));
        }
        let (pieces, outlet) = mpsc::channel(AHEAD);
        self.follow_requests += 1;
        let number = self.follow_requests;
        let run = RunId { sweep, run: Run { trial, attempt: run.attempt }, fence: Fence(run.fence) };
        self.followers.insert(number, Follower { link, run, pieces });
        self.read(Job::Relay { number, outlet, reply });
        let follow = pb::Follow {
            request: number,
            run: Some(run.into()),
            tail: request.tail,
            follow: request.follow,
            stderr: request.stderr,
            cancel: false,
            from: request.from,
        };
        self.pending.down(link, Down::Follow(follow));
    }

    /// Who can read what a run wrote: its own agent, else another on the same machine, where output is kept.
    fn reader_of(&self, placement: &pb::Placement) -> Option<LinkId> {
        let neighbour = || {
            let mut agents = self.links.agents();
            let (id, _) =
                agents.find(|(id, agent)| agent.machine == placement.machine && self.links.is_alive(id))?;
            self.links.stream_to(id)
        };
        self.links.stream_to(&placement.agent).or_else(neighbour)
    }

    /// A piece of output from an agent.
    pub(super) fn output(&mut self, output: pb::Output) {
        let Some(follower) = self.followers.get(&output.request) else { return };
        let pb::Output { request, data, note, to, end } = output;
        let chunk = pb::LogsChunk { data, note, to, end };
        let is_behind = follower.pieces.try_send(chunk).is_err();
        if end {
            self.followers.remove(&request); // a reader that is behind hears that its stream broke off
        } else if is_behind {
            self.unfollow(request);
        }
    }

    /// Nobody reads any more: the agent need not send.
    pub(super) fn unfollow(&mut self, number: u64) {
        let Some(Follower { link, run, .. }) = self.followers.remove(&number) else { return };
        let follow =
            pb::Follow { request: number, run: Some(run.into()), cancel: true, ..Default::default() };
        self.pending.down(link, Down::Follow(follow));
    }

    /// The agent of these followers is gone.
    pub(super) fn forget_followers(&mut self, link: LinkId) {
        self.followers.retain(|_, follower| follower.link != link);
    }
}

impl Library {
    /// Passes pieces on as they are read; the core hears when nobody reads any more.
    pub(super) async fn relay(
        self,
        number: u64,
        mut outlet: mpsc::Receiver<pb::LogsChunk>,
        reply: Opened<pb::LogsChunk>,
    ) {
        let (to, chunks) = mpsc::channel(1);
        let mut is_read = reply.send(Ok(chunks)).is_ok();
        while is_read {
            let piece = tokio::select! {
                piece = outlet.recv() => piece,
                () = to.closed() => break,
            };
            is_read = match piece {
                Some(chunk) => {
                    let is_last = chunk.end;
                    let is_read = to.send(Ok(chunk)).await.is_ok();
                    if is_last {
                        return;
                    }
                    is_read
                }
                None => {
                    let why = "the output breaks off: it came faster than it was read, or its agent has gone";
                    let broken = Refused::new(RefusedKind::Unavailable, Code::OverLimit, why);
                    // A reader that has gone wants nothing more.
                    return drop(to.send(Err(broken.with_help("ask for it again"))).await);
                }
            };
        }
        // A core that has ended sends nothing.
        let _ = self.mailbox.push(Message::Unfollow { number });
    }

    /// The last lines of a run, as they were stored when it ended.
    pub(super) fn stored_output(&self, wanted: Stored) -> Result<pb::LogsChunk, Refused> {
        let Stored { sweep, trial, attempt, is_stderr, is_for_now } = wanted;
        let row = self.row(sweep, trial)?;
        let ended = row.runs.iter().rev().find(|run| run.state == i32::from(pb::run::State::Ended));
        let tail = match ended {
            Some(last) if [0, last.attempt].contains(&attempt) => row.tail,
            _ if attempt == 0 => String::new(),
            _ if row.runs.iter().any(|run| run.attempt == attempt) => {
                self.tail_of(sweep, Run { trial, attempt })?
            }
            _ => {
                let message = format!("trial {trial} of sweep {sweep} has no attempt {attempt}");
                return Err(Refused::not_found(message).at("attempt"));
            }
        };
        let both = if is_stderr { "; standard output and error are together in them" } else { "" };
        let note = format!(
            "the run is over, or its agent is not there: these are the last lines that were stored{both}"
        );
        Ok(pb::LogsChunk { data: tail.into_bytes().into(), note, to: 0, end: !is_for_now })
    }

    fn tail_of(&self, sweep: SweepId, wanted: Run) -> Result<String, Refused> {
        let mut found: Option<TextRef> = None;
        let take = |entry| {
            if let Entry::Event(event) = entry
                && let Body::RunEnded { run, ended, .. } = event.body
                && run == wanted
            {
                found = ended.tail;
            }
        };
        let mut reader = self.reader()?;
        reader
            .fold(Log::Sweep(sweep), Reports::None, Pos(0), take)
            .map_err(|error| internal(&error.to_string()))?;
        let text = found.map(|text| reader.text(text.id)).transpose().map_err(unread)?;
        Ok(text.flatten().unwrap_or_default())
    }
}
