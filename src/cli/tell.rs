//! `swath tell`: what came of a trial that was asked for.

use std::collections::BTreeMap;

use crate::cli::failure::Failure;
use crate::cli::format::{count, escape};
use crate::cli::output::{self, Format};
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::cli::{json, talk};
use crate::pb;
use crate::pb::tell_request::State as Said;

/// Tell what came of a trial that swath ask gave
///
/// With values alone the trial has succeeded. With --step they are a report, and the trial goes on; the answer says
/// whether it is worth it: {"stop":true,"why":"asha: ..",..}. Then end it with --state stopped. Every word renews the lease.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trial's "run", SWEEP/17.1; or SWEEP/17, or 17 with --sweep: its newest attempt
    #[arg(value_name = "TRIAL")]
    trial: TrialRef,
    /// Values of metrics: val_loss=0.2; nan and inf are values too
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// The step of these values; the trial goes on
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    step: Option<i64>,
    /// The trial has ended in this way
    #[arg(long)]
    state: Option<State>,
    /// The sweep, where TRIAL does not say
    #[arg(long)]
    sweep: Option<String>,
    /// The same id twice tells once
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// Its last values are its result
    Succeeded,
    /// It crashed; it is tried again while `retries` last
    Failed,
    /// It was ended before its time; what it reached counts
    Stopped,
}

/// Tells, and prints the answer.
///
/// # Errors
///
/// What the controller refused, or the connection lost.
pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = request(args)?;
    let response = session.client.trials().tell(request).await?.into_inner();
    if session.settings.quiet {
        writeln!(session.out, "{}", response.run)?;
    } else {
        let format = match session.settings.output.value {
            Format::Yaml => Format::Yaml,
            Format::Table | Format::Wide | Format::Json => Format::Json,
        };
        output::document(format, &json::of(&response), session.out)?;
    }
    if response.left_out > 0 {
        let left_out = count(response.left_out, "value");
        talk!("note: {left_out} left out: the sweep has all the names of metrics that it may have");
    }
    if !response.why.is_empty() {
        talk!("{}: {}", response.run, escape(&response.why));
    }
    Ok(())
}

fn request(args: Args) -> Result<pb::TellRequest, Failure> {
    if args.values.is_empty() && (args.state.is_none() || args.step.is_some()) {
        let help = "values as val_loss=0.2, or --state succeeded, failed or stopped, or both";
        return Err(Failure::usage("nothing is told of the trial").help(help));
    }
    let trial = match args.trial.number() {
        0 => {
            let why = "the best trial is over: it is not told about";
            return Err(Failure::usage(why).help("name the run that swath ask printed"));
        }
        number => number,
    };
    Ok(pb::TellRequest {
        request_id: args.request_id.unwrap_or_else(request_id),
        sweep: args.trial.sweep(args.sweep.as_deref())?,
        trial,
        attempt: args.trial.attempt.unwrap_or(0),
        fence: 0,
        step: args.step,
        metrics: values(&args.values)?,
        state: match args.state {
            None => Said::Unspecified,
            Some(State::Succeeded) => Said::Succeeded,
            Some(State::Failed) => Said::Failed,
            Some(State::Stopped) => Said::Stopped,
        }
        .into(),
    })
}

fn values(given: &[String]) -> Result<BTreeMap<String, f64>, Failure> {
    let mut values = BTreeMap::new();
    for text in given {
        let wrong = |why: &str| Failure::usage(format!("'{}' {why}", escape(text))).help("val_loss=0.2");
        // A name may hold the sign, a number cannot.
        let (name, value) = text.rsplit_once('=').ok_or_else(|| wrong("is not NAME=VALUE"))?;
        let value = value.parse().map_err(|_| wrong("gives no number"))?;
        if values.insert(name.to_owned(), value).is_some() {
            return Err(wrong("is the second value of its name"));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_by_name() {
        let read = |text: &str| values(&[text.to_owned()]).map(|values| values.into_iter().next());
        assert_eq!(read("val/loss=-1e-3"), Ok(Some(("val/loss".to_owned(), -1e-3))));
        assert_eq!(read("f(a=1)=2"), Ok(Some(("f(a=1)".to_owned(), 2.0))));
        assert_eq!(read("loss=inf"), Ok(Some(("loss".to_owned(), f64::INFINITY))));
        assert!(read("loss=NaN").is_ok_and(|value| value.is_some_and(|(_, value)| value.is_nan())));
        for bad in ["loss", "loss=", "loss=0,2", "loss=0x1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(values(&["a=1".to_owned(), "a=2".to_owned()]).is_err());
    }
}
