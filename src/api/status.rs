//! What the controller refused, as gRPC says it: a code, the field at fault, `google.rpc` details.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::controller::{Refused, RefusedKind};

impl From<Refused> for Status {
    fn from(refused: Refused) -> Status {
        let code = match refused.kind {
            RefusedKind::NotFound => Code::NotFound,
            RefusedKind::FailedPrecondition => Code::FailedPrecondition,
            RefusedKind::InvalidArgument => Code::InvalidArgument,
            RefusedKind::AlreadyExists => Code::AlreadyExists,
            RefusedKind::ResourceExhausted => Code::ResourceExhausted,
            RefusedKind::Aborted => Code::Aborted,
            RefusedKind::Unavailable => Code::Unavailable,
            RefusedKind::Internal => Code::Internal,
        };
        let mut details = ErrorDetails::new();
        let help = refused.help.iter().map(|help| ("help".to_owned(), help.clone()));
        details.set_error_info(
            refused.code.to_string(),
            "swath",
            help.collect::<std::collections::HashMap<_, _>>(),
        );
        if let Some(field) = &refused.field {
            details.add_bad_request_violation(field, &refused.message);
        }
        for problem in refused.problems.iter().filter(|problem| !problem.is_warning) {
            let place = match problem.line {
                0 => String::new(),
                line => format!(" (line {line}, column {})", problem.column),
            };
            let text = format!("{}: {}{place}", problem.code, problem.message);
            details.add_bad_request_violation(&problem.field, text);
        }
        Status::with_error_details(code, refused.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Problem;
    use crate::spec;

    #[test]
    fn a_wrong_file_names_every_field_at_fault() {
        let problem = |field: &str| Problem {
            code: spec::Code::UnknownKey,
            is_warning: false,
            field: field.to_owned(),
            line: 5,
            column: 1,
            message: "unknown key".to_owned(),
            help: None,
        };
        let refused = Refused {
            kind: RefusedKind::InvalidArgument,
            code: spec::Code::UnknownKey,
            message: "2 errors".to_owned(),
            help: Some("mend them".to_owned()),
            field: None,
            problems: vec![problem("paramters"), problem("metric.gaol")],
        };
        let status = Status::from(refused);
        let fields: Vec<String> = status
            .get_details_bad_request()
            .map(|bad| bad.field_violations.into_iter().map(|violation| violation.field).collect())
            .unwrap_or_default();
        assert_eq!(fields, ["paramters", "metric.gaol"]);
        assert_eq!(status.get_details_error_info().map(|info| info.reason), Some("SW1003".to_owned()));
    }
}
