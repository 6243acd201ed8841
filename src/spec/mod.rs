//! Sweep file -> validated definition, every diagnostic with line and column. Pure.
