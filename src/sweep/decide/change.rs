//! `sweep set`: what may change while a sweep exists.
//!
//! A raised limit brings a sweep that ended by it back to running; one that a person stopped never comes back, so only
//! what people read of it may change.

use std::time::Duration;

use crate::sweep::decide::mark::check_tags;
use crate::sweep::decide::not_now;
use crate::sweep::{Body, EndWhy, Patch, Refusal, State, SweepPhase};

pub(super) fn change(state: &State, patch: &[Patch], version: Option<u32>) -> Result<Vec<Body>, Refusal> {
    if let Some(given) = version.filter(|given| *given != state.version) {
        return Err(Refusal::Changed { given, current: state.version });
    }
    patch.iter().try_for_each(check)?;
    let patch: Vec<Patch> = patch.iter().filter(|patch| !holds(state, patch)).cloned().collect();
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let stopped =
        matches!(state.phase, SweepPhase::Ending(EndWhy::Person) | SweepPhase::Ended(EndWhy::Person));
    if stopped && !patch.iter().all(is_for_people) {
        return Err(not_now(state, "changed"));
    }
    let resumes = lifts_the_end(state, &patch);
    let mut bodies = vec![Body::SweepChanged { version: state.version + 1, patch }];
    if resumes {
        bodies.push(Body::SweepResumed { home: None, keep_going: false });
    }
    Ok(bodies)
}

fn is_for_people(patch: &Patch) -> bool {
    matches!(patch, Patch::Name(_) | Patch::Tags(_) | Patch::Notes(_))
}

/// Whether it is so already.
fn holds(state: &State, patch: &Patch) -> bool {
    let definition = &state.definition;
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    match patch {
        Patch::Name(name) => definition.name == *name,
        Patch::Parallel(parallel) => definition.parallel == *parallel,
        Patch::RunCap(cap) => definition.run_cap == *cap,
        Patch::GpuHours(hours) => definition.gpu_hours == *hours,
        Patch::Wall(wall) => seconds(definition.wall) == *wall,
        Patch::Retries(retries) => definition.retries == *retries,
        Patch::Timeout(timeout) => seconds(definition.timeout) == *timeout,
        Patch::Priority(priority) => definition.priority == *priority,
        Patch::Tags(tags) => state.tags == *tags,
        Patch::Notes(notes) => state.notes == *notes,
    }
}

/// Whether what ended the sweep, or is ending it, does not hold any more.
fn lifts_the_end(state: &State, patch: &[Patch]) -> bool {
    let (SweepPhase::Ending(why) | SweepPhase::Ended(why)) = &state.phase else { return false };
    let above = |limit: Option<f64>, used: Option<f64>| {
        limit.is_none_or(|limit| used.is_some_and(|used| used < limit))
    };
    patch.iter().any(|patch| match (why, patch) {
        (EndWhy::RunCap, Patch::RunCap(cap)) => cap.is_none_or(|cap| cap > state.trial_count()),
        (EndWhy::Wall, Patch::Wall(limit)) => above(*limit, state.spent.wall),
        (EndWhy::GpuHours, Patch::GpuHours(limit)) => above(*limit, state.spent.gpu_hours),
        _ => false,
    })
}

fn check(patch: &Patch) -> Result<(), Refusal> {
    let refuse = |what, given: String, allowed| Err(Refusal::OutOfRange { what, given, allowed });
    let duration = |what, seconds: f64| match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() => Ok(()),
        Ok(_) | Err(_) => refuse(what, format!("{seconds}s"), "a duration above 0"),
    };
    match patch {
        Patch::Name(name) => {
            let length = name.chars().count();
            let fine = (1..=200).contains(&length) && !name.chars().any(char::is_control);
            if fine {
                Ok(())
            } else {
                refuse("name", format!("{name:?}"), "1 to 200 characters, no control characters")
            }
        }
        Patch::Parallel(Some(0)) => refuse("parallel", "0".into(), "1 or more"),
        Patch::RunCap(Some(0)) => refuse("run_cap", "0".into(), "1 or more"),
        Patch::GpuHours(Some(hours)) if !hours.is_finite() || *hours <= 0.0 => {
            refuse("budget.gpu_hours", hours.to_string(), "a finite number above 0")
        }
        Patch::Wall(Some(seconds)) => duration("budget.wall", *seconds),
        Patch::Timeout(Some(seconds)) => duration("timeout", *seconds),
        Patch::Tags(tags) => check_tags(tags),
        Patch::Parallel(_)
        | Patch::RunCap(_)
        | Patch::GpuHours(_)
        | Patch::Wall(None)
        | Patch::Timeout(None)
        | Patch::Retries(_)
        | Patch::Priority(_)
        | Patch::Notes(_) => Ok(()),
    }
}
