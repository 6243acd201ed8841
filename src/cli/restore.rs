//! `swath restore`: a backup becomes a store again, in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::agent::{self, Machine};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::local::Error;
use crate::cli::settings::{Origin, Settings};
use crate::cli::talk;
use crate::spec::Code;
use crate::store;

/// Make a store from a backup in a new directory
///
/// The backup is verified before anything is written. Sweeps go on in the new store; runs that the backup does not know
/// are told to end, and those that were live on this machine are tried again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup
    file: PathBuf,
}

/// Restores it.
///
/// # Errors
///
/// The backup is damaged (exit code 8), or the directory is not empty.
pub(super) fn run(args: &Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    if settings.data_dir.origin == Origin::Default {
        return Err(Failure::usage(
            "restore takes no default: the directory of the new store has to be named",
        )
        .help("swath restore FILE --data-dir NEW"));
    }
    if !args.file.is_file() {
        return Err(Failure::new(
            Exit::NotFound,
            Code::NoStore,
            format!("there is no backup at {}", args.file.display()),
        ));
    }
    let bits = rand::random::<u32>() & 0xfff;
    let now = crate::sweep::Timestamp(super::words::now_us());
    let dir = &settings.data_dir.value;
    let restored =
        store::restore(&args.file, dir, bits, now, &store::Options::default()).map_err(Error::Open)?;
    wait_for_nobody_here(dir, &restored)?;
    writeln!(out, "{}", settings.data_dir.value.display())?;
    talk!("restored; its sweeps: swath sweep list --data-dir {}", settings.data_dir.value.display());
    Ok(Exit::Done)
}

/// Agents of this machine are at home in their own store's directory, so none of them comes to the new one.
fn wait_for_nobody_here(dir: &Path, restored: &store::Restored) -> Result<(), Failure> {
    let here = Machine::here(dir)?;
    let was_here = |machine: &str, boot: &str| machine == here.id || boot == here.boot;
    let live = restored.live.iter().filter(|(_, machine, boot)| was_here(machine, boot));
    agent::note_dead(&dir.join("work"), restored.id, &here.id, live.map(|(agent, ..)| agent.clone()))?;
    Ok(())
}
