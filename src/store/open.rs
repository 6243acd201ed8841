//! Opening: make or check the files, compare with the mark, write the WAL's pages again (CORE.md 6, restart).
//!
//! Writes nothing to the log: a mere reader of an old store leaves it as it was. `Store::begin` starts the epoch.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::append::{Head, Store};
use super::chain::Tips;
use super::checkpoint::{Gate, Upkeep, WRITER_WAIT};
use super::dir::{DataDir, create_private};
use super::disk::{Disk, SystemDisk};
use super::error::{DirError, OpenError};
use super::lock::Lock;
use super::mark::{self, Mark};
use super::reserve::Reserve;
use super::schema;

/// How to open.
#[derive(Clone)]
pub struct Options {
    /// Open although acknowledged entries are gone; with 12 random bits for the new epoch.
    pub accept_loss: Option<u32>,
    /// What answers about the disk.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Options { accept_loss: None, disk: Arc::new(SystemDisk) }
    }
}

/// A loss that was accepted, to be recorded with the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The first position that is gone.
    pub first: u64,
    /// The last one; below `first` when only the mark was unreadable.
    pub last: u64,
    /// The epoch that follows.
    pub epoch: u32,
}

impl Store {
    /// Opens the store of a directory that `lock` holds; makes it when there is none.
    pub fn open(lock: &Lock, options: &Options) -> Result<Store, OpenError> {
        let dir = lock.dir().clone();
        let reserve = Reserve::open(&dir, options.disk.clone()).map_err(io_at(&dir.file("reserve")))?;
        let file = dir.file("store.db");
        if !file.exists() {
            create(&dir)?;
        }
        let sqlite = |source| sqlite_at(&file, source);
        let mut db = open_writer(&file)?;
        let found: Head = read_head(&db).map_err(sqlite)?;
        let id = store_id(&db).map_err(sqlite)?;
        let loss = compare(&dir, &found, id, options.accept_loss)?;
        // After a failed fsync the last process' pages are clean in the cache and not on the disk: only writing them
        // again helps (F61).
        db.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).map_err(sqlite)?;
        let (secret, secret_is_new) = secret(&dir)?;
        let mark = mark::open(&dir.file("mark")).map_err(io_at(&dir.file("mark")))?;
        let gate = Arc::new(Gate::new(&file));
        let upkeep = Upkeep::start(&file, &dir.file("mark"), gate.clone()).map_err(|error| match error {
            rusqlite::Error::ToSqlConversionFailure(why) => io_at(&file)(io::Error::other(why)),
            other => sqlite(other),
        })?;
        let frames = Arc::new(AtomicU32::new(0));
        let count = frames.clone();
        db.wal_hook(Some(move |_: &mut Wal, pages: std::ffi::c_int| {
            count.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(sqlite)?;
        let next_text = next_id(&db, "text").map_err(sqlite)?;
        let next_actor = next_id(&db, "actor").map_err(sqlite)?;
        let rebuild = projections_are_damaged(&db);
        Ok(Store {
            db,
            id,
            next_pos: found.pos + 1,
            head: found,
            tips: Tips::default(),
            next_text,
            next_actor: u32::try_from(next_actor).unwrap_or(u32::MAX),
            mark,
            reserve,
            gate,
            upkeep,
            frames,
            secret,
            secret_is_new,
            loss,
            rebuild,
            begun: false,
            broken: false,
            pruned: 0,
        })
    }
}

/// The writer's connection, on a file that is known to be ours.
pub(super) fn open_writer(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(|source| sqlite_at(file, source))?;
    check(&db, file)?;
    schema::prepare_writer(&db).map_err(|source| sqlite_at(file, source))?;
    db.busy_timeout(WRITER_WAIT).map_err(|source| sqlite_at(file, source))?;
    Ok(db)
}

/// Refuses what is no store of ours or of a newer format, before anything is written to it.
pub(super) fn check(db: &Connection, file: &Path) -> Result<(), OpenError> {
    let sqlite = |source| sqlite_at(file, source);
    let not_ours = |why: &str| OpenError::NotAStore { file: file.to_owned(), why: why.to_owned() };
    schema::prepare_reader(db).map_err(sqlite)?;
    let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(sqlite)?;
    if application != schema::APPLICATION {
        return Err(not_ours("another program's database"));
    }
    let found: i64 =
        db.query_row("select value from meta where key = 'format'", [], |row| row.get(0)).map_err(sqlite)?;
    if found > schema::FORMAT {
        return Err(OpenError::Newer { file: file.to_owned(), found, known: schema::FORMAT });
    }
    if !schema::is_ours(db).map_err(sqlite)? {
        return Err(not_ours("its tables are not those of a store"));
    }
    Ok(())
}

pub(super) fn sqlite_at(file: &Path, source: rusqlite::Error) -> OpenError {
    let file = file.to_owned();
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::NotAStore { file, why: source.to_string() },
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => OpenError::Damaged { file, why: source.to_string() },
        _ => OpenError::Sqlite { file, source },
    }
}

pub(super) fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Dir(DirError::Io { path: path.clone(), source })
}

pub(super) fn read_head(db: &Connection) -> rusqlite::Result<Head> {
    db.query_row("select epoch, pos, hash from head", [], |row| {
        Ok(Head { epoch: row.get(0)?, pos: row.get(1)?, hash: row.get(2)? })
    })
}

pub(super) fn store_id(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("select value from meta where key = 'store'", [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Makes the files so that a kill at any point leaves none or all: the database gets its name last.
fn create(dir: &DataDir) -> Result<(), OpenError> {
    let path = dir.file("mark");
    match Mark::read(&path) {
        Ok(Some(mark)) if mark.pos > 0 => {
            return Err(OpenError::Lost { file: dir.file("store.db"), first_lost: 1, last: mark.pos });
        }
        _ => {}
    }
    let id = rand::random::<u64>();
    let head = Head { epoch: 0, pos: 0, hash: [0; 32] };
    head.mark(id).create(&path).map_err(io_at(&path))?;
    let temporary = dir.file("store.db.new");
    for leftover in [temporary.clone(), dir.file("store.db.new-journal")] {
        let _ = fs::remove_file(leftover);
    }
    create_private(&temporary).map_err(io_at(&temporary))?;
    write_schema(&temporary, id, &head).map_err(|source| sqlite_at(&temporary, source))?;
    fs::rename(&temporary, dir.file("store.db")).map_err(io_at(&temporary))?;
    dir.sync()?;
    Ok(())
}

fn write_schema(file: &Path, id: u64, head: &Head) -> rusqlite::Result<()> {
    let mut db = Connection::open(file)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let tx = db.transaction()?;
    tx.pragma_update(None, "application_id", schema::APPLICATION)?;
    tx.execute_batch(schema::TABLES)?;
    let set = "insert into meta values (?1, ?2)";
    tx.execute(set, ("format", schema::FORMAT))?;
    tx.execute(set, ("store", id.cast_signed()))?;
    tx.execute("insert into head values (1, ?1, ?2, ?3)", (head.epoch, head.pos, head.hash))?;
    tx.execute("insert into key values (0, ?1)", [rand::random::<[u8; 32]>()])?;
    tx.commit()
}

/// Holds the store against its mark.
fn compare(dir: &DataDir, head: &Head, id: u64, accept: Option<u32>) -> Result<Option<Loss>, OpenError> {
    let path = dir.file("mark");
    let (mark, why) = match Mark::read(&path) {
        Ok(Some(mark)) if mark.store == id => (Some(mark), ""),
        Ok(Some(_)) => (None, "the mark is of another store"),
        Ok(None) => (None, "the mark is absent, so that a loss would not show"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            (None, "the mark is damaged, so that a loss would not show")
        }
        Err(error) => return Err(io_at(&path)(error)),
    };
    let jump = |epoch: u32, bits: u32| epoch.saturating_add(4096 + (bits & 0xfff));
    let Some(mark) = mark else {
        let bits = accept.ok_or(OpenError::Mark { file: path, why })?;
        return Ok(Some(Loss { first: head.pos + 1, last: head.pos, epoch: jump(head.epoch, bits) }));
    };
    let diverged = mark.pos == head.pos && mark.hash != head.hash;
    if mark.pos < head.pos || (mark.pos == head.pos && !diverged) {
        return Ok(None);
    }
    let first = if diverged { head.pos } else { head.pos + 1 };
    let Some(bits) = accept else {
        return Err(OpenError::Lost { file: dir.file("store.db"), first_lost: first, last: mark.pos });
    };
    Ok(Some(Loss { first: head.pos + 1, last: mark.pos, epoch: jump(head.epoch.max(mark.epoch), bits) }))
}

/// 32 bytes that runs' tokens are made from; not in backups. Whether they are new.
fn secret(dir: &DataDir) -> Result<([u8; 32], bool), OpenError> {
    let path = dir.file("secret");
    let io = io_at(&path);
    let mut secret = [0; 32];
    match fs::File::open(&path) {
        Ok(mut file) => {
            let mode = file.metadata().map_err(&io)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(OpenError::Exposed { file: path.clone(), mode });
            }
            file.read_exact(&mut secret).map_err(&io)?;
            Ok((secret, false))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            secret = rand::random();
            let temporary = dir.file("secret.new");
            let _ = fs::remove_file(&temporary);
            let mut file = create_private(&temporary).map_err(&io)?;
            file.write_all(&secret).and_then(|()| file.sync_all()).map_err(&io)?;
            fs::rename(&temporary, &path).map_err(&io)?;
            dir.sync()?;
            Ok((secret, true))
        }
        Err(error) => Err(io(error)),
    }
}

fn next_id(db: &Connection, table: &str) -> rusqlite::Result<u64> {
    let last: Option<u64> =
        db.query_row(&format!("select max(id) from {table}"), [], |row| row.get(0)).optional()?.flatten();
    Ok(last.unwrap_or(0) + 1)
}

fn projections_are_damaged(db: &Connection) -> bool {
    ["sweep", "trial"].iter().any(|table| {
        let sound: rusqlite::Result<String> =
            db.query_row(&format!("pragma quick_check({table})"), [], |row| row.get(0));
        sound.as_deref() != Ok("ok")
    })
}
