//! The hash chain: a log's event holds the hash of all before it, so that a change to the past shows.
//!
//! A body goes in through a commitment keyed by its sweep, so that the chain still verifies, and tells nothing, once
//! body and key are purged.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::sweep::{Actor, Pos, Timestamp};

use super::batch::Log;

/// The end of a log.
#[derive(Clone)]
pub(super) struct Tip {
    pub(super) n: u64,
    pub(super) hash: [u8; 32],
    pub(super) key: [u8; 32],
}

/// What the chain covers of an event.
pub(super) struct Link<'a> {
    pub(super) pos: Pos,
    pub(super) n: u64,
    pub(super) at: Timestamp,
    pub(super) kind: &'a str,
    pub(super) actor: Actor,
    pub(super) body: &'a str,
}

impl Link<'_> {
    /// The event's hash after `tip`.
    pub(super) fn hash(&self, tip: &Tip) -> [u8; 32] {
        let mut commitment = blake3::Hasher::new_keyed(&tip.key);
        commitment.update(&self.n.to_le_bytes()).update(self.body.as_bytes());
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(&tip.hash)
            .update(&self.pos.0.to_le_bytes())
            .update(&self.n.to_le_bytes())
            .update(&self.at.0.to_le_bytes())
            .update(&(self.kind.len() as u64).to_le_bytes())
            .update(self.kind.as_bytes())
            .update(&self.actor.0.to_le_bytes())
            .update(commitment.finalize().as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// The ends of the logs that were touched, as they are after the last commit.
#[derive(Default)]
pub(super) struct Tips(BTreeMap<Log, Tip>);

impl Tips {
    /// The end of `log`; `None` when it has no key, and so was never begun.
    pub(super) fn get(&mut self, db: &Connection, log: Log) -> rusqlite::Result<Option<Tip>> {
        if let Some(tip) = self.0.get(&log) {
            return Ok(Some(tip.clone()));
        }
        let tip = read_tip(db, log)?;
        if let Some(tip) = &tip {
            self.0.insert(log, tip.clone());
        }
        Ok(tip)
    }

    pub(super) fn set(&mut self, log: Log, tip: Tip) {
        self.0.insert(log, tip);
    }
}

fn read_tip(db: &Connection, log: Log) -> rusqlite::Result<Option<Tip>> {
    let Some(key) = key(db, log)? else { return Ok(None) };
    let last = db
        .prepare_cached("select n, hash from event where log = ?1 order by n desc limit 1")?
        .query_row([log.number()], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, [u8; 32]>(1)?)))
        .optional()?;
    let (n, hash) = last.unwrap_or((0, [0; 32]));
    Ok(Some(Tip { n, hash, key }))
}

/// The key of a log's commitments.
pub(super) fn key(db: &Connection, log: Log) -> rusqlite::Result<Option<[u8; 32]>> {
    db.prepare_cached("select key from key where log = ?1")?
        .query_row([log.number()], |row| row.get(0))
        .optional()
}

/// The tag of a serialized body: the `kind` that serde writes first.
pub(super) fn kind_of(body: &str) -> Option<&str> {
    body.strip_prefix("{\"kind\":\"")?.split_once('"').map(|(kind, _)| kind)
}
