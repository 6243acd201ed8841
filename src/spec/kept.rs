//! Keys that are kept as they were written since nothing follows from them here.

use std::collections::BTreeMap;

use crate::spec::code::Code;
use crate::spec::diagnostic::Check;
use crate::spec::fields::Fields;
use crate::spec::source::Entry;

/// Path -> what was written there.
#[derive(Default)]
pub(super) struct Kept(pub(super) BTreeMap<String, serde_json::Value>);

impl Kept {
    /// Keeps a key without a word.
    pub(super) fn keep(&mut self, fields: Fields<'_>, key: &str) {
        if let Some(node) = fields.get(key) {
            let value = serde_json::to_value(node.value()).unwrap_or(serde_json::Value::Null);
            self.0.insert(fields.path_of(key), value);
        }
    }

    /// Keeps a key, with a note that it has no effect.
    pub(super) fn without_effect(&mut self, fields: Fields<'_>, key: &str, check: &mut Check<'_>) {
        if let Some(entry) = fields.node.get(key) {
            let path = fields.path_of(key);
            check.note(Code::NoEffect, entry.key_at, &path, format!("'{path}' has no effect here"));
            self.keep(fields, key);
        }
    }

    /// Keeps keys that were warned of.
    pub(super) fn ignored(&mut self, path: &str, entries: Vec<&Entry>) {
        for entry in entries {
            let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            self.0.insert(path, serde_json::to_value(entry.value.value()).unwrap_or(serde_json::Value::Null));
        }
    }
}
