//! `swath backup`: a copy of the store, taken while it is written to.

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::cli::format::bytes;
use crate::cli::session::Session;
use crate::cli::talk;
use crate::pb;

/// Copy the store into a file, also while sweeps run; the copy is verified
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that does not exist yet
    file: PathBuf,
}

/// Copies it.
///
/// # Errors
///
/// The file exists, or cannot be written.
pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = std::path::absolute(&args.file)?.display().to_string();
    let mut admin = session.client.admin();
    // A large store takes longer than one request may.
    let response = admin.backup(pb::BackupRequest { path: path.clone() }).await?.into_inner();
    if !session.print_data(&response)? {
        writeln!(session.out, "{path}")?;
        talk!("{} written and verified, up to position {}", bytes(response.bytes), response.pos);
    }
    Ok(())
}
