//! What the room promises, by what it is about.

mod asked;
mod faults;
mod golden;
mod learning;
mod lifecycle;
mod objectives;
mod outcomes;
mod random;
mod rules;
mod stopping;
