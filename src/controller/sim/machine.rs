//! A machine in the simulation: one agent, its runs with their spools, and the messages that are under way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::controller::handle::LinkId;
use crate::pb::agent_down::Kind as Down;
use crate::pb::agent_up::Kind as Up;
use crate::pb::run_up::Kind as Frame;
use crate::pb::{self, RunId};

use super::world::Rng;

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) agent: String,
    pub(super) machine: String,
    pub(super) incarnation: u8,
    pub(super) slots: u32,
    pub(super) gpus: u32,
    /// Its stream; none: it is away.
    pub(super) link: Option<LinkId>,
    /// The controller has answered its hello.
    pub(super) is_ready: bool,
    /// Under way to the controller.
    pub(super) up: VecDeque<Up>,
    /// Under way from it.
    pub(super) down: VecDeque<Down>,
    pub(super) runs: BTreeMap<RunId, FakeRun>,
    pub(super) speaks_for: Vec<String>,
    /// It is off, for now or for good.
    pub(super) is_off: bool,
    pub(super) said: Instant,
}

/// A run on a machine: what it will do, and what of it is in its spool.
#[derive(Clone, Debug)]
pub(super) struct FakeRun {
    script: VecDeque<Frame>,
    pub(super) spool: Vec<Frame>,
    /// Frames before this one were sent on this stream.
    sent: usize,
    is_live: bool,
    is_stopping: bool,
    /// Stops are not obeyed at once.
    is_stubborn: bool,
    nonce: String,
}

/// The number of a frame.
pub(super) fn seq(frame: &Frame) -> u64 {
    match frame {
        Frame::Started(started) => started.seq,
        Frame::Names(names) => names.seq,
        Frame::Reports(reports) => reports.reports.first().map_or(0, |report| report.seq),
        Frame::Ended(ended) => ended.seq,
    }
}

fn with_seq(frame: Frame, to: u64) -> Frame {
    match frame {
        Frame::Started(started) => Frame::Started(pb::Started { seq: to, ..started }),
        Frame::Names(names) => Frame::Names(pb::Names { seq: to, ..names }),
        Frame::Reports(mut reports) => {
            reports.reports.iter_mut().for_each(|report| report.seq = to);
            Frame::Reports(reports)
        }
        Frame::Ended(ended) => Frame::Ended(pb::Ended { seq: to, ..ended }),
    }
}

fn exit(exit: pb::ended::Exit) -> Frame {
    Frame::Ended(pb::Ended { exit: Some(exit), wall_ms: 1000, ..Default::default() })
}

fn report(step: i64, values: &[f64]) -> Frame {
    let metric = (0..).take(values.len()).collect();
    let report = pb::Report { step: Some(step), metric, value: values.to_vec(), ..Default::default() };
    Frame::Reports(pb::Reports { reports: vec![report] })
}

/// What a run will do: most report a few times and succeed.
pub(super) fn script(rng: &mut Rng) -> VecDeque<Frame> {
    let names = |names: &[&str]| {
        Frame::Names(pb::Names {
            names: names.iter().map(|name| (*name).into()).collect(),
            ..Default::default()
        })
    };
    let mut frames = VecDeque::from([names(&["loss"])]);
    let code = |code| exit(pb::ended::Exit::Code(code));
    match rng.below(16) {
        0 => return VecDeque::from([exit(pb::ended::Exit::NotStartedHere("EAGAIN".into()))]),
        1 => frames.extend([report(0, &[0.5]), code(1)]),
        2 => frames.push_back(code(0)),
        3 => frames.extend((0..11).map(|step| report(step, &[f64::NAN])).chain([code(0)])),
        _ => {
            let reports = 1 + rng.below(6) as i64;
            let half = reports / 2;
            for step in 0..reports {
                if step == half {
                    frames.push_back(names(&["acc"]));
                }
                let loss = rng.below(1000) as f64 / 1000.0;
                let values = if step < half { vec![loss] } else { vec![loss, 1.0 - loss] };
                frames.push_back(report(step, &values));
            }
            frames.push_back(code(0));
        }
    }
    frames.push_front(Frame::Started(pb::Started::default()));
    frames
}

impl FakeRun {
    pub(super) fn new(script: VecDeque<Frame>, nonce: String, is_stubborn: bool) -> Self {
        FakeRun { script, spool: Vec::new(), sent: 0, is_live: true, is_stopping: false, is_stubborn, nonce }
    }

    fn write(&mut self, frame: Frame) {
        let frame = match frame {
            Frame::Started(started) => Frame::Started(pb::Started { nonce: self.nonce.clone(), ..started }),
            other => other,
        };
        self.is_live &= !matches!(frame, Frame::Ended(_));
        let seq = self.spool.len() as u64 + 1;
        self.spool.push(with_seq(frame, seq));
    }

    /// The next thing that happens to it.
    pub(super) fn go_on(&mut self, rng: &mut Rng) {
        if !self.is_live {
            return;
        }
        if self.is_stopping && (!self.is_stubborn || rng.below(4) == 0) {
            let ended = pb::Ended {
                exit: Some(pb::ended::Exit::Signal(15)),
                signalled: true,
                killed: self.is_stubborn,
                ..Default::default()
            };
            return self.write(Frame::Ended(ended));
        }
        if let Some(next) = self.script.pop_front() {
            self.write(next);
        }
    }

    /// Its runner is gone: whoever finds the folder ends it.
    fn die(&mut self, why: pb::ended::LostWhy) {
        if !self.is_live {
            return;
        }
        let end = match self.spool.is_empty() {
            true => pb::ended::Exit::NotStartedHere("its agent was killed before it started".into()),
            false => pb::ended::Exit::Lost(why.into()),
        };
        self.write(exit(end));
    }

    fn held(&self, id: RunId) -> pb::Held {
        let phase = match self.spool.last() {
            None => pb::held::Phase::NotStarted,
            Some(Frame::Ended(_)) => pb::held::Phase::Ended,
            Some(_) => pb::held::Phase::Live,
        };
        let has_started = matches!(self.spool.first(), Some(Frame::Started(_)));
        pb::Held {
            run: Some(id.into()),
            phase: phase.into(),
            last_seq: self.spool.len() as u64,
            nonce: if has_started { self.nonce.clone() } else { String::new() },
        }
    }
}

impl Machine {
    pub(super) fn new(agent: &str, slots: u32, gpus: u32, now: Instant) -> Self {
        Machine {
            agent: agent.to_owned(),
            machine: format!("machine of {agent}"),
            incarnation: 1,
            slots,
            gpus,
            link: None,
            is_ready: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            runs: BTreeMap::new(),
            speaks_for: Vec::new(),
            is_off: false,
            said: now,
        }
    }

    /// The stream is gone, and what was under way with it.
    pub(super) fn lose_link(&mut self) {
        self.link = None;
        self.is_ready = false;
        self.up.clear();
        self.down.clear();
    }

    /// The numbers of the reports in a run's spool.
    pub(super) fn reports_of(&self, id: RunId) -> impl Iterator<Item = u64> {
        let spool = self.runs.get(&id).map(|run| run.spool.as_slice()).unwrap_or_default();
        spool.iter().filter(|frame| matches!(frame, Frame::Reports(_))).map(seq)
    }

    fn hello(&self) -> Up {
        let device = |n: u32| pb::Device { uuid: format!("GPU-{n}"), index: n, name: "H".into() };
        Up::Hello(pb::Hello {
            agent: self.agent.clone(),
            incarnation: vec![self.incarnation].into(),
            machine: self.machine.clone(),
            host: self.agent.clone(),
            speaks_for: self.speaks_for.clone(),
            inventory: Some(pb::Inventory {
                slots: self.slots,
                devices: (0..self.gpus).map(device).collect(),
                ..Default::default()
            }),
            runs: self.runs.iter().map(|(id, run)| run.held(*id)).collect(),
            take_over: true,
            ..Default::default()
        })
    }

    /// Takes in a message of the controller. True: the stream is to end.
    pub(super) fn hear(&mut self, message: Down, rng: &mut Rng) -> bool {
        match message {
            Down::Welcome(_) => {
                let hello = self.hello();
                self.up.push_back(hello);
            }
            Down::Ready(ready) => {
                self.is_ready = true;
                for cursor in ready.cursors {
                    let id = RunId::try_from(cursor.run).expect("a cursor names a run");
                    if let Some(run) = self.runs.get_mut(&id) {
                        run.sent = run.spool.iter().filter(|frame| seq(frame) <= cursor.seq).count();
                    }
                }
            }
            Down::Assign(assign) => {
                let id = RunId::try_from(assign.run).expect("an assignment names a run");
                if rng.below(25) == 0 && !self.runs.contains_key(&id) {
                    let why = "its folder is unfit".into();
                    self.up.push_back(Up::Refused(pb::Refused { run: Some(id.into()), why }));
                } else {
                    let (script, stubborn) = (script(rng), rng.below(3) == 0);
                    let nonce = format!("{:x}", rng.next());
                    self.runs.entry(id).or_insert_with(|| FakeRun::new(script, nonce, stubborn));
                }
            }
            Down::Stop(stop) => {
                let id = RunId::try_from(stop.run).expect("a stop names a run");
                if let Some(run) = self.runs.get_mut(&id) {
                    run.is_stopping = true;
                }
            }
            Down::Ack(ack) => {
                let id = RunId::try_from(ack.run).expect("an acknowledgement names a run");
                let is_over = |run: &FakeRun| !run.is_live && ack.seq >= run.spool.len() as u64;
                if self.runs.get(&id).is_some_and(is_over) {
                    self.runs.remove(&id);
                }
            }
            Down::End(end) => {
                self.runs.remove(&RunId::try_from(end.run).expect("an end names a run"));
            }
            Down::Goodbye(_) => return true,
            Down::Peer(_) | Down::Follow(_) => {}
        }
        false
    }

    /// Sends what the spools hold, and some of it twice.
    pub(super) fn send(&mut self, rng: &mut Rng) {
        if !self.is_ready {
            return;
        }
        for (id, run) in &mut self.runs {
            if run.sent > 0 && rng.below(20) == 0 {
                run.sent -= 1;
            }
            for frame in &run.spool[run.sent.min(run.spool.len())..] {
                self.up.push_back(Up::Run(pb::RunUp { run: Some((*id).into()), kind: Some(frame.clone()) }));
            }
            run.sent = run.spool.len();
        }
    }

    /// The agent is killed and comes again; what had no start frame yet is ended by it, the rest goes on.
    pub(super) fn restart_agent(&mut self) {
        self.lose_link();
        self.incarnation = self.incarnation.wrapping_add(1);
        for run in self.runs.values_mut().filter(|run| run.spool.is_empty()) {
            run.die(pb::ended::LostWhy::Runner);
        }
    }

    /// A runner is killed.
    pub(super) fn kill_runner(&mut self, rng: &mut Rng) {
        let live: Vec<RunId> = self.runs.iter().filter(|(_, run)| run.is_live).map(|(id, _)| *id).collect();
        if let Some(id) = rng.pick(&live)
            && let Some(run) = self.runs.get_mut(id)
        {
            run.die(pb::ended::LostWhy::Runner);
        }
    }

    /// Power is lost: nothing runs any more, and spools lose their last frames, or their folders.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        self.restart_agent();
        self.runs.retain(|_, _| rng.below(4) > 0);
        for run in self.runs.values_mut() {
            let kept = rng.below(run.spool.len() as u64 + 1) as usize;
            run.spool.truncate(kept);
            run.is_live |= !matches!(run.spool.last(), Some(Frame::Ended(_)));
            run.sent = 0;
            run.die(pb::ended::LostWhy::Machine);
        }
    }
}
