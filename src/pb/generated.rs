//! What `build.rs` makes of `proto/swath/v1`: messages, services, clients. They stop at `api` and the agent's edge.
#![allow(missing_docs, unreachable_pub, clippy::doc_markdown, clippy::large_enum_variant)]

tonic::include_proto!("swath.v1");

/// The descriptors of all files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swath.bin"));
