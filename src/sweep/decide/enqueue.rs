//! A person's own trials: they run next, and raise `run_cap` where they pass it.

use crate::space::Assignment;
use crate::sweep::decide::more;
use crate::sweep::state::TRIALS;
use crate::sweep::{Body, Enqueued, Patch, Refusal, Source, State, Trial};

pub(super) fn enqueue(state: &State, what: &Enqueued, repeat: u32) -> Result<Vec<Body>, Refusal> {
    let wanted = assignments(state, what)?;
    let count = u32::try_from(wanted.len()).ok().and_then(|n| n.checked_mul(repeat));
    let count =
        count.and_then(|count| state.trial_count().checked_add(count)).filter(|count| *count <= TRIALS);
    let count = count.ok_or(Refusal::Limit { what: "trials in a sweep", limit: TRIALS.into() })?;
    let resumed = more(state, "given more to do")?;
    let mut bodies = Vec::new();
    let mut version = state.version;
    if state.definition.run_cap.is_some_and(|cap| cap < count) {
        version += 1;
        bodies.push(Body::SweepChanged { version, patch: vec![Patch::RunCap(Some(count))] });
    }
    bodies.extend(resumed);
    let each = wanted.iter().flat_map(|entry| std::iter::repeat_n(entry, repeat as usize));
    for (trial, (assignment, source)) in (state.next_trial().0..).zip(each) {
        bodies.push(Body::TrialProposed {
            trial: Trial(trial),
            assignment: assignment.clone(),
            source: *source,
            reason: None,
            basis: state.pos,
            version,
        });
    }
    Ok(bodies)
}

fn assignments(state: &State, what: &Enqueued) -> Result<Vec<(Assignment, Source)>, Refusal> {
    let space = &state.definition.space;
    match what {
        Enqueued::Assignments(assignments) => {
            let checked = |assignment: &Assignment| {
                let point = space.point(assignment)?;
                Ok((space.assignment(&point), Source::Enqueued))
            };
            assignments.iter().map(checked).collect()
        }
        Enqueued::From(of) => {
            let known = state.known(*of)?;
            Ok(vec![(space.assignment(&known.point), Source::Repeat { of: *of })])
        }
    }
}
