//! `swath doctor`: what is wrong with this machine, one line a check, each with its remedy.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::agent::gpus;
use crate::cli::audit;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::{bytes, escape};
use crate::cli::local::Error;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::terminal::{Stream, Style};
use crate::spec::Code;
use crate::store;

/// Say what is wrong with this machine
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        }
    }
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do about it; empty where nothing is wrong.
    remedy: String,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>, remedy: &str) -> Self {
        Check { name, verdict, found: found.into(), remedy: remedy.to_owned() }
    }
}

/// Free space below which a store will soon be full.
const LITTLE: u64 = 256 << 20;

/// Looks at everything.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn run(_args: &Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let dir = &settings.data_dir.value;
    let checks = [store(dir), space(dir), python(), gpu(), processes(), clock()];
    let failures = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let warnings = checks.iter().filter(|check| check.verdict == Verdict::Warn).count();
    if settings.output.value.is_data() {
        let list: Vec<_> = checks
            .iter()
            .map(|c| json!({"check": c.name, "verdict": c.verdict.word(), "found": c.found, "remedy": c.remedy}))
            .collect();
        output::document(settings.output.value, &json!({"checks": list}), out)?;
    } else {
        let color = Stream::Stdout.color(settings.color.value);
        for check in &checks {
            write(check, color, out)?;
        }
        let plural = |n: usize, noun: &str| super::format::count(n as u64, noun);
        writeln!(out, "{}, {}", plural(failures, "failure"), plural(warnings, "warning"))?;
    }
    Ok(if failures > 0 { Exit::Failed } else { Exit::Done })
}

fn write(check: &Check, color: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let style = match check.verdict {
        Verdict::Ok => Style::Succeeded,
        Verdict::Warn => Style::Warning,
        Verdict::Fail => Style::Failed,
    };
    let word = style.paint(&format!("{:<5}", check.verdict.word()), color);
    writeln!(out, "{word} {:<10} {}", check.name, escape(&check.found))?;
    if !check.remedy.is_empty() {
        writeln!(out, "                 -> {}", check.remedy)?;
    }
    Ok(())
}

fn store(dir: &Path) -> Check {
    let file = dir.join("store.db");
    let Ok(kind) = fs::metadata(&file) else {
        return Check::new(
            "store",
            Verdict::Ok,
            format!("none yet; the first swath run makes it in {}", dir.display()),
            "",
        );
    };
    match store::verify(&file) {
        Ok(verified) if verified.bad.is_empty() => {
            let found = format!("{}, {}, {}", dir.display(), bytes(kind.len()), audit::sentence(&verified));
            Check::new("store", Verdict::Ok, found, "")
        }
        Ok(verified) => {
            let bad = audit::worst(&verified).unwrap_or_default();
            Check::new(
                "store",
                Verdict::Fail,
                bad,
                "restore the last backup: swath restore BACKUP --data-dir NEW",
            )
        }
        Err(error) => {
            let failure = Failure::from(Error::Open(error));
            let cure = failure.code.map_or("", Code::cure);
            Check::new("store", Verdict::Fail, failure.message, cure)
        }
    }
}

fn space(dir: &Path) -> Check {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} free at {}", bytes(free), there.display());
            if free < LITTLE {
                Check::new("disk", Verdict::Fail, found, "make room, or give --data-dir on another disk")
            } else {
                Check::new("disk", Verdict::Ok, found, "")
            }
        }
        Err(error) => Check::new(
            "disk",
            Verdict::Warn,
            format!("{}: {error}", there.display()),
            "see that the folder can be read",
        ),
    }
}

fn python() -> Check {
    for name in ["python", "python3"] {
        if let Some(path) = on_path(name) {
            let what = if name == "python3" { " (there is no python; it is taken instead)" } else { "" };
            return Check::new(
                "python",
                Verdict::Ok,
                format!("{}{what}: what '${{interpreter}}' starts here", path.display()),
                "",
            );
        }
    }
    Check::new(
        "python",
        Verdict::Warn,
        "neither python nor python3 is on PATH",
        "install one, or name another program in the file's command",
    )
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn gpu() -> Check {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let library = std::env::var_os(gpus::LIBRARY_VARIABLE);
    match gpus::usable(&gpus::Choice::All, visible.as_deref(), library.as_deref()) {
        Ok(list) if list.is_empty() && visible.is_some() => {
            Check::new("gpu", Verdict::Ok, "none usable; CUDA_VISIBLE_DEVICES is set and decides", "")
        }
        Ok(list) if list.is_empty() => {
            Check::new("gpu", Verdict::Ok, "none found (no NVIDIA driver); runs use the CPU", "")
        }
        Ok(list) => {
            let names: Vec<String> = list.iter().map(|gpu| format!("{} {}", gpu.index, gpu.name)).collect();
            Check::new("gpu", Verdict::Ok, names.join(" · "), "")
        }
        Err(error) => Check::new(
            "gpu",
            Verdict::Fail,
            error.to_string(),
            "try nvidia-smi; or go on without: swath run --gpus none",
        ),
    }
}

fn processes() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < 1024 => {
            Check::new("limits", Verdict::Warn, format!("{limit} open files at most"), "ulimit -n 4096")
        }
        Some(limit) => Check::new("limits", Verdict::Ok, format!("{limit} open files at most"), ""),
        None => Check::new("limits", Verdict::Ok, "no limit on open files", ""),
    }
}

/// A clock that was never set shows in every time that is stored.
fn clock() -> Check {
    const BEGINNING_OF_2024_US: i64 = 1_704_067_200_000_000;
    if super::words::now_us() < BEGINNING_OF_2024_US {
        return Check::new(
            "clock",
            Verdict::Fail,
            "it stands before 2024",
            "set it, or start chronyd or systemd-timesyncd",
        );
    }
    Check::new("clock", Verdict::Ok, "set", "")
}
