//! Links: which agent is there, and for how long its runs are waited for. Nothing of it is stored.
//!
//! ```text
//! Alive --stream gone, or 30 s of silence--> Over --hello--> Alive
//!   ^                                          | --another agent's hello speaks for it--> SpokenFor
//!   +------------------hello-------------------+
//! ```
//!
//! A run is waited for while its agent's link, or that of the agent that speaks for it, is not over, and for the
//! sweep's `replace_after` beyond that.
//!
//! Invariants:
//! - an agent id has at most one stream;
//! - after a start, and after a gap in which this process itself stood still, everybody has a full new term;
//! - nothing here reads a clock: `now` comes with the input.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::controller::handle::LinkId;
use crate::sweep::{Device, SweepId};

/// Between two heartbeats of an agent.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);
/// A link is over after this much silence.
const TERM: Duration = Duration::from_secs(30);

/// An agent process that said hello, or one that runs were given to before this process began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agent {
    pub(super) incarnation: Vec<u8>,
    pub(super) machine: String,
    pub(super) host: String,
    /// Runs at once that it offers.
    pub(super) slots: u32,
    /// Usable GPUs.
    pub(super) devices: Vec<Device>,
    /// Only runs of this sweep are wanted; none: any.
    pub(super) only: Option<SweepId>,
    /// It wants no more runs.
    pub(super) is_draining: bool,
    pub(super) link: Link,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Alive {
        stream: LinkId,
        heard: Instant,
    },
    /// `since`: replacement counts from here.
    Over {
        since: Instant,
    },
    /// Another agent holds its runs.
    SpokenFor {
        by: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Links {
    agents: BTreeMap<String, Agent>,
    /// Streams that are open, with the agent that said hello on them.
    streams: BTreeMap<LinkId, Option<String>>,
    /// Those of them that were told goodbye.
    parted: BTreeSet<LinkId>,
}

impl Links {
    pub(super) fn agents(&self) -> impl Iterator<Item = (&String, &Agent)> {
        self.agents.iter()
    }

    pub(super) fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id)
    }

    pub(super) fn opened(&mut self, stream: LinkId) {
        self.streams.insert(stream, None);
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = LinkId> {
        self.streams.keys().copied()
    }

    /// The agent that said hello on this stream; none: it has not, or the stream is not open any more.
    pub(super) fn speaker(&self, stream: LinkId) -> Option<&str> {
        self.streams.get(&stream)?.as_deref()
    }

    pub(super) fn is_open(&self, stream: LinkId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Whether what comes on this stream counts. After a goodbye nothing does: a message that was not taken may stand before
    /// it, and all of them come again on the next stream.
    pub(super) fn is_heard(&self, stream: LinkId) -> bool {
        self.is_open(stream) && !self.parted.contains(&stream)
    }

    /// This stream was told goodbye.
    pub(super) fn part(&mut self, stream: LinkId) {
        self.parted.insert(stream);
    }

    /// Something came on this stream.
    pub(super) fn heard(&mut self, stream: LinkId, now: Instant) {
        let Some(Some(id)) = self.streams.get(&stream) else { return };
        if let Some(Agent { link: Link::Alive { heard, .. }, .. }) = self.agents.get_mut(id) {
            *heard = now;
        }
    }

    /// An agent said hello; what it speaks for is its own from now on.
    pub(super) fn greeted(&mut self, stream: LinkId, id: &str, agent: Agent, speaks_for: &[String]) {
        self.agents.insert(id.to_owned(), agent);
        self.streams.insert(stream, Some(id.to_owned()));
        for dead in speaks_for.iter().filter(|dead| *dead != id) {
            if let Some(agent) = self.agents.get_mut(dead) {
                agent.link = Link::SpokenFor { by: id.to_owned() };
                agent.slots = 0;
            }
        }
    }

    /// The stream is gone. Returns the agent whose link is over by it.
    pub(super) fn closed(&mut self, stream: LinkId, now: Instant) -> Option<String> {
        self.parted.remove(&stream);
        let id = self.streams.remove(&stream)??;
        let agent = self.agents.get_mut(&id)?;
        if !matches!(agent.link, Link::Alive { stream: current, .. } if current == stream) {
            return None;
        }
        agent.link = Link::Over { since: now };
        Some(id)
    }

    /// Streams of agents that have been silent for a whole term.
    pub(super) fn silent_streams(&self, now: Instant) -> Vec<LinkId> {
        let silent = |agent: &Agent| match agent.link {
            Link::Alive { stream, heard } => (heard + TERM <= now).then_some(stream),
            Link::Over { .. } | Link::SpokenFor { .. } => None,
        };
        self.agents.values().filter_map(silent).collect()
    }

    pub(super) fn next_silence(&self) -> Option<Instant> {
        let term = |agent: &Agent| match agent.link {
            Link::Alive { heard, .. } => Some(heard + TERM),
            Link::Over { .. } | Link::SpokenFor { .. } => None,
        };
        self.agents.values().filter_map(term).min()
    }

    /// Runs lie with an agent that has not said hello since this process began: it is waited for as if it just had.
    pub(super) fn expect(&mut self, id: &str, machine: &str, host: &str, now: Instant) {
        self.agents.entry(id.to_owned()).or_insert_with(|| Agent {
            incarnation: Vec::new(),
            machine: machine.to_owned(),
            host: host.to_owned(),
            slots: 0,
            devices: Vec::new(),
            only: None,
            is_draining: false,
            link: Link::Over { since: now + TERM },
        });
    }

    /// This process stood still: nobody could be heard.
    pub(super) fn renew(&mut self, now: Instant) {
        for agent in self.agents.values_mut() {
            match &mut agent.link {
                Link::Alive { heard, .. } => *heard = now,
                Link::Over { since } => *since = (*since).max(now),
                Link::SpokenFor { .. } => {}
            }
        }
    }

    pub(super) fn drain(&mut self, id: &str) {
        if let Some(agent) = self.agents.get_mut(id) {
            agent.is_draining = true;
        }
    }

    /// Agents that nobody needs to remember: gone, and without runs of their own or of others for which they speak.
    pub(super) fn forget(&mut self, has_runs: impl Fn(&str) -> bool) {
        let mut needed: BTreeSet<String> = BTreeSet::new();
        for id in self.agents.keys().filter(|id| has_runs(id)) {
            let mut next = Some(id);
            while let Some(id) = next.filter(|id| needed.insert((*id).clone())) {
                next = match self.agents.get(id).map(|agent| &agent.link) {
                    Some(Link::SpokenFor { by }) => Some(by),
                    Some(Link::Alive { .. } | Link::Over { .. }) | None => None,
                };
            }
        }
        self.agents.retain(|id, agent| matches!(agent.link, Link::Alive { .. }) || needed.contains(id));
    }

    /// The agents whose runs `holder` holds: itself, those it speaks for, and those that they spoke for.
    pub(super) fn held_by(&self, holder: &str) -> Vec<String> {
        let holds = |id: &&String| self.holder(id).is_some_and(|(by, _)| by == holder);
        self.agents.keys().filter(holds).cloned().collect()
    }

    /// The agent that holds the runs given to `id` now, and its stream if it is alive.
    pub(super) fn holder(&self, id: &str) -> Option<(&str, &Agent)> {
        let mut id = id;
        // An agent speaks for those that died before it, so the way ends; the bound is for a liar.
        for _ in 0..=self.agents.len() {
            let (known, agent) = self.agents.get_key_value(id)?;
            match &agent.link {
                Link::SpokenFor { by } => id = by,
                Link::Alive { .. } | Link::Over { .. } => return Some((known, agent)),
            }
        }
        None
    }

    /// The stream over which a run given to `id` is reached.
    pub(super) fn stream_to(&self, id: &str) -> Option<LinkId> {
        match self.holder(id)?.1.link {
            Link::Alive { stream, .. } => Some(stream),
            Link::Over { .. } | Link::SpokenFor { .. } => None,
        }
    }

    /// Since when the runs given to `id` have been waited for; none: their agent is there.
    pub(super) fn gone_since(&self, id: &str) -> Option<Instant> {
        match self.holder(id)?.1.link {
            Link::Over { since } => Some(since),
            Link::Alive { .. } | Link::SpokenFor { .. } => None,
        }
    }

    pub(super) fn is_alive(&self, id: &str) -> bool {
        matches!(self.agents.get(id), Some(Agent { link: Link::Alive { .. }, .. }))
    }

    /// What must hold after every step; the first thing that does not.
    #[cfg(test)]
    pub(super) fn check(&self) -> Result<(), String> {
        for (id, agent) in &self.agents {
            if let Link::Alive { stream, .. } = agent.link
                && self.streams.get(&stream).and_then(Option::as_ref) != Some(id)
            {
                return Err(format!("agent {id} is alive on stream {stream:?}, which is not its own"));
            }
        }
        Ok(())
    }
}
