//! What a command says when it fails: a code, what, where, why, and how to mend it; and the exit code that follows.

use std::fmt;
use std::io::{self, Write};

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::format::wrap;
use crate::cli::terminal::{Style, stderr_width};
use crate::spec::Code;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the process ends with.
    pub exit: Exit,
    /// Its stable code; none where the whole text was printed already.
    pub code: Option<Code>,
    /// gRPC's word for the kind.
    pub status: &'static str,
    /// A sentence that stands alone in a log.
    pub message: String,
    /// Where and why, a line each.
    pub context: Vec<String>,
    /// What to type.
    pub help: Vec<String>,
    /// The field at fault, where there is one.
    pub field: String,
}

impl Failure {
    /// A failure with its code and message.
    pub(super) fn new(exit: Exit, code: Code, message: impl fmt::Display) -> Self {
        Failure {
            exit,
            code: Some(code),
            status: status(exit),
            message: message.to_string(),
            context: Vec::new(),
            help: Vec::new(),
            field: String::new(),
        }
    }

    /// A failure of which everything has been said.
    pub(super) fn said(exit: Exit) -> Self {
        Failure { code: None, ..Failure::new(exit, Code::Failed, "") }
    }

    /// Wrong use.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Failure::new(Exit::Usage, Code::BadOption, message)
    }

    /// Adds a line of where or why.
    pub(super) fn context(mut self, line: impl fmt::Display) -> Self {
        self.context.push(line.to_string());
        self
    }

    /// Adds what to type.
    pub(super) fn help(mut self, line: impl fmt::Display) -> Self {
        self.help.push(line.to_string());
        self
    }

    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write, color: bool) -> io::Result<()> {
        let Some(code) = self.code else { return Ok(()) };
        let name = format!("error {code}");
        for (k, line) in wrap(&format!("{name}: {}", self.message), stderr_width()).into_iter().enumerate() {
            let line = if k == 0 { line.replacen(&name, &Style::Error.paint(&name, color), 1) } else { line };
            writeln!(out, "{line}")?;
        }
        for line in &self.context {
            writeln!(out, "  {line}")?;
        }
        for (k, line) in self.help.iter().enumerate() {
            let mark = if k == 0 { Style::Help.paint("help:", color) } else { "     ".to_owned() };
            writeln!(out, "  {mark} {line}")?;
        }
        writeln!(out, "exit code {}", self.exit.code())
    }

    /// Writes it as one line of JSON.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(code) = self.code else { return Ok(()) };
        let mut error = json!({"code": code.to_string(), "status": self.status, "message": self.message});
        if !self.field.is_empty() {
            error["field"] = json!(self.field);
        }
        if !self.help.is_empty() {
            error["help"] = json!(self.help.join("\n"));
        }
        writeln!(out, "{}", json!({"error": error}))
    }
}

/// gRPC's word for an exit code.
fn status(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "OK",
        Exit::Usage | Exit::BadFile => "INVALID_ARGUMENT",
        Exit::NotFound => "NOT_FOUND",
        Exit::Denied => "PERMISSION_DENIED",
        Exit::Unreachable => "UNAVAILABLE",
        Exit::Refused | Exit::NoBest => "FAILED_PRECONDITION",
        Exit::Damaged => "DATA_LOSS",
        Exit::Interrupted | Exit::CtrlC | Exit::Terminated => "ABORTED",
        Exit::Failed => "INTERNAL",
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A reader that has gone away is no failure of ours: the rest of the output has no one to go to.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::said(Exit::Done);
        }
        Failure::new(Exit::Failed, Code::Failed, error)
    }
}
