//! The environment variables that swath reads, one constant each.

/// Where the store and the runs' folders lie.
pub const DATA_DIR: &str = "SWATH_DATA_DIR";
/// Form of listings: table, wide, json, yaml.
pub const OUTPUT: &str = "SWATH_OUTPUT";
/// What is logged to stderr: `debug`, `info,h2=warn` ..
pub const LOG: &str = "SWATH_LOG";
/// Which project lists and names are limited to.
pub const PROJECT: &str = "SWATH_PROJECT";
/// Time for one request.
pub const TIMEOUT: &str = "SWATH_TIMEOUT";
/// Form of the progress of `run` and `watch`.
pub const PROGRESS: &str = "SWATH_PROGRESS";
/// The sweep that bare trial numbers belong to.
pub const SWEEP: &str = "SWATH_SWEEP";
/// Any value but the empty one: no colour.
pub const NO_COLOR: &str = "NO_COLOR";
/// `1`: colour also off a terminal.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
