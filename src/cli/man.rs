//! `swath man`: the same source as `--help`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::count;
use crate::cli::talk;

/// Write man pages, one a command, into a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder; made where it is missing
    dir: PathBuf,
}

/// Writes them; prints the path of each.
///
/// # Errors
///
/// When the folder cannot be written to.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    fs::create_dir_all(&args.dir)?;
    let mut written = 0_u64;
    let mut grammar = super::grammar();
    grammar.build();
    write(&grammar, "swath", args, &mut written, out)?;
    talk!("{} written", count(written, "page"));
    Ok(Exit::Done)
}

fn write(
    command: &clap::Command,
    name: &str,
    args: &Args,
    written: &mut u64,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).render(&mut page)?;
    let path = args.dir.join(format!("{name}.1"));
    fs::write(&path, page)?;
    writeln!(out, "{}", path.display())?;
    *written += 1;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        write(sub, &format!("{name}-{}", sub.get_name()), args, written, out)?;
    }
    Ok(())
}
