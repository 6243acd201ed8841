//! Shared by the tests: where the design's corpus lies, and the binary under test.
#![allow(dead_code)]

use std::path::PathBuf;

/// The design's test data beside the checkout, or `None` (with a message) where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: {} is absent", full.display());
    None
}

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_swath")
}
