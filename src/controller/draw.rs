//! The only place that draws at random: ids, salts, keys, seeds. What is drawn goes into a command or an entry.

use crate::sweep::SweepId;

/// A source of random bytes.
pub(super) trait Draw: Send {
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The system's.
#[derive(Debug)]
pub(super) struct System;

impl Draw for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

pub(super) fn array<const N: usize>(draw: &mut dyn Draw) -> [u8; N] {
    let mut bytes = [0; N];
    draw.fill(&mut bytes);
    bytes
}

pub(super) fn sweep_id(draw: &mut dyn Draw) -> SweepId {
    SweepId::from_bits(u64::from_le_bytes(array(draw)))
}

/// 32 bits: people retype it.
pub(super) fn seed(draw: &mut dyn Draw) -> u64 {
    u64::from(u32::from_le_bytes(array(draw)))
}
