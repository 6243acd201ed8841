//! People in the simulation: what they ask for, under which id, and what they were told.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::controller::handle::{Answer, Call, Message};
use crate::controller::{Refused, RefusedKind};
use crate::pb;
use crate::sweep::{PauseWhy, SweepId, SweepPhase};

use super::world::World;

/// A request and what became of it.
#[derive(Debug)]
pub(super) struct Issued {
    call: Call,
    answer: Option<oneshot::Receiver<Result<Answer, Refused>>>,
    pub(super) told: Option<Result<Answer, Refused>>,
}

impl Issued {
    /// The answer, if it came; none will come after the controller was killed.
    pub(super) fn note_silence(&mut self) {
        if let Some(mut answer) = self.answer.take() {
            self.told = answer.try_recv().ok();
        }
    }
}

const FILES: [&str; 7] = [
    "method: grid\nprogram: t.py\nparallel: 2\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {values: [1, 2, 3, 4, 5]}\n",
    "method: random\nprogram: t.py\nparallel: 3\nrun_cap: 6\nretries: 1\nmetric: {name: loss, goal: minimize}\nearly_terminate: {type: hyperband, min_iter: 1, eta: 2}\non_silence: {replace_after: 1m}\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
    "method: random\nprogram: t.py\nrun_cap: 4\nretries: 2\nbudget: {wall: 2h}\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
    "method: grid\nprogram: t.py\nparallel: 1\nresources: {gpus: 0}\non_silence: {replace_after: never}\nmetric: {name: acc, goal: maximize}\nparameters:\n  x: {values: [1, 2]}\n  y: {values: [a, b]}\n",
    "method: random\nprogram: t.py\nparallel: 3\nrun_cap: 8\nmetric: {name: loss, goal: minimize}\nearly_terminate: {type: asha, min_iter: 1, eta: 2, audit: 0.3}\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
    "method: tpe\nprogram: t.py\nparallel: 3\nrun_cap: 12\nretries: 1\nmetric: {name: loss, goal: minimize}\nearly_terminate: {type: median, min_iter: 1, startup: 2}\nparameters:\n  x: {min: 0.0, max: 1.0}\n  y: {values: [a, b]}\n",
    "method: bayes\nprogram: t.py\nparallel: 2\nrun_cap: 7\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {min: 0.0, max: 1.0}\n  y: {values: [a, b]}\n",
];

pub(super) fn creation(request_id: String, file: &str, home: &str) -> Call {
    Call::CreateSweep(pb::CreateSweepRequest {
        request_id,
        file: file.into(),
        path: "sweep.yaml".into(),
        home: home.into(),
        ..Default::default()
    })
}

impl World {
    /// Sends a request, and commits. Returns its number.
    pub(super) fn ask(&mut self, call: Call) -> usize {
        self.issued.push(Issued { call, answer: None, told: None });
        self.send_again(self.issued.len() - 1);
        self.issued.len() - 1
    }

    fn send_again(&mut self, number: usize) {
        let (reply, answer) = oneshot::channel();
        let call = self.issued[number].call.clone();
        self.put(vec![Message::Ask { call, actor: "ann".into(), reply }]);
        self.issued[number].answer = Some(answer);
        self.hear_answers();
    }

    /// What a request was told, if anything yet.
    pub(super) fn told(&self, number: usize) -> Option<&Result<Answer, Refused>> {
        self.issued[number].told.as_ref()
    }

    pub(super) fn hear_answers(&mut self) {
        for issued in &mut self.issued {
            let Some(answer) = &mut issued.answer else { continue };
            let Ok(told) = answer.try_recv() else { continue };
            issued.answer = None;
            match (&issued.told, &told) {
                (Some(Ok(before)), Ok(now)) => {
                    assert_eq!(essence(before), essence(now), "F32: the first answer")
                }
                // Nothing is looked up on a full disk; the first answer stays.
                (Some(Ok(_)), Err(refused)) if refused.kind == RefusedKind::ResourceExhausted => continue,
                (Some(Ok(_)), Err(refused)) => panic!("F32: carried out, then refused: {refused:?}"),
                _ => {}
            }
            if let Ok(Answer::CreateSweep(pb::CreateSweepResponse { sweep: Some(sweep), .. })) = &told {
                let id = sweep.sweep.parse().unwrap();
                if !self.sweeps.contains(&id) {
                    self.sweeps.push(id);
                }
            }
            issued.told = Some(told);
        }
    }

    /// What was not answered is sent again, under the same id.
    pub(super) fn ask_again(&mut self) {
        for number in 0..self.issued.len() {
            if self.issued[number].told.is_none() && self.issued[number].answer.is_none() {
                self.send_again(number);
            }
        }
    }

    pub(super) fn somebody_asks(&mut self) {
        self.hear_answers();
        let request_id = format!("r{}", self.issued.len());
        let home = self.machines[self.rng.below(self.machines.len() as u64) as usize].agent.clone();
        if self.sweeps.len() < 2 || (self.sweeps.len() < 4 && self.rng.below(5) == 0) {
            let file = FILES[self.rng.below(FILES.len() as u64) as usize];
            self.ask(creation(request_id, file, &home));
            return;
        }
        if self.rng.below(5) == 0 {
            let number = self.rng.below(self.issued.len() as u64) as usize;
            return self.send_again_if_done(number);
        }
        let sweep = self.sweeps[self.rng.below(self.sweeps.len() as u64) as usize].to_string();
        let trial = 1 + self.rng.below(6) as u32;
        let call = match self.rng.below(22) {
            0..=1 => {
                Call::PauseSweep(pb::PauseSweepRequest { request_id, sweep, now: self.rng.below(2) == 0 })
            }
            2..=4 => {
                Call::ResumeSweep(pb::ResumeSweepRequest { request_id, sweep, home, ..Default::default() })
            }
            5 => Call::StopSweep(pb::StopSweepRequest { request_id, sweep }),
            6 => {
                Call::DeleteSweep(pb::DeleteSweepRequest { request_id, sweep, undo: self.rng.below(3) == 0 })
            }
            7 => {
                let set = vec![format!("parallel={}", 1 + self.rng.below(4))];
                Call::SetSweep(pb::SetSweepRequest { request_id, sweep, set, etag: String::new() })
            }
            8 => {
                let cap = format!("run_cap={}", 2 + self.rng.below(8));
                let set = vec![cap, format!("retries={}", self.rng.below(4))];
                Call::SetSweep(pb::SetSweepRequest { request_id, sweep, set, etag: String::new() })
            }
            9..=10 => Call::Enqueue(pb::EnqueueRequest {
                request_id,
                sweep,
                from: Some(trial),
                repeat: 1 + self.rng.below(2) as u32,
                ..Default::default()
            }),
            11..=12 => Call::RetryTrials(pb::RetryTrialsRequest {
                request_id,
                sweep,
                trials: vec![trial],
                state: String::new(),
            }),
            13 => Call::Annotate(pb::AnnotateRequest {
                request_id,
                sweep,
                trial: Some(trial),
                text: "odd".into(),
                add_tags: vec!["t".into()],
                ..Default::default()
            }),
            14..=16 => Call::AskForTrials(pb::AskRequest {
                request_id,
                sweep,
                n: 1 + self.rng.below(3) as u32,
                lease: Some(pb::duration(Duration::from_secs(1 + self.rng.below(300)))),
            }),
            17..=20 => match self.any_asked() {
                Some(asked) => Call::TellTrial(self.word_on(asked, request_id)),
                None => return,
            },
            _ => Call::StopTrial(pb::StopTrialRequest { request_id, sweep, trial }),
        };
        self.ask(call);
    }

    /// A trial that somebody was given, perhaps long ago.
    fn any_asked(&mut self) -> Option<pb::AskedTrial> {
        let given = |issued: &Issued| match &issued.told {
            Some(Ok(Answer::AskForTrials(answer))) => answer.trials.clone(),
            _ => Vec::new(),
        };
        let all: Vec<_> = self.issued.iter().flat_map(given).collect();
        let recent = &all[all.len().saturating_sub(6)..];
        self.rng.pick(recent).cloned()
    }

    /// What its caller says of it.
    fn word_on(&mut self, asked: pb::AskedTrial, request_id: String) -> pb::TellRequest {
        let value = self.rng.below(1000) as f64 / 1000.0;
        let state = pb::tell_request::State::try_from(self.rng.below(4) as i32).unwrap();
        let is_report = self.rng.below(2) == 0;
        pb::TellRequest {
            request_id,
            sweep: asked.sweep,
            trial: asked.trial,
            attempt: asked.attempt,
            fence: asked.fence,
            step: is_report.then(|| self.rng.below(9) as i64),
            metrics: [("loss".to_owned(), value), ("acc".to_owned(), value)].into(),
            state: state.into(),
        }
    }

    fn send_again_if_done(&mut self, number: usize) {
        if self.issued[number].answer.is_none() {
            self.send_again(number);
        }
    }

    /// What somebody paused goes on, on a machine that is there.
    pub(super) fn resume_all(&mut self) {
        let home = self.machines[0].agent.clone();
        for sweep in self.sweeps.clone() {
            let Some(loaded) = self.core().sweeps.get(&sweep) else { continue };
            let waits = match loaded.state.phase() {
                SweepPhase::Paused { why, .. } => *why == PauseWhy::Person,
                SweepPhase::Running | SweepPhase::Ending(_) => {
                    loaded.state.home().is_none_or(|home| !self.core().links.is_alive(home))
                }
                SweepPhase::Ended(_) => false,
            };
            if waits {
                let (sweep, home) = (sweep.to_string(), home.clone());
                self.ask(Call::ResumeSweep(pb::ResumeSweepRequest { sweep, home, ..Default::default() }));
            }
        }
    }

    /// Sweeps that neither ended nor are paused for a reason of their own.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let open = |(id, loaded): (&SweepId, &crate::controller::loaded::Loaded)| match loaded.state.phase() {
            SweepPhase::Ended(_) => None,
            SweepPhase::Paused { why: PauseWhy::EarlyFailure | PauseWhy::Flapping, .. }
                if loaded.state.live_runs().next().is_none() =>
            {
                None
            }
            phase => Some(format!(
                "{id} is {phase:?} with {:?}, queue {:?}",
                loaded.state.live_runs().collect::<Vec<_>>(),
                loaded.state.queued().collect::<Vec<_>>()
            )),
        };
        self.core().sweeps.iter().filter_map(open).collect()
    }
}

/// What two answers to one request have to agree in.
fn essence(answer: &Answer) -> String {
    match answer {
        Answer::CreateSweep(created) => {
            created.sweep.as_ref().map(|sweep| sweep.sweep.clone()).unwrap_or_default()
        }
        Answer::Enqueue(enqueued) => format!("{:?}", enqueued.trials),
        Answer::RetryTrials(retried) => format!("{:?}", retried.trials),
        Answer::AskForTrials(given) => {
            format!("{:?}", given.trials.iter().map(|trial| &trial.run).collect::<Vec<_>>())
        }
        other => format!("{:?}", std::mem::discriminant(other)),
    }
}
