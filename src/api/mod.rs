//! gRPC services, the conversion of their messages, and the client.

pub mod pb;
