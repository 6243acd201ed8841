//! The stopping rules: whether a run is worth going on. Pure.
