//! What the channels' tests share: the corpus and its way of writing values.

use std::path::PathBuf;

use serde_json::Value;

/// A file of the corpus, or `None` (with a message) where the corpus is absent.
pub(super) fn fixture(path: &str) -> Option<Vec<u8>> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/channels").join(path);
    match std::fs::read(&full) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            println!("skipped: {}: {error}", full.display());
            None
        }
    }
}

/// The metrics of an expected report; what JSON cannot say is written as text.
pub(super) fn values(metrics: &Value) -> Vec<(String, f64)> {
    let number = |value: &Value| match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().expect("a number"),
    };
    metrics
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), number(value)))
        .collect()
}

/// Whether two rows say the same, whatever their order.
pub(super) fn same(a: &[(String, f64)], b: &[(String, f64)]) -> bool {
    let sorted = |row: &[(String, f64)]| {
        let mut row: Vec<_> = row.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect();
        row.sort();
        row
    };
    sorted(a) == sorted(b)
}
