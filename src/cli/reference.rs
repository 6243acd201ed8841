//! How people name sweeps and trials: `q7k2m9xa`, a prefix of it, a name, `@last`; `SWEEP/17`, `SWEEP/@best`, `17`.

use std::env;
use std::str::FromStr;

use crate::cli::env_vars;
use crate::cli::failure::Failure;

/// Which trial of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// By number, from 1.
    Number(u32),
    /// `@best`.
    Best,
}

/// A trial as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrialRef {
    /// As typed; none: `--sweep` or `SWATH_SWEEP` says which.
    pub sweep: Option<String>,
    /// The trial.
    pub which: Which,
    /// Of `SWEEP/17.2`.
    pub attempt: Option<u32>,
}

impl FromStr for TrialRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sweep, trial) = match text.rsplit_once('/') {
            Some((sweep, trial)) if !sweep.is_empty() => (Some(sweep.to_owned()), trial),
            Some(_) => return Err(wrong(text)),
            None => (None, text),
        };
        let (trial, attempt) = match trial.split_once('.') {
            Some((trial, attempt)) => (trial, Some(attempt.parse().map_err(|_| wrong(text))?)),
            None => (trial, None),
        };
        let which = match trial {
            "@best" => Which::Best,
            number => Which::Number(number.parse().ok().filter(|n| *n > 0).ok_or_else(|| wrong(text))?),
        };
        Ok(TrialRef { sweep, which, attempt })
    }
}

fn wrong(text: &str) -> String {
    format!("'{text}' names no trial; write SWEEP/17, SWEEP/@best, or 17 with --sweep SWEEP")
}

impl TrialRef {
    /// The sweep it belongs to: its own, else `given`, else `SWATH_SWEEP`.
    ///
    /// # Errors
    ///
    /// When none of the three names one.
    pub(super) fn sweep(&self, given: Option<&str>) -> Result<String, Failure> {
        let environment = || env::var(env_vars::SWEEP).ok().filter(|value| !value.is_empty());
        self.sweep.clone().or_else(|| given.map(str::to_owned)).or_else(environment).ok_or_else(|| {
            Failure::usage("which sweep the trial belongs to is not said")
                .help("write SWEEP/TRIAL, or add --sweep SWEEP, or set SWATH_SWEEP")
        })
    }

    /// The number for a request: 0 stands for the best one.
    pub(super) fn number(&self) -> u32 {
        match self.which {
            Which::Number(n) => n,
            Which::Best => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_named_in_three_ways() {
        let parse = |text: &str| text.parse::<TrialRef>();
        assert_eq!(
            parse("q7k2m9xa/17.2"),
            Ok(TrialRef { sweep: Some("q7k2m9xa".into()), which: Which::Number(17), attempt: Some(2) })
        );
        assert_eq!(parse("a/b/@best").map(|t| (t.sweep, t.which)), Ok((Some("a/b".into()), Which::Best)));
        assert_eq!(parse("17").map(|t| t.which), Ok(Which::Number(17)));
        for bad in ["", "0", "x", "/17", "a/", "a/17.x", "a/-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
