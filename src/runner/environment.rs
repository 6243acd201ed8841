//! The environment of a run's command: what the runner has, less what is unset, and swath's own variables.
//!
//! The user's `env` wins over all of these but the `SWATH_*` names, by which the run's processes are found.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::channels::{self, WandbRun};
use super::folder::Folder;
use super::spec::Spec;
use crate::failpoint;

/// Names and values, in order of name.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The environment that `spec`'s command sees.
pub(crate) fn build(spec: &Spec, folder: &Folder, inherited: Environment) -> Environment {
    let mut environment = inherited;
    environment.remove(OsStr::new(failpoint::VARIABLE));
    for name in &spec.unset {
        environment.remove(OsStr::new(name));
    }
    environment.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
    if spec.collect.wandb {
        add_wandb(spec, folder, &mut environment);
    }
    for (name, value) in &spec.env {
        environment.insert(name.into(), value.into());
    }
    for (name, value) in own(spec, folder) {
        environment.insert(name.into(), value);
    }
    environment
}

/// Who the run is, for W&B's client.
pub(crate) fn wandb_run<'a>(spec: &'a Spec, folder: &'a Folder) -> WandbRun<'a> {
    let run = &spec.run;
    WandbRun {
        sweep: &run.sweep,
        project: &spec.name,
        trial: u64::from(run.trial),
        attempt: run.attempt,
        folder: folder.path(),
    }
}

fn add_wandb(spec: &Spec, folder: &Folder, environment: &mut Environment) {
    let names: Vec<String> = environment.keys().filter_map(|name| Some(name.to_str()?.to_owned())).collect();
    let changes = channels::wandb_environment(&wandb_run(spec, folder), names.iter().map(String::as_str));
    for name in &changes.unset {
        environment.remove(OsStr::new(name));
    }
    environment.extend(changes.set.into_iter().map(|(name, value)| (name.into(), value.into())));
}

fn own(spec: &Spec, folder: &Folder) -> Vec<(&'static str, OsString)> {
    let run = &spec.run;
    let mut own = vec![
        ("SWATH_SWEEP", run.sweep.clone().into()),
        ("SWATH_TRIAL", run.trial.to_string().into()),
        ("SWATH_RUN", run.display().into()),
        ("SWATH_ATTEMPT", run.attempt.to_string().into()),
        ("SWATH_FENCE", run.fence.to_string().into()),
        ("SWATH_PARAMS", folder.params().into()),
        ("SWATH_METRICS", folder.metrics().into()),
        ("SWATH_SEED", spec.seed.to_string().into()),
    ];
    own.extend(spec.checkpoint_dir.as_ref().map(|folder| ("SWATH_CHECKPOINT_DIR", folder.into())));
    own
}
