//! Why a request was not carried out, in words that the caller can act on. What was asked changed nothing.

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What sort of refusal: decides the status code.
    pub kind: RefusedKind,
    /// `SW5003`.
    pub code: &'static str,
    /// What is wrong, and with what.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The field of the request at fault.
    pub field: Option<String>,
    /// All that is wrong with a sweep file.
    pub problems: Vec<Problem>,
}

/// Sorts of refusals, by the names of gRPC's status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// There is no such sweep, trial or run.
    NotFound,
    /// Not in this state.
    FailedPrecondition,
    /// The request cannot be right.
    InvalidArgument,
    /// The same request id came with another request.
    AlreadyExists,
    /// Full: the disk, or a limit.
    ResourceExhausted,
    /// Somebody else changed it first.
    Aborted,
    /// The controller is going away, or not there yet.
    Unavailable,
    /// The controller is at fault.
    Internal,
}

/// One thing that is wrong with a sweep file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `SW1003`.
    pub code: &'static str,
    /// Whether it is only worth a look.
    pub is_warning: bool,
    /// Path of the key: `parameters.lr.max`.
    pub field: String,
    /// From 1; 0: of no line.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Refused {
    pub(super) fn new(kind: RefusedKind, code: &'static str, message: impl Into<String>) -> Self {
        Refused { kind, code, message: message.into(), help: None, field: None, problems: Vec::new() }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Refused { help: Some(help.into()), ..self }
    }

    pub(super) fn at(self, field: impl Into<String>) -> Self {
        Refused { field: Some(field.into()), ..self }
    }

    /// The controller has ended, or is about to.
    pub(super) fn gone() -> Self {
        Refused::new(RefusedKind::Unavailable, "SW5002", "the controller is shutting down")
            .with_help("try again: whoever holds the store next answers")
    }
}
