//! What makes an unmodified W&B script log into the run's folder, and what the user is told of it.

use std::path::{Path, PathBuf};

use super::reading::Channel;

/// Who the run is, for W&B's client.
#[derive(Clone, Copy, Debug)]
pub struct WandbRun<'a> {
    /// The sweep's id.
    pub sweep: &'a str,
    /// The sweep's name; what a W&B name cannot hold becomes `-`.
    pub project: &'a str,
    /// The trial's number.
    pub trial: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The run's own folder, absolute: `WANDB_DIR`.
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

impl WandbRun<'_> {
    fn id(&self) -> String {
        format!("{}-{}-{}", plain(self.sweep), self.trial, self.attempt)
    }
}

/// Where the YAML file with the assignment belongs (`WANDB_SWEEP_PARAM_PATH`). Not in folders of its own, as W&B's agent
/// has it: nobody looks for it but by that variable, and every trial would pay for making and removing them.
pub fn wandb_parameters_path(folder: &Path) -> PathBuf {
    folder.join("wandb-config.yaml")
}

/// The environment of a W&B script: offline, into the run's folder, with the assignment as its `wandb.config`.
///
/// `inherited`: the names of the variables that the run would have otherwise. `NETRC` is redirected, because
/// `wandb.login(key=..)` writes there; the file it names is the caller's to copy (0600) where the user has one.
pub fn wandb_environment<'n>(run: &WandbRun<'_>, inherited: impl Iterator<Item = &'n str>) -> Changes {
    const LEFT_OVER: [&str; 3] = ["WANDB_SERVICE", "WANDB_RESUME", "WANDB_IDENTITY_TOKEN_FILE"];
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut set = vec![
        // Any key: none is asked for then, and the user's own stays out of the script's files.
        ("WANDB_API_KEY", "0".repeat(40)),
        ("WANDB_CONSOLE", "off".to_owned()),
        ("WANDB_DIR", path(run.folder)),
        ("WANDB_DISABLE_CODE", "true".to_owned()),
        ("WANDB_DISABLE_GIT", "true".to_owned()),
        ("WANDB_ENTITY", "swath".to_owned()),
        ("WANDB_ERROR_REPORTING", "false".to_owned()),
        ("WANDB_MODE", "offline".to_owned()),
        ("WANDB_PROJECT", plain(run.project)),
        ("WANDB_RUN_ID", run.id()),
        ("WANDB_SWEEP_ID", plain(run.sweep)),
        ("WANDB_SWEEP_PARAM_PATH", path(&wandb_parameters_path(run.folder))),
        ("WANDB__DISABLE_STATS", "true".to_owned()),
        ("WANDB__TRANSACTION_LOG_FLUSH_INTERVAL", "1".to_owned()),
        ("NETRC", path(&run.folder.join("netrc"))),
    ];
    set.sort();
    let mut unset: Vec<_> = inherited
        .filter(|name| LEFT_OVER.contains(name) || name.starts_with("_WANDB_"))
        .map(str::to_owned)
        .collect();
    unset.sort();
    unset.dedup();
    Changes { set: set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), unset }
}

/// The note for a wandb that keeps its log to itself until the run ends; `None` for one that does not.
pub(super) fn too_old_for_live_values(version: &str) -> Option<String> {
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let known = (parts.next()?, parts.next()?);
    (known < (0, 31)).then(|| {
        let version: String = version.chars().take(20).collect();
        format!(
            "metrics of wandb {version} are readable only at the run's end, so early stopping cannot act on them; \
             upgrade the script's wandb to 0.31"
        )
    })
}

/// The reason shown for a run that gave no value of the objective: what was seen instead, and where.
///
/// `names`: as [`Merge::names`](super::Merge::names) gives them. `open`: the channels that were read.
pub fn no_report(objective: &str, names: &[&str], open: &[Channel]) -> String {
    const SHOWN: usize = 10;
    let mut text = format!("no report of {objective} on any channel");
    if names.is_empty() {
        text.push_str("; no other metric was seen either");
    } else {
        text.push_str("; seen were ");
        text.push_str(&names[..names.len().min(SHOWN)].join(", "));
        if names.len() > SHOWN {
            text.push_str(&format!(" and {} more", names.len() - SHOWN));
        }
    }
    let open: Vec<_> = open.iter().map(Channel::to_string).collect();
    text.push_str(&match open.is_empty() {
        true => "; every channel is off".to_owned(),
        false => format!("; read were {}", open.join(", ")),
    });
    text
}

/// A text that W&B takes as a name or an id.
fn plain(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    if plain.is_empty() { "sweep".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{WandbRun, no_report, too_old_for_live_values, wandb_environment};
    use crate::runner::channels::reading::Channel;

    #[test]
    fn the_environment_of_a_script() {
        let folder = Path::new("/runs/q7k2m9xa/17.2");
        let run = WandbRun { sweep: "q7k2m9xa", project: "My sweep/é", trial: 17, attempt: 2, folder };
        let inherited = ["PATH", "_WANDB_X", "WANDB_SERVICE", "WANDB_BASE_URL"];
        let changes = wandb_environment(&run, inherited.into_iter());
        assert_eq!(changes.unset, ["WANDB_SERVICE", "_WANDB_X"]);
        let value = |name: &str| changes.set.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(value("WANDB_MODE"), Some("offline"));
        assert_eq!(value("WANDB_RUN_ID"), Some("q7k2m9xa-17-2"));
        assert_eq!(value("WANDB_PROJECT"), Some("my-sweep--"));
        assert_eq!(value("WANDB_SWEEP_PARAM_PATH"), Some("/runs/q7k2m9xa/17.2/wandb-config.yaml"));
        assert!(changes.set.is_sorted());
    }

    #[test]
    fn old_versions_are_told_apart() {
        for old in ["0.15.12", "0.30.0", "0.9"] {
            assert!(too_old_for_live_values(old).is_some_and(|note| note.contains(old)), "{old}");
        }
        for live in ["0.31.0", "0.32.0rc1", "1.0", "", "x"] {
            assert_eq!(too_old_for_live_values(live), None, "{live}");
        }
    }

    #[test]
    fn no_report_says_what_was_seen() {
        assert_eq!(
            no_report("val_loss", &["acc", "loss"], &[Channel::Json, Channel::Stdout]),
            "no report of val_loss on any channel; seen were acc, loss; read were SWATH_METRICS, stdout"
        );
        assert_eq!(
            no_report("x", &[], &[]),
            "no report of x on any channel; no other metric was seen either; every channel is off"
        );
    }
}
