//! Sweep file -> validated definition, every diagnostic with line and column. Pure.

pub mod command;
mod config;
mod definition;
mod python;
mod scalar;

pub use definition::{
    Aggregate, Collect, CollectStdout, Constraint, Definition, Goal, Gpus, GridOrder, Method, Objective,
    OnSilence, Resources, Rule, StopSignal, Stopping,
};
