//! Suggestions of methods that learn: asked for when a slot waits for nothing else, one at a time a sweep, and taken when
//! they come, if they are for the next trial still. One that does not come in time is made without the models.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::keepers::{Answer, Task};
use crate::controller::pending::Output;
use crate::search::{Hindrance, Problem, Reason, random};
use crate::spec::Definition;
use crate::sweep::{
    Command, EndWhy, Offer, Pos, Question, Suggestion, SweepId, SweepPhase, Trial, lacks_suggestion,
};

/// How long a method may think.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the shell keeps of a sweep's search.
#[derive(Debug, Default)]
pub(super) struct Model {
    asked: Option<Asked>,
    pub(super) suggestion: Option<Box<Suggestion>>,
    /// Of this version of the definition.
    search: Option<(u32, Arc<Definition>, Arc<Problem>)>,
}

/// A question that is with a keeper.
#[derive(Debug)]
struct Asked {
    number: u64,
    since: Instant,
    trial: Trial,
    basis: Pos,
    version: u32,
}

impl Model {
    /// When the method has thought for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.since + PATIENCE)
    }
}

impl Core {
    /// Asks the sweep's keeper, if this offer waits for that alone.
    pub(super) fn ask_for_suggestion(&mut self, id: SweepId, offer: &Offer, now: Now) {
        let Some(loaded) = self.sweeps.get_mut(&id) else { return };
        let model = &mut loaded.model;
        if model.asked.is_some() || !lacks_suggestion(&loaded.state, offer) {
            return;
        }
        model.suggestion = None;
        if !loaded.state.wants_suggestion() {
            return;
        }
        let question = loaded.state.question();
        if model.search.as_ref().is_none_or(|(version, ..)| *version != question.version) {
            let definition = Arc::new(loaded.state.definition().clone());
            model.search = Some((question.version, definition, Arc::new(loaded.state.problem())));
        }
        let Some((_, definition, problem)) = &model.search else { return };
        self.questions += 1;
        let number = self.questions;
        let Question { trial, basis, version, .. } = question;
        model.asked = Some(Asked { number, since: now.mono, trial, basis, version });
        self.pending.outputs.push(Output::Think(Task {
            sweep: id,
            number,
            definition: Arc::clone(definition),
            problem: Arc::clone(problem),
            question: Box::new(question),
        }));
    }

    /// A keeper has answered; one that was given up is not listened to.
    pub(super) fn suggested(&mut self, id: SweepId, number: u64, answer: Answer, now: Now) {
        let Some(loaded) = self.sweeps.get_mut(&id) else { return };
        if loaded.model.asked.as_ref().is_none_or(|asked| asked.number != number) {
            return;
        }
        loaded.model.asked = None;
        match answer {
            Ok(Some(suggestion)) => {
                loaded.model.suggestion = Some(suggestion);
                self.dirty.insert(id);
            }
            Ok(None) if *loaded.state.phase() == SweepPhase::Running => {
                let end = Command::End { why: EndWhy::SpaceUsedUp };
                let who = self.itself();
                self.carry_out(id, &end, &who, now);
            }
            Ok(None) => {}
            Err(fault) => drop(self.fault(id, &format!("the search failed: {fault}"), now)),
        }
    }

    /// Methods that have thought for too long are answered for.
    pub(super) fn give_up_thinking(&mut self, now: Now) {
        for (id, loaded) in &mut self.sweeps {
            if loaded.model.deadline().is_none_or(|deadline| deadline > now.mono) {
                continue;
            }
            let Some(Asked { trial, basis, version, .. }) = loaded.model.asked.take() else { continue };
            tracing::warn!(sweep = %id, "the method took too long: this trial is drawn at random");
            let point = random(&loaded.state.definition().space, loaded.state.seed(), trial.0);
            let reason = Reason::Fallback { why: Hindrance::Slow };
            loaded.model.suggestion =
                Some(Box::new(Suggestion { trial, point, reason, fit: None, basis, version }));
            self.dirty.insert(*id);
        }
    }

    /// An order for a new trial carries what was suggested for it.
    pub(super) fn with_suggestion(&mut self, id: SweepId, command: Command) -> Command {
        match command {
            Command::Assign { trial: None, placements, lease, suggestion: None } => {
                let suggestion = self.sweeps.get_mut(&id).and_then(|loaded| loaded.model.suggestion.take());
                Command::Assign { trial: None, placements, lease, suggestion }
            }
            other => other,
        }
    }
}
