//! Supervises one run: environment, channels, signals, spool.

pub mod channels;
