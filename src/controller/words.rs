//! Sentences for people: why something is as it is.

use crate::spec::Definition;
use crate::sweep::{
    EndWhy, Ended, EndedHow, Evidence, Exit, FailWhy, LostWhy, PauseWhy, QueueWhy, RunView, State, StopWhy,
    SweepPhase, TrialView, Waiting, WithdrawWhy,
};

/// Why a sweep is where it is; empty: it just runs.
pub(super) fn of_sweep(phase: &SweepPhase) -> String {
    match phase {
        SweepPhase::Running => String::new(),
        SweepPhase::Paused { why, .. } => format!("paused: {}", of_pause(why)),
        SweepPhase::Ending(why) => format!("ending: {}", of_end(*why)),
        SweepPhase::Ended(why) => of_end(*why).to_owned(),
    }
}

/// Why a sweep gives a caller no trial, or no more.
pub(super) fn of_no_more(state: &State) -> String {
    let (phase, counts) = (state.phase(), state.counts());
    let open = counts.queued + counts.running;
    match phase {
        SweepPhase::Running | SweepPhase::Ending(_) if open > 0 => {
            format!("all its trials are given out; {open} of them are not over")
        }
        SweepPhase::Running => "it has no trial to give".to_owned(),
        SweepPhase::Paused { .. } => format!("the sweep is {}", of_sweep(phase)),
        SweepPhase::Ending(_) => of_sweep(phase),
        SweepPhase::Ended(_) => format!("the sweep is {}: {}", phase.word(), of_sweep(phase)),
    }
}

fn of_pause(why: &PauseWhy) -> String {
    match why {
        PauseWhy::Person => "asked for".to_owned(),
        PauseWhy::EarlyFailure => "the first 3 runs failed in the same way".to_owned(),
        PauseWhy::Flapping => "no machine could start 5 runs in a row".to_owned(),
        PauseWhy::Fault(message) => format!("a fault inside swath: {message}"),
    }
}

fn of_end(why: EndWhy) -> &'static str {
    match why {
        EndWhy::RunCap => "all trials ran",
        EndWhy::SpaceUsedUp => "every point of the space was tried",
        EndWhy::Target => "the target was reached",
        EndWhy::Wall => "budget.wall is used up",
        EndWhy::GpuHours => "budget.gpu_hours is used up",
        EndWhy::Person => "stopped by a person",
    }
}

/// A number with 4 significant digits.
pub(super) fn short(x: f64) -> String {
    format!("{x:.3e}").parse::<f64>().map_or_else(|_| x.to_string(), |rounded| rounded.to_string())
}

/// Why a run was told to stop.
pub(super) fn of_stop(why: StopWhy, evidence: Option<&Evidence>) -> String {
    match (why, evidence) {
        (StopWhy::Rule, Some(evidence)) => of_rule(evidence),
        (StopWhy::Rule, None) => "its stopping rule".to_owned(),
        (StopWhy::Diverged, _) => "ten values in a row were not finite".to_owned(),
        (StopWhy::Person, _) => "stopped by a person".to_owned(),
        (StopWhy::Budget, _) => "a budget was used up".to_owned(),
        (StopWhy::Paused, _) => "the sweep was paused".to_owned(),
        (StopWhy::Caller, _) => "stopped by its caller".to_owned(),
    }
}

/// The audit let a run go on that the rule condemned.
pub(super) fn of_spared(evidence: &Evidence) -> String {
    format!("let go on by early_terminate.audit: {}", of_rule(evidence))
}

/// What a rule found.
fn of_rule(e: &Evidence) -> String {
    let (value, threshold, rung, count) = (short(e.value), short(e.threshold), e.rung, e.count);
    let side = if e.value > e.threshold { "above" } else { "below" };
    let found = match e.rule.as_str() {
        "asha" => format!("{value} {side} {threshold} at step {rung}, of {count} runs that came there"),
        "median" => format!("{value} so far {side} {threshold}, the median of {count} others at step {rung}"),
        "percentile" => {
            format!("{value} so far {side} {threshold}, the limit of {count} others at step {rung}")
        }
        "threshold" if e.value.is_nan() => format!("NaN at step {rung}, where {threshold} is the limit"),
        "threshold" => format!("{value} {side} {threshold} at step {rung}"),
        "patience" if e.threshold > 0.0 => {
            format!("in {count} reports no gain of more than {threshold} on {value} of step {rung}")
        }
        "patience" => format!("in {count} reports no gain on {value} of step {rung}"),
        "curve" => {
            let chance = percent(e.chance.unwrap_or_default());
            format!(
                "on its way to {value}, the best has {threshold}: chance {chance} by {count} values, at step {rung}"
            )
        }
        _ => format!("{value} {side} {threshold} at value {rung}"),
    };
    format!("{}: {found}", e.rule)
}

fn percent(share: f64) -> String {
    if share < 0.001 { "under 0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// Why a trial waits, or how it ended. `stop`: what was said when its last run was told to stop.
pub(super) fn of_trial(
    view: &TrialView,
    definition: &Definition,
    stop: &str,
    ended: Option<&Ended>,
) -> String {
    match (&view.ended, &view.queued, &view.run) {
        (Some(how), _, _) => of_ending(*how, &missing(view, definition), stop, ended),
        (None, Some(queued), _) => match queued.waiting {
            Waiting::New => "waits for a slot".to_owned(),
            Waiting::Retried => "will be tried again".to_owned(),
            Waiting::Back(why) => of_return(why, ended),
        },
        (None, None, Some(run)) => of_run(run, stop),
        (None, None, None) => String::new(),
    }
}

fn of_run(run: &RunView, stop: &str) -> String {
    use crate::sweep::Phase;
    match &run.phase {
        Phase::Assigned => "waits for its agent to start it".to_owned(),
        Phase::Running(_) => String::new(),
        Phase::Stopping { .. } => format!("stopping: {stop}"),
    }
}

fn of_return(why: QueueWhy, ended: Option<&Ended>) -> String {
    let words = match (why, ended.map(|ended| &ended.exit)) {
        (QueueWhy::Crashed, _) => "crashed, and has retries left",
        (QueueWhy::Stopped, _) => "was sent back to the queue by a pause",
        (QueueWhy::Outside, _) => "was stopped from outside, and is tried again",
        (QueueWhy::Lost, _) => "its run was lost, and is tried again",
        (QueueWhy::NotStarted, Some(Exit::NotStartedHere { why })) => {
            return format!("the machine could not start it, and it is tried again: {why}");
        }
        (QueueWhy::NotStarted, _) => "the machine could not start it, and it is tried again",
    };
    words.to_owned()
}

/// The objectives that a trial has no value of, by name.
fn missing<'a>(view: &TrialView, definition: &'a Definition) -> Vec<&'a str> {
    let objectives = definition.objectives.iter().zip(&view.values);
    objectives.filter(|(_, value)| value.is_none()).map(|(objective, _)| objective.name.as_str()).collect()
}

fn of_ending(how: EndedHow, missing: &[&str], stop: &str, ended: Option<&Ended>) -> String {
    match how {
        EndedHow::Succeeded => String::new(),
        EndedHow::Stopped(why @ StopWhy::Caller) => of_stop(why, None),
        EndedHow::Stopped(_) => stop.to_owned(),
        EndedHow::Withdrawn(WithdrawWhy::SweepEnding) => "the sweep ended first".to_owned(),
        EndedHow::Withdrawn(WithdrawWhy::Person) => "withdrawn by a person".to_owned(),
        EndedHow::Failed(why) => of_failure(why, missing, ended),
    }
}

fn of_failure(why: FailWhy, missing: &[&str], ended: Option<&Ended>) -> String {
    match why {
        FailWhy::Code(code) => format!("exit code {code}"),
        FailWhy::Signal(signal) => format!("killed by signal {signal}"),
        FailWhy::NoObjective => {
            let told = ended.is_some_and(|ended| matches!(ended.exit, Exit::Told(_)));
            let (came, reported) =
                if told { ("told as succeeded", "told") } else { ("exit code 0", "reported") };
            match missing {
                [] => format!("{came}, but no objective was {reported}"),
                [one] => format!("{came}, but '{one}' was never {reported}"),
                several => format!("{came}, but '{}' were never {reported}", several.join("', '")),
            }
        }
        FailWhy::Diverged => "diverged: its values were not finite".to_owned(),
        FailWhy::Timeout => "ran into its timeout".to_owned(),
        FailWhy::NotStarted => match ended.map(|ended| &ended.exit) {
            Some(Exit::NotStarted { why }) => format!("could not be started: {why}"),
            Some(
                Exit::Code(_) | Exit::Signal(_) | Exit::NotStartedHere { .. } | Exit::Told(_) | Exit::Lost(_),
            )
            | None => "could not be started".to_owned(),
        },
        FailWhy::Infrastructure => "its run was lost for the 6th time".to_owned(),
        FailWhy::Told => "its caller said that it failed".to_owned(),
    }
}

/// Why the core ends a run that its agent may still have.
pub(super) fn of_loss(why: LostWhy) -> &'static str {
    crate::pb::lost(why)
}
