//! The one printer: table, wide, json, yaml.

use std::fmt;
use std::io::Write;

use serde_json::Value as Json;

use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::cli::terminal::Stream;

/// Form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people; fits the terminal.
    #[default]
    Table,
    /// All columns, never shortened.
    Wide,
    /// The API's messages, one document.
    Json,
    /// The same as YAML.
    Yaml,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Wide => "wide",
            Format::Json => "json",
            Format::Yaml => "yaml",
        })
    }
}

impl Format {
    /// Whether a program reads it.
    pub(super) fn is_data(self) -> bool {
        matches!(self, Format::Json | Format::Yaml)
    }
}

/// Prints a document as JSON or YAML.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn document(format: Format, json: &Json, out: &mut dyn Write) -> Result<(), Failure> {
    if format == Format::Yaml {
        let text = serde_saphyr::to_string(json).map_err(|error| {
            Failure::new(crate::cli::exit::Exit::Failed, crate::spec::Code::Failed, error)
        })?;
        out.write_all(text.as_bytes())?;
    } else {
        writeln!(out, "{json}")?;
    }
    Ok(())
}

/// Prints a table, fitted to the terminal unless `wide` was asked for.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn table(settings: &Settings, table: &Table, out: &mut dyn Write) -> Result<(), Failure> {
    let width = match settings.output.value {
        Format::Wide => None,
        Format::Table | Format::Json | Format::Yaml => Stream::Stdout.size().map(|(columns, _)| columns),
    };
    out.write_all(table.render(width).as_bytes())?;
    Ok(())
}
