//! What one transaction stores: entries with their positions, and the rows beside them.
//!
//! Entries lie in the order of their positions, which [`Store::next_pos`](super::Store::next_pos) hands out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sweep::{Actor, Event, Pos, Report, SweepId, TextRef, Timestamp};

/// Whose log an event is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// Log 0: the store's own.
    Store,
    /// A sweep's; its id is never 0.
    Sweep(SweepId),
}

impl Log {
    /// As it is stored.
    pub(super) fn number(self) -> i64 {
        match self {
            Log::Store => 0,
            Log::Sweep(id) => id.bits().cast_signed(),
        }
    }

    /// Back from what is stored.
    pub(super) fn from_number(number: i64) -> Self {
        if number == 0 { Log::Store } else { Log::Sweep(SweepId::from_bits(number.cast_unsigned())) }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Log::Store => f.write_str("the store's own log"),
            Log::Sweep(id) => write!(f, "sweep {id}"),
        }
    }
}

/// An event of log 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreEvent {
    /// In the store.
    pub pos: Pos,
    /// 1.. within log 0.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub body: StoreBody,
}

/// What happened to the store itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum StoreBody {
    /// A controller started.
    EpochBegan {
        /// Its epoch.
        epoch: u32,
        /// `CARGO_PKG_VERSION` of the engine.
        engine: String,
    },
    /// A sweep's log began.
    SweepRegistered {
        /// Whose.
        sweep: SweepId,
    },
    /// A backup was written and verified.
    BackupTaken {
        /// Where.
        file: String,
        /// The last position in it.
        last: Pos,
    },
    /// This store was made from a backup.
    StoreRestored {
        /// The last position of the backup.
        last: Pos,
        /// The first epoch after it.
        epoch: u32,
    },
    /// `--accept-loss`: the positions named here are gone.
    LossAccepted {
        /// The first of them.
        first: Pos,
        /// The last of them; below `first` when only the mark was unreadable.
        last: Pos,
        /// The first epoch after it.
        epoch: u32,
    },
    /// Something that is recorded for later readers: an export, a denied call.
    Audited {
        /// What was done.
        what: String,
    },
}

/// A text that may have to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// From [`Store::next_text`](super::Store::next_text).
    pub id: u64,
    /// Whose.
    pub log: Log,
    /// Drawn by the caller.
    pub salt: [u8; 16],
    /// The text.
    pub body: String,
}

/// The reference that events hold instead of the text.
pub fn text_ref(text: &Text) -> TextRef {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&text.salt).update(text.body.as_bytes());
    TextRef { id: text.id, hash: hasher.finalize().to_hex().to_string() }
}

/// A mutation's request id with what it was asked and where its answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub caller: Actor,
    /// The caller's id, 1-64 bytes.
    pub id: Vec<u8>,
    /// Hash of the arguments.
    pub args: [u8; 32],
    /// The entry it made.
    pub pos: Pos,
    /// When.
    pub at: Timestamp,
}

/// A sweep as listings show it: columns to filter by, and a body that the controller makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SweepRow {
    pub id: SweepId,
    pub name: String,
    pub project: String,
    pub state: String,
    pub hidden: bool,
    pub created: Timestamp,
    pub body: Vec<u8>,
}

/// A trial as listings show it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TrialRow {
    pub sweep: SweepId,
    pub trial: u32,
    pub state: String,
    pub value: Option<f64>,
    /// The value that it is ranked by; none: it is not.
    pub ranked: Option<f64>,
    /// How long its runs took.
    pub seconds: f64,
    pub body: Vec<u8>,
}

pub(super) enum Item {
    Sweep(SweepId, Event),
    Store(StoreEvent),
    /// With the position of its run's `RunAssigned`.
    Report(Pos, Report),
}

/// All that one commit stores.
#[derive(Default)]
pub struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) keys: Vec<(SweepId, [u8; 32])>,
    pub(super) texts: Vec<Text>,
    pub(super) actors: Vec<(Actor, String)>,
    pub(super) requests: Vec<Request>,
    pub(super) sweeps: Vec<SweepRow>,
    pub(super) trials: Vec<TrialRow>,
    pub(super) essential: bool,
}

impl Batch {
    /// An event of a sweep. The first of a sweep needs its [`key`](Batch::key) in the same batch or earlier.
    pub fn event(&mut self, sweep: SweepId, event: Event) {
        self.items.push(Item::Sweep(sweep, event));
    }

    /// An event of log 0.
    pub fn store_event(&mut self, event: StoreEvent) {
        self.items.push(Item::Store(event));
    }

    /// A report of the run that was assigned at `run`.
    pub fn report(&mut self, run: Pos, report: Report) {
        self.items.push(Item::Report(run, report));
    }

    /// The random key of a new sweep's commitments.
    pub fn key(&mut self, sweep: SweepId, key: [u8; 32]) {
        self.keys.push((sweep, key));
    }

    /// A text; events hold its [`text_ref`].
    pub fn text(&mut self, text: Text) {
        self.texts.push(text);
    }

    /// A request that was answered.
    pub fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// A new or changed sweep for listings.
    pub fn sweep_row(&mut self, row: SweepRow) {
        self.sweeps.push(row);
    }

    /// A new or changed trial for listings.
    pub fn trial_row(&mut self, row: TrialRow) {
        self.trials.push(row);
    }

    /// Holds only stops, ends and deletes: it is stored on a full disk too, in the room of the reserve file.
    pub fn mark_essential(&mut self) {
        self.essential = true;
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
            && self.keys.is_empty()
            && self.texts.is_empty()
            && self.actors.is_empty()
            && self.requests.is_empty()
            && self.sweeps.is_empty()
            && self.trials.is_empty()
    }

    /// A guess at the bytes it will write, for the look at free space.
    pub(super) fn size(&self) -> u64 {
        let rows = self.items.len() + self.sweeps.len() + self.trials.len() + self.requests.len();
        let bodies: usize = self.texts.iter().map(|text| text.body.len()).sum::<usize>()
            + self.sweeps.iter().map(|row| row.body.len()).sum::<usize>()
            + self.trials.iter().map(|row| row.body.len()).sum::<usize>();
        (rows * 4096 + 2 * bodies) as u64
    }
}
