//! The environment variables that swath reads, one constant each.

/// Where the store and the runs' folders lie.
pub(super) const DATA_DIR: &str = "SWATH_DATA_DIR";
/// Form of listings: table, wide, json, yaml.
pub(super) const OUTPUT: &str = "SWATH_OUTPUT";
/// When colour is written: auto, always, never.
pub(super) const COLOR: &str = "SWATH_COLOR";
/// What is logged to stderr: `debug`, `info,h2=warn` ..
pub(super) const LOG: &str = "SWATH_LOG";
/// Which project lists and names are limited to.
pub(super) const PROJECT: &str = "SWATH_PROJECT";
/// Time for one request.
pub(super) const TIMEOUT: &str = "SWATH_TIMEOUT";
/// Form of the progress of `run` and `watch`.
pub(super) const PROGRESS: &str = "SWATH_PROGRESS";
/// The sweep that bare trial numbers belong to.
pub(super) const SWEEP: &str = "SWATH_SWEEP";
/// Any value but the empty one: no colour.
pub(super) const NO_COLOR: &str = "NO_COLOR";
/// `1`: colour also off a terminal.
pub(super) const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
