//! The log of swath's own doings on stderr, for `-v` and `SWATH_LOG`. Without either only what is wrong is said.

use tracing_subscriber::EnvFilter;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings::{Origin, Settings};
use crate::cli::terminal;
use crate::spec::Code;

/// Begins to write it.
///
/// # Errors
///
/// The setting is no filter.
pub(super) fn begin(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log.value).map_err(|error| {
        Failure::new(
            Exit::Usage,
            Code::BadSetting,
            format!("'{}' is no filter of the log: {error}", settings.log.value),
        )
        .context(format!("from: {}", settings.log.origin))
        .help("a level, and levels of parts of the program: SWATH_LOG=warn,swath::agent=debug")
    })?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(terminal::stderr).with_ansi(false);
    // Who did not ask for it reads a sentence; who did, when it was said and by what.
    match settings.log.origin {
        Origin::Default => log.without_time().with_target(false).init(),
        _ => log.init(),
    }
    Ok(())
}
