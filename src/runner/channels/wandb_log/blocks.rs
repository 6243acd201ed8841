//! The framing of a `.wandb` file.
//!
//! ```text
//! file  = head (7 bytes) + blocks of 32768 bytes, counted from the start of the file
//! block = chunks, then fewer than 7 zero bytes, or an all-zero chunk head: nothing more in this block
//! chunk = CRC-32 (4, of kind and payload) + length (2) + kind (1) + payload; all little endian
//! kind  = 1 whole record, 2 first, 3 middle, 4 last part of one
//! ```
//!
//! A chunk that cannot be right costs its block and the record it belongs to, never more.

use crate::runner::channels::limits::WANDB_RECORD_BYTES;
use crate::runner::channels::notes::Notes;

const BLOCK: u64 = 32_768;
const HEAD: usize = 7;
/// `:W&B`, 0xBEE1 little endian, version 0.
const FILE_HEAD: [u8; HEAD] = [0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0];

/// Takes a file's bytes in order, gives its records.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Where in the file `waiting` begins.
    offset: u64,
    /// Bytes of a chunk that is not whole yet.
    waiting: Vec<u8>,
    /// The parts of the record so far; `None`: no record has begun.
    record: Option<Vec<u8>>,
    /// A chunk was wrong; worth a word if a right one follows, for at the end it is only a cut.
    is_damaged: bool,
    /// Not a `.wandb` file: nothing of it is read.
    is_foreign: bool,
}

/// What stands at the front of the waiting bytes.
enum Front {
    /// Not enough bytes to tell.
    Waits,
    /// So many bytes mean nothing.
    Skip(usize),
    /// A chunk of this kind that takes so many bytes with its head.
    Chunk(u8, usize),
    /// Not a chunk: the block's rest, so many bytes, cannot be read.
    Damage(usize),
}

impl Blocks {
    /// Takes the next bytes and calls `take` with each record that is now whole.
    pub(super) fn feed(&mut self, bytes: &[u8], notes: &mut Notes, take: &mut dyn FnMut(&[u8])) {
        if self.is_foreign {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let front = self.front(&waiting[at..], notes);
            let length = match front {
                Front::Waits => break,
                Front::Skip(length) => length,
                Front::Chunk(kind, length) => {
                    self.chunk(kind, &waiting[at + HEAD..at + length], notes, take);
                    length
                }
                Front::Damage(length) => {
                    self.is_damaged = true;
                    self.record = None;
                    length
                }
            };
            // What of a skipped rest is not there yet is skipped when it comes.
            let there = length.min(waiting.len() - at);
            at += there;
            self.offset += there as u64;
        }
        waiting.drain(..at);
        self.waiting = waiting;
    }

    fn front(&mut self, bytes: &[u8], notes: &mut Notes) -> Front {
        if self.is_foreign || bytes.is_empty() {
            return Front::Waits;
        }
        if self.offset == 0 {
            return self.file_head(bytes, notes);
        }
        let left = (BLOCK - self.offset % BLOCK) as usize;
        if left < HEAD {
            return Front::Skip(left);
        }
        let Some(head) = bytes.first_chunk::<HEAD>() else { return Front::Waits };
        if head == &[0; HEAD] {
            return self.rest_of_block(bytes, left, Front::Skip);
        }
        let length = HEAD + usize::from(u16::from_le_bytes([head[4], head[5]]));
        let kind = head[6];
        if length > left || !(1..=4).contains(&kind) {
            return self.rest_of_block(bytes, left, Front::Damage);
        }
        if bytes.len() < length {
            return Front::Waits;
        }
        let expected = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        if crc32fast::hash(&bytes[HEAD - 1..length]) != expected {
            return self.rest_of_block(bytes, left, Front::Damage);
        }
        Front::Chunk(kind, length)
    }

    /// The block's rest is passed over once all of it is there, so that no chunk is sought in its middle.
    fn rest_of_block(&self, bytes: &[u8], left: usize, front: fn(usize) -> Front) -> Front {
        if bytes.len() < left { Front::Waits } else { front(left) }
    }

    fn file_head(&mut self, bytes: &[u8], notes: &mut Notes) -> Front {
        if bytes.len() < HEAD {
            return Front::Waits;
        }
        if bytes.starts_with(&FILE_HEAD) {
            return Front::Skip(HEAD);
        }
        self.is_foreign = true;
        notes.once("foreign", || {
            "a .wandb file does not begin as one of version 0 does; it is not read".into()
        });
        Front::Waits
    }

    fn chunk(&mut self, kind: u8, payload: &[u8], notes: &mut Notes, take: &mut dyn FnMut(&[u8])) {
        if std::mem::take(&mut self.is_damaged) {
            notes.once("damaged", || {
                "a .wandb file is damaged; the records of that block are left out".into()
            });
        }
        match kind {
            1 => {
                self.record = None;
                return take(payload);
            }
            2 => self.record = Some(payload.to_vec()),
            // A part whose beginning was lost.
            _ if self.record.is_none() => return,
            _ => self.record.get_or_insert_default().extend_from_slice(payload),
        }
        if self.record.as_ref().is_some_and(|record| record.len() > WANDB_RECORD_BYTES) {
            self.record = None;
            notes.once("long record", || {
                "a record of a .wandb file is longer than 64 MiB; it is left out".into()
            });
        }
        if kind == 4
            && let Some(record) = self.record.take()
        {
            take(&record);
        }
    }
}
