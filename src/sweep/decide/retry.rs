//! Final trials are queued again: new attempts of the same assignments.

use std::collections::BTreeSet;

use crate::sweep::decide::more;
use crate::sweep::{Body, Refusal, RetryWhy, State, Trial};

pub(super) fn retry(state: &State, trials: &[Trial]) -> Result<Vec<Body>, Refusal> {
    let trials: BTreeSet<Trial> = trials.iter().copied().collect();
    for trial in &trials {
        let known = state.known(*trial)?;
        if known.ending().is_none_or(|shown| shown == crate::sweep::Shown::Succeeded) {
            return Err(Refusal::TrialState { trial: *trial, state: known.shown().word(), asked: "retried" });
        }
    }
    if trials.is_empty() {
        return Ok(Vec::new());
    }
    let mut bodies = more(state, "given more to do")?;
    // a resume brings back by itself what the ending withdrew
    let back = |trial: &Trial| !bodies.is_empty() && state.withdrawn.contains(trial);
    let retried: Vec<Body> = trials
        .iter()
        .filter(|trial| !back(trial))
        .map(|trial| Body::TrialRetried { trial: *trial, why: RetryWhy::Person })
        .collect();
    bodies.extend(retried);
    Ok(bodies)
}
