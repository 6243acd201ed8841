//! A sweep in a test: the state, its log, and short words for what happens to it.
//!
//! Every step folds the entries in, settles `due`, and checks the invariants.

use serde_json::json;

use crate::search::History;
use crate::spec::Definition;
pub(super) use crate::sweep::LogEntry as Entry;
use crate::sweep::{
    Actor, Body, Command, Creation, Ended, Event, Exit, Fence, Head, Incoming, Lease, Lesson, Offer,
    Placement, Pos, Question, Refusal, Run, Started, State, Suggestion, SweepId, Timestamp, Told, Trial,
    create, decide, decide_report, due, engine, lacks_suggestion,
};

/// One sweep and its log.
#[derive(Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) log: Vec<Entry>,
    pub(super) parallel: u32,
    next: u64,
}

/// A definition with the objective `loss`, minimized, and 4 x 5 points; `more` is laid over it.
pub(super) fn definition(more: serde_json::Value) -> Definition {
    let mut whole = json!({
        "name": "test", "command": ["train"], "method": "random", "grace": 30.0, "objectives": [{"name": "loss"}],
        "space": [
            {"path": ["lr"], "distribution": {"categorical": {"values": [0.1, 0.2, 0.3, 0.4]}}},
            {"path": ["width"], "distribution": {"int_uniform": {"min": 1, "max": 5}}},
        ],
    });
    let (Some(whole_map), serde_json::Value::Object(more)) = (whole.as_object_mut(), more) else {
        panic!("a definition is a mapping")
    };
    whole_map.extend(more);
    serde_json::from_value(whole).expect("the test's definition is one")
}

/// How the process ended, all else as in the plainest run.
pub(super) fn ended(exit: Exit) -> Ended {
    Ended {
        exit,
        signalled: false,
        killed: false,
        timed_out: false,
        reports: 0,
        last_seq: 0,
        digest: String::new(),
        wall_ms: 1000,
        cpu_ms: 900,
        peak_memory: 0,
        gpus: 0,
        tail: None,
        notes: Vec::new(),
    }
}

impl World {
    pub(super) fn new(more: serde_json::Value) -> Self {
        Self::with_lessons(definition(more), Vec::new())
    }

    pub(super) fn with_lessons(definition: Definition, lessons: Vec<Lesson>) -> Self {
        let body = create(Creation {
            definition,
            file: None,
            env: None,
            notes: None,
            project: "vision".to_owned(),
            seed: 7,
            home: None,
            paused: false,
            keep_going: false,
            origin: None,
            lessons,
        })
        .expect("the definition makes a sweep");
        let first = event(1, 1, body);
        let state = State::begin(SweepId::from_bits(5), &first).expect("a created sweep begins");
        World { state, log: vec![Entry::Event(Box::new(first))], parallel: 1, next: 2 }
    }

    pub(super) fn head(&self) -> Head {
        Head { epoch: 3, next: Pos(self.next) }
    }

    fn take(&mut self, bodies: Vec<Body>) {
        for body in bodies {
            let event = event(self.next, self.state.n() + 1, body);
            self.next += 1;
            self.state.apply(&event).expect("a decided event fits");
            self.log.push(Entry::Event(Box::new(event)));
        }
        self.state.check().expect("the invariants hold");
    }

    /// Carries a command out and all that follows from it but placements.
    pub(super) fn command(&mut self, command: Command) -> Result<Vec<Body>, Refusal> {
        let bodies = decide(&self.state, &command, self.head())?;
        self.take(bodies.clone());
        self.settle();
        Ok(bodies)
    }

    pub(super) fn ok(&mut self, command: Command) -> Vec<Body> {
        self.command(command).expect("the command is carried out")
    }

    pub(super) fn settle(&mut self) {
        while let Some(next) = self.due(None) {
            self.follow(&next);
        }
        self.state.settle();
    }

    /// `due`, which must find what a look at everything finds.
    fn due(&self, offer: Option<&Offer>) -> Option<Command> {
        let mut whole = self.state.clone();
        whole.touch_all();
        let found = due(&self.state, offer);
        // by their words: NaN, which a rule may stop for, equals itself there
        let (ours, full) = (format!("{found:?}"), format!("{:?}", due(&whole, offer)));
        assert_eq!(ours, full, "what was touched is not all that was due");
        found
    }

    fn follow(&mut self, next: &Command) -> Vec<Body> {
        let bodies = decide(&self.state, next, self.head()).expect("what is due can be done");
        assert!(!bodies.is_empty(), "{next:?} changes nothing");
        self.take(bodies.clone());
        bodies
    }

    pub(super) fn offer(&self) -> Offer {
        let placement = Placement { agent: "a".into(), machine: "m".into(), ..Placement::default() };
        Offer { placements: vec![placement], parallel: self.parallel, ..Offer::default() }
    }

    /// A caller asks for a trial.
    pub(super) fn ask(&mut self) -> Option<Run> {
        let lease = Some(Lease { ms: 1000, request: Pos(self.next) });
        let offer = Offer { lease, ..Offer::default() };
        self.place_with(&offer)
    }

    /// The caller of a run ends it.
    pub(super) fn tell(&mut self, run: Run, told: Told) {
        self.end(run, ended(Exit::Told(told)));
    }

    /// Offers a slot; the run that took it.
    pub(super) fn place_with(&mut self, offer: &Offer) -> Option<Run> {
        let suggestion = lacks_suggestion(&self.state, offer).then(|| self.suggestion()).flatten();
        let offer = Offer { has_suggestion: suggestion.is_some(), ..offer.clone() };
        let next = match self.due(Some(&offer))? {
            Command::Assign { trial: None, placements, lease, .. } => {
                Command::Assign { trial: None, placements, lease, suggestion }
            }
            other => other,
        };
        let bodies = self.follow(&next);
        self.settle();
        bodies.iter().find_map(|body| match body {
            Body::RunAssigned { run, .. } => Some(*run),
            _ => None,
        })
    }

    /// What the method proposes next, by an engine that is new; none: the space is used up.
    fn suggestion(&self) -> Option<Box<Suggestion>> {
        let Question { trial, basis, version, fit, observations, pending } = self.state.question();
        let mut engine = engine(self.state.definition(), &self.state.problem()).expect("the method can be");
        fit.into_iter().for_each(|fit| engine.record(fit));
        let history = History { observations: &observations, pending: &pending };
        let proposed = engine.propose(trial.0, &history).ok()?;
        let (point, reason, fit) = (proposed.proposal.point, proposed.proposal.reason, proposed.fit);
        Some(Box::new(Suggestion { trial, point, reason, fit, basis, version }))
    }

    pub(super) fn place(&mut self) -> Option<Run> {
        self.place_with(&self.offer())
    }

    pub(super) fn fence(&self, run: Run) -> Fence {
        self.state.live_run(run.trial).expect("the run is live").fence
    }

    pub(super) fn start(&mut self, run: Run) {
        let fence = self.fence(run);
        let started = Box::new(Started { nonce: format!("nonce {run}"), ..Started::default() });
        self.ok(Command::Started { run, fence, started });
    }

    /// Places a run and starts it.
    pub(super) fn running(&mut self) -> Run {
        let run = self.place().expect("a slot is taken");
        self.start(run);
        run
    }

    pub(super) fn report_as(&mut self, incoming: &Incoming) -> Result<bool, Refusal> {
        let taken = decide_report(&self.state, incoming, self.head())?;
        self.take(taken.named);
        if let Some(report) = &taken.report {
            assert_eq!(report.pos, Pos(self.next));
            self.next += 1;
            self.state.apply_report(report).expect("a decided report fits");
            self.log.push(Entry::Report(report.clone()));
        }
        self.state.check().expect("the invariants hold");
        self.settle();
        Ok(taken.report.is_some())
    }

    pub(super) fn incoming(&self, run: Run, step: i64, values: &[(&str, f64)]) -> Incoming {
        let seq = self.state.live_run(run.trial).map_or(1, |live| live.seq + 1);
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let fence = self.fence(run);
        Incoming { run, fence, seq, step: Some(step), at: Timestamp(0), values, source: 0 }
    }

    pub(super) fn report(&mut self, run: Run, step: i64, values: &[(&str, f64)]) {
        let incoming = self.incoming(run, step, values);
        self.report_as(&incoming).expect("the report is taken");
    }

    pub(super) fn losses(&mut self, run: Run, losses: &[f64]) {
        for (step, loss) in losses.iter().enumerate() {
            if self.state.live_run(run.trial).is_some() {
                self.report(run, step as i64, &[("loss", *loss)]);
            }
        }
    }

    pub(super) fn end(&mut self, run: Run, ended: Ended) {
        let fence = self.fence(run);
        self.ok(Command::Ended { run, fence, ended: Box::new(ended) });
    }

    pub(super) fn exit(&mut self, run: Run, code: i32) {
        self.end(run, ended(Exit::Code(code)));
    }

    /// What the runner says when its stop went through.
    pub(super) fn end_signalled(&mut self, run: Run) {
        self.end(run, Ended { signalled: true, ..ended(Exit::Signal(15)) });
    }

    pub(super) fn shown(&self, trial: u32) -> &'static str {
        self.state.trial_view(Trial(trial)).expect("the trial exists").shown.word()
    }

    /// The log folded again; reports of trials that are final now only if `all`.
    pub(super) fn folded(&self, all: bool) -> State {
        let Some(Entry::Event(first)) = self.log.first() else { panic!("a log begins with an event") };
        let mut state = State::begin(self.state.id(), first).expect("the log begins");
        for entry in &self.log[1..] {
            match entry {
                Entry::Event(event) => state.apply(event).expect("the log folds"),
                Entry::Report(report) if all || self.state.needs_reports(report.run.trial) => {
                    state.apply_report(report).expect("the log folds");
                }
                Entry::Report(_) => {}
            }
        }
        state.check().expect("the invariants hold");
        state
    }

    /// I7, both ways.
    pub(super) fn assert_folds(&self) {
        assert_eq!(self.folded(true).hash(), self.state.hash(), "a fold of everything");
        assert_eq!(self.folded(false).hash(), self.state.hash(), "a fold by marks");
    }
}

fn event(pos: u64, n: u64, body: Body) -> Event {
    Event { pos: Pos(pos), n, at: Timestamp(pos as i64 * 1000), actor: Actor(1), body }
}
