//! Reading a log back in order, its chain checked from its first event.
//!
//! A log that does not read back is damaged as a whole (F39): an entry before the damage may have been given already,
//! and the caller drops what it made of it.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Rows};

use crate::sweep::{Actor, Event, Pos, Report, Run, SweepId, Timestamp};

use super::batch::{Log, StoreEvent};
use super::chain::{self, Link, Tip};
use super::error::{FoldError, ReadError};
use super::frame;

/// An entry of a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An event of a sweep.
    Event(Event),
    /// An event of log 0.
    Store(StoreEvent),
    /// A report of the sweep.
    Report(Report),
}

/// Which reports a fold gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// None.
    None,
    /// Those of trials that are not final, all attempts since they last were: `RunEnded.marks` stand for the rest.
    Live,
    /// All.
    All,
}

pub(super) fn unfinished(db: &Connection) -> Result<Vec<SweepId>, ReadError> {
    let turns = "'SweepCreated', 'SweepEnded', 'SweepResumed', 'SweepChanged'";
    let sql = format!(
        "select log from (select log, kind, max(n) from event where kind in ({turns}) group by log)
         where kind <> 'SweepEnded' order by log"
    );
    let ids = db
        .prepare(&sql)?
        .query_map([], |row| Ok(SweepId::from_bits(row.get::<_, i64>(0)?.cast_unsigned())))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

pub(super) fn fold(
    db: &Connection,
    log: Log,
    reports: Reports,
    after: Pos,
    mut take: impl FnMut(Entry),
) -> Result<(), FoldError> {
    let mut runs = Runs::of(db, log, reports)?;
    let mut statement = db.prepare(runs.sql())?;
    let mut rows = statement.query(rusqlite::params![log.number(), after.0])?;
    let mut pending = runs.next(&mut rows)?;
    let mut give = |entry: Entry, pos: Pos| {
        if pos > after {
            take(entry);
        }
    };
    walk(db, log, |stored| {
        while let Some(report) = pending.take_if(|report| report.pos < stored.pos) {
            let pos = report.pos;
            give(Entry::Report(report), pos);
            pending = runs.next(&mut rows)?;
        }
        give(stored.entry()?, stored.pos);
        Ok(())
    })?;
    while let Some(report) = pending.take() {
        let pos = report.pos;
        give(Entry::Report(report), pos);
        pending = runs.next(&mut rows)?;
    }
    Ok(())
}

/// An event as it is stored.
pub(super) struct Stored {
    pub(super) log: Log,
    pub(super) pos: Pos,
    pub(super) n: u64,
    pub(super) at: Timestamp,
    pub(super) actor: Actor,
    pub(super) kind: String,
    pub(super) body: String,
    hash: [u8; 32],
}

impl Stored {
    fn read(log: Log, row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Stored {
            log,
            pos: Pos(row.get(0)?),
            n: row.get(1)?,
            at: Timestamp(row.get(2)?),
            actor: Actor(row.get(3)?),
            kind: row.get(4)?,
            body: row.get(5)?,
            hash: row.get(6)?,
        })
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> FoldError {
        FoldError::Damaged { log: self.log, n: self.n, pos: self.pos.0, why: why.into() }
    }

    fn entry(&self) -> Result<Entry, FoldError> {
        let Stored { pos, n, at, actor, .. } = *self;
        let bad = |error: serde_json::Error| self.damaged(format!("it cannot be understood: {error}"));
        Ok(match self.log {
            Log::Store => Entry::Store(StoreEvent {
                pos,
                n,
                at,
                actor,
                body: serde_json::from_str(&self.body).map_err(bad)?,
            }),
            Log::Sweep(_) => Entry::Event(Event {
                pos,
                n,
                at,
                actor,
                body: serde_json::from_str(&self.body).map_err(bad)?,
            }),
        })
    }
}

/// Every event of a log, checked against the chain, in order.
pub(super) fn walk(
    db: &Connection,
    log: Log,
    mut take: impl FnMut(&Stored) -> Result<(), FoldError>,
) -> Result<(), FoldError> {
    let damaged = |n: u64, pos: u64, why: String| FoldError::Damaged { log, n, pos, why };
    let key = chain::key(db, log)
        .map_err(|error| damaged(1, 0, error.to_string()))?
        .ok_or_else(|| damaged(1, 0, "its key is missing".to_owned()))?;
    let mut tip = Tip { n: 0, hash: [0; 32], key };
    let mut last = Pos(0);
    let mut statement =
        db.prepare_cached("select pos, n, at, actor, kind, body, hash from event where log = ?1 order by n")?;
    let mut rows = statement.query([log.number()])?;
    loop {
        let unreadable = |error: rusqlite::Error| match ReadError::from(error) {
            ReadError::TooLong => FoldError::Read(ReadError::TooLong),
            error => damaged(tip.n + 1, 0, error.to_string()),
        };
        let Some(row) = rows.next().map_err(unreadable)? else { return Ok(()) };
        let stored = Stored::read(log, row).map_err(unreadable)?;
        check(&stored, &tip, last)?;
        take(&stored)?;
        (tip.n, tip.hash, last) = (stored.n, stored.hash, stored.pos);
    }
}

fn check(stored: &Stored, tip: &Tip, last: Pos) -> Result<(), FoldError> {
    let Stored { pos, n, at, actor, .. } = *stored;
    let link = Link { pos, n, at, kind: &stored.kind, actor, body: &stored.body };
    if n != tip.n + 1 {
        return Err(FoldError::Damaged {
            log: stored.log,
            n: tip.n + 1,
            pos: 0,
            why: "it is missing".to_owned(),
        });
    }
    if pos <= last || link.hash(tip) != stored.hash || chain::kind_of(&stored.body) != Some(&stored.kind) {
        return Err(stored.damaged("it is not what was written (hash chain)"));
    }
    Ok(())
}

/// The runs whose reports are wanted, by the position of their assignment.
struct Runs {
    log: Log,
    runs: BTreeMap<u64, Run>,
    wanted: Reports,
}

impl Runs {
    fn of(db: &Connection, log: Log, wanted: Reports) -> Result<Self, FoldError> {
        let mut runs = BTreeMap::new();
        if wanted != Reports::None {
            for (pos, _, run) in turns(db, log)?.into_iter().filter(|(_, kind, _)| kind == "RunAssigned") {
                runs.insert(pos, run);
            }
        }
        Ok(Runs { log, runs, wanted })
    }

    fn sql(&self) -> &'static str {
        match self.wanted {
            Reports::None => "select 0, 0, 0, x'' where ?1 is null and ?2 is null",
            Reports::All => ALL,
            Reports::Live => LIVE,
        }
    }

    fn next(&mut self, rows: &mut Rows<'_>) -> Result<Option<Report>, FoldError> {
        let log = self.log;
        let damaged = |pos: u64, why: String| FoldError::Damaged { log, n: 0, pos, why };
        let Some(row) = rows.next().map_err(|error| damaged(0, error.to_string()))? else { return Ok(None) };
        let (key, seq, pos): (u64, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let run = *self.runs.get(&key).ok_or_else(|| damaged(pos, "a report of no run".to_owned()))?;
        let frame = row.get_ref(3)?.as_blob().map_err(|error| damaged(pos, error.to_string()))?;
        frame::decode(Pos(key), run, seq, Pos(pos), frame).map(Some).ok_or_else(|| {
            damaged(pos, format!("report {seq} of run {run} is not what was written (checksum)"))
        })
    }
}

const ALL: &str = "select run, seq, pos, body from report
    where pos > ?2 and run in (select pos from event where log = ?1 and kind = 'RunAssigned') order by pos";

/// A page of a log's reports, in the order of their positions.
pub(super) fn reports_from(
    db: &Connection,
    log: Log,
    after: Pos,
    limit: usize,
) -> Result<Vec<Report>, FoldError> {
    let mut runs = Runs::of(db, log, Reports::All)?;
    let bad = |why: rusqlite::Error| FoldError::Damaged { log, n: 0, pos: 0, why: why.to_string() };
    let mut statement = db.prepare_cached(&format!("{ALL} limit ?3")).map_err(bad)?;
    let mut rows = statement.query(rusqlite::params![log.number(), after.0, limit]).map_err(bad)?;
    let mut reports = Vec::new();
    while let Some(report) = runs.next(&mut rows)? {
        reports.push(report);
    }
    Ok(reports)
}

const LIVE: &str = "with final as materialized (
        select json_extract(body, '$.run.trial') as trial, max(n) as n from event
        where log = ?1 and kind = 'RunEnded' and json_extract(body, '$.marks') is not null group by 1)
    select run, seq, pos, body from report
    where pos > ?2 and run in (
        select a.pos from event a left join final f on f.trial = json_extract(a.body, '$.run.trial')
        where a.log = ?1 and a.kind = 'RunAssigned' and (f.n is null or f.n < a.n))
    order by pos";

/// Assignments and ends of a log's runs.
pub(super) fn turns(db: &Connection, log: Log) -> Result<Vec<(u64, String, Run)>, FoldError> {
    let mut statement = db.prepare_cached(
        "select pos, n, kind, json_extract(body, '$.run.trial'), json_extract(body, '$.run.attempt') from event
         where log = ?1 and kind in ('RunAssigned', 'RunEnded') order by n",
    )?;
    let mut rows = statement.query([log.number()])?;
    let mut turns = Vec::new();
    let mut last = 0;
    loop {
        let bad =
            |why: rusqlite::Error| FoldError::Damaged { log, n: last + 1, pos: 0, why: why.to_string() };
        let Some(row) = rows.next().map_err(bad)? else { return Ok(turns) };
        let run =
            Run { trial: crate::sweep::Trial(row.get(3).map_err(bad)?), attempt: row.get(4).map_err(bad)? };
        turns.push((row.get(0).map_err(bad)?, row.get(2).map_err(bad)?, run));
        last = row.get(1).map_err(bad)?;
    }
}
