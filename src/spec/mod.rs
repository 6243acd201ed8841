//! Sweep file -> validated definition, every diagnostic with line and column. Pure.

pub mod bytes;
pub mod code;
pub mod command;
mod config;
mod definition;
mod diagnostic;
pub mod duration;
mod early;
mod extensions;
mod fields;
mod forms;
mod kept;
mod near;
mod objectives;
mod overrides;
mod parameters;
mod parse;
mod patch;
mod python;
mod render;
mod scalar;
mod source;
mod sweep;
mod unsupported;

pub use code::Code;
pub use definition::{
    Aggregate, Collect, CollectStdout, Constraint, DEFAULT_GRACE, Definition, Goal, Gpus, GridOrder, Impute,
    Method, Objective, OnSilence, Resources, Rule, StopSignal, Stopping,
};
pub use diagnostic::{Diagnostic, Label, Place, Severity};
pub use overrides::Overrides;
pub use parse::{Parsed, parse};
pub use patch::{BadPatch, Patch};
pub use render::{render, summary};
pub use source::{MAX_BYTES, decode};
pub use unsupported::{Unsupported, unsupported};
