//! Which sweep a name means: an id, a prefix of one from 4 characters on, a sweep's name, or `@last`.

use std::collections::BTreeMap;

use crate::controller::{Refused, RefusedKind};
use crate::spec::Code;
use crate::sweep::{SweepId, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Directory(BTreeMap<SweepId, Listed>);

#[derive(Debug)]
struct Listed {
    name: String,
    created: Timestamp,
    is_hidden: bool,
}

impl Directory {
    pub(super) fn set(&mut self, id: SweepId, name: &str, created: Timestamp, is_hidden: bool) {
        self.0.insert(id, Listed { name: name.to_owned(), created, is_hidden });
    }

    pub(super) fn contains(&self, id: SweepId) -> bool {
        self.0.contains_key(&id)
    }

    /// The sweep that `text` means. Hidden ones answer to their id alone.
    pub(super) fn find(&self, text: &str) -> Result<SweepId, Refused> {
        if let Some(id) = text.parse().ok().filter(|id| self.contains(*id)) {
            return Ok(id);
        }
        let shown = || self.0.iter().filter(|(_, listed)| !listed.is_hidden);
        if text == "@last" {
            let last = shown().max_by_key(|(id, listed)| (listed.created, **id));
            return last.map(|(id, _)| *id).ok_or_else(|| nothing(text));
        }
        let named: Vec<SweepId> =
            shown().filter(|(_, listed)| listed.name == text).map(|(id, _)| *id).collect();
        let found = if named.is_empty() && text.len() >= 4 {
            shown().map(|(id, _)| *id).filter(|id| id.to_string().starts_with(text)).collect()
        } else {
            named
        };
        match found.as_slice() {
            [] => Err(nothing(text)),
            [one] => Ok(*one),
            several => Err(self.ambiguous(text, several)),
        }
    }

    fn ambiguous(&self, text: &str, several: &[SweepId]) -> Refused {
        let shown: Vec<String> =
            several.iter().take(10).map(|id| format!("{id} ({})", self.0[id].name)).collect();
        let message = format!("'{text}' means {} sweeps: {}", several.len(), shown.join(", "));
        Refused::new(RefusedKind::NotFound, Code::Ambiguous, message).at("sweep").with_help("give the id")
    }
}

fn nothing(text: &str) -> Refused {
    Refused::new(RefusedKind::NotFound, Code::NotFound, format!("there is no sweep '{text}'"))
        .at("sweep")
        .with_help(
            "swath sweep list shows what there is; with --all the deleted ones, which answer to their ids",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (Directory, SweepId, SweepId) {
        let mut directory = Directory::default();
        let (a, b) = (SweepId::from_bits(0x12_3456_789a), SweepId::from_bits(0x12_3456_789b));
        directory.set(a, "one", Timestamp(1), false);
        directory.set(b, "two", Timestamp(2), false);
        (directory, a, b)
    }

    #[test]
    fn names_prefixes_and_last_find_their_sweep() {
        let (mut directory, a, b) = directory();
        assert_eq!(directory.find(&a.to_string()), Ok(a));
        assert_eq!(directory.find("one"), Ok(a));
        assert_eq!(directory.find("@last"), Ok(b));
        let prefix = &a.to_string()[..5];
        let refused = directory.find(prefix).unwrap_err();
        assert!(
            refused.message.contains(&a.to_string()) && refused.message.contains(&b.to_string()),
            "{refused}"
        );
        directory.set(b, "two", Timestamp(2), true);
        assert_eq!(directory.find(prefix), Ok(a));
        assert_eq!(directory.find(&b.to_string()), Ok(b));
    }

    #[test]
    fn b31_what_is_not_there_is_not_found() {
        let (directory, a, _) = directory();
        for absent in ["00000000", "zzzz", "three", &a.to_string()[..3], ""] {
            assert_eq!(directory.find(absent).unwrap_err().kind, RefusedKind::NotFound, "{absent}");
        }
        assert_eq!(Directory::default().find("@last").unwrap_err().kind, RefusedKind::NotFound);
    }
}
