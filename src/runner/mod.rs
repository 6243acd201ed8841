//! Supervises one run: environment, channels, signals, spool.
