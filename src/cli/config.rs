//! `swath config show`: every setting, its value, and where it came from.

use std::io::Write;

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::duration;
use crate::cli::output;
use crate::cli::settings::{Settings, config_path};
use crate::cli::table::{Column, Table};

/// The settings in force
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show every setting, its value, and where it came from
    ///
    /// An option comes before the environment, that before the configuration file, that before the default.
    Show,
}

/// Prints them.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn run(command: &Command, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Command::Show = command;
    let file = config_path().map(|path| path.display().to_string()).unwrap_or_default();
    let rows = [
        ("output", settings.output.value.to_string(), settings.output.origin.to_string()),
        ("color", format!("{:?}", settings.color.value).to_lowercase(), settings.color.origin.to_string()),
        ("data-dir", settings.data_dir.value.display().to_string(), settings.data_dir.origin.to_string()),
        ("project", settings.project.value.clone(), settings.project.origin.to_string()),
        ("timeout", duration(settings.timeout.value), settings.timeout.origin.to_string()),
        ("progress", settings.progress.value.clone(), settings.progress.origin.to_string()),
        ("log", settings.log.value.clone(), settings.log.origin.to_string()),
    ];
    if settings.output.value.is_data() {
        let list: Vec<_> =
            rows.iter().map(|(key, value, from)| json!({"key": key, "value": value, "from": from})).collect();
        output::document(settings.output.value, &json!({"file": file, "settings": list}), out)?;
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new([Column::text("SETTING", 0), Column::text("VALUE", 0), Column::text("FROM", 0)]);
    for (key, value, from) in rows {
        table.row([key.to_owned(), value, from]);
    }
    output::table(settings, &table, out)?;
    writeln!(out, "configuration file: {file}")?;
    Ok(Exit::Done)
}
