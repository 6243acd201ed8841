//! What an agent hands a runner: frame 0 of the spool. It says everything the run needs, so that the runner goes on
//! to the end of the run with nobody there.
//!
//! Its body is JSON with a format number first: a field is added with a default and never changes its meaning, and an
//! older spool is read by that number. A runner is always as old as the spool it was given; a newer agent reads both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::spec::Collect;

/// The format this binary writes. It reads this and all before it.
pub const FORMAT: u32 = 1;

/// Names one run: a trial's attempt under one fencing number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// The sweep's id, `[0-9a-z]`, at most 64 of them.
    pub sweep: String,
    /// The trial's number, from 1.
    pub trial: u32,
    /// Its attempt, from 1.
    pub attempt: u32,
    /// The run's fencing number.
    pub fence: u64,
}

impl RunKey {
    /// What the run's processes see as `SWATH_RUN`: `q7k2m9xa/17.2`.
    pub fn display(&self) -> String {
        format!("{}/{}.{}", self.sweep, self.trial, self.attempt)
    }
}

/// One run, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// [`FORMAT`] of who wrote it.
    pub format: u32,
    /// Id of the store the sweep lives in.
    pub store: String,
    /// Id of the machine.
    pub machine: String,
    /// The machine's boot: a spool of another one was cut short by the machine.
    pub boot: String,
    /// Which run this is.
    pub run: RunKey,
    /// The sweep's name, for W&B's project; its id when it has none.
    #[serde(default)]
    pub name: String,
    /// Program and arguments, passed byte for byte, never through a shell.
    #[serde(with = "os_texts")]
    pub argv: Vec<OsString>,
    /// Set for the command, above all that swath sets but `SWATH_*`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Removed from what the command would inherit.
    #[serde(default)]
    pub unset: Vec<String>,
    /// Where the command starts; the runner's own folder when absent.
    #[serde(default)]
    pub workdir: Option<PathBuf>,
    /// The trial's own folder, kept across attempts; made when absent.
    #[serde(default)]
    pub checkpoint_dir: Option<PathBuf>,
    /// The trial's seed.
    #[serde(default)]
    pub seed: u32,
    /// Milliseconds between the stop signal and SIGKILL.
    pub grace_ms: u64,
    /// The run's time limit in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What asks the command to stop.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// Text of the file that `SWATH_PARAMS` names.
    pub params_json: String,
    /// Text of the file that `WANDB_SWEEP_PARAM_PATH` names.
    #[serde(default)]
    pub wandb_config: String,
    /// Names that count on any line: objectives, constraints, what stopping rules look at.
    #[serde(default)]
    pub wanted: Vec<String>,
    /// Which channels are read, and how.
    #[serde(default)]
    pub collect: Collect,
    /// Bytes of output kept: two files of half of it, the newest. Of stderr apart a quarter of that is kept.
    #[serde(default = "Spec::default_log_bytes")]
    pub log_bytes: u64,
    /// When the run stops because no agent is there.
    #[serde(default)]
    pub silence: Option<Silence>,
    /// What the user should hear of how the command was built; said with the run's start.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Spec {
    /// 64 MiB of output a run.
    pub fn default_log_bytes() -> u64 {
        64 << 20
    }
}

/// `stop_signal` of a sweep file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT: a Python script sees `KeyboardInterrupt`.
    Int,
}

/// `on_silence.stop_after`: the run stops this long after its agent's lock came free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// File that a living agent holds locked.
    pub agent_lock: PathBuf,
    /// Milliseconds without a holder.
    pub stop_after_ms: u64,
}

/// Texts of the system in JSON: a string where it is UTF-8, else its bytes.
mod os_texts {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum OsText {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(texts: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(texts.iter().map(|text| match text.to_str() {
            Some(text) => OsText::Text(text.to_owned()),
            None => OsText::Bytes(text.clone().into_vec()),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OsString>, D::Error> {
        let texts = Vec::<OsText>::deserialize(from)?;
        Ok(texts
            .into_iter()
            .map(|text| match text {
                OsText::Text(text) => text.into(),
                OsText::Bytes(bytes) => OsString::from_vec(bytes),
            })
            .collect())
    }
}
