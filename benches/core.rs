//! What `benches/measures` needs from inside: the controller behind its real service, and an agent that is only words.
//!
//! `core call DIR N`: unary call + fsync, N times, in us (P3's peer). `core reports DIR`: server CPU and disk a durable
//! report (P7, P13). `core trials DIR`: memory a finished trial (P12). `core sweeps DIR N`: a store of N sweeps (T14).
//! `core stamp FILE`: a trial that writes when it began and ended (P3). `core decisions`: time of a stopping decision, each
//! rule (P9). `core fit DIR`: when reports are acknowledged, at 1,000 a second, while models are fitted and while they are
//! not (P18). Answers are JSON. The agent is a process of its own, so that CPU and memory are the server's.
#![expect(clippy::print_stdout, reason = "its numbers are read from stdout")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use swath::api::client::Client;
use swath::api::serve;
use swath::controller::{self, Controller};
use swath::pb;
use swath::pb::agent_down::Kind as Down;
use swath::pb::agent_up::Kind as Up;
use swath::pb::run_up::Kind as Record;
use swath::stopping::{Measure, Rule, Sample};
use swath::store::{DataDir, Lock, NetworkRule, Options, Store, SystemDisk};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

type Failed = Box<dyn std::error::Error>;

/// Reports of the whole flood, of one message, and at most on their way.
const REPORTS: u64 = 400_000;
const MESSAGE: u64 = 128;
const WINDOW: u64 = 4_096;
const RUNS: u32 = 8;
/// Trials whose memory is compared: by the first number all that is bounded is full.
const TRIALS: [u32; 2] = [10_000, 30_000];
const STEPS: u64 = 20;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["call", dir, n] => calls(Path::new(dir), n.parse()?),
        ["reports", dir] => reports(Path::new(dir)),
        ["trials", dir] => trials(Path::new(dir)),
        ["sweeps", dir, n] => sweeps(Path::new(dir), n.parse()?),
        ["stamp", file] => stamp(Path::new(file)),
        ["decisions"] => decisions(),
        ["fit", dir] => fit(Path::new(dir)),
        ["agent", "paced", socket] => runtime()?.block_on(report_evenly(socket.into())),
        ["agent", "reports", socket] => runtime()?.block_on(flood(socket.into())),
        ["agent", "trials", socket] => runtime()?.block_on(finish_many(socket.into())),
        _ => {
            println!("benches/measures runs this; its head says how");
            Ok(())
        }
    }
}

fn stamp(file: &Path) -> Result<(), Failed> {
    let nanoseconds = || {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    };
    let began = nanoseconds();
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    Ok(file.write_all(format!("{began} {}\n", nanoseconds()).as_bytes())?)
}

fn calls(dir: &Path, n: usize) -> Result<(), Failed> {
    let server = Server::start(dir)?;
    let mut file = OpenOptions::new().append(true).create(true).open(dir.join("synced"))?;
    let socket = server.socket.clone();
    let times = server.runtime.block_on(async {
        let mut admin = Client::connect_unix(socket).await?.admin();
        let mut times = Vec::new();
        for _ in 0..n {
            let began = Instant::now();
            admin.status(pb::StatusRequest::default()).await?;
            file.write_all(&[0; 100])?;
            file.sync_data()?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok::<_, Failed>(times)
    })?;
    println!("{}", json!(times));
    server.end()
}

fn reports(dir: &Path) -> Result<(), Failed> {
    let server = Server::start(dir)?;
    let mut agent = Agent::start("reports", &server.socket)?;
    agent.wait_for("flood")?;
    let cpu = cpu_us();
    agent.wait_for("stored")?;
    let cpu = cpu_us() - cpu;
    agent.end()?;
    server.end()?;
    let disk =
        ["store.db", "store.db-wal"].map(|name| fs::metadata(dir.join(name)).map_or(0, |meta| meta.len()));
    let all = REPORTS as f64;
    println!("{}", json!({"cpu_us": cpu / all, "disk_bytes": disk.iter().sum::<u64>() as f64 / all}));
    Ok(())
}

fn trials(dir: &Path) -> Result<(), Failed> {
    let server = Server::start(dir)?;
    let mut agent = Agent::start("trials", &server.socket)?;
    agent.wait_for("some")?;
    let some = resident_bytes()?;
    agent.wait_for("many")?;
    let bytes = (resident_bytes()? - some) / f64::from(TRIALS[1] - TRIALS[0]);
    agent.end()?;
    println!("{}", json!({ "bytes": bytes }));
    server.end()
}

/// Of many sweeps most are over, as it is with somebody's store.
fn sweeps(dir: &Path, n: u32) -> Result<(), Failed> {
    let server = Server::start(dir)?;
    let handle = &server.controller.handle;
    server.runtime.block_on(async {
        for number in 0..n {
            let mut file = sweep(5, 10);
            file["name"] = json!(format!("sweep {number}"));
            let path = "sweep.yaml".to_owned();
            let create =
                pb::CreateSweepRequest { file: file.to_string(), path, paused: true, ..Default::default() };
            let made = handle.create_sweep(create).await?.sweep.unwrap_or_default();
            if number % 100 > 0 {
                let stop = pb::StopSweepRequest { sweep: made.sweep, ..Default::default() };
                handle.stop_sweep(stop).await?;
            }
        }
        Ok::<_, Failed>(())
    })?;
    println!("{}", json!(n));
    server.end()
}

/// Trials that a model is fitted to, how many parameters they have, and in how many sweeps.
const FITTED: usize = 480;
const DIMENSIONS: u32 = 20;
const SWEEPS: usize = 3;
/// How long reports are looked at while nothing is fitted.
const QUIET: Duration = Duration::from_secs(6);

/// Sweeps of a method that learns are asked for a trial once they know hundreds: each has its models fitted first.
fn fit(dir: &Path) -> Result<(), Failed> {
    let server = Server::start(dir)?;
    let handle = &server.controller.handle;
    let mut sweeps = Vec::new();
    for number in 0..SWEEPS {
        sweeps.push(server.runtime.block_on(known(handle, number))?);
    }
    let mut agent = Agent::start("paced", &server.socket)?;
    agent.wait_for("reporting")?;
    let Agent { mut child, words } = agent;
    // Read at once: an agent whose pipe is full reports nothing.
    let lines = std::thread::spawn(move || words.map_while(Result::ok).collect::<Vec<String>>());
    let began = monotonic_us();
    std::thread::sleep(QUIET);
    let quiet = monotonic_us();
    let mut fits = Vec::new();
    for sweep in sweeps {
        let since = Instant::now();
        let ask = pb::AskRequest { sweep, n: 1, ..Default::default() };
        server.runtime.block_on(handle.ask_for_trials(ask))?;
        fits.push(since.elapsed().as_secs_f64() * 1e3);
    }
    let busy = monotonic_us();
    std::thread::sleep(Duration::from_millis(100)); // what is under way is still to be answered
    child.kill()?;
    child.wait()?;
    let (mut calm, mut pressed) = (Vec::new(), Vec::new());
    for line in lines.join().map_err(|_| "the reader of the agent's lines panicked")? {
        let Some((at, took)) = line.split_once(' ') else { continue }; // the kill cut it
        let (Ok(at), Ok(took)) = (at.parse::<u64>(), took.parse::<u64>()) else { continue };
        match at {
            at if at < began || at > busy => {}
            at if at < quiet => calm.push(took),
            _ => pressed.push(took),
        }
    }
    println!("{}", json!({"quiet_us": calm, "busy_us": pressed, "fit_ms": fits}));
    server.end()
}

/// A sweep with [`FITTED`] trials that are told.
async fn known(handle: &controller::Handle, number: usize) -> Result<String, Failed> {
    let names: Vec<String> = (0..DIMENSIONS).map(|i| format!("parameter_{i}")).collect();
    let unit = |trial: usize, axis: usize| {
        let mixed = (trial as u64 * 1_000_003 + axis as u64 * 7_919 + number as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let point = |trial: usize| {
        let entries = names.iter().enumerate().map(|(axis, name)| (name.clone(), json!(unit(trial, axis))));
        serde_json::Value::Object(entries.collect())
    };
    let mut file = sweep(DIMENSIONS, 10_000);
    file["method"] = json!("bayes");
    file["name"] = json!(format!("fitted {number}"));
    file["enqueue"] = (0..FITTED).map(point).collect();
    let create = pb::CreateSweepRequest {
        file: file.to_string(),
        path: "sweep.yaml".to_owned(),
        ..Default::default()
    };
    let id = handle.create_sweep(create).await?.sweep.unwrap_or_default().sweep;
    for trial in 0..FITTED {
        let ask = pb::AskRequest { sweep: id.clone(), n: 1, ..Default::default() };
        let asked = handle.ask_for_trials(ask).await?.trials.pop().ok_or("no trial was given")?;
        let value: f64 = (0..DIMENSIONS as usize).map(|axis| (unit(trial, axis) - 0.3).powi(2)).sum();
        let tell = pb::TellRequest {
            sweep: id.clone(),
            trial: asked.trial,
            metrics: [("loss".to_owned(), value)].into(),
            ..Default::default()
        };
        handle.tell_trial(tell).await?;
    }
    Ok(id)
}

fn monotonic_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// How many trials a rule knows, how many decisions are timed then, and at which step.
const KNOWN: [u32; 4] = [100, 1_000, 10_000, 100_000];
const DECISIONS: u32 = 401;
const JUDGED: i64 = 9;

/// Microseconds of a decision, the middle one: a report that takes a run to where it is judged, its verdict, and the
/// verdicts of those who are to be judged again.
fn decisions() -> Result<(), Failed> {
    let measure = Measure::default();
    let mut found = BTreeMap::new();
    for known in KNOWN {
        let rules = [
            Rule::hyperband(&[3, 9, 27, 81], 3.0, true, measure),
            Rule::asha(1, None, 3.0, measure),
            Rule::median(1, 5, measure),
            Rule::percentile(25.0, 1, 5, measure),
            Rule::threshold(None, Some(1e9), 0, measure),
            Rule::patience(100, 0.0, 0, measure),
            Rule::curve(27, None, measure),
        ];
        for mut rule in rules {
            let mut at = 0;
            for trial in 1..=known {
                run_of(&mut rule, trial, &mut at);
            }
            let mut times: Vec<f64> =
                (1..=DECISIONS).map(|nth| run_of(&mut rule, known + nth, &mut at)).collect();
            times.sort_by(f64::total_cmp);
            let middle = times[times.len() / 2];
            found.entry(rule.name()).or_insert_with(BTreeMap::new).insert(known.to_string(), middle);
        }
    }
    println!("{}", json!(found));
    Ok(())
}

/// A run that reports as far as it is judged, and is final then. Gives the time of its last decision, in us.
fn run_of(rule: &mut Rule, trial: u32, at: &mut u64) -> f64 {
    let luck = f64::from(trial.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let mut microseconds = 0.0;
    for step in 1..=JUDGED {
        *at += 1;
        let value = luck + 1.0 / step as f64;
        let began = Instant::now();
        let look = rule.observe(&Sample { at: *at, trial, attempt: 1, step, value });
        std::hint::black_box(look.into_iter().filter_map(|trial| rule.verdict(trial)).count());
        microseconds = began.elapsed().as_secs_f64() * 1e6;
    }
    rule.settle(trial);
    microseconds
}

/// A controller that serves its store in this process.
struct Server {
    runtime: tokio::runtime::Runtime,
    controller: Controller,
    lock: Lock,
    stop: CancellationToken,
    socket: PathBuf,
}

impl Server {
    fn start(path: &Path) -> Result<Server, Failed> {
        let dir = DataDir::prepare(path, &SystemDisk, NetworkRule::Allow)?;
        let lock = Lock::take(&dir)?;
        let controller =
            controller::start(Store::open(&lock, &Options::default())?, controller::Options::default())?;
        let (runtime, socket, stop) = (runtime()?, path.join("sock"), CancellationToken::new());
        let _inside = runtime.enter();
        tokio::spawn(serve(controller.handle.clone(), UnixListener::bind(&socket)?, stop.clone()));
        drop(_inside);
        Ok(Server { runtime, controller, lock, stop, socket })
    }

    fn end(self) -> Result<(), Failed> {
        let Controller { handle, ended } = self.controller;
        handle.shutdown();
        self.runtime.block_on(ended)?;
        self.stop.cancel();
        drop(self.lock);
        Ok(())
    }
}

/// The agent's process, which says on its stdout where it is.
struct Agent {
    child: Child,
    words: io::Lines<BufReader<ChildStdout>>,
}

impl Agent {
    fn start(mode: &str, socket: &Path) -> Result<Agent, Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(["agent", mode]).arg(socket).stdout(Stdio::piped()).spawn()?;
        let words = BufReader::new(child.stdout.take().ok_or("stdout was piped")?).lines();
        Ok(Agent { child, words })
    }

    fn wait_for(&mut self, word: &str) -> Result<(), Failed> {
        let line = self.words.next().ok_or("the agent has ended")??;
        if line == word { Ok(()) } else { Err(format!("the agent said {line}").into()) }
    }

    fn end(mut self) -> Result<(), Failed> {
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the agent ended: {status}").into()) }
    }
}

/// An agent's end of the stream.
struct Link {
    up: mpsc::Sender<pb::AgentUp>,
    down: tonic::Streaming<pb::AgentDown>,
}

impl Link {
    /// Creates a sweep and becomes the agent that works for it.
    async fn open(socket: PathBuf, sweep: serde_json::Value, slots: u32) -> Result<Link, Failed> {
        let client = Client::connect_unix(socket).await?;
        let file = sweep.to_string();
        let path = "sweep.yaml".to_owned();
        let create = pb::CreateSweepRequest { file, path, home: "agent".to_owned(), ..Default::default() };
        client.sweeps().create(create).await?;
        let (up, outbox) = mpsc::channel(64);
        let down = client.agents().connect(ReceiverStream::new(outbox)).await?.into_inner();
        let mut link = Link { up, down };
        let Down::Welcome(welcome) = link.hear().await? else { return Err("no welcome".into()) };
        link.say(Up::Hello(pb::Hello {
            agent: "agent".to_owned(),
            incarnation: vec![1; 16].into(),
            machine: "machine".to_owned(),
            boot: "boot".to_owned(),
            store: welcome.store,
            epoch: welcome.epoch,
            inventory: Some(pb::Inventory { slots, cpus: slots, ..Default::default() }),
            ..Default::default()
        }))
        .await?;
        Ok(link)
    }

    async fn hear(&mut self) -> Result<Down, Failed> {
        loop {
            if let Some(kind) = self.down.message().await?.ok_or("the stream has ended")?.kind {
                return Ok(kind);
            }
        }
    }

    async fn say(&self, kind: Up) -> Result<(), Failed> {
        Ok(self.up.send(pb::AgentUp { kind: Some(kind) }).await?)
    }

    async fn record(&self, run: &pb::RunKey, kind: Record) -> Result<(), Failed> {
        self.say(Up::Run(pb::RunUp { run: Some(run.clone()), kind: Some(kind) })).await
    }

    /// The runs that it is given, all of which have started, each with the number of what it said last.
    async fn begin_all(&mut self) -> Result<Vec<(pb::RunKey, u64)>, Failed> {
        let mut runs = Vec::new();
        while runs.len() < RUNS as usize {
            if let Down::Assign(pb::Assign { run: Some(run), .. }) = self.hear().await? {
                self.begin(&run).await?;
                runs.push((run, 2));
            }
        }
        Ok(runs)
    }

    /// The run has started, and names its two metrics.
    async fn begin(&self, run: &pb::RunKey) -> Result<(), Failed> {
        let nonce = format!("{:016x}", run.fence);
        self.record(
            run,
            Record::Started(pb::Started { seq: 1, nonce, time: Some(time(0)), ..Default::default() }),
        )
        .await?;
        let names = ["loss", "accuracy"].map(str::to_owned).to_vec();
        self.record(run, Record::Names(pb::Names { seq: 2, names })).await
    }
}

/// A few runs report as quickly as they are acknowledged.
async fn flood(socket: PathBuf) -> Result<(), Failed> {
    let mut link = Link::open(socket, sweep(1, RUNS), RUNS).await?;
    let mut runs = link.begin_all().await?;
    say("flood");
    let (mut sent, mut stored, mut cursors) = (0, 0, BTreeMap::new());
    let mut turn = (0..runs.len()).cycle();
    while stored < REPORTS {
        while sent < REPORTS && sent - stored + MESSAGE <= WINDOW {
            let (run, seq) = &mut runs[turn.next().ok_or("a cycle has no end")?];
            link.record(run, some_reports(*seq + 1, MESSAGE)).await?;
            (*seq, sent) = (*seq + MESSAGE, sent + MESSAGE);
        }
        if let Down::Ack(pb::Ack { run: Some(run), seq }) = link.hear().await? {
            let cursor = cursors.entry(run.trial).or_insert(2);
            stored += seq.saturating_sub(*cursor);
            *cursor = seq.max(*cursor);
        }
    }
    say("stored");
    Ok(())
}

/// Reports one by one, 1,000 a second; a line for each: when it was sent, and after how many us it was acknowledged.
async fn report_evenly(socket: PathBuf) -> Result<(), Failed> {
    let mut link = Link::open(socket, sweep(1, RUNS), RUNS).await?;
    let mut runs = link.begin_all().await?;
    say("reporting");
    let mut sent: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    let mut turn = (0..runs.len()).cycle();
    let mut out = io::stdout().lock();
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let (run, seq) = &mut runs[turn.next().ok_or("a cycle has no end")?];
                *seq += 1;
                sent.insert((run.trial, *seq), monotonic_us());
                link.record(run, some_reports(*seq, 1)).await?;
            }
            heard = link.down.message() => {
                let message = heard?.ok_or("the stream has ended")?;
                let Some(Down::Ack(pb::Ack { run: Some(run), seq })) = message.kind else { continue };
                let now = monotonic_us();
                let mut later = sent.split_off(&(run.trial, 0));
                let mut rest = later.split_off(&(run.trial, seq + 1));
                for at in later.values() {
                    writeln!(out, "{at} {}", now - at)?;
                }
                out.flush()?;
                sent.append(&mut rest);
            }
        }
    }
}

/// Many short trials, one after the other in every slot.
async fn finish_many(socket: PathBuf) -> Result<(), Failed> {
    let mut link = Link::open(socket, sweep(10, TRIALS[1]), RUNS).await?;
    let mut ended = 0;
    loop {
        match link.hear().await? {
            Down::Assign(pb::Assign { run: Some(run), .. }) => {
                link.begin(&run).await?;
                link.record(&run, some_reports(3, STEPS)).await?;
                let seq = STEPS + 3;
                let exit = Some(pb::ended::Exit::Code(0));
                let end = pb::Ended {
                    seq,
                    exit,
                    wall_ms: 1_000,
                    cpu_ms: 900,
                    reports: STEPS,
                    ..Default::default()
                };
                link.record(&run, Record::Ended(end)).await?;
            }
            Down::Ack(ack) if ack.seq == STEPS + 3 => {
                ended += 1;
                if ended == TRIALS[0] {
                    say("some");
                } else if ended == TRIALS[1] {
                    say("many");
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

fn sweep(parameters: u32, trials: u32) -> serde_json::Value {
    let space: serde_json::Map<_, _> =
        (0..parameters).map(|i| (format!("parameter_{i}"), json!({"min": 0.0, "max": 1.0}))).collect();
    json!({
        "method": "random", "metric": {"name": "loss", "goal": "minimize"}, "command": ["train", "${args}"],
        "parameters": space, "run_cap": trials, "parallel": RUNS, "seed": 1,
    })
}

fn some_reports(first: u64, count: u64) -> Record {
    let reports = (first..first + count).map(|seq| pb::Report {
        seq,
        step: Some(seq as i64),
        time: Some(time(seq)),
        metric: vec![0, 1],
        value: vec![1.0 / seq as f64, 0.5],
        source: 1,
    });
    Record::Reports(pb::Reports { reports: reports.collect() })
}

fn time(milliseconds: u64) -> prost_types::Timestamp {
    let seconds = 1_700_000_000 + (milliseconds / 1_000) as i64;
    prost_types::Timestamp { seconds, nanos: (milliseconds % 1_000) as i32 * 1_000_000 }
}

fn say(word: &str) {
    println!("{word}");
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn resident_bytes() -> Result<f64, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}
