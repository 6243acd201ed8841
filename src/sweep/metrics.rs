//! The sweep's dictionary of metric names: dense ids in the order in which the names were first seen.

use std::collections::BTreeMap;

/// Longest name, in bytes.
const NAME_BYTES: usize = 256;
/// Names a sweep keeps. A metric that the sweep itself wants always has room.
const NAMES: usize = 10_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics {
    names: Vec<String>,
    ids: BTreeMap<String, u32>,
}

impl Metrics {
    pub(super) fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The id that the next name will have.
    pub(super) fn next(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    /// Whether another name still has room beside `more` that are about to come.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.names.len() + more < NAMES
    }

    pub(super) fn name(&mut self, name: &str) {
        self.ids.insert(name.to_owned(), self.next());
        self.names.push(name.to_owned());
    }
}

/// Whether a name may enter the dictionary at all.
pub fn allowed(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b36_hostile_metric_names_are_not_kept() {
        assert!(allowed("val/loss é"));
        for bad in ["", "a\0b", "\u{1b}[31m", &"x".repeat(NAME_BYTES + 1)] {
            assert!(!allowed(bad), "{bad:?}");
        }
    }
}
