//! `swath audit verify`: the whole chain, from the first event to the last.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::count;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::spec::Code;
use crate::store::{self, Verified};

/// The audit chain
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the hash chain of every log and name the first bad event
    Verify(Verify),
}

/// See [`Command::Verify`].
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// A store's file or a backup [default: the local store]
    file: Option<PathBuf>,
}

/// Checks. Works while a controller runs: it reads a snapshot.
///
/// # Errors
///
/// The chain is broken (exit code 8), or the file is no store.
pub(super) fn run(command: Command, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Command::Verify(args) = command;
    let file = args.file.unwrap_or_else(|| settings.data_dir.value.join("store.db"));
    if !file.is_file() {
        return Err(Failure::new(
            Exit::NotFound,
            Code::NoStore,
            format!("there is no store at {}", file.display()),
        )
        .help("name the file, or give --data-dir"));
    }
    let verified = store::verify(&file).map_err(crate::cli::local::Error::Open)?;
    let bad = worst(&verified);
    if settings.output.value.is_data() {
        let json = json!({"file": file.display().to_string(), "sweeps": verified.sweeps, "events": verified.events,
            "reports": verified.reports, "damage": bad});
        output::document(settings.output.value, &json, out)?;
    } else if bad.is_none() {
        writeln!(out, "{}", sentence(&verified))?;
    }
    match bad {
        None => Ok(Exit::Done),
        Some(bad) => Err(Failure::new(Exit::Damaged, Code::ChainBroken, bad)
            .context(format!("--> {}", file.display()))
            .help("restore the last backup: swath restore BACKUP --data-dir NEW")),
    }
}

/// The first thing that is wrong, with where it is.
pub(super) fn worst(verified: &Verified) -> Option<String> {
    let bad = verified.bad.first()?;
    let place = match (bad.log, bad.n) {
        (None, _) => String::new(),
        (Some(log), 0) => format!("{log}: "),
        (Some(log), n) => format!("{log}, event {n}: "),
    };
    let more = match verified.bad.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Some(format!("{place}{}{more}", bad.why))
}

/// What was found whole.
pub(super) fn sentence(verified: &Verified) -> String {
    format!(
        "chain whole to position {}: {} of {}, {}",
        verified.last.0,
        count(verified.events, "event"),
        count(verified.sweeps, "sweep"),
        count(verified.reports, "report")
    )
}
