//! `audit verify`: everything that is stored, held against its hashes, and the first bad event named.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::sweep::{Pos, Run, SweepId, TextRef, Trial};

use super::batch::{Log, StoreBody};
use super::checkpoint::open_reader;
use super::error::{FoldError, OpenError};
use super::fold::{self, Entry, Reports, Stored};
use super::frame::{self, Digest};
use super::mark::Mark;
use super::open::{check, read_head, sqlite_at};

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Sweeps whose logs were read.
    pub sweeps: u64,
    /// Events of all logs.
    pub events: u64,
    /// Reports.
    pub reports: u64,
    /// The last position.
    pub last: Pos,
    /// What is wrong, by log; the first of each. Empty: the store is sound.
    pub bad: Vec<Bad>,
}

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Whose log; none: the file as a whole.
    pub log: Option<Log>,
    /// Number of the event in its log; 0 for a report or a file.
    pub n: u64,
    /// Position in the store, 0 where it cannot be told.
    pub pos: u64,
    /// What is wrong.
    pub why: String,
}

/// Checks a store or a backup, also beside a running controller. Writes nothing.
pub fn verify(file: &Path) -> Result<Verified, OpenError> {
    if !file.is_file() {
        let why = "no such file".to_owned();
        return Err(OpenError::NotAStore { file: file.to_owned(), why });
    }
    // Read before the snapshot, which is then at least as far.
    let mark =
        file.ends_with("store.db").then(|| Mark::read(&file.with_file_name("mark")).ok().flatten()).flatten();
    let db = open_reader(file).map_err(|source| sqlite_at(file, source))?;
    check(&db, file)?;
    db.execute_batch("begin").map_err(|source| sqlite_at(file, source))?; // one snapshot for all that follows
    let mut found = verify_open(&db);
    found.bad.extend(mark.and_then(|mark| cut(mark.pos, found.last.0)));
    Ok(found)
}

/// Every entry of a sweep's log, of a store or a backup, also beside a running controller; in order.
pub fn read_log(file: &Path, sweep: SweepId) -> Result<Vec<Entry>, OpenError> {
    let db = open_reader(file).map_err(|source| sqlite_at(file, source))?;
    let mut entries = Vec::new();
    db.execute_batch("begin").map_err(|source| sqlite_at(file, source))?;
    fold::fold(&db, Log::Sweep(sweep), Reports::All, Pos(0), |entry| entries.push(entry))
        .map_err(|error| OpenError::Damaged { file: file.to_owned(), why: error.to_string() })?;
    Ok(entries)
}

/// The sweeps of a store or a backup.
pub fn read_sweeps(file: &Path) -> Result<Vec<SweepId>, OpenError> {
    let db = open_reader(file).map_err(|source| sqlite_at(file, source))?;
    let numbers = logs(&db).map_err(|source| sqlite_at(file, source))?;
    let sweep = |number| match Log::from_number(number) {
        Log::Sweep(sweep) => Some(sweep),
        Log::Store => None,
    };
    Ok(numbers.into_iter().filter_map(sweep).collect())
}

/// SQLite takes a WAL that was cut or changed for its end; the mark beside it tells.
fn cut(acknowledged: u64, last: u64) -> Option<Bad> {
    let why = format!(
        "the log ends at position {last}, and {acknowledged} was acknowledged: its WAL was cut or changed"
    );
    (acknowledged > last).then_some(Bad { log: None, n: 0, pos: last + 1, why })
}

pub(super) fn verify_open(db: &Connection) -> Verified {
    let mut found = Verified::default();
    let whole = |why: String| Bad { log: None, n: 0, pos: 0, why };
    let sound: rusqlite::Result<String> = db.query_row("pragma integrity_check(1)", [], |row| row.get(0));
    match sound {
        Ok(word) if word == "ok" => {}
        Ok(why) => found.bad.push(whole(why)),
        Err(error) => found.bad.push(whole(error.to_string())),
    }
    match read_logs(db, &mut found) {
        Ok(()) => {}
        Err(error) => found.bad.push(whole(error.to_string())),
    }
    found
}

fn read_logs(db: &Connection, found: &mut Verified) -> rusqlite::Result<()> {
    let mut own = OwnLog::default();
    let result = fold::walk(db, Log::Store, |stored| {
        found.events += 1;
        own.take(stored)
    });
    note(found, Log::Store, result);
    for number in logs(db)? {
        let log = Log::from_number(number);
        let Log::Sweep(sweep) = log else { continue };
        found.sweeps += 1;
        let result = read_sweep(db, log, found);
        note(found, log, result);
        if !own.registered.remove(&sweep) {
            found.bad.push(Bad { log: Some(log), n: 1, pos: 0, why: "it was never registered".to_owned() });
        }
    }
    for sweep in own.registered {
        let why = "its whole log is missing".to_owned();
        found.bad.push(Bad { log: Some(Log::Sweep(sweep)), n: 1, pos: 0, why });
    }
    let stray: u64 = db.query_row(
        "select count(*) from report where run not in (select pos from event where kind = 'RunAssigned')",
        [],
        |row| row.get(0),
    )?;
    let head = read_head(db)?;
    found.last = Pos(head.pos);
    let count = found.events + found.reports + stray + own.lost;
    if found.bad.is_empty() && (stray > 0 || count != head.pos) {
        let why =
            format!("{count} entries are there, {} were written; {stray} reports have no run", head.pos);
        found.bad.push(Bad { log: None, n: 0, pos: head.pos, why });
    }
    Ok(())
}

fn logs(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare("select distinct log from event order by log")?.query_map([], |row| row.get(0))?.collect()
}

fn note(found: &mut Verified, log: Log, result: Result<(), FoldError>) {
    match result {
        Ok(()) => {}
        Err(FoldError::Damaged { log, n, pos, why }) => found.bad.push(Bad { log: Some(log), n, pos, why }),
        Err(FoldError::Read(error)) => {
            found.bad.push(Bad { log: Some(log), n: 0, pos: 0, why: error.to_string() });
        }
    }
}

/// What log 0 says of the others.
#[derive(Default)]
struct OwnLog {
    registered: BTreeSet<SweepId>,
    /// Positions whose loss was accepted.
    lost: u64,
}

impl OwnLog {
    fn take(&mut self, stored: &Stored) -> Result<(), FoldError> {
        let body = serde_json::from_str(&stored.body)
            .map_err(|error| stored.damaged(format!("it cannot be understood: {error}")))?;
        match body {
            StoreBody::SweepRegistered { sweep } => drop(self.registered.insert(sweep)),
            StoreBody::LossAccepted { first, last, .. } => self.lost += (last.0 + 1).saturating_sub(first.0),
            _ => {}
        }
        Ok(())
    }
}

fn read_sweep(db: &Connection, log: Log, found: &mut Verified) -> Result<(), FoldError> {
    let mut assigned: Vec<(Run, Pos)> = Vec::new();
    let mut reports = 0;
    let mut events = 0;
    let result = fold::walk(db, log, |stored| {
        events += 1;
        let body: serde_json::Value = serde_json::from_str(&stored.body)
            .map_err(|error| stored.damaged(format!("it cannot be understood: {error}")))?;
        check_texts(db, stored, &body)?;
        match (stored.kind.as_str(), run_of(&body)) {
            ("RunAssigned", Some(run)) => assigned.push((run, stored.pos)),
            ("RunEnded", Some(run)) => {
                if let Some(k) = assigned.iter().position(|(known, _)| *known == run) {
                    let (_, key) = assigned.swap_remove(k);
                    let (count, digest) = read_reports(db, log, run, key)?;
                    reports += count;
                    check_digest(stored, &body, count, &digest)?;
                }
            }
            _ => {}
        }
        Ok(())
    });
    found.events += events;
    if result.is_ok() {
        for (run, key) in assigned {
            reports += read_reports(db, log, run, key)?.0;
        }
    }
    found.reports += reports;
    result
}

fn run_of(body: &serde_json::Value) -> Option<Run> {
    let run = body.get("run")?;
    let number = |name| run.get(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
    Some(Run { trial: Trial(number("trial")?), attempt: number("attempt")? })
}

fn read_reports(db: &Connection, log: Log, run: Run, key: Pos) -> Result<(u64, Digest), FoldError> {
    let mut statement = db.prepare_cached("select seq, pos, body from report where run = ?1 order by seq")?;
    let mut rows = statement.query([key.0])?;
    let (mut count, mut digest) = (0, Digest::default());
    loop {
        let damaged = |pos: u64, why: String| FoldError::Damaged { log, n: 0, pos, why };
        let Some(row) = rows.next().map_err(|error| damaged(0, format!("reports of run {run}: {error}")))?
        else {
            return Ok((count, digest));
        };
        let (seq, pos): (u64, u64) = (row.get(0)?, row.get(1)?);
        let body: Vec<u8> = row.get(2)?;
        if frame::decode(key, run, seq, Pos(pos), &body).is_none() {
            return Err(damaged(
                pos,
                format!("report {seq} of run {run} is not what was written (checksum)"),
            ));
        }
        digest.add_frame(&body);
        count += 1;
    }
}

/// `RunEnded` says what its run had reported; an older or foreign one may have left it out.
fn check_digest(
    stored: &Stored,
    body: &serde_json::Value,
    count: u64,
    digest: &Digest,
) -> Result<(), FoldError> {
    let ended = body.get("ended");
    let said = ended.and_then(|ended| ended.get("digest")).and_then(serde_json::Value::as_str).unwrap_or("");
    if said.is_empty() || said == digest.hex() {
        return Ok(());
    }
    Err(stored.damaged(format!("the {count} reports of its run are not those it was ended with (digest)")))
}

/// Every `{id, hash}` in a body names a text that has this hash, or none any more.
fn check_texts(db: &Connection, stored: &Stored, body: &serde_json::Value) -> Result<(), FoldError> {
    if let Ok(reference) = serde_json::from_value::<TextRef>(body.clone()) {
        return check_text(db, stored, &reference);
    }
    match body {
        serde_json::Value::Object(fields) => {
            fields.values().try_for_each(|value| check_texts(db, stored, value))
        }
        serde_json::Value::Array(items) => items.iter().try_for_each(|value| check_texts(db, stored, value)),
        _ => Ok(()),
    }
}

fn check_text(db: &Connection, stored: &Stored, reference: &TextRef) -> Result<(), FoldError> {
    let text: Option<([u8; 16], String)> = db
        .prepare_cached("select salt, body from text where id = ?1 and log = ?2")?
        .query_row((reference.id, stored.log.number()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((salt, body)) = text else { return Ok(()) };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&salt).update(body.as_bytes());
    if hasher.finalize().to_hex().as_str() == reference.hash {
        return Ok(());
    }
    Err(stored.damaged(format!("its text {} is not what was written", reference.id)))
}
