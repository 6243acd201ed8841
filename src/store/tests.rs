//! The promises of FAULTS.md that the store keeps, one test a line.
