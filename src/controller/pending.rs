//! What was decided since the last commit: entries to store, and everything that may leave only once they are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::controller::Refused;
use crate::controller::feed::Fresh;
use crate::controller::handle::{Answer, Call, LinkId, Opened};
use crate::controller::keepers::Task;
use crate::controller::lessons::Pupil;
use crate::controller::logs::Stored;
use crate::pb::{self, RunId};
use crate::store::Batch;
use crate::sweep::{SweepId, Trial};

/// What is done after a commit.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "answers are the most of them")]
pub(super) enum Output {
    /// An answer to a request.
    Answer(oneshot::Sender<Result<Answer, Refused>>, Result<Answer, Refused>),
    /// A message for an agent.
    Down(LinkId, Box<pb::AgentDown>),
    /// An agent's stream ends.
    Close(LinkId),
    /// Work for a reader.
    Read(Job),
    /// A question for a keeper.
    Think(Task),
}

/// What readers do.
#[derive(Debug)]
pub(super) enum Job {
    ListSweeps {
        request: pb::ListSweepsRequest,
        caller: Arc<str>,
        /// Agents that are there now: no row knows.
        alive: BTreeSet<String>,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    ListTrials {
        sweep: SweepId,
        request: pb::ListTrialsRequest,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    /// A sweep that is over: no state in memory is needed for it.
    GetSweep {
        sweep: SweepId,
        /// With what its method believes.
        model: bool,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    /// What a new sweep learns from earlier ones.
    Teach {
        pupil: Box<Pupil>,
        from: Vec<SweepId>,
        asked: Box<Asked>,
    },
    /// A sweep that is loaded: what its method believes is added.
    Believe {
        sweep: SweepId,
        whole: Box<pb::Sweep>,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    GetTrial {
        sweep: SweepId,
        /// None: the best one, of a sweep that is over.
        trial: Option<Trial>,
        metrics: Vec<String>,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    Verify {
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    Backup {
        to: PathBuf,
        reply: oneshot::Sender<Result<Answer, Refused>>,
    },
    Export {
        sweep: SweepId,
        request: pb::ExportSweepRequest,
        metrics: Vec<String>,
        reply: Opened<pb::ExportChunk>,
    },
    Watch {
        sweep: SweepId,
        request: pb::WatchRequest,
        metrics: Vec<String>,
        reply: Opened<pb::WatchResponse>,
    },
    /// The stored tail of a run's output.
    Tail {
        wanted: Stored,
        reply: Opened<pb::LogsChunk>,
    },
    /// Output that comes from an agent.
    Relay {
        number: u64,
        outlet: mpsc::Receiver<pb::LogsChunk>,
        reply: Opened<pb::LogsChunk>,
    },
    /// A sweep that is over, for a command on it.
    Fold {
        sweep: SweepId,
    },
}

/// A request whose answer waits for the commit, or for a fold.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) actor: Arc<str>,
    pub(super) reply: oneshot::Sender<Result<Answer, Refused>>,
}

/// The hash of a request that was carried out, and its answer.
pub(super) type CarriedOut = ([u8; 32], Result<Answer, Refused>);

#[derive(Default)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) outputs: Vec<Output>,
    pub(super) fresh: Vec<Fresh>,
    /// Events of log 0 in the batch.
    pub(super) own: u64,
    /// Requests that were carried out in this batch, by caller and id.
    pub(super) requests: BTreeMap<(Arc<str>, String), CarriedOut>,
    /// Trials whose rows changed.
    pub(super) rows: BTreeSet<(SweepId, Trial)>,
    /// Sweeps whose rows changed.
    pub(super) sweeps: BTreeSet<SweepId>,
    /// The highest number of each run that this batch makes durable.
    pub(super) acks: BTreeMap<(LinkId, RunId), u64>,
    /// Holds only what is stored on a full disk too.
    pub(super) is_essential: bool,
    /// Sweeps that are over.
    pub(super) unload: BTreeSet<SweepId>,
}

impl Pending {
    pub(super) fn down(&mut self, link: LinkId, kind: pb::agent_down::Kind) {
        self.outputs.push(Output::Down(link, Box::new(pb::AgentDown { kind: Some(kind) })));
    }

    pub(super) fn acknowledge(&mut self, link: LinkId, run: RunId, seq: u64) {
        let known = self.acks.entry((link, run)).or_default();
        *known = (*known).max(seq);
    }
}
