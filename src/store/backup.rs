//! `backup` and `restore`: a verified copy in one file, and a new store made from one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup as Copy, StepResult};

use crate::sweep::{Actor, Body, Pos, Timestamp};

use super::append::Store;
use super::batch::{Log, StoreBody};
use super::checkpoint::open_reader;
use super::dir::{DataDir, NetworkRule, create_private, sync_dir};
use super::error::{OpenError, ReadError};
use super::fold::{Entry, Reports};
use super::lock::Lock;
use super::open::{Options, check, io_at, open_writer, read_head, sqlite_at, store_id};
use super::reader::Reader;
use super::verify::{Verified, verify_open};

/// A backup that was written and verified; the controller records it as `BackupTaken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub verified: Verified,
}

/// Copies what is committed into a new file, beside the writer.
pub fn backup(reader: &mut Reader, to: &Path) -> Result<Backup, OpenError> {
    let io = io_at(to);
    if to.exists() {
        return Err(io(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "it is there already; name a new file",
        )));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    create_private(&part).map_err(io_at(&part))?;
    let from = reader.unlimited().map_err(|source| sqlite_at(to, source))?;
    let result = copy_and_verify(from, &part);
    let verified = match result {
        Ok(verified) => verified,
        Err(error) => {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    fs::rename(&part, to).map_err(&io)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(parent).map_err(&io)?;
    let bytes = fs::metadata(to).map_err(&io)?.len();
    Ok(Backup { file: to.to_owned(), bytes, verified })
}

fn copy_and_verify(from: &Connection, part: &Path) -> Result<Verified, OpenError> {
    let sqlite = |source| sqlite_at(part, source);
    let mut copy = Connection::open(part).map_err(sqlite)?;
    copy_all(from, &mut copy).map_err(sqlite)?;
    let verified = verify_open(&copy);
    refuse_bad(part, &verified)?;
    copy.close().map_err(|(_, source)| sqlite_at(part, source))?;
    fs::File::open(part).and_then(|file| file.sync_all()).map_err(io_at(part))?;
    Ok(verified)
}

/// In one step: in smaller ones it would begin anew with each commit of the writer.
fn copy_all(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    let step = Copy::new(from, to)?.step(-1)?;
    if step != StepResult::Done {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, None));
    }
    to.query_row("pragma journal_mode = delete", [], |_| Ok(())) // one file, no WAL beside it
}

fn refuse_bad(file: &Path, verified: &Verified) -> Result<(), OpenError> {
    let Some(bad) = verified.bad.first() else { return Ok(()) };
    let place = bad.log.map_or("the file".to_owned(), |log| format!("{log}, event {}", bad.n));
    let why = format!("{place} (position {}): {}", bad.pos, bad.why);
    Err(OpenError::Damaged { file: file.to_owned(), why })
}

/// A store that was made from a backup.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The store's number.
    pub id: u64,
    /// Runs that had not ended in it: (agent, machine, boot of the machine, if it had started).
    pub live: Vec<(String, String, String)>,
}

/// Makes a store in a new or empty directory from a backup that verifies. Its epoch leaps (with 12 random bits), so
/// that no fence of the lost time line is valid again; its secret is made at the first start.
pub fn restore(
    from: &Path,
    dir: &Path,
    bits: u32,
    at: Timestamp,
    options: &Options,
) -> Result<Restored, OpenError> {
    refuse_bad(from, &super::verify::verify(from)?)?;
    let dir = DataDir::prepare_empty(dir, options.disk.as_ref(), NetworkRule::Refuse)?;
    let lock = Lock::take(&dir).map_err(|error| io_at(dir.path())(std::io::Error::other(error)))?;
    let epoch = fill(from, &dir, bits)?;
    let mut store = Store::open(&lock, options)?;
    let last = Pos(store.head.pos);
    let body = StoreBody::StoreRestored { last, epoch };
    store.append_own(vec![body], last.0 + 1, epoch, at, Actor::default())?;
    let restored = Restored { id: store.id(), live: live(&store).map_err(|error| unread(&dir, &error))? };
    drop(store);
    fs::remove_file(dir.file("secret")).map_err(io_at(&dir.file("secret")))?;
    Ok(restored)
}

/// Where the runs lie that have not ended.
fn live(store: &Store) -> Result<Vec<(String, String, String)>, ReadError> {
    let mut live = BTreeMap::new();
    for id in store.unfinished()? {
        let take = |entry| {
            let Entry::Event(event) = entry else { return };
            match event.body {
                Body::RunAssigned { run, placements, .. } => {
                    let places = placements.into_iter().map(|place| (place.agent, place.machine));
                    live.insert((id, run), (places.collect::<Vec<_>>(), String::new()));
                }
                Body::RunStarted { run, started } => {
                    if let Some((_, boot)) = live.get_mut(&(id, run)) {
                        *boot = started.boot;
                    }
                }
                Body::RunEnded { run, .. } => drop(live.remove(&(id, run))),
                _ => {}
            }
        };
        // A log that does not fold is shown as damaged by whoever loads it.
        let _ = store.fold(Log::Sweep(id), Reports::None, Pos(0), take);
    }
    let places = live.into_values().flat_map(|(places, boot)| {
        places.into_iter().map(move |(agent, machine)| (agent, machine, boot.clone()))
    });
    Ok(places.collect())
}

fn unread(dir: &DataDir, error: &ReadError) -> OpenError {
    OpenError::Damaged { file: dir.file("store.db"), why: error.to_string() }
}

/// The copy gets its name last; returns the epoch that it leaps to.
fn fill(from: &Path, dir: &DataDir, bits: u32) -> Result<u32, OpenError> {
    let temporary = dir.file("store.db.new");
    create_private(&temporary).map_err(io_at(&temporary))?;
    let source = open_reader(from).map_err(|error| sqlite_at(from, error))?;
    let sqlite = |error| sqlite_at(&temporary, error);
    let mut copy = Connection::open(&temporary).map_err(sqlite)?;
    copy_all(&source, &mut copy).map_err(sqlite)?;
    check(&copy, &temporary)?;
    refuse_bad(&temporary, &verify_open(&copy))?;
    let head = read_head(&copy).map_err(sqlite)?;
    let id = store_id(&copy).map_err(sqlite)?;
    copy.close().map_err(|(_, error)| sqlite_at(&temporary, error))?;
    drop(open_writer(&temporary)?);
    let mark = dir.file("mark");
    head.mark(id).create(&mark).map_err(io_at(&mark))?;
    fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(io_at(&temporary))?;
    fs::rename(&temporary, dir.file("store.db")).map_err(io_at(&temporary))?;
    dir.sync()?;
    Ok(head.epoch.saturating_add(4096 + (bits & 0xfff)))
}
