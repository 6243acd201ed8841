//! Makes the proposals of a log again: each from the entry that it was made from, by an engine that is new.
//!
//! An assignment that people gave is not a proposal; everything else must come out the same, bit for bit.

use std::collections::BTreeMap;

use crate::search::{Engine, Fit, Hindrance, History, Reason, random};
use crate::space::Assignment;
use crate::sweep::{Body, Damaged, Event, Pos, Question, Report, Source, State, SweepId, Trial, engine};

/// A proposal that came out otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Differs {
    #[allow(missing_docs)]
    pub trial: Trial,
    #[allow(missing_docs)]
    pub pos: Pos,
    #[allow(missing_docs)]
    pub stored: Assignment,
    /// None: there was nothing to propose.
    pub again: Option<Assignment>,
    /// Whether it is the same point, and only why it was chosen, or the fit behind it, is another.
    pub same_point: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearsed {
    /// Proposals that were made again.
    pub proposals: u64,
    /// Those that came out otherwise.
    pub differ: Vec<Differs>,
}

/// An entry of a sweep's log.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum LogEntry {
    Event(Box<Event>),
    Report(Report),
}

impl LogEntry {
    fn pos(&self) -> Pos {
        match self {
            LogEntry::Event(event) => event.pos,
            LogEntry::Report(report) => report.pos,
        }
    }
}

/// A proposal as it is stored.
struct Stored<'a> {
    trial: Trial,
    pos: Pos,
    assignment: &'a Assignment,
    reason: &'a Reason,
    fit: Option<&'a Fit>,
}

/// Makes every proposal of a sweep's log again; all its entries, in order.
///
/// # Errors
///
/// The log does not fold.
pub fn rehearse(id: SweepId, log: &[LogEntry]) -> Result<Rehearsed, Damaged> {
    let suggested = suggested(log);
    let mut found = Rehearsed::default();
    let (mut state, mut kept): (Option<State>, Option<(u32, Engine)>) = (None, None);
    for entry in log {
        match (entry, &mut state) {
            (LogEntry::Event(first), None) => state = Some(State::begin(id, first)?),
            (LogEntry::Event(event), Some(state)) => {
                found.check_plain(state, event);
                state.apply(event)?;
            }
            (LogEntry::Report(report), Some(state)) => state.apply_report(report)?,
            (LogEntry::Report(_), None) => {}
        }
        if let (Some(stored), Some(state)) = (suggested.get(&entry.pos()), &state) {
            found.check_suggested(state, stored, &mut kept);
        }
    }
    Ok(found)
}

/// Proposals of methods that learn, by the entry that they were made from.
fn suggested(log: &[LogEntry]) -> BTreeMap<Pos, Stored<'_>> {
    let mut found = BTreeMap::new();
    let mut fitted: Option<(Pos, &Fit)> = None;
    for entry in log {
        let LogEntry::Event(event) = entry else { continue };
        match &event.body {
            Body::ModelFitted { fit, basis } => fitted = Some((*basis, fit)),
            Body::TrialProposed { trial, assignment, reason: Some(reason), basis, .. } => {
                let fit = fitted.filter(|(of, _)| of == basis).map(|(_, fit)| fit);
                let (trial, pos) = (*trial, event.pos);
                found.insert(*basis, Stored { trial, pos, assignment, reason, fit });
            }
            _ => {}
        }
    }
    found
}

impl Rehearsed {
    /// One that needed nobody's suggestion.
    fn check_plain(&mut self, state: &State, event: &Event) {
        let Body::TrialProposed { trial, assignment, source, reason: None, .. } = &event.body else { return };
        if !matches!(source, Source::Start | Source::Random | Source::Grid { .. }) {
            return;
        }
        self.proposals += 1;
        let again = state.proposals.next(&state.definition, state.birth.seed, *trial);
        let same = again.as_ref().is_some_and(|(again, from)| again == assignment && from == source);
        if !same {
            let again = again.map(|(again, _)| again);
            let same_point = again.as_ref() == Some(assignment);
            let stored = assignment.clone();
            self.differ.push(Differs { trial: *trial, pos: event.pos, stored, again, same_point });
        }
    }

    fn check_suggested(&mut self, state: &State, stored: &Stored<'_>, kept: &mut Option<(u32, Engine)>) {
        self.proposals += 1;
        let again = again(state, stored, kept);
        let same = again.as_ref().is_some_and(|(assignment, reason, fit)| {
            assignment == stored.assignment && reason == stored.reason && fit.as_ref() == stored.fit
        });
        if !same {
            let again = again.map(|(assignment, ..)| assignment);
            let same_point = again.as_ref() == Some(stored.assignment);
            let (trial, pos, stored) = (stored.trial, stored.pos, stored.assignment.clone());
            self.differ.push(Differs { trial, pos, stored, again, same_point });
        }
    }
}

fn again(
    state: &State,
    stored: &Stored<'_>,
    kept: &mut Option<(u32, Engine)>,
) -> Option<(Assignment, Reason, Option<Fit>)> {
    let space = &state.definition.space;
    if let Reason::Fallback { why: Hindrance::Slow } = stored.reason {
        // Nobody knows how slow it was; what was done instead is known.
        let point = random(space, state.birth.seed, stored.trial.0);
        return Some((space.assignment(&point), stored.reason.clone(), None));
    }
    let Question { trial, version, fit, observations, pending, .. } = state.question();
    if kept.as_ref().is_none_or(|(of, _)| *of != version) {
        *kept = Some((version, engine(&state.definition, &state.problem()).ok()?));
    }
    let (_, engine) = kept.as_mut()?;
    if let Some(fit) = fit {
        engine.record(fit);
    }
    let history = History { observations: &observations, pending: &pending };
    let proposed = engine.propose(trial.0, &history).ok()?;
    Some((space.assignment(&proposed.proposal.point), proposed.proposal.reason, proposed.fit))
}
