//! The hash of a state: what two folds of one log must agree in, and every later release with this one.
//!
//! Taken over a written-out form of its own, not over the structs, so that these may change. Left out: positions in the
//! store, when things happened, and what only saves work (`touched`, the queue, the counts).

use blake3::Hasher;
use serde::Serialize;

use crate::sweep::state::{EarlyEnds, SweepPhase};
use crate::sweep::trial::{Kept, Phase, Status, TrialState, Waiting};
use crate::sweep::{State, Trial};

/// Of the written-out form: a change of it is a new number.
const FORM: &str = "swath state 1";

impl State {
    /// The hash of everything that decisions depend on, in hex.
    pub fn hash(&self) -> String {
        let mut form = Form(Hasher::new());
        form.field("form", FORM);
        self.write_sweep(&mut form);
        for (number, trial) in (1..).map(Trial).zip(&self.trials) {
            form.field("trial", &number);
            form.field("rule", &self.rule.as_ref().and_then(|rule| rule.marks(number.0)));
            self.write_trial(&mut form, trial);
        }
        form.0.finalize().to_hex().to_string()
    }

    fn write_sweep(&self, form: &mut Form) {
        form.field("sweep", &(self.birth.id, self.birth.seed, self.n, self.version, self.hidden));
        let definition = &self.definition;
        form.field("definition", &(&self.birth.definition_hash, &definition.name, definition.priority));
        form.field("caps", &(definition.run_cap, definition.parallel, definition.retries));
        form.field("times", &(definition.gpu_hours, definition.wall, definition.timeout));
        form.field("people", &(&self.home, &self.tags, &self.notes));
        match &self.phase {
            SweepPhase::Running => form.field("running", &()),
            SweepPhase::Paused { how, why } => form.field("paused", &(how, why)),
            SweepPhase::Ending(why) => form.field("ending", why),
            SweepPhase::Ended(why) => form.field("ended", why),
        }
        match &self.early {
            EarlyEnds::Alike { trials, how } => form.field("early", &(trials, how)),
            EarlyEnds::Settled => form.field("early", &()),
        }
        let usage = &self.usage;
        form.field("usage", &(usage.runs, usage.reports, usage.wall_ms, usage.cpu_ms, usage.gpu_ms));
        form.field(
            "limits",
            &(self.failed_starts, self.spent.wall, self.spent.gpu_hours, self.target_waived),
        );
        form.field("names", &self.metrics.names());
        form.field("target", &self.at_target);
        form.field("best", &self.best());
        if self.definition.objectives.len() > 1 {
            form.field("front", &self.front);
        }
        if let Some(fit) = &self.fit {
            form.field("fit", fit);
        }
        form.field("proposals", &(self.proposals.starts(), self.proposals.given()));
    }

    fn write_trial(&self, form: &mut Form, trial: &TrialState) {
        form.field("assignment", &self.definition.space.assignment(&trial.point));
        form.field("source", &trial.source);
        form.field("counts", &(trial.attempt, trial.crashes, trial.losses, trial.excluded, &trial.tags));
        if trial.spared {
            form.field("spared", &true);
        }
        form.field("past", &trial.past.map(|past| (past.fence, past.seq)));
        match &trial.status {
            Status::Queued(Waiting::New) => form.field("queued", "new"),
            Status::Queued(Waiting::Back(why)) => form.field("queued", why),
            Status::Queued(Waiting::Retried) => form.field("queued", "retried"),
            Status::Running(live) => {
                form.field("live", &(live.fence, live.seq, live.reports));
                let places = live.placements.iter().map(|placement| (&placement.agent, &placement.machine));
                form.field("places", &places.collect::<Vec<_>>());
                if let Some(lease) = &live.lease {
                    form.field("lease", &lease.ms);
                }
                match &live.phase {
                    Phase::Assigned => form.field("assigned", &()),
                    Phase::Running(nonce) => form.field("running", nonce),
                    Phase::Stopping { nonce, then, why } => form.field("stopping", &(nonce, then, why)),
                }
            }
            Status::Succeeded => form.field("succeeded", &()),
            Status::Stopped(why) => form.field("stopped", why),
            Status::Withdrawn(why) => form.field("withdrawn", why),
            Status::Failed(why) => form.field("failed", why),
        }
        match &trial.kept {
            Kept::Marks(marks) => form.field("marks", marks),
            Kept::Curve(curve) => curve.write(&self.watched, |name, numbers| form.numbers(name, numbers)),
        }
    }
}

struct Form(Hasher);

impl Form {
    /// A named field as JSON; its length keeps neighbours apart.
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let json = serde_json::to_vec(value).expect("what is hashed has text keys only");
        self.bytes(name, &json);
    }

    /// Numbers bit for bit: JSON has no NaN.
    fn numbers(&mut self, name: &str, numbers: &[f64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
        self.bytes(name, &bytes);
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }
}
