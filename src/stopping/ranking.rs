//! The values of all trials at one band, and the one at a fixed share from below.
//!
//! `low` holds the k smallest, `high` the rest, so the threshold is the first of `high`; an insertion or a removal moves
//! k by one at most. What it holds depends on the values alone, never on their order.

use std::collections::BTreeMap;

/// A multiset of finite floats with its element number int(share n).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ranking {
    low: Half,
    high: Half,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Half {
    counts: BTreeMap<u64, usize>,
    len: usize,
}

impl Ranking {
    pub(super) fn len(&self) -> usize {
        self.low.len + self.high.len
    }

    /// Element int(share n) of the n values in ascending order.
    pub(super) fn threshold(&self) -> Option<f64> {
        self.high.counts.first_key_value().map(|(key, _)| float(*key))
    }

    pub(super) fn insert(&mut self, value: f64, share: f64) {
        let key = sortable(value);
        match self.low.counts.last_key_value() {
            Some((last, _)) if key < *last => self.low.put(key),
            _ => self.high.put(key),
        }
        self.balance(share);
    }

    /// Takes away one value that was inserted.
    pub(super) fn remove(&mut self, value: f64, share: f64) {
        let key = sortable(value);
        if !self.low.take(key) {
            self.high.take(key);
        }
        self.balance(share);
    }

    fn balance(&mut self, share: f64) {
        let n = self.len();
        let k = ((share * n as f64) as usize).min(n.saturating_sub(1));
        while self.low.len < k {
            let Some((key, _)) = self.high.counts.first_key_value().map(|(k, c)| (*k, *c)) else { break };
            self.high.take(key);
            self.low.put(key);
        }
        while self.low.len > k {
            let Some((key, _)) = self.low.counts.last_key_value().map(|(k, c)| (*k, *c)) else { break };
            self.low.take(key);
            self.high.put(key);
        }
    }
}

impl Half {
    fn put(&mut self, key: u64) {
        *self.counts.entry(key).or_default() += 1;
        self.len += 1;
    }

    fn take(&mut self, key: u64) -> bool {
        let Some(count) = self.counts.get_mut(&key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        }
        self.len -= 1;
        true
    }
}

/// Bits that sort as the floats do; -0.0 is 0.0.
fn sortable(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn float(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}
