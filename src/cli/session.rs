//! What every command that talks to a controller has: settings, a client, and where to print.

use std::io::Write;

use crate::api::client::Client;
use crate::cli::failure::Failure;
use crate::cli::json::{self, Named};
use crate::cli::output;
use crate::cli::settings::Settings;

/// One command's connection and streams.
pub(super) struct Session<'a> {
    /// Settings in force.
    pub settings: &'a Settings,
    /// The controller.
    pub client: Client,
    /// Standard output.
    pub out: &'a mut dyn Write,
}

impl Session<'_> {
    /// The sweep that was named, or the only unfinished one.
    ///
    /// # Errors
    ///
    /// None or several are unfinished: the message lists them.
    pub(super) async fn sweep_or_only(&self, named: Option<&str>) -> Result<String, Failure> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        crate::cli::connect::only_unfinished(&self.client).await
    }

    /// Whether the result goes to a program; prints it if so.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written to.
    pub(super) fn print_data<M: Named>(&mut self, message: &M) -> Result<bool, Failure> {
        let format = self.settings.output.value;
        if format.is_data() {
            output::document(format, &json::of(message), self.out)?;
        }
        Ok(format.is_data())
    }
}

/// A request id: sent again after a lost answer, the same id has one effect.
pub(super) fn request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
