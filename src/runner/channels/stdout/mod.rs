//! Lines of stdout and stderr: which of them say a metric, and at which step.
//!
//! A line passes through
//! 1. [`lines`]: bytes become lines; those without any anchor are skipped by one search over the whole chunk;
//! 2. [`escapes`]: what a terminal would not show goes;
//! 3. [`guess`]: a JSON object, a Python dict, or pairs `name=number`; or [`pattern`], the user's own expression;
//! 4. [`steps`]: the step, where the line does not say it.
//!
//! The rules are cautious: a line without a known word of machine learning, a wanted name or a step says nothing.

mod anchors;
mod escapes;
mod guess;
mod lines;
mod numbers;
mod pairs;
mod pattern;
mod python_dict;
mod rules;
mod steps;
#[cfg(test)]
mod tests;

pub use lines::LineReader;
pub use pattern::PatternError;
pub use rules::LineRules;
