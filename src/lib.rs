//! swath runs hyperparameter sweeps. A sweep is a log of events; everything else follows from that.
//!
//! Pure rooms, bottom up (no I/O, no clock, no randomness of their own):
//! - [`space`]: what is searched: parameters, distributions, assignments, the grid.
//! - [`spec`]: a sweep file becomes a validated definition, or diagnostics with their places.
//! - [`search`]: who proposes the next assignment.
//! - [`stopping`]: whether a run is worth going on.
//! - [`sweep`]: the state machine. Start reading at [`sweep::decide`].
//!
//! Rooms that touch the world:
//! - [`store`]: the log on SQLite.
//! - [`controller`]: owns the live sweeps; the only writer of the [`store`].
//! - [`pb`]: the words of the API; [`api`]: gRPC services and their client.
//! - [`runner`]: one run: environment, channels, signals, spool.
//! - [`agent`]: slots and GPUs of one machine; starts runners, adopts those it finds.
//! - [`cli`]: the command line, one file a command.
//! - [`failpoint`]: where tests kill a process.

pub mod agent;
pub mod api;
pub mod cli;
pub mod controller;
pub mod failpoint;
pub mod pb;
pub mod runner;
pub mod search;
pub mod space;
pub mod spec;
pub mod stopping;
pub mod store;
pub mod sweep;
