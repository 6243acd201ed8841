//! Tables and settings of the database (CORE.md 11).

use rusqlite::Connection;

/// Rises with every change that an older swath cannot read.
pub(super) const FORMAT: i64 = 1;

/// "swth": tells a store from any other database.
pub(super) const APPLICATION: i64 = 0x7377_7468;

/// `head.hash` chains over every entry: with the mark it tells one time line from another.
pub(super) const TABLES: &str = "
create table meta(key text primary key, value any) strict, without rowid;
create table head(one integer primary key check (one = 1), epoch int not null, pos int not null, hash blob not null) strict;
create table event(pos integer primary key, log int not null, n int not null, at int not null, actor int not null, kind text not null, body text not null, hash blob not null) strict;
create unique index event_by_log on event(log, n);
create index event_turn on event(log, n) where kind in ('SweepCreated', 'SweepEnded', 'SweepResumed', 'SweepChanged');
create table report(run int not null, seq int not null, pos int not null, body blob not null, primary key (run, seq)) strict, without rowid;
create table request(caller int not null, id blob not null, args blob not null, pos int not null, at int not null, primary key (caller, id)) strict, without rowid;
create table key(log int primary key, key blob not null) strict;
create table text(id integer primary key, log int not null, salt blob not null, body text not null) strict;
create table actor(id integer primary key, name text) strict;
create table sweep(id integer primary key, name text not null, project text not null, state text not null, hidden int not null, created int not null, body blob not null) strict;
create table trial(sweep int not null, trial int not null, state text not null, value real, ranked real, seconds real not null, body blob not null, primary key (sweep, trial)) strict, without rowid;
";

/// The statements that make the tables of the listings, which only repeat what the logs say.
pub(super) fn listings() -> String {
    let is_listing =
        |line: &&str| ["create table sweep(", "create table trial("].iter().any(|t| line.starts_with(t));
    TABLES.lines().filter(is_listing).collect()
}

/// Settings of the writer's connection.
pub(super) fn prepare_writer(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "cache_size", -32_768)?;
    db.set_prepared_statement_cache_capacity(64);
    prepare_reader(db)
}

/// Settings of every connection.
pub(super) fn prepare_reader(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "trusted_schema", false)
}

/// Whether the tables are exactly ours: a file from outside may hold triggers and views.
pub(super) fn is_ours(db: &Connection) -> rusqlite::Result<bool> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(TABLES)?;
    Ok(statements(db)? == statements(&fresh)?)
}

fn statements(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare("select sql from sqlite_schema where sql is not null order by name")?
        .query_map([], |row| row.get(0))?
        .collect()
}
