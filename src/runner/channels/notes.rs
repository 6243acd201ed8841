//! Notes: what the user is told once, however often it happens.

use std::collections::BTreeSet;

/// Remembers what was said; holds what is still to be said.
#[derive(Debug, Default)]
pub(super) struct Notes {
    said: BTreeSet<&'static str>,
    unsaid: Vec<String>,
}

impl Notes {
    /// Notes `text` unless something of this `kind` was noted before.
    pub(super) fn once(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        if self.said.insert(kind) {
            self.unsaid.push(text());
        }
    }

    /// Hands over what was noted since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unsaid)
    }
}
