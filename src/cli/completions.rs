//! `swath completions`.

use std::io::Write;

use clap_complete::Shell;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// bash, zsh, fish, powershell, elvish
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::grammar(), "swath", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}
