//! The state machine of sweeps, trials and runs: `decide` and `apply`. Pure.

mod event;
mod id;

pub use event::{
    AfterStop, Body, Budget, Device, EndWhy, Ended, Event, Evidence, Exit, GpuGrant, LostWhy, Origin, Patch,
    PauseHow, PauseWhy, Placement, Report, RetryWhy, Source, Started, StopWhy, WithdrawWhy,
};
pub use id::{Actor, BadId, Fence, Pos, Run, SweepId, TextRef, Timestamp, Trial};
