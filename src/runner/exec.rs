//! `swath exec`: a runner around one command. An agent's are forked by its nursery, on a locked spool; by hand and in
//! pods it is given a command. Read without a command-line parser and without an async runtime, since every trial pays for it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::adopt::{self, LockedSpool};
use super::ended::How;
use super::folder::Folder;
use super::nursery::{self, Born, NURSERY};
use super::reader::{SpoolError, SpoolReader};
use super::record::Record;
use super::spec::{FORMAT, RunKey, Spec};
use super::spool::SpoolWriter;
use super::supervise::{Outcome, SuperviseError, supervise};
use super::{processes, recorder};

const USAGE: &str = "\
Run one command under supervision: metrics, signals, processes

Usage: swath exec [--spool DIR] [--grace 30s] -- CMD [ARG]...

Options:
      --spool DIR   Keep the run's spool, output and files in DIR (new or empty)
                    [default: a temporary folder]
      --grace TIME  Time between SIGTERM and SIGKILL [default: 30s]

The command's exit code is passed through; 128+n for signal n, 125 swath itself
failed, 126 not executable, 127 not found.
";

#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("{0}\n\nUsage: swath exec [--spool DIR] [--grace 30s] -- CMD [ARG]...")]
    Usage(String),
    #[error("{what} {path}: {error}")]
    Io { what: &'static str, path: String, error: io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("spool {0} does not begin with a spec")]
    NoSpec(String),
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

/// Runs `swath exec`. `arguments`: what follows `exec`.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let result = match &arguments[..] {
        [flag] if flag == NURSERY => return for_agent(),
        [flag] if flag == "--help" || flag == "-h" => {
            // A closed pipe is no error.
            let _ = io::stdout().write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        _ => by_hand(&arguments),
    };
    exit_code(result)
}

/// The nursery of an agent's runners, or, once it has forked, one of them.
fn for_agent() -> ExitCode {
    match nursery::tend() {
        Ok(Some(born)) => exit_code(run_born(born)),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: starting runners: {error}"));
            ExitCode::from(125)
        }
    }
}

/// The spool's lock is free when this process has gone.
fn run_born(Born { folder, spool }: Born) -> Result<Outcome, ExecError> {
    let mut reader = SpoolReader::open(&folder)?;
    let Some(Record::Spec(spec)) = reader.next()?.map(|entry| entry.record) else {
        return Err(ExecError::NoSpec(folder.spool().display().to_string()));
    };
    let writer = SpoolWriter::new(&folder, spool.into(), reader.position().spool_offset(), 0);
    drop(reader);
    Ok(supervise(&spec, &folder, writer, false)?)
}

fn exit_code(result: Result<Outcome, ExecError>) -> ExitCode {
    result.map_or_else(
        |error| {
            tell(&format!("error: {error}"));
            ExitCode::from(if matches!(error, ExecError::Usage(_)) { 2 } else { 125 })
        },
        |outcome| ExitCode::from(outcome.code),
    )
}

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    spool: Option<PathBuf>,
    grace: Option<Duration>,
    command: Vec<OsString>,
}

fn by_hand(arguments: &[OsString]) -> Result<Outcome, ExecError> {
    let arguments = parse(arguments).map_err(ExecError::Usage)?;
    let (folder, is_temporary) = match arguments.spool {
        Some(path) => (kept_folder(path)?, false),
        None => (temporary_folder()?, true),
    };
    let outcome = run_by_hand(&folder, arguments.grace, arguments.command);
    if is_temporary {
        // What stays is in the system's folder for what may be removed.
        let _ = folder.remove();
    }
    if let Ok(Outcome { how: How::NeverStarted { message, .. }, .. }) = &outcome {
        tell(&format!("error: {message}"));
    }
    outcome
}

fn run_by_hand(
    folder: &Folder,
    grace: Option<Duration>,
    command: Vec<OsString>,
) -> Result<Outcome, ExecError> {
    let spec = spec_by_hand(grace.unwrap_or(Duration::from_secs(30)), command)
        .map_err(failed("finding the working folder for", folder))?;
    let spool: LockedSpool =
        adopt::write_spec(folder, &spec).map_err(failed("writing the spool in", folder))?;
    let (file, size) = spool.into_file().map_err(failed("reading the spool in", folder))?;
    Ok(supervise(&spec, folder, SpoolWriter::new(folder, file, size, 0), true)?)
}

fn spec_by_hand(grace: Duration, command: Vec<OsString>) -> io::Result<Spec> {
    let run = RunKey { sweep: "exec".to_owned(), trial: 1, attempt: 1, fence: recorder::random() };
    Ok(Spec {
        format: FORMAT,
        store: String::new(),
        machine: String::new(),
        boot: processes::boot_id(),
        run,
        name: "exec".to_owned(),
        argv: command,
        env: Default::default(),
        unset: Vec::new(),
        workdir: Some(std::env::current_dir()?),
        checkpoint_dir: None,
        seed: 0,
        grace_ms: grace.as_millis() as u64,
        timeout_ms: None,
        stop_signal: Default::default(),
        params_json: "{}\n".to_owned(),
        wandb_config: "wandb_version: 1\n".to_owned(),
        wanted: Vec::new(),
        collect: Default::default(),
        log_bytes: Spec::default_log_bytes(),
        silence: None,
        notes: Vec::new(),
    })
}

fn kept_folder(path: PathBuf) -> Result<Folder, ExecError> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let folder = Folder::at(&path);
    match std::fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => folder.furnish(),
        Ok(false) => {
            return Err(ExecError::Usage(format!("--spool {}: the folder is not empty", path.display())));
        }
        Err(_) => folder.create(),
    }
    .map_err(failed("making the folder", &folder))?;
    Ok(folder)
}

fn temporary_folder() -> Result<Folder, ExecError> {
    let name = format!("swath-exec-{}-{:08x}", std::process::id(), recorder::random() as u32);
    let folder = Folder::at(std::env::temp_dir().join(name));
    folder.create().map_err(failed("making the folder", &folder))?;
    Ok(folder)
}

fn parse(arguments: &[OsString]) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (&*text, None),
        };
        let mut value =
            || joined.clone().or_else(|| rest.next().cloned()).ok_or_else(|| format!("{name} needs a value"));
        match name {
            "--" => {
                parsed.command = rest.cloned().collect();
                break;
            }
            "--spool" => parsed.spool = Some(value()?.into()),
            "--grace" => parsed.grace = Some(duration(&value()?)?),
            _ if name.starts_with('-') => return Err(format!("unknown option {name}")),
            _ => return Err(format!("`--` must stand before the command: swath exec -- {text}")),
        }
    }
    if parsed.command.is_empty() {
        return Err("no command was given".to_owned());
    }
    Ok(parsed)
}

fn duration(text: &OsStr) -> Result<Duration, String> {
    let text = text.to_string_lossy();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - unit.len()].parse::<u32>().ok();
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    match (number, milliseconds) {
        (Some(number), Some(unit)) => Ok(Duration::from_millis(u64::from(number) * unit)),
        _ => Err(format!("--grace {text}: a number and a unit, such as 30s or 2m")),
    }
}

fn failed(what: &'static str, folder: &Folder) -> impl FnOnce(io::Error) -> ExecError {
    let path = folder.path().display().to_string();
    move |error| ExecError::Io { what, path, error }
}

/// To stderr: a person by hand, `runner.log` under an agent. If that is closed there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_stands_behind_two_dashes_is_the_command() {
        let arguments = parsed(&["--grace", "2m", "--spool=/x", "--", "cmd", "--grace", "--"]).unwrap();
        assert_eq!(arguments.grace, Some(Duration::from_secs(120)));
        assert_eq!(arguments.spool, Some("/x".into()));
        assert_eq!(arguments.command, ["cmd", "--grace", "--"]);
    }

    #[test]
    fn wrong_use_says_what_is_wrong() {
        for (words, message) in [
            (&["python", "x.py"][..], "`--` must stand before the command: swath exec -- python"),
            (&["--grace", "5", "--", "x"], "--grace 5: a number and a unit, such as 30s or 2m"),
            (&["--spool"], "--spool needs a value"),
            (&["--nice", "--", "x"], "unknown option --nice"),
            (&["--"], "no command was given"),
            (&[], "no command was given"),
        ] {
            assert_eq!(parsed(words), Err(message.to_owned()), "{words:?}");
        }
    }
}
