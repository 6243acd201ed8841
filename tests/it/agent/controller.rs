//! Plays the controller: a map of what was acknowledged, behind the real service on a Unix socket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use swath::pb;
use swath::pb::agent_down::Kind as Down;
use swath::pb::agent_service_server::{AgentService, AgentServiceServer};
use swath::pb::agent_up::Kind as Up;
use swath::pb::run_up::Kind as Record;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// Longest wait for anything: only a failure takes that long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// (trial, attempt) of the controller's one sweep.
pub(super) type Name = (u32, u32);

/// What the controller knows of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) assign: pb::Assign,
    /// Acknowledged up to here, each number once.
    pub(super) durable: u64,
    pub(super) started: Option<pb::Started>,
    pub(super) names: Vec<String>,
    pub(super) reports: Vec<pb::Report>,
    pub(super) ended: Option<pb::Ended>,
    /// Ended by the controller: the hello was behind the cursor.
    pub(super) lost: bool,
}

/// What the controller knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) runs: BTreeMap<Name, Run>,
    pub(super) hellos: Vec<pb::Hello>,
    pub(super) refused: Vec<String>,
    pub(super) output: BTreeMap<u64, (Vec<u8>, Option<String>)>,
    /// The number of streams that came and went.
    pub(super) closed: usize,
    streams: BTreeMap<String, mpsc::Sender<Result<pb::AgentDown, Status>>>,
}

/// A controller that listens.
#[derive(Clone)]
pub(super) struct Controller {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    pub(super) socket: PathBuf,
    store: String,
    epoch: u32,
    /// Its own: processes are found by it, and tests run beside each other.
    sweep: String,
}

fn key(sweep: &str, (trial, attempt): Name) -> pb::RunKey {
    pb::RunKey { sweep: sweep.to_owned(), trial, attempt, fence: 1 << 40 | u64::from(trial * 10 + attempt) }
}

impl Controller {
    pub(super) fn listen(folder: &Path, store: &str, epoch: u32) -> Controller {
        let socket = folder.join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let controller = Controller {
            state: Arc::default(),
            changed: watch::channel(0).0,
            socket,
            store: store.to_owned(),
            epoch,
            sweep: format!("{:08x}", rand::random::<u32>()),
        };
        let service = AgentServiceServer::new(controller.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        controller
    }

    pub(super) fn key(&self, name: Name) -> pb::RunKey {
        key(&self.sweep, name)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_modify(|n| *n += 1);
        result
    }

    /// Waits until the state is as wanted.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !is_so(&self.state()) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("in vain waited until {what}: {:#?}", self.state());
        }
    }

    /// The run once its end is durable.
    pub(super) async fn end_of(&self, name: Name) -> Run {
        self.until("the run ends", |state| state.runs[&name].ended.is_some()).await;
        self.state().runs[&name].clone()
    }

    pub(super) async fn send(&self, agent: &str, kind: Down) {
        let stream = self.state().streams[agent].clone();
        // A stream that has gone takes nothing: its agent says hello again.
        let _ = stream.send(Ok(pb::AgentDown { kind: Some(kind) })).await;
    }

    /// Assigns a run to an agent once it is there.
    pub(super) async fn assign(&self, agent: &str, name: Name, spec: pb::RunSpec) {
        self.assign_placed(agent, name, spec, pb::Placement::default()).await;
    }

    pub(super) async fn assign_placed(
        &self,
        agent: &str,
        name: Name,
        spec: pb::RunSpec,
        placed: pb::Placement,
    ) {
        self.until("the agent says hello", |state| state.streams.contains_key(agent)).await;
        let placement = Some(pb::Placement { agent: agent.to_owned(), ..placed });
        let assign = pb::Assign { run: Some(self.key(name)), spec: Some(spec), placement };
        self.change(|state| state.runs.insert(name, Run { assign: assign.clone(), ..Run::default() }));
        self.send(agent, Down::Assign(assign)).await;
    }

    pub(super) async fn stop(&self, agent: &str, name: Name, now: bool) {
        self.send(agent, Down::Stop(pb::Stop { run: Some(self.key(name)), now, why: "test".to_owned() }))
            .await;
    }

    async fn serve(
        &self,
        mut up: Streaming<pb::AgentUp>,
        down: mpsc::Sender<Result<pb::AgentDown, Status>>,
    ) -> Option<()> {
        let send = async |kind| down.send(Ok(pb::AgentDown { kind: Some(kind) })).await.ok();
        let welcome = pb::Welcome { store: self.store.clone(), epoch: self.epoch, ..pb::Welcome::default() };
        send(Down::Welcome(welcome)).await?;
        while let Some(Ok(message)) = up.next().await {
            match message.kind? {
                Up::Hello(hello) => {
                    let answers = self.change(|state| {
                        state.streams.insert(hello.agent.clone(), down.clone());
                        state.greet(&self.sweep, hello)
                    });
                    for answer in answers {
                        send(answer).await?;
                    }
                }
                Up::Run(record) => {
                    if let Some(ack) = self.change(|state| state.take(record)) {
                        send(Down::Ack(ack)).await?;
                    }
                }
                Up::Refused(refused) => self.change(|state| state.refused.push(refused.why)),
                Up::Output(output) => self.change(|state| {
                    let (data, end) = state.output.entry(output.request).or_default();
                    data.extend_from_slice(&output.data);
                    *end = output.end.then_some(output.note);
                }),
                Up::Heartbeat(_) | Up::Drain(_) => {}
            }
        }
        None
    }
}

impl State {
    fn greet(&mut self, sweep: &str, hello: pb::Hello) -> Vec<Down> {
        let mut answers = Vec::new();
        let mut cursors = Vec::new();
        for (name, run) in &mut self.runs {
            let agent = &mut run.assign.placement.get_or_insert_default().agent;
            let is_theirs = *agent == hello.agent || hello.speaks_for.contains(agent);
            match hello.runs.iter().find(|held| held.run == Some(key(sweep, *name))) {
                Some(held) => {
                    agent.clone_from(&hello.agent);
                    if held.last_seq < run.durable {
                        run.lost = true;
                        answers.push(Down::End(pb::End {
                            run: Some(key(sweep, *name)),
                            why: "behind".to_owned(),
                        }));
                    } else {
                        cursors.push(pb::Ack { run: Some(key(sweep, *name)), seq: run.durable });
                    }
                }
                None if !is_theirs || run.ended.is_some() => {}
                None if run.durable == 0 && !run.lost => answers.push(Down::Assign(run.assign.clone())),
                None => run.lost = true,
            }
        }
        self.hellos.push(hello);
        answers.push(Down::Ready(pb::Ready { cursors }));
        answers
    }

    /// Makes a record durable, if it is the next one.
    fn take(&mut self, message: pb::RunUp) -> Option<pb::Ack> {
        let wire = message.run?;
        let run = self.runs.get_mut(&(wire.trial, wire.attempt)).filter(|run| !run.lost)?;
        let next = |seq: u64, durable: &mut u64| {
            assert!(seq <= *durable + 1, "a gap: {seq} after {durable}");
            let is_new = seq == *durable + 1;
            *durable = (*durable).max(seq);
            is_new
        };
        match message.kind? {
            Record::Started(started) => {
                if next(started.seq, &mut run.durable) {
                    run.started = Some(started);
                }
            }
            Record::Names(names) => {
                if next(names.seq, &mut run.durable) {
                    run.names.extend(names.names);
                }
            }
            Record::Reports(reports) => {
                for report in reports.reports {
                    if next(report.seq, &mut run.durable) {
                        run.reports.push(report);
                    }
                }
            }
            Record::Ended(ended) => {
                if next(ended.seq, &mut run.durable) {
                    run.ended = Some(ended);
                }
            }
        }
        Some(pb::Ack { run: Some(wire), seq: run.durable })
    }
}

#[tonic::async_trait]
impl AgentService for Controller {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<pb::AgentDown, Status>> + Send>>;

    async fn connect(
        &self,
        up: Request<Streaming<pb::AgentUp>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (send, down) = mpsc::channel(64);
        let controller = self.clone();
        tokio::spawn(async move {
            controller.serve(up.into_inner(), send).await;
            controller.change(|state| state.closed += 1);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(down))))
    }
}
