//! The state machine of sweeps, trials and runs: `decide` and `apply`. Pure.
