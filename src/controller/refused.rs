//! Why a request was not carried out, in words that the caller can act on. What was asked changed nothing.

use crate::spec::Code;
use crate::sweep::Refusal;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What sort of refusal: decides the status code.
    pub kind: RefusedKind,
    /// Its stable code.
    pub code: Code,
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
    /// Its stable code.
    pub code: Code,
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
    pub(super) fn new(kind: RefusedKind, code: Code, message: impl Into<String>) -> Self {
        Refused { kind, code, message: message.into(), help: None, field: None, problems: Vec::new() }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Refused { help: Some(help.into()), ..self }
    }

    pub(super) fn at(self, field: impl Into<String>) -> Self {
        Refused { field: Some(field.into()), ..self }
    }

    /// Nothing like that is there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Refused::new(RefusedKind::NotFound, Code::NotFound, message)
    }

    /// A field of the request is wrong.
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Refused::new(RefusedKind::InvalidArgument, Code::BadField, message).at(field)
    }

    /// The controller has ended, or is about to.
    pub(super) fn gone() -> Self {
        Refused::new(RefusedKind::Unavailable, Code::ShuttingDown, "the controller is shutting down")
            .with_help("try again: whoever holds the store next answers")
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let (kind, code) = match &refusal {
            Refusal::Superseded { .. }
            | Refusal::RunOver { .. }
            | Refusal::Late { .. }
            | Refusal::SecondStart { .. } => (RefusedKind::FailedPrecondition, Code::Superseded),
            Refusal::NoSuchRun { .. } | Refusal::NoSuchTrial { .. } => {
                (RefusedKind::NotFound, Code::NotFound)
            }
            Refusal::TrialState { .. }
            | Refusal::NotAsked { .. }
            | Refusal::SweepState { .. }
            | Refusal::Hidden
            | Refusal::BudgetUsed { .. } => (RefusedKind::FailedPrecondition, Code::RefusedNow),
            Refusal::Changed { .. } => (RefusedKind::Aborted, Code::ChangedMeanwhile),
            Refusal::NoSuggestion { .. } | Refusal::Grid(_) => {
                (RefusedKind::FailedPrecondition, Code::NoProposal)
            }
            Refusal::OutsideSpace(_) | Refusal::OutOfRange { .. } => {
                (RefusedKind::InvalidArgument, Code::BadField)
            }
            Refusal::Limit { .. } => (RefusedKind::ResourceExhausted, Code::OverLimit),
        };
        let refused = Refused::new(kind, code, message);
        match refusal {
            Refusal::Hidden => refused.with_help("swath sweep delete --undo brings it back"),
            Refusal::Changed { .. } => refused.with_help("look at it again, then change it").at("etag"),
            Refusal::Late { .. } => {
                refused.with_help("its lease ran out, or its end was told: swath trial show says which")
            }
            Refusal::BudgetUsed { .. } => {
                refused.with_help("raise the budget: swath sweep set SWEEP budget.wall=2h")
            }
            _ => refused,
        }
    }
}
