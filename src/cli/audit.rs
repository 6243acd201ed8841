//! `swath audit verify`: the whole chain, from the first event to the last.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::count;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::spec::Code;
use crate::store::{self, Entry, Verified};
use crate::sweep::{LogEntry, rehearse};

/// So many proposals that differ are named.
const SHOWN: usize = 10;

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
    /// Make every proposal again from what it was made from, and compare
    #[arg(long)]
    proposals: bool,
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
    let again = (args.proposals && bad.is_none()).then(|| proposals(&file)).transpose()?;
    if settings.output.value.is_data() {
        let mut json = json!({"file": file.display().to_string(), "sweeps": verified.sweeps, "events": verified.events,
            "reports": verified.reports, "damage": bad});
        if let Some(again) = &again {
            json["proposals"] = json!({"made": again.made, "differ": again.differ});
        }
        output::document(settings.output.value, &json, out)?;
    } else if bad.is_none() {
        writeln!(out, "{}", sentence(&verified))?;
        if let Some(again) = again.as_ref().filter(|again| again.differ.is_empty()) {
            writeln!(out, "{} made again: all the same", count(again.made, "proposal"))?;
        }
    }
    if let Some(bad) = bad {
        return Err(Failure::new(Exit::Damaged, Code::ChainBroken, bad)
            .context(format!("--> {}", file.display()))
            .help("restore the last backup: swath restore BACKUP --data-dir NEW"));
    }
    match again.as_ref().map(|again| again.differ.as_slice()) {
        None | Some([]) => Ok(Exit::Done),
        Some(differ) => {
            let what = format!("{} came out otherwise", count(differ.len() as u64, "proposal"));
            let failure = Failure::new(Exit::Failed, Code::ProposalsDiffer, what);
            let failure = differ.iter().take(SHOWN).fold(failure, |failure, line| failure.context(line));
            Err(match differ.len().saturating_sub(SHOWN) {
                0 => failure,
                more => failure.context(format!("and {more} more")),
            })
        }
    }
}

/// Proposals made again.
#[derive(Default)]
struct Again {
    made: u64,
    /// What came out otherwise, a line each.
    differ: Vec<String>,
}

/// Makes the proposals of all sweeps again.
fn proposals(file: &Path) -> Result<Again, Failure> {
    let wrong = |error| Failure::from(crate::cli::local::Error::Open(error));
    let mut all = Again::default();
    for sweep in store::read_sweeps(file).map_err(wrong)? {
        let entry = |entry| match entry {
            Entry::Event(event) => Some(LogEntry::Event(Box::new(event))),
            Entry::Report(report) => Some(LogEntry::Report(report)),
            Entry::Store(_) => None,
        };
        let log: Vec<LogEntry> =
            store::read_log(file, sweep).map_err(wrong)?.into_iter().filter_map(entry).collect();
        let found = rehearse(sweep, &log).map_err(|damaged| {
            Failure::new(Exit::Damaged, Code::SweepDamaged, format!("sweep {sweep}: {damaged}"))
        })?;
        all.made += found.proposals;
        all.differ.extend(found.differ.iter().map(|differs| {
            let what = match (&differs.again, differs.same_point) {
                (None, _) => "there is nothing to propose".to_owned(),
                (Some(_), true) => "the same point, but another reason or fit".to_owned(),
                (Some(again), false) => format!("now {}", json!(again)),
            };
            format!(
                "{sweep}/{}, position {}: stored {}, {what}",
                differs.trial,
                differs.pos.0,
                json!(differs.stored)
            )
        }));
    }
    Ok(all)
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
