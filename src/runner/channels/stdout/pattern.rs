//! The user's own expression, `collect.stdout.pattern`.

use regex::Regex;

use super::guess::Said;
use super::numbers::whole_number;
use super::pairs::unwrapped;

/// Why `collect.stdout.pattern` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Not an expression, or one too large.
    #[error("collect.stdout.pattern is no regular expression")]
    Syntax(#[source] Box<regex::Error>),
    /// Nothing to read a value from.
    #[error("collect.stdout.pattern has no group named value: write (?P<value>...) around the number")]
    NoValue,
    /// Nothing to read a name from.
    #[error(
        "collect.stdout.pattern has no group named name, and the sweep has no metric whose name could be meant"
    )]
    NoName,
}

/// An expression with groups `value`, `name` (else the sweep's metric is meant) and `step`.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    name: Option<String>,
}

impl Pattern {
    pub(super) fn new(pattern: &str, wanted: &[String]) -> Result<Pattern, PatternError> {
        let regex = Regex::new(pattern).map_err(|error| PatternError::Syntax(Box::new(error)))?;
        let has = |group: &str| regex.capture_names().flatten().any(|name| name == group);
        if !has("value") {
            return Err(PatternError::NoValue);
        }
        let name = wanted.first().cloned();
        if !has("name") && name.is_none() {
            return Err(PatternError::NoName);
        }
        Ok(Pattern { regex, name })
    }

    /// All matches of a line; the first step among them is the line's.
    pub(super) fn read(&self, text: &str) -> Said {
        let mut step = None;
        let mut metrics = Vec::new();
        for found in self.regex.captures_iter(text) {
            let group = |name| found.name(name).map(|group| group.as_str().trim());
            if step.is_none() {
                step = group("step").and_then(|step| step.parse().ok()).filter(|step: &i64| *step >= 0);
            }
            let name = group("name").filter(|name| !name.is_empty()).or(self.name.as_deref());
            let value = group("value").and_then(|value| whole_number(unwrapped(value)));
            if let (Some(name), Some(value)) = (name, value) {
                metrics.push((name.to_owned(), value.value));
            }
        }
        match (metrics.is_empty(), step) {
            (false, step) => Said::Metrics { step, metrics },
            (true, Some(step)) => Said::Heading(step),
            (true, None) => Said::Nothing,
        }
    }
}
