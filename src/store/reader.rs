//! Reading beside the writer: listings, reports, events, texts, in pages.
//!
//! Each call is one short transaction of its own; one that takes more than 5 s is cut, since it would hold the WAL.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::sweep::{Actor, Pos, Report, Run, SweepId, Timestamp};

use super::batch::{Log, SweepRow, TrialRow};
use super::checkpoint::{Gate, READ_LIMIT};
use super::error::{FoldError, ReadError};
use super::fold::{self, Entry, Reports};
use super::frame;

/// Rows a page, at most.
const PAGE: usize = 5_000;

/// Hands out at most 4 connections; clones share them.
#[derive(Clone)]
pub struct Readers(Arc<Gate>);

impl Readers {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Readers(gate)
    }

    /// Waits until a connection is free; for blocking threads, never the core's.
    pub fn get(&self) -> Result<Reader, ReadError> {
        let db = self.0.enter()?;
        let mut reader = Reader { db: Some(db), gate: self.0.clone() };
        let deadline = Instant::now() + READ_LIMIT;
        reader.db_mut().progress_handler(10_000, Some(move || Instant::now() > deadline))?;
        Ok(reader)
    }
}

/// A connection that cannot write; given back when dropped.
pub struct Reader {
    db: Option<Connection>,
    gate: Arc<Gate>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.gate.leave(db);
        }
    }
}

/// Which sweeps a listing wants.
#[derive(Clone, Debug, Default)]
pub struct SweepFilter {
    /// Only these states; empty: all.
    pub states: Vec<String>,
    /// Only this project.
    pub project: Option<String>,
    /// Only this name.
    pub name: Option<String>,
    /// Deleted ones too.
    pub hidden: bool,
    /// The last row of the page before: listings go from the newest sweep to the oldest.
    pub after: Option<(Timestamp, SweepId)>,
    /// Rows wanted; at most 5 000 come.
    pub limit: usize,
}

/// Which trials a listing wants.
#[derive(Clone, Debug, Default)]
pub struct TrialFilter {
    /// Only these states; empty: all.
    pub states: Vec<String>,
    /// Trials above this number, or below it from the last one down.
    pub after: Option<u32>,
    /// By what.
    pub order: TrialOrder,
    /// The other way round.
    pub reversed: bool,
    /// Rows to pass over.
    pub skip: usize,
    /// Rows wanted; at most 5 000 come.
    pub limit: usize,
}

/// In which order trials are listed; those without a value, and then by number, last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TrialOrder {
    #[default]
    Number,
    /// The best first.
    Smallest,
    /// The best first.
    Largest,
    /// The shortest first.
    Seconds,
}

/// An event as it is stored, for watching and export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LogEvent {
    pub log: Log,
    pub pos: Pos,
    pub n: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub kind: String,
    /// JSON, with `kind` in it.
    pub body: String,
    pub hash: [u8; 32],
}

impl Reader {
    fn db(&self) -> &Connection {
        self.db.as_ref().expect("taken only by drop")
    }

    /// A page of sweeps, the newest first.
    pub fn sweeps(&self, filter: &SweepFilter) -> Result<Vec<SweepRow>, ReadError> {
        let mut sql =
            "select id, name, project, state, hidden, created, body from sweep where true".to_owned();
        let mut values: Vec<Value> = Vec::new();
        if !filter.hidden {
            sql.push_str(" and hidden = 0");
        }
        for (column, wanted) in [("project", &filter.project), ("name", &filter.name)] {
            if let Some(wanted) = wanted {
                sql.push_str(&format!(" and {column} = ?"));
                values.push(wanted.clone().into());
            }
        }
        add_states(&mut sql, &mut values, &filter.states);
        if let Some((created, id)) = filter.after {
            sql.push_str(" and (created, id) < (?, ?)");
            values.extend([created.0.into(), id.bits().cast_signed().into()]);
        }
        sql.push_str(" order by created desc, id desc limit ?");
        values.push(limit(filter.limit));
        self.rows(&sql, values, sweep_row)
    }

    /// One sweep.
    pub fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, ReadError> {
        let sql = "select id, name, project, state, hidden, created, body from sweep where id = ?1";
        Ok(self.db().prepare_cached(sql)?.query_row([id.bits()], sweep_row).optional()?)
    }

    /// A page of a sweep's trials.
    pub fn trials(&self, sweep: SweepId, filter: &TrialFilter) -> Result<Vec<TrialRow>, ReadError> {
        let mut sql = format!("{TRIAL} where sweep = ?");
        let mut values: Vec<Value> = vec![sweep.bits().cast_signed().into()];
        if let Some(after) = filter.after {
            sql.push_str(if filter.reversed { " and trial < ?" } else { " and trial > ?" });
            values.push(after.into());
        }
        add_states(&mut sql, &mut values, &filter.states);
        sql.push_str(match (filter.order, filter.reversed) {
            (TrialOrder::Number, false) => " order by trial",
            (TrialOrder::Number, true) => " order by trial desc",
            (TrialOrder::Smallest, false) => " order by value nulls last, trial",
            (TrialOrder::Smallest, true) => " order by value desc nulls first, trial desc",
            (TrialOrder::Largest, false) => " order by value desc nulls last, trial",
            (TrialOrder::Largest, true) => " order by value nulls first, trial desc",
            (TrialOrder::Seconds, false) => " order by seconds, trial",
            (TrialOrder::Seconds, true) => " order by seconds desc, trial desc",
        });
        sql.push_str(" limit ? offset ?");
        values.extend([limit(filter.limit), Value::Integer(i64::try_from(filter.skip).unwrap_or(i64::MAX))]);
        self.rows(&sql, values, trial_row)
    }

    /// How many of a sweep's trials rank before this value.
    pub fn ranked_before(&self, sweep: SweepId, value: f64, largest_first: bool) -> Result<u32, ReadError> {
        let sql = if largest_first {
            "select count(*) from trial where sweep = ?1 and ranked > ?2"
        } else {
            "select count(*) from trial where sweep = ?1 and ranked < ?2"
        };
        Ok(self.db().prepare_cached(sql)?.query_row(params![sweep.bits(), value], |row| row.get(0))?)
    }

    /// One trial.
    pub fn trial(&self, sweep: SweepId, trial: u32) -> Result<Option<TrialRow>, ReadError> {
        let sql = format!("{TRIAL} where sweep = ?1 and trial = ?2");
        Ok(self.db().prepare_cached(&sql)?.query_row(params![sweep.bits(), trial], trial_row).optional()?)
    }

    /// Reports of the run that was assigned at `key`, with sequence numbers above `after`.
    pub fn reports(&self, key: Pos, run: Run, after: u64, limit: usize) -> Result<Vec<Report>, ReadError> {
        let mut statement = self.db().prepare_cached(
            "select seq, pos, body from report where run = ?1 and seq > ?2 order by seq limit ?3",
        )?;
        let mut rows = statement.query(params![key.0, after, limit.min(PAGE)])?;
        let mut reports = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, pos): (u64, u64) = (row.get(0)?, row.get(1)?);
            let body: Vec<u8> = row.get(2)?;
            let report = frame::decode(key, run, seq, Pos(pos), &body)
                .ok_or_else(|| ReadError::Damaged(format!("report {seq} of run {run} (position {pos})")))?;
            reports.push(report);
        }
        Ok(reports)
    }

    /// The runs of a sweep with the positions of their assignments, oldest first.
    pub fn runs(&self, sweep: SweepId) -> Result<Vec<(Pos, Run)>, FoldError> {
        let turns = fold::turns(self.db(), Log::Sweep(sweep))?;
        Ok(turns
            .into_iter()
            .filter(|(_, kind, _)| kind == "RunAssigned")
            .map(|(pos, _, run)| (Pos(pos), run))
            .collect())
    }

    /// Events of a log with numbers above `after`.
    pub fn events(&self, log: Log, after: u64, limit_rows: usize) -> Result<Vec<LogEvent>, ReadError> {
        let values = vec![log.number().into(), after.cast_signed().into(), limit(limit_rows)];
        self.rows(&format!("{EVENT} where log = ? and n > ? order by n limit ?"), values, log_event)
    }

    /// Events of a log (none: of all logs) with positions above `after`.
    pub fn events_from(
        &self,
        log: Option<Log>,
        after: Pos,
        limit_rows: usize,
    ) -> Result<Vec<LogEvent>, ReadError> {
        let after: Value = after.0.cast_signed().into();
        match log {
            Some(log) => {
                let values = vec![log.number().into(), after, limit(limit_rows)];
                self.rows(&format!("{EVENT} where log = ? and pos > ? order by n limit ?"), values, log_event)
            }
            None => {
                let values = vec![after, limit(limit_rows)];
                self.rows(&format!("{EVENT} where pos > ? order by pos limit ?"), values, log_event)
            }
        }
    }

    /// When each epoch began.
    pub fn epochs(&self) -> Result<Vec<(Pos, Timestamp)>, ReadError> {
        let sql = "select pos, at from event where log = 0 and kind = 'EpochBegan' order by n";
        self.rows(sql, Vec::new(), |row| Ok((Pos(row.get(0)?), Timestamp(row.get(1)?))))
    }

    /// Reports of a sweep with positions above `after`, in the order of their positions.
    pub fn reports_from(&self, sweep: SweepId, after: Pos, limit: usize) -> Result<Vec<Report>, FoldError> {
        fold::reports_from(self.db(), Log::Sweep(sweep), after, limit.min(PAGE))
    }

    /// A text, unless it was erased.
    pub fn text(&self, id: u64) -> Result<Option<String>, ReadError> {
        let sql = "select body from text where id = ?1";
        Ok(self.db().prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
    }

    /// The name of an actor, unless it was erased.
    pub fn actor(&self, actor: Actor) -> Result<Option<String>, ReadError> {
        let sql = "select name from actor where id = ?1";
        let name: Option<Option<String>> =
            self.db().prepare_cached(sql)?.query_row([actor.0], |row| row.get(0)).optional()?;
        Ok(name.flatten())
    }

    /// As [`Store::fold`](super::Store::fold), without the limit of 5 s.
    pub fn fold(
        &mut self,
        log: Log,
        reports: Reports,
        after: Pos,
        take: impl FnMut(Entry),
    ) -> Result<(), FoldError> {
        self.unlimited()?;
        fold::fold(self.db(), log, reports, after, take)
    }

    /// For what takes as long as it takes: a fold, a backup.
    pub(super) fn unlimited(&mut self) -> rusqlite::Result<&Connection> {
        let db = self.db_mut();
        db.progress_handler(0, None::<fn() -> bool>)?;
        Ok(db)
    }

    fn db_mut(&mut self) -> &mut Connection {
        self.db.as_mut().expect("taken only by drop")
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ReadError> {
        let rows = self
            .db()
            .prepare_cached(sql)?
            .query_map(params_from_iter(values), read)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }
}

const TRIAL: &str = "select sweep, trial, state, value, ranked, seconds, body from trial";

const EVENT: &str = "select log, pos, n, at, actor, kind, body, hash from event";

fn limit(wanted: usize) -> Value {
    Value::Integer(i64::try_from(wanted.min(PAGE)).unwrap_or(0))
}

fn add_states(sql: &mut String, values: &mut Vec<Value>, states: &[String]) {
    if !states.is_empty() {
        sql.push_str(&format!(" and state in ({})", vec!["?"; states.len()].join(", ")));
        values.extend(states.iter().map(|state| Value::from(state.clone())));
    }
}

fn sweep_row(row: &Row<'_>) -> rusqlite::Result<SweepRow> {
    Ok(SweepRow {
        id: SweepId::from_bits(row.get(0)?),
        name: row.get(1)?,
        project: row.get(2)?,
        state: row.get(3)?,
        hidden: row.get(4)?,
        created: Timestamp(row.get(5)?),
        body: row.get(6)?,
    })
}

fn trial_row(row: &Row<'_>) -> rusqlite::Result<TrialRow> {
    Ok(TrialRow {
        sweep: SweepId::from_bits(row.get(0)?),
        trial: row.get(1)?,
        state: row.get(2)?,
        value: row.get(3)?,
        ranked: row.get(4)?,
        seconds: row.get(5)?,
        body: row.get(6)?,
    })
}

fn log_event(row: &Row<'_>) -> rusqlite::Result<LogEvent> {
    Ok(LogEvent {
        log: Log::from_number(row.get(0)?),
        pos: Pos(row.get(1)?),
        n: row.get(2)?,
        at: Timestamp(row.get(3)?),
        actor: Actor(row.get(4)?),
        kind: row.get(5)?,
        body: row.get(6)?,
        hash: row.get(7)?,
    })
}
