//! Metrics of a run: which names are new, what is stored.

use crate::sweep::decide::run::{Sender, sender};
use crate::sweep::metrics::allowed;
use crate::sweep::{Body, Head, Incoming, Refusal, Report, State, Taken};

/// What is stored of a run's report: nothing if it was stored before.
pub fn decide_report(state: &State, incoming: &Incoming, head: Head) -> Result<Taken, Refusal> {
    let known = match sender(state, incoming.run, incoming.fence)? {
        Sender::Live(_, live) => incoming.seq <= live.seq,
        Sender::Past(past) if incoming.seq > past.seq => return Err(Refusal::RunOver { run: incoming.run }),
        Sender::Past(_) => true,
    };
    if known {
        return Ok(Taken::default());
    }
    let (names, values) = resolve(state, &incoming.values);
    let left_out = u32::try_from(incoming.values.len() - values.len()).unwrap_or(u32::MAX);
    let report = (!values.is_empty()).then(|| Report {
        pos: head.pos(names.len()),
        run: incoming.run,
        seq: incoming.seq,
        step: incoming.step,
        at: incoming.at,
        values,
        source: incoming.source,
    });
    let named =
        (state.metrics.next()..).zip(names).map(|(id, name)| Body::MetricNamed { id, name }).collect();
    Ok(Taken { named, report, left_out })
}

/// The names that are new, and the values that are kept, by id.
fn resolve(state: &State, values: &[(String, f64)]) -> (Vec<String>, Vec<(u32, f64)>) {
    let mut names: Vec<String> = Vec::new();
    let mut kept = Vec::with_capacity(values.len());
    for (name, value) in values {
        let fresh = names.iter().position(|new| new == name).map(|at| state.metrics.next() + at as u32);
        if let Some(id) = state.metrics.id(name).or(fresh) {
            kept.push((id, *value));
        } else if allowed(name) && (state.metrics.has_room(names.len()) || state.watched.wants(name)) {
            kept.push((state.metrics.next() + names.len() as u32, *value));
            names.push(name.clone());
        }
    }
    (names, kept)
}
