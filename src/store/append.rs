//! The writer: a batch is one transaction with one fsync, all or nothing.
//!
//! Invariants:
//! - `head` in the database is updated only where epoch and pos are what this process left: else another has taken over;
//! - everything in memory (positions, tips of the chains) is changed after the commit alone;
//! - after an error that is not *full* nothing is written again: a failed fsync is never retried as if clean (F36).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::sweep::{Actor, Pos, Report, SweepId, Timestamp};

use super::batch::{Batch, Item, Log, Request, StoreBody, StoreEvent};
use super::chain::{self, Link, Tip, Tips};
use super::checkpoint::{Gate, Upkeep};
use super::error::{AppendError, FoldError, ReadError};
use super::fold::{self, Entry, Reports};
use super::frame;
use super::mark::Mark;
use super::open::Loss;
use super::reader::Readers;
use super::reserve::Reserve;
use super::schema;

/// Request ids are known this long.
const REQUESTS_KEPT: i64 = 7 * 24 * 3600 * 1_000_000;
const PRUNE_EVERY: i64 = 3600 * 1_000_000;
const PAGE: u64 = 4096;

/// Where the log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: u32,
    pub(super) pos: u64,
    /// Chained over all entries.
    pub(super) hash: [u8; 32],
}

impl Head {
    pub(super) fn mark(&self, store: u64) -> Mark {
        Mark { store, epoch: self.epoch, pos: self.pos, hash: self.hash }
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The last position that is stored.
    pub last: Pos,
    /// How long it took: above some seconds the disk is slow (F42).
    pub took: Duration,
}

/// The store, open for writing. One a data directory, used by one thread.
pub struct Store {
    pub(super) db: Connection,
    pub(super) id: u64,
    pub(super) head: Head,
    pub(super) next_pos: u64,
    pub(super) tips: Tips,
    pub(super) next_text: u64,
    pub(super) next_actor: u32,
    pub(super) mark: File,
    pub(super) reserve: Reserve,
    pub(super) gate: Arc<Gate>,
    pub(super) upkeep: Upkeep,
    /// In the WAL after the last commit, as SQLite's hook says.
    pub(super) frames: Arc<AtomicU32>,
    pub(super) secret: [u8; 32],
    pub(super) secret_is_new: bool,
    pub(super) loss: Option<Loss>,
    pub(super) rebuild: bool,
    pub(super) begun: bool,
    pub(super) broken: bool,
    pub(super) pruned: i64,
}

impl Store {
    /// Begins this process' epoch: `EpochBegan`, after `LossAccepted` where that is so. Appending needs it.
    pub fn begin(&mut self, at: Timestamp, actor: Actor, engine: &str) -> Result<u32, AppendError> {
        let loss = self.loss;
        let epoch = loss.map_or(self.head.epoch + 1, |loss| loss.epoch);
        let first = loss.map_or(self.head.pos, |loss| loss.last.max(self.head.pos)) + 1;
        let mut bodies = Vec::new();
        if let Some(Loss { first, last, epoch }) = loss {
            bodies.push(StoreBody::LossAccepted { first: Pos(first), last: Pos(last), epoch });
        }
        bodies.push(StoreBody::EpochBegan { epoch, engine: engine.to_owned() });
        self.append_own(bodies, first, epoch, at, actor)?;
        self.loss = None;
        self.begun = true;
        Ok(epoch)
    }

    /// Events of log 0 that begin an epoch.
    pub(super) fn append_own(
        &mut self,
        bodies: Vec<StoreBody>,
        first: u64,
        epoch: u32,
        at: Timestamp,
        actor: Actor,
    ) -> Result<Appended, AppendError> {
        let n = self.next_n(Log::Store).map_err(|error| AppendError::Broken(error.to_string()))?;
        let mut batch = Batch::default();
        for (k, body) in (0..).zip(bodies) {
            batch.store_event(StoreEvent { pos: Pos(first + k), n: n + k, at, actor, body });
        }
        batch.mark_essential();
        self.commit(&batch, first, epoch)
    }

    /// Stores all of the batch, synced, or nothing of it.
    pub fn append(&mut self, batch: &Batch) -> Result<Appended, AppendError> {
        if !self.begun {
            return Err(AppendError::Broken("no epoch was begun".to_owned()));
        }
        self.commit(batch, self.head.pos + 1, self.head.epoch)
    }

    fn commit(&mut self, batch: &Batch, first: u64, epoch: u32) -> Result<Appended, AppendError> {
        if self.broken {
            return Err(AppendError::Broken("an earlier write failed".to_owned()));
        }
        self.next_pos = self.head.pos + 1; // what was handed out is taken back unless it is stored now
        self.reserve.admit(batch.size(), batch.essential)?;
        let began = Instant::now();
        match write(&mut self.db, &self.head, &mut self.tips, batch, first, epoch) {
            Ok((head, touched)) => {
                self.head = head;
                self.next_pos = self.head.pos + 1;
                for (log, tip) in touched {
                    self.tips.set(log, tip);
                }
                self.after_commit(batch, began.elapsed())
            }
            Err(Failed::Sqlite(error)) if is_full(&self.db, &error) => Err(self.reserve.full()),
            Err(Failed::Sqlite(error)) => Err(self.break_down(error.to_string())),
            Err(Failed::Fenced) => {
                self.broken = true;
                Err(AppendError::Fenced)
            }
            Err(Failed::Order(why)) => Err(self.break_down(why)),
        }
    }

    fn after_commit(&mut self, batch: &Batch, took: Duration) -> Result<Appended, AppendError> {
        let mark = self.head.mark(self.id);
        mark.write(&self.mark).map_err(|error| self.break_down(format!("the mark: {error}")))?;
        let wal = u64::from(self.frames.load(Ordering::Relaxed)) * PAGE;
        self.upkeep
            .after_commit(&self.db, &self.gate, wal)
            .map_err(|error| self.break_down(error.to_string()))?;
        self.next_actor += u32::try_from(batch.actors.len()).unwrap_or(0);
        Ok(Appended { last: Pos(self.head.pos), took })
    }

    fn break_down(&mut self, why: String) -> AppendError {
        self.broken = true;
        AppendError::Broken(why)
    }

    /// The next position, for an entry of the batch that is gathered now. An append, also a failed one, starts anew
    /// behind the last stored one.
    pub fn next_pos(&mut self) -> Pos {
        let pos = Pos(self.next_pos);
        self.next_pos += 1;
        pos
    }

    /// The last stored position.
    pub fn last_pos(&self) -> Pos {
        Pos(self.head.pos)
    }

    /// The latest time that is stored: a clock that was set back goes on from there.
    pub fn last_at(&self) -> Result<Timestamp, ReadError> {
        let sql = "select coalesce(max(at), 0) from (select at from event order by pos desc limit 100)";
        Ok(Timestamp(self.db.query_row(sql, [], |row| row.get(0))?))
    }

    /// The number that the next event of a log bears, counted from what is stored.
    pub fn next_n(&mut self, log: Log) -> Result<u64, ReadError> {
        Ok(self.tips.get(&self.db, log)?.map_or(0, |tip| tip.n) + 1)
    }

    /// A new row number for a text.
    pub fn next_text(&mut self) -> u64 {
        self.next_text += 1;
        self.next_text - 1
    }

    /// The number of a name; a new one is added to the batch.
    pub fn actor(&mut self, name: &str, batch: &mut Batch) -> Result<Actor, ReadError> {
        if let Some((actor, _)) = batch.actors.iter().find(|(_, known)| known == name) {
            return Ok(*actor);
        }
        let known = self
            .db
            .prepare_cached("select id from actor where name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(known.map(Actor).unwrap_or_else(|| {
            let actor = Actor(self.next_actor + u32::try_from(batch.actors.len()).unwrap_or(0));
            batch.actors.push((actor, name.to_owned()));
            actor
        }))
    }

    /// An earlier request of this id, if it is not older than 7 days.
    pub fn request(&self, caller: Actor, id: &[u8], now: Timestamp) -> Result<Option<Request>, ReadError> {
        let sql = "select args, pos, at from request where caller = ?1 and id = ?2 and at > ?3";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row(params![caller.0, id, now.0 - REQUESTS_KEPT], |row| {
                Ok(Request {
                    caller,
                    id: id.to_owned(),
                    args: row.get(0)?,
                    pos: Pos(row.get(1)?),
                    at: Timestamp(row.get(2)?),
                })
            })
            .optional()?;
        Ok(found)
    }

    /// Forgets old requests; does something at most once an hour.
    pub fn prune(&mut self, now: Timestamp) -> Result<(), AppendError> {
        if now.0 - self.pruned < PRUNE_EVERY {
            return Ok(());
        }
        self.pruned = now.0;
        match self.db.execute("delete from request where at <= ?1", [now.0 - REQUESTS_KEPT]) {
            Ok(_) => Ok(()),
            Err(error) if is_full(&self.db, &error) => Err(self.reserve.full()),
            Err(error) => Err(self.break_down(error.to_string())),
        }
    }

    /// Sweeps that are not over, by the last turn in their logs.
    pub fn unfinished(&self) -> Result<Vec<SweepId>, ReadError> {
        fold::unfinished(&self.db)
    }

    /// Every entry of a log with a position above `after`, in order; its chain is checked from the beginning.
    pub fn fold(
        &self,
        log: Log,
        reports: Reports,
        after: Pos,
        take: impl FnMut(Entry),
    ) -> Result<(), FoldError> {
        fold::fold(&self.db, log, reports, after, take)
    }

    /// Throws the listings away and gives empty ones, the log's index made anew: the caller fills them by a fold.
    pub fn clear_projections(&mut self) -> Result<(), AppendError> {
        // A table whose root is damaged can be neither emptied nor dropped: it is forgotten, and its pages with it.
        let cleared = self.db.execute_batch(&format!(
            "pragma writable_schema = on; begin immediate;
             delete from sqlite_schema where tbl_name in ('sweep', 'trial');
             commit; pragma writable_schema = reset; {} reindex event_by_log;",
            schema::listings()
        ));
        if let Err(error) = cleared {
            return Err(self.break_down(error.to_string()));
        }
        self.rebuild = false;
        Ok(())
    }

    /// The listings were found damaged at the start.
    pub fn needs_rebuild(&self) -> bool {
        self.rebuild
    }

    /// Connections for reader threads.
    pub fn readers(&self) -> Readers {
        Readers::new(self.gate.clone())
    }

    /// Names this store among others; kept by a restore.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The current epoch.
    pub fn epoch(&self) -> u32 {
        self.head.epoch
    }

    /// What runs' tokens are made from.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The secret was made at this start: tokens of runs that were assigned and have not started are void.
    pub fn secret_is_new(&self) -> bool {
        self.secret_is_new
    }

    /// Acknowledged entries were lost, and that was accepted; until [`begin`](Store::begin).
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The disk was full: only essential batches are taken until 64 MiB are free.
    pub fn is_pressed(&self) -> bool {
        self.reserve.is_pressed()
    }
}

enum Failed {
    Sqlite(rusqlite::Error),
    Fenced,
    Order(String),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Failed::Sqlite(error)
    }
}

type Touched = BTreeMap<Log, Tip>;

fn write(
    db: &mut Connection,
    old: &Head,
    tips: &mut Tips,
    batch: &Batch,
    first: u64,
    epoch: u32,
) -> Result<(Head, Touched), Failed> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut touched = new_tips(&tx, batch)?;
    let mut head = Head { epoch, pos: first - 1, hash: old.hash };
    for item in &batch.items {
        let (pos, hash) = match item {
            Item::Sweep(sweep, event) => {
                let body = json(&event.body)?;
                let link = link((event.pos, event.n, event.at, event.actor), &body)?;
                (event.pos, insert_event(&tx, tips, &mut touched, Log::Sweep(*sweep), &link)?)
            }
            Item::Store(event) => {
                let body = json(&event.body)?;
                let link = link((event.pos, event.n, event.at, event.actor), &body)?;
                (event.pos, insert_event(&tx, tips, &mut touched, Log::Store, &link)?)
            }
            Item::Report(run, report) => (report.pos, insert_report(&tx, *run, report)?),
        };
        if pos.0 != head.pos + 1 {
            return Err(Failed::Order(format!("position {pos} follows {}", head.pos)));
        }
        head.pos = pos.0;
        head.hash = *blake3::Hasher::new().update(&head.hash).update(&hash).finalize().as_bytes();
    }
    if batch.items.is_empty() {
        head.pos = old.pos;
    }
    insert_rows(&tx, batch)?;
    let changed = tx
        .prepare_cached("update head set epoch = ?1, pos = ?2, hash = ?3 where epoch = ?4 and pos = ?5")?
        .execute(params![head.epoch, head.pos, head.hash, old.epoch, old.pos])?;
    if changed != 1 {
        return Err(Failed::Fenced);
    }
    tx.commit()?;
    Ok((head, touched))
}

fn new_tips(tx: &Transaction<'_>, batch: &Batch) -> Result<Touched, Failed> {
    let mut touched = Touched::new();
    for (sweep, key) in &batch.keys {
        let log = Log::Sweep(*sweep);
        tx.prepare_cached("insert into key values (?1, ?2)")?.execute(params![log.number(), key])?;
        touched.insert(log, Tip { n: 0, hash: [0; 32], key: *key });
    }
    Ok(touched)
}

fn json(body: &impl serde::Serialize) -> Result<String, Failed> {
    serde_json::to_string(body).map_err(|error| Failed::Order(format!("an event cannot be written: {error}")))
}

fn link(head: (Pos, u64, Timestamp, Actor), body: &str) -> Result<Link<'_>, Failed> {
    let (pos, n, at, actor) = head;
    let kind = chain::kind_of(body).ok_or_else(|| Failed::Order("an event has no kind".to_owned()))?;
    Ok(Link { pos, n, at, kind, actor, body })
}

fn insert_event(
    tx: &Transaction<'_>,
    tips: &mut Tips,
    touched: &mut Touched,
    log: Log,
    link: &Link<'_>,
) -> Result<[u8; 32], Failed> {
    let tip = match touched.entry(log) {
        MapEntry::Occupied(tip) => tip.into_mut(),
        MapEntry::Vacant(place) => {
            place.insert(tips.get(tx, log)?.ok_or_else(|| Failed::Order(format!("{log} has no key")))?)
        }
    };
    if link.n != tip.n + 1 {
        return Err(Failed::Order(format!("{log}: event {} follows {}", link.n, tip.n)));
    }
    let hash = link.hash(tip);
    tx.prepare_cached("insert into event values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
        link.pos.0,
        log.number(),
        link.n,
        link.at.0,
        link.actor.0,
        link.kind,
        link.body,
        hash
    ])?;
    (tip.n, tip.hash) = (link.n, hash);
    Ok(hash)
}

fn insert_report(tx: &Transaction<'_>, run: Pos, report: &Report) -> Result<[u8; 32], Failed> {
    let body = frame::encode(run, report);
    tx.prepare_cached("insert into report values (?1, ?2, ?3, ?4)")?.execute(params![
        run.0,
        report.seq,
        report.pos.0,
        body
    ])?;
    Ok(*blake3::hash(&body).as_bytes())
}

fn insert_rows(tx: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for text in &batch.texts {
        tx.prepare_cached("insert into text values (?1, ?2, ?3, ?4)")?.execute(params![
            text.id,
            text.log.number(),
            text.salt,
            text.body
        ])?;
    }
    for (actor, name) in &batch.actors {
        tx.prepare_cached("insert into actor values (?1, ?2)")?.execute(params![actor.0, name])?;
    }
    for request in &batch.requests {
        tx.prepare_cached("insert or replace into request values (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            request.caller.0,
            request.id,
            request.args,
            request.pos.0,
            request.at.0
        ])?;
    }
    for row in &batch.sweeps {
        tx.prepare_cached("insert or replace into sweep values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![row.id.bits(), row.name, row.project, row.state, row.hidden, row.created.0, row.body],
        )?;
    }
    for row in &batch.trials {
        tx.prepare_cached("insert or replace into trial values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![row.sweep.bits(), row.trial, row.state, row.value, row.ranked, row.seconds, row.body],
        )?;
    }
    Ok(())
}

/// SQLITE_FULL, or an I/O error whose cause is ENOSPC or EDQUOT.
fn is_full(db: &Connection, error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => true,
        Some(rusqlite::ErrorCode::SystemIoFailure) => {
            #[expect(
                unsafe_code,
                reason = "the handle lives as long as the connection; rusqlite does not wrap this"
            )]
            let errno = unsafe { rusqlite::ffi::sqlite3_system_errno(db.handle()) };
            [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT]
                .iter()
                .any(|full| full.raw_os_error() == errno)
        }
        _ => false,
    }
}
