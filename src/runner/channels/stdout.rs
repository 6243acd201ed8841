//! Lines.

use std::sync::Arc;

use super::reading::Reading;
use crate::spec::CollectStdout;

/// Why `collect.stdout.pattern` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// No regular expression.
    #[error("collect.stdout.pattern is no regular expression")]
    Syntax,
}

/// `collect.stdout`, made ready; both streams share it.
pub struct LineRules;

impl LineRules {
    /// `wanted`: objective, constraints, stopping.
    pub fn new(_collect: &CollectStdout, _wanted: &[String]) -> Result<Arc<LineRules>, PatternError> {
        Ok(Arc::new(LineRules))
    }
}

/// Reads one of the two streams.
pub struct LineReader;

impl LineReader {
    /// A reader at the start of a stream.
    pub fn new(_rules: Arc<LineRules>) -> LineReader {
        LineReader
    }
    /// Takes the stream's next bytes.
    pub fn feed(&mut self, _bytes: &[u8], _take: &mut dyn FnMut(Reading)) {}
    /// Takes the rest at the stream's end as a line.
    pub fn finish(&mut self, _take: &mut dyn FnMut(Reading)) {}
}
