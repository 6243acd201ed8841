//! stub
use crate::cli::{exit::Exit, failure::Failure, settings::Settings, sweep_file::SweepFile};
use std::io::Write;
/// x
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_: &Args, _: &Settings, _: &mut dyn Write) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
pub fn dry_run(
    _: &SweepFile,
    _: &crate::cli::sweep_file::Overrides,
    _: &Settings,
    _: &mut dyn Write,
) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
