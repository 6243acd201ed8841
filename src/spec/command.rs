//! Command and assignment -> argv, as W&B's agent builds it: macros are whole elements, there is no shell.

use crate::space::{Assignment, Value};
use crate::spec::definition::Definition;

pub use crate::spec::config::wandb_config_yaml;
pub use crate::spec::python::{python_json, python_json_of, python_repr, python_str};

/// What `command` is where the file has none.
pub const DEFAULT: [&str; 4] = ["${env}", "${interpreter}", "${program}", "${args}"];

/// Linux takes no longer single argument (its NUL included).
pub const MAX_ARGUMENT: usize = 128 * 1024;
/// Nor more in all.
pub const MAX_ARGV: usize = 2 * 1024 * 1024;

/// A command ready to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Before the look-up of `python`.
    pub argv: Vec<String>,
    /// Variables of `${envvar:..}` that are not set: their names stand in argv.
    pub unset: Vec<String>,
    /// The content of `${args_json_file}`, where the command has one.
    pub json_file: Option<String>,
}

/// Why there is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// `${program}` without one.
    #[error("no program: the command needs it; add 'program:' or give the command after --")]
    NoProgram,
    /// Nothing is left to start.
    #[error("the command is empty once its macros are replaced")]
    Empty,
    /// Linux would refuse it.
    #[error(
        "argument {index} is {size} bytes long, and Linux takes {MAX_ARGUMENT}; hand it over with ${{args_json_file}} or SWATH_PARAMS"
    )]
    ArgumentTooLong {
        /// Which, from 0.
        index: usize,
        /// Its bytes.
        size: usize,
    },
    /// Linux would refuse it.
    #[error(
        "the command is {size} bytes long, and Linux takes {MAX_ARGV}; hand it over with ${{args_json_file}} or SWATH_PARAMS"
    )]
    TooLong {
        /// Of all arguments.
        size: usize,
    },
    /// An argument cannot hold it.
    #[error("argument {index} holds a NUL character")]
    Nul {
        /// Which, from 0.
        index: usize,
    },
}

/// The argv of a run. `env` looks a variable up in the agent's environment; the definition's own `env` goes first.
/// `json_file` is the path that `${args_json_file}` becomes.
pub fn build(
    definition: &Definition,
    assignment: &Assignment,
    env: &dyn Fn(&str) -> Option<String>,
    json_file: &str,
) -> Result<Built, CommandError> {
    let env = |name: &str| definition.env.get(name).cloned().or_else(|| env(name));
    build_of(&definition.command, definition.program.as_deref(), assignment, &env, json_file)
}

/// The same for an agent, which has no definition: `env` looks into the sweep's own variables too.
pub fn build_of(
    command: &[String],
    program: Option<&str>,
    assignment: &Assignment,
    env: &dyn Fn(&str) -> Option<String>,
    json_file: &str,
) -> Result<Built, CommandError> {
    let mut built = Built::default();
    for element in command {
        let element = replace_variables(element, &mut |name| {
            let value = env(name);
            if value.is_none() && !name.is_empty() && !built.unset.iter().any(|unset| unset == name) {
                built.unset.push(name.to_owned());
            }
            value.unwrap_or_else(|| name.to_owned())
        });
        let Some(macro_name) = macro_name(&element) else {
            built.argv.push(element);
            continue;
        };
        match macro_name {
            "program" => built.argv.push(program.ok_or(CommandError::NoProgram)?.to_owned()),
            "args_json_file" => {
                built.argv.push(json_file.to_owned());
                built.json_file = Some(python_json_of(assignment));
            }
            _ => built.argv.extend(expand(macro_name, assignment)),
        }
    }
    fits(&built.argv)?;
    Ok(built)
}

/// The name of an element that is a macro.
pub(super) fn macro_name(element: &str) -> Option<&str> {
    element.strip_prefix("${")?.strip_suffix('}')
}

/// Macros by name; unknown ones vanish.
pub(super) const MACROS: [&str; 11] = [
    "env",
    "interpreter",
    "program",
    "args",
    "args_no_hyphens",
    "args_no_boolean_flags",
    "args_no_equals",
    "args_append_hydra",
    "args_override_hydra",
    "args_json",
    "args_json_file",
];

fn expand(name: &str, assignment: &Assignment) -> Vec<String> {
    let each = |prefix: &str| {
        assignment.0.iter().map(|(name, value)| format!("{prefix}{name}={}", python_str(value))).collect()
    };
    match name {
        "env" => vec!["/usr/bin/env".to_owned()],
        "interpreter" => vec!["python".to_owned()],
        "args" => each("--"),
        "args_no_hyphens" => each(""),
        "args_append_hydra" => each("+"),
        "args_override_hydra" => each("++"),
        "args_json" => vec![python_json_of(assignment)],
        "args_no_boolean_flags" => assignment
            .0
            .iter()
            .filter_map(|(name, value)| match value {
                Value::Bool(true) => Some(format!("--{name}")),
                Value::Bool(false) => None,
                _ => Some(format!("--{name}={}", python_str(value))),
            })
            .collect(),
        "args_no_equals" => {
            assignment.0.iter().flat_map(|(name, value)| [format!("--{name}"), python_str(value)]).collect()
        }
        _ => Vec::new(),
    }
}

/// Replaces each `${envvar:NAME}` once, from left to right.
fn replace_variables(element: &str, value: &mut dyn FnMut(&str) -> String) -> String {
    const MARK: &str = "${envvar:";
    let mut out = String::new();
    let mut rest = element;
    while let Some(begin) = rest.find(MARK) {
        let after = &rest[begin + MARK.len()..];
        let end = after.find(|c: char| !matches!(c, 'A'..='Z' | '0'..='9' | '_')).unwrap_or(after.len());
        if after[end..].starts_with('}') {
            out.push_str(&rest[..begin]);
            out.push_str(&value(&after[..end]));
            rest = &after[end + 1..];
        } else {
            out.push_str(&rest[..begin + MARK.len()]);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn fits(argv: &[String]) -> Result<(), CommandError> {
    if argv.is_empty() {
        return Err(CommandError::Empty);
    }
    for (index, argument) in argv.iter().enumerate() {
        if argument.len() >= MAX_ARGUMENT {
            return Err(CommandError::ArgumentTooLong { index, size: argument.len() });
        }
        if argument.contains('\0') {
            return Err(CommandError::Nul { index });
        }
    }
    let size = argv.iter().map(|argument| argument.len() + 1).sum();
    if size > MAX_ARGV {
        return Err(CommandError::TooLong { size });
    }
    Ok(())
}
