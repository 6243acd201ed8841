//! Sweep file -> validated definition, every diagnostic with line and column. Pure.

mod definition;

pub use definition::{
    Aggregate, Collect, CollectStdout, Constraint, Definition, Goal, Gpus, GridOrder, Method, Objective,
    OnSilence, Resources, Rule, StopSignal, Stopping,
};
