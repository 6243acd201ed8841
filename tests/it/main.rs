//! Whole-process tests: the real binary, a real store, real processes. One module a behaviour.

mod agent;
mod fake_nvml;
mod gpus;
mod logs;
mod rooms;
mod run;
mod runner;
mod spec;
mod support;
mod wandb_script;
mod wandb_sweep;
