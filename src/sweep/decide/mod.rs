//! What a command means for a sweep. Changes nothing: the caller stores the events, then applies them. Start reading
//! here.
//!
//! ```text
//! command -> decide -> events -> the store -> apply -> due -> command -> decide ..
//! ```
//!
//! A command that was carried out already gives no events, and is no error (law L9).

mod assign;
mod change;
mod create;
mod end;
mod enqueue;
mod mark;
mod pause;
mod report;
mod retry;
mod run;
mod stop;
mod tell;

pub use create::create;
pub(super) use end::stops_runs;
pub use report::decide_report;
pub use tell::teller;

use crate::sweep::{Body, Command, EndWhy, Head, Refusal, State, SweepPhase};

/// The events that `command` gives, in their order; `head`: where the log stands.
pub fn decide(state: &State, command: &Command, head: Head) -> Result<Vec<Body>, Refusal> {
    match command {
        Command::Restore => Ok(end::restore(state)),
        Command::Started { run, fence, started } => run::started(state, *run, *fence, started),
        Command::Ended { run, fence, ended } => run::ended(state, *run, *fence, ended),
        Command::Lost { run, fence, why } => run::lost(state, *run, *fence, *why),
        Command::StopRun { run, then, why, evidence } => {
            stop::run(state, *run, *then, *why, evidence.as_ref())
        }
        Command::SpareRun { run, evidence } => stop::spare(state, *run, evidence),
        Command::Finish => end::finish(state),
        Command::Hide => Ok(end::hide(state)),
        _ if state.hidden => Err(Refusal::Hidden),
        Command::Pause { how, why } => pause::pause(state, *how, why),
        Command::Resume { home, keep_going } => pause::resume(state, home.as_ref(), *keep_going),
        Command::Stop => end::stop(state),
        Command::Change { patch, version } => change::change(state, patch, *version),
        Command::Enqueue { what, repeat } => enqueue::enqueue(state, what, *repeat),
        Command::Retry { trials } => retry::retry(state, trials),
        Command::StopTrial { trial } => stop::trial(state, *trial),
        Command::Annotate { trial, step, text } => mark::annotate(state, *trial, *step, text),
        Command::Tag { trial, add, remove } => mark::tag(state, *trial, add, remove),
        Command::Exclude { trial } => mark::exclude(state, *trial),
        Command::Include { trial } => mark::include(state, *trial),
        Command::Spent { budget, amount } => end::spent(state, *budget, *amount),
        Command::End { why } => end::end(state, *why),
        Command::Assign { trial, placements, lease, suggestion } => {
            let taker = assign::Taker { placements, lease: *lease };
            assign::assign(state, *trial, taker, suggestion.as_deref(), head)
        }
    }
}

/// The sweep's state does not allow it.
fn not_now(state: &State, asked: &'static str) -> Refusal {
    Refusal::SweepState { state: state.phase.word(), asked }
}

/// What brings a sweep that takes no new trials back to running, for a person who wants more of it. Refused where it
/// was stopped for good, or where a budget is used up.
fn more(state: &State, asked: &'static str) -> Result<Vec<Body>, Refusal> {
    if let Some((budget, spent, limit)) = state.budget_used() {
        return Err(Refusal::BudgetUsed { budget, spent, limit });
    }
    match &state.phase {
        SweepPhase::Running | SweepPhase::Paused { .. } => Ok(Vec::new()),
        SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(EndWhy::Person) => Err(not_now(state, asked)),
        SweepPhase::Ending(_) | SweepPhase::Ended(_) => {
            Ok(vec![Body::SweepResumed { home: None, keep_going: false }])
        }
    }
}
