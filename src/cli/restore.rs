//! `swath restore`: a backup becomes a store again, in a directory of its own.

use std::io::Write;
use std::path::PathBuf;

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
/// are told to end.
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
    store::restore(&args.file, &settings.data_dir.value, bits, now, &store::Options::default())
        .map_err(Error::Open)?;
    writeln!(out, "{}", settings.data_dir.value.display())?;
    talk!("restored; its sweeps: swath sweep list --data-dir {}", settings.data_dir.value.display());
    Ok(Exit::Done)
}
