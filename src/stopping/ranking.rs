//! Values in their order, split after the k smallest: the two at the split are there at once.
//!
//! `low` holds the k smallest, `high` the rest; a caller moves k by one or two at a time, so every step is a few searches
//! in a tree. What it holds depends on the values and on k alone, never on the order in which they came.

use std::collections::BTreeMap;

/// A multiset of finite floats and a split of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    low: Half,
    high: Half,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Half {
    counts: BTreeMap<u64, usize>,
    len: usize,
}

impl Ranking {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.low.len + self.high.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest value below the split.
    pub fn below(&self) -> Option<f64> {
        self.low.counts.last_key_value().map(|(key, _)| float(*key))
    }

    /// The smallest value above the split.
    pub fn above(&self) -> Option<f64> {
        self.high.counts.first_key_value().map(|(key, _)| float(*key))
    }

    /// Adds a value. The split is where it was, or one further: [`Ranking::split`] puts it right.
    pub fn insert(&mut self, value: f64) {
        let key = sortable(value);
        match self.low.counts.last_key_value() {
            Some((last, _)) if key < *last => self.low.put(key),
            _ => self.high.put(key),
        }
    }

    /// Takes away one value that was inserted. The split: as for [`Ranking::insert`].
    pub fn remove(&mut self, value: f64) {
        let key = sortable(value);
        if !self.low.take(key) {
            self.high.take(key);
        }
    }

    /// Moves the split so that the `k` smallest values are below it.
    pub fn split(&mut self, k: usize) {
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
pub(super) fn sortable(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The float of [`sortable`] bits.
pub(super) fn float(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}
