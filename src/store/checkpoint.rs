//! Keeping the WAL short beside steady commits and readers (CORE.md 11, F62).
//!
//! Above 16 MiB the upkeep thread copies what it can (PASSIVE); then the writer, between two batches, starts the WAL
//! anew (RESTART, never waiting). Overlapping readers can keep that from ever succeeding: above 64 MiB the gate closes,
//! and new readers wait until it has.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::error::ReadError;
use super::{mark, schema};

pub(super) const PASSIVE_ABOVE: u64 = 16 << 20;
pub(super) const GATE_ABOVE: u64 = 64 << 20;
/// How long the writer waits for the upkeep thread's RESTART.
pub(super) const WRITER_WAIT: Duration = Duration::from_secs(30);
/// Between two tries of the upkeep thread while readers wait.
const RETRY: Duration = Duration::from_millis(100);
const READERS: usize = 4;
pub(super) const READ_LIMIT: Duration = Duration::from_secs(5);

/// Counts readers and holds new ones back.
pub(super) struct Gate {
    file: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    active: usize,
    idle: Vec<Connection>,
}

impl Gate {
    pub(super) fn new(file: &Path) -> Self {
        Gate { file: file.to_owned(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// A read-only connection, once one of the four is free and the gate is open.
    pub(super) fn enter(&self) -> Result<Connection, ReadError> {
        let deadline = Instant::now() + READ_LIMIT;
        let mut state = self.lock();
        while state.closed || state.active == READERS {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(ReadError::TooLong)?;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let connection = match state.idle.pop() {
            Some(connection) => connection,
            None => open_reader(&self.file)?,
        };
        state.active += 1;
        Ok(connection)
    }

    pub(super) fn leave(&self, connection: Connection) {
        let mut state = self.lock();
        state.active -= 1;
        state.idle.push(connection);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    pub(super) fn open(&self) {
        self.lock().closed = false;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that cannot write.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    schema::prepare_reader(&db)?;
    db.busy_timeout(READ_LIMIT)?;
    Ok(db)
}

/// The thread that copies the WAL's pages back.
pub(super) struct Upkeep {
    wake: Option<SyncSender<()>>,
    copied: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(super) fn start(file: &Path, mark: &Path, gate: Arc<Gate>) -> rusqlite::Result<Self> {
        let failed = |error: std::io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        let db = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.busy_timeout(Duration::ZERO)?;
        let mark = mark::open(mark).map_err(failed)?;
        let copied = Arc::new(AtomicBool::new(false));
        let (wake, woken) = mpsc::sync_channel(1);
        let done = copied.clone();
        let work = move || {
            loop {
                // It sleeps until a commit wakes it. While the gate is closed it tries by itself: readers wait, and no
                // commit may come.
                let woke = match gate.is_closed() {
                    true => woken.recv_timeout(RETRY),
                    false => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match woke {
                    Ok(()) => {
                        // A failure here shows as the writer's own at its next commit or restart.
                        let _ = mark.sync_data();
                        let _ = checkpoint(&db, "passive");
                        done.store(true, Ordering::Release);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Ok(true) = checkpoint(&db, "restart") {
                            gate.open();
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("store-upkeep".to_owned()).spawn(work).map_err(failed)?;
        Ok(Upkeep { wake: Some(wake), copied, thread: Some(thread) })
    }

    /// Called by the writer after each commit, with the length of the WAL.
    pub(super) fn after_commit(&self, db: &Connection, gate: &Gate, wal_bytes: u64) -> rusqlite::Result<()> {
        if wal_bytes <= PASSIVE_ABOVE {
            return Ok(());
        }
        if wal_bytes > GATE_ABOVE {
            gate.close();
        }
        if self.copied.swap(false, Ordering::Acquire) {
            db.busy_timeout(Duration::ZERO)?;
            let done = checkpoint(db, "restart");
            db.busy_timeout(WRITER_WAIT)?;
            if done? {
                gate.open();
                return Ok(());
            }
        }
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(()); // full: it is awake already
        }
        Ok(())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether it got to the end.
fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let busy: rusqlite::Result<i64> =
        db.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| row.get(0));
    match busy {
        Ok(busy) => Ok(busy == 0),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}
