//! Slots, GPUs and runs of one machine: launches runners, hands their reports over, adopts what it finds.
