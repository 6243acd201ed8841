//! Whole-process tests: the real binary, a real store, real processes. One module a behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says by a panic what is wrong, and why it was skipped"
)]

mod agent;
mod ask_tell;
mod cli;
mod commands;
mod fake_nvml;
mod gpus;
mod kill;
mod learn;
mod logs;
mod objectives;
mod optimize;
mod rooms;
mod run;
mod runner;
mod spec;
mod support;
mod terminal;
mod wandb_script;
mod wandb_sweep;
