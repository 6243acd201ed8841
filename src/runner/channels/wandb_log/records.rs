//! The protobuf messages of a `.wandb` file, as far as they are read; unknown fields are skipped.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    #[prost(message, optional, tag = "2")]
    pub(super) history: Option<History>,
    #[prost(message, optional, tag = "3")]
    pub(super) summary: Option<Changed>,
    #[prost(message, optional, tag = "17")]
    pub(super) run: Option<Run>,
    #[prost(message, optional, tag = "18")]
    pub(super) exit: Option<Exit>,
    #[prost(message, optional, tag = "21")]
    pub(super) header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(super) item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    pub(super) step: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Step {
    #[prost(int64, tag = "1")]
    pub(super) num: i64,
}

/// A name and its value; history has the typed form too from 0.31.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Item {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) nested_key: Vec<String>,
    #[prost(oneof = "Typed", tags = "3, 4, 5, 6, 7, 8")]
    pub(super) typed: Option<Typed>,
    #[prost(string, tag = "16")]
    pub(super) value_json: String,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Typed {
    #[prost(int32, tag = "3")]
    None(i32),
    #[prost(bool, tag = "4")]
    Boolean(bool),
    #[prost(sint64, tag = "5")]
    Integer(i64),
    #[prost(double, tag = "6")]
    Number(f64),
    #[prost(string, tag = "7")]
    Text(String),
    #[prost(string, tag = "8")]
    Json(String),
}

/// What a summary or a configuration changes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Changed {
    #[prost(message, repeated, tag = "1")]
    pub(super) update: Vec<Item>,
    #[prost(message, repeated, tag = "2")]
    pub(super) remove: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Run {
    #[prost(string, tag = "1")]
    pub(super) run_id: String,
    #[prost(message, optional, tag = "4")]
    pub(super) config: Option<Changed>,
    #[prost(message, optional, tag = "19")]
    pub(super) telemetry: Option<Telemetry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Telemetry {
    /// wandb's own version, from before the header had it too.
    #[prost(string, tag = "5")]
    pub(super) cli_version: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Exit {
    #[prost(int32, tag = "1")]
    pub(super) exit_code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(message, optional, tag = "1")]
    pub(super) version_info: Option<VersionInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionInfo {
    /// wandb's own version, `+` and its commit.
    #[prost(string, tag = "1")]
    pub(super) producer: String,
}
