//! Which known key an unknown one was meant to be.

/// The nearest of `known`, if it is near enough: Damerau-Levenshtein distance, case and `-_` aside, of at most
/// max(1, length / 4).
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let wanted = folded(key);
    // Nothing longer than this can be near anything known.
    if wanted.len() > 64 {
        return None;
    }
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &folded(name)), *name))
        .filter(|(distance, _)| *distance <= (key.chars().count() / 4).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn folded(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}
