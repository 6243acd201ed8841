//! What every command that talks to a controller has: settings, a client, and where to print.

use std::io::Write;

use crate::api::client::Client;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::json::{self, Named};
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::pb;

/// One command's connection and streams.
pub struct Session<'a> {
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
    pub async fn sweep_or_only(&self, named: Option<&str>) -> Result<String, Failure> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let request = pb::ListSweepsRequest { unfinished: true, page_size: 20, ..Default::default() };
        let sweeps = self.client.sweeps().list(request).await?.into_inner().sweeps;
        match sweeps.as_slice() {
            [only] => Ok(only.sweep.clone()),
            [] => Err(Failure::new(Exit::NotFound, "SW5004", "no sweep is unfinished, so one has to be named")
                .help("swath sweep list shows all of them; @last is the newest")),
            several => {
                let mut failure =
                    Failure::new(Exit::Usage, "SW2001", "several sweeps are unfinished, so one has to be named");
                for sweep in several {
                    failure = failure.context(format!("{}  {}", sweep.sweep, crate::cli::format::escape(&sweep.name)));
                }
                Err(failure)
            }
        }
    }

    /// Whether the result goes to a program; prints it if so.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written to.
    pub fn print_data<M: Named>(&mut self, message: &M) -> Result<bool, Failure> {
        let format = self.settings.output.value;
        if format.is_data() {
            output::document(format, &json::of(message), self.out)?;
        }
        Ok(format.is_data())
    }
}

/// A request id: sent again after a lost answer, the same id has one effect.
pub fn request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
