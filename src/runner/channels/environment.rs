//! The environment.

use std::path::{Path, PathBuf};

use super::reading::Channel;

/// Who the run is, for W&B's client.
#[derive(Clone, Debug)]
pub struct WandbRun<'a> {
    /// The sweep's id.
    pub sweep: &'a str,
    /// The sweep's name; what W&B's names cannot hold is replaced.
    pub project: &'a str,
    /// The trial's number.
    pub trial: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The run's own folder: `WANDB_DIR`.
    pub folder: &'a Path,
}

/// What to change in a run's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Set, in order of name.
    pub set: Vec<(String, String)>,
    /// Taken out, in order of name.
    pub unset: Vec<String>,
}

/// Where the YAML file with the assignment belongs (`WANDB_SWEEP_PARAM_PATH`).
pub fn wandb_parameters_path(run: &WandbRun<'_>) -> PathBuf {
    run.folder.join("wandb-parameters.yaml")
}

/// What makes an unmodified W&B script log into the run's folder, without account or network.
///
/// `inherited`: the names in the environment the run would have otherwise.
pub fn wandb_environment<'n>(_run: &WandbRun<'_>, _inherited: impl Iterator<Item = &'n str>) -> Changes {
    Changes::default()
}

/// The reason shown for a run that ended well and gave no value of the objective.
pub fn no_report(_objective: &str, _names: &[&str], _open: &[Channel]) -> String {
    String::new()
}
