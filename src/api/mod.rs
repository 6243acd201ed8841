//! gRPC services and their client. Thin: a method converts, calls the controller, and says what it refused.

mod admin;
mod agents;
pub mod client;
mod peer;
mod serve;
mod status;
mod steady;
mod stream;
mod sweeps;
mod trials;

pub use serve::serve;
pub use steady::Hopeless;
