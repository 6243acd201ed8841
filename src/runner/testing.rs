//! For the tests of this room: a folder that goes away, a spec with defaults.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::spec::{FORMAT, RunKey, Spec};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        let name = format!("swath-unit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn a_spec(argv: &[&str]) -> Spec {
    Spec {
        format: FORMAT,
        store: "s".into(),
        machine: "m".into(),
        boot: super::boot_id(),
        run: RunKey { sweep: "q7k2m9xa".into(), trial: 1, attempt: 1, fence: super::recorder::random() },
        name: "unit".into(),
        argv: argv.iter().map(Into::into).collect(),
        env: Default::default(),
        unset: Vec::new(),
        workdir: None,
        checkpoint_dir: None,
        seed: 1,
        grace_ms: 100,
        timeout_ms: None,
        stop_signal: Default::default(),
        params_json: "{}".into(),
        wandb_config: String::new(),
        wanted: Vec::new(),
        collect: Default::default(),
        log_bytes: Spec::default_log_bytes(),
        silence: None,
        notes: Vec::new(),
    }
}
