//! A controller on a real store, and an agent that is a few messages.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::controller::handle::ROOM;
use crate::controller::mailbox::mailbox;
use crate::controller::{Controller, Handle, Options, RefusedKind, start};
use crate::pb;
use crate::pb::agent_down::Kind as Down;
use crate::pb::agent_up::Kind as Up;
use crate::store::{self, DataDir, Lock, NetworkRule, Store, SystemDisk};

const FILE: &str = "method: grid\nprogram: train.py\nparallel: 1\nmetric: {name: loss, goal: minimize}\nparameters:\n  x: {values: [1, 2]}\n";

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("swath-controller-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Place(dir)
    }

    fn open(&self) -> (Lock, Controller) {
        let dir = DataDir::prepare(&self.0, &SystemDisk, NetworkRule::Allow).unwrap();
        let lock = Lock::take(&dir).unwrap();
        let store = Store::open(&lock, &store::Options::default()).unwrap();
        let controller = start(store, Options { data_dir: self.0.clone() }).unwrap();
        (lock, controller)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Agent {
    up: mpsc::Sender<pb::AgentUp>,
    down: mpsc::Receiver<pb::AgentDown>,
}

impl Agent {
    async fn join(handle: &Handle, runs: Vec<pb::Held>) -> Agent {
        let (up, inbound) = mpsc::channel(64);
        let down = handle.connect_agent(ReceiverStream::new(inbound));
        let mut agent = Agent { up, down };
        assert!(matches!(agent.next().await, Down::Welcome(_)));
        let inventory = pb::Inventory { slots: 4, ..Default::default() };
        let hello = pb::Hello {
            agent: "a".into(),
            incarnation: vec![1].into(),
            machine: "m".into(),
            host: "box".into(),
            inventory: Some(inventory),
            runs,
            ..Default::default()
        };
        agent.say(Up::Hello(hello)).await;
        agent
    }

    async fn say(&self, kind: Up) {
        self.up.send(pb::AgentUp { kind: Some(kind) }).await.unwrap();
    }

    async fn run(&self, run: &pb::RunKey, kind: pb::run_up::Kind) {
        self.say(Up::Run(pb::RunUp { run: Some(run.clone()), kind: Some(kind) })).await;
    }

    async fn next(&mut self) -> Down {
        let next = tokio::time::timeout(Duration::from_secs(10), self.down.recv()).await;
        next.expect("a message comes in time").expect("the link is open").kind.unwrap()
    }

    /// The next assignment; other messages are passed over.
    async fn assigned(&mut self) -> pb::RunKey {
        loop {
            if let Down::Assign(assign) = self.next().await {
                return assign.run.unwrap();
            }
        }
    }

    /// The next word on a run's output.
    async fn follow(&mut self) -> pb::Follow {
        loop {
            if let Down::Follow(follow) = self.next().await {
                return follow;
            }
        }
    }

    async fn start(&self, run: &pb::RunKey) {
        let started = pb::Started { seq: 1, nonce: "n".into(), ..Default::default() };
        self.run(run, pb::run_up::Kind::Started(started)).await;
        let names = pb::Names { seq: 2, names: vec!["loss".into()] };
        self.run(run, pb::run_up::Kind::Names(names)).await;
    }

    async fn report(&self, run: &pb::RunKey, seq: u64, value: f64) {
        let report = pb::Report {
            seq,
            step: Some(seq as i64),
            metric: vec![0],
            value: vec![value],
            ..Default::default()
        };
        self.run(run, pb::run_up::Kind::Reports(pb::Reports { reports: vec![report] })).await;
    }

    async fn end(&self, run: &pb::RunKey, seq: u64) {
        let exit = Some(pb::ended::Exit::Code(0));
        let ended = pb::Ended { seq, exit, reports: 1, tail: "bye".into(), ..Default::default() };
        self.run(run, pb::run_up::Kind::Ended(ended)).await;
    }

    async fn acknowledged(&mut self, run: &pb::RunKey, seq: u64) {
        loop {
            if let Down::Ack(ack) = self.next().await
                && ack.run.as_ref() == Some(run)
                && ack.seq >= seq
            {
                return;
            }
        }
    }
}

fn creation(id: &str) -> pb::CreateSweepRequest {
    pb::CreateSweepRequest {
        request_id: id.into(),
        file: FILE.into(),
        path: "sweep.yaml".into(),
        home: "a".into(),
        project: "vision".into(),
        ..Default::default()
    }
}

async fn get(handle: &Handle, sweep: &str) -> pb::Sweep {
    handle.get_sweep(pb::GetSweepRequest { sweep: sweep.into(), model: false }).await.unwrap()
}

#[tokio::test]
async fn a_sweep_goes_from_its_file_to_its_best_trial() {
    let place = Place::new("whole");
    let (_lock, Controller { handle, ended }) = place.open();
    let sweep = handle.create_sweep(creation("r1")).await.unwrap().sweep.unwrap().sweep;
    let mut agent = Agent::join(&handle, Vec::new()).await;
    for value in [0.5, 0.25] {
        let run = agent.assigned().await;
        agent.start(&run).await;
        agent.report(&run, 3, value).await;
        agent.end(&run, 4).await;
    }
    let mut watch =
        handle.watch(pb::WatchRequest { sweep: sweep.clone(), ..Default::default() }).await.unwrap();
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "SweepEnded") {
        let page =
            tokio::time::timeout(Duration::from_secs(10), watch.recv()).await.unwrap().unwrap().unwrap();
        kinds.extend(page.entries.into_iter().map(|entry| entry.kind));
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "Report").count(), 2, "{kinds:?}");
    let shown = get(&handle, &sweep).await;
    assert_eq!(shown.state, i32::from(pb::sweep::State::Finished));
    assert_eq!((shown.verdict, shown.best.map(|best| best.trial)), (Some(0), Some(2)));
    let request = pb::GetTrialRequest { sweep: sweep.clone(), trial: 2, best: false };
    let trial = handle.get_trial(request).await.unwrap();
    assert_eq!((trial.rank, trial.tail.as_str(), trial.curve.len()), (Some(1), "bye", 1));
    let again = handle.create_sweep(creation("r1")).await.unwrap().sweep.unwrap();
    assert_eq!(again.sweep, sweep, "F63: the same request gets the same answer");
    let other = pb::CreateSweepRequest { file: format!("{FILE}\n"), ..creation("r1") };
    assert_eq!(handle.create_sweep(other).await.unwrap_err().kind, RefusedKind::AlreadyExists);
    let verified = handle.verify(pb::VerifyRequest {}).await.unwrap();
    assert_eq!(verified.damage, "");
    handle.shutdown();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), ended).await, Ok(Ok(super::Ended::Shutdown)));
}

#[tokio::test]
async fn f01_a_restart_goes_on_where_the_log_ends() {
    let place = Place::new("restart");
    let (lock, Controller { handle, ended }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let mut agent = Agent::join(&handle, Vec::new()).await;
    let run = agent.assigned().await;
    agent.start(&run).await;
    agent.report(&run, 3, 0.5).await;
    agent.acknowledged(&run, 3).await;
    handle.shutdown();
    ended.await.unwrap();
    drop((lock, agent));

    let (_lock, Controller { handle, .. }) = place.open();
    let held = pb::Held {
        run: Some(run.clone()),
        phase: pb::held::Phase::Live.into(),
        last_seq: 3,
        nonce: "n".into(),
    };
    let mut agent = Agent::join(&handle, vec![held]).await;
    let Down::Ready(ready) = agent.next().await else { panic!("ready comes first") };
    let cursors: Vec<u64> = ready.cursors.iter().map(|cursor| cursor.seq).collect();
    assert_eq!(cursors, [3], "what was acknowledged is not said again, its names neither");
    agent.report(&run, 4, 0.4).await;
    agent.end(&run, 5).await;
    agent.acknowledged(&run, 5).await;
    let trial = pb::GetTrialRequest { sweep: sweep.clone(), trial: 1, best: false };
    let trial = handle.get_trial(trial).await.unwrap();
    assert_eq!(trial.state, i32::from(pb::trial::State::Succeeded));
    assert_eq!(trial.curve.len(), 2, "{:?}", trial.curve);
    handle.shutdown();
}

/// Of so many requests of about `bytes` each that nobody answers, how many are refused for want of room.
async fn refused_of(handle: &Handle, requests: usize, bytes: usize) -> usize {
    let ask = |_| {
        let text = "x".repeat(bytes);
        let note = pb::AnnotateRequest { sweep: "00000000".into(), text, ..Default::default() };
        Box::pin(handle.annotate(note))
    };
    let mut waiting: Vec<_> = (0..requests).map(ask).collect();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|request| request.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    requests - waiting.len()
}

#[tokio::test]
async fn f05_a_flood_of_requests_is_refused_where_its_memory_would_not_be_bounded() {
    let place = Place::new("flood");
    let (_lock, Controller { handle, .. }) = place.open();
    let (deaf, _inbox) = mailbox();
    let deaf = Handle { mailbox: deaf, ..handle.clone() };
    assert_eq!(refused_of(&deaf, 5000, 0).await, 5000 - 4096);
    assert_eq!(refused_of(&deaf, 100, 1 << 20).await, 37, "64 MiB of requests, each a little above 1 MiB");
    let held = handle.room.try_acquire_many(u32::try_from(ROOM).unwrap()).unwrap();
    let refused = handle.list_sweeps(pb::ListSweepsRequest::default()).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::ResourceExhausted);
    drop(held);
    handle.list_sweeps(pb::ListSweepsRequest::default()).await.expect("there is room again");
    handle.shutdown();
}

#[tokio::test]
async fn b37_a_superseded_run_is_told_to_end_and_b31_an_unknown_sweep_is_not_found() {
    let place = Place::new("superseded");
    let (_lock, Controller { handle, .. }) = place.open();
    handle.create_sweep(creation("")).await.unwrap();
    let mut agent = Agent::join(&handle, Vec::new()).await;
    let run = agent.assigned().await;
    let stale = pb::RunKey { fence: run.fence - 1, ..run };
    agent.report(&stale, 3, 0.5).await;
    let said = loop {
        match agent.next().await {
            Down::End(end) => break end,
            _ => continue,
        }
    };
    assert_eq!(said.run, Some(stale));
    let absent = handle.get_sweep(pb::GetSweepRequest { sweep: "00000000".into(), model: false }).await;
    assert_eq!(absent.unwrap_err().kind, RefusedKind::NotFound);
    handle.shutdown();
}

/// Two trials that ended, with a note on the second; returns the sweep.
async fn ended_sweep(place: &Place) -> String {
    let (lock, Controller { handle, ended }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let mut agent = Agent::join(&handle, Vec::new()).await;
    for value in [0.5, 0.25] {
        let run = agent.assigned().await;
        agent.start(&run).await;
        agent.report(&run, 3, value).await;
        agent.end(&run, 4).await;
        if value < 0.5 {
            agent.acknowledged(&run, 4).await;
        }
    }
    let note = pb::AnnotateRequest {
        sweep: sweep.clone(),
        trial: Some(2),
        text: "look here".into(),
        ..Default::default()
    };
    handle.annotate(note).await.unwrap();
    handle.shutdown();
    ended.await.unwrap();
    drop(lock);
    sweep
}

async fn listed(handle: &Handle, sweep: &str) -> (Vec<pb::Sweep>, Vec<pb::Trial>) {
    let sweeps = handle.list_sweeps(pb::ListSweepsRequest::default()).await.unwrap().sweeps;
    let request = pb::ListTrialsRequest { sweep: sweep.into(), ..Default::default() };
    (sweeps, handle.list_trials(request).await.unwrap().trials)
}

/// Overwrites the first page of a table's rows.
fn damage(file: &std::path::Path, table: &str) {
    use std::io::{Seek, SeekFrom, Write};
    let db = rusqlite::Connection::open(file).unwrap();
    db.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    let sql = "select rootpage from sqlite_schema where name = ?1";
    let page: u64 = db.query_row(sql, [table], |row| row.get(0)).unwrap();
    drop(db);
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0xAA; 4096]).unwrap();
}

#[tokio::test]
async fn f39_damaged_listings_are_made_anew_from_the_log() {
    let place = Place::new("rebuild");
    let sweep = ended_sweep(&place).await;
    let (lock, Controller { handle, ended }) = place.open();
    let (sweeps, trials) = listed(&handle, &sweep).await;
    assert_eq!((sweeps.len(), trials.len()), (1, 2));
    handle.shutdown();
    ended.await.unwrap();
    drop(lock);
    damage(&place.0.join("store.db"), "trial");
    damage(&place.0.join("store.db"), "sweep");
    let (_lock, Controller { handle, .. }) = place.open();
    let (mut again, rows) = listed(&handle, &sweep).await;
    assert_eq!(rows, trials);
    // The log knows the time of the running process only up to its last event.
    again[0].wall = sweeps[0].wall;
    assert_eq!(again, sweeps);
    handle.shutdown();
}

#[tokio::test]
async fn what_a_sweep_adds_up_survives_a_restart() {
    let place = Place::new("tally");
    let (lock, Controller { handle, ended }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let mut agent = Agent::join(&handle, Vec::new()).await;
    let run = agent.assigned().await;
    agent.start(&run).await;
    agent.report(&run, 3, 0.5).await;
    agent.end(&run, 4).await;
    agent.assigned().await;
    let before = get(&handle, &sweep).await;
    assert_eq!((before.trend.len(), before.run_seconds.len()), (1, 1));
    handle.shutdown();
    ended.await.unwrap();
    drop((lock, agent));
    let file = place.0.join("store.db");
    rusqlite::Connection::open(&file).unwrap().execute("delete from sweep", []).unwrap();
    let (_lock, Controller { handle, .. }) = place.open();
    let after = get(&handle, &sweep).await;
    assert_eq!((&after.trend, after.since_gain), (&before.trend, before.since_gain));
    assert_eq!(after.run_seconds, before.run_seconds);
    let wall = |sweep: &pb::Sweep| Duration::try_from(sweep.wall.unwrap()).unwrap();
    assert!(wall(&after) > Duration::ZERO, "the log alone knows most of it");
    assert_eq!(after.best.map(|best| best.trial), Some(1));
    assert_eq!(after.project, "vision");
    handle.shutdown();
}

#[tokio::test]
async fn a_sweep_that_is_over_is_shown_as_it_was_by_a_reader() {
    let place = Place::new("over");
    let (lock, Controller { handle, ended }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let best = |sweep: &str| pb::GetTrialRequest { sweep: sweep.into(), trial: 0, best: true };
    assert_eq!(handle.get_trial(best(&sweep)).await.unwrap_err().kind, RefusedKind::NotFound);
    let mut agent = Agent::join(&handle, Vec::new()).await;
    for value in [0.5, 0.25] {
        let run = agent.assigned().await;
        agent.start(&run).await;
        agent.report(&run, 3, value).await;
        agent.end(&run, 4).await;
        if value < 0.5 {
            agent.acknowledged(&run, 4).await;
        }
    }
    let shown = get(&handle, &sweep).await;
    assert_eq!((shown.state(), shown.run_seconds.len()), (pb::sweep::State::Finished, 2));
    assert!(shown.definition.contains("grid"), "{}", shown.definition);
    assert_eq!(handle.get_trial(best(&sweep)).await.unwrap().trial, 2);
    handle.shutdown();
    ended.await.unwrap();
    drop((lock, agent));
    let (_lock, Controller { handle, .. }) = place.open();
    assert_eq!(get(&handle, &sweep).await, shown);
    handle.shutdown();
}

#[tokio::test]
async fn a_list_knows_which_homes_live() {
    let place = Place::new("homes");
    let (_lock, Controller { handle, .. }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    assert!(!listed(&handle, &sweep).await.0[0].home_alive);
    let mut agent = Agent::join(&handle, Vec::new()).await;
    agent.assigned().await;
    assert!(listed(&handle, &sweep).await.0[0].home_alive);
    handle.shutdown();
}

#[tokio::test]
async fn five_hundred_watchers_hear_of_the_same_event() {
    let place = Place::new("watchers");
    let (_lock, Controller { handle, .. }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let request = pb::WatchRequest { sweep: sweep.clone(), ..Default::default() };
    let mut watchers = Vec::new();
    for _ in 0..500 {
        watchers.push(handle.watch(request.clone()).await.unwrap());
    }
    let pause = pb::PauseSweepRequest { sweep, ..Default::default() };
    handle.pause_sweep(pause).await.unwrap();
    for watcher in &mut watchers {
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != "SweepPaused") {
            let page = tokio::time::timeout(Duration::from_secs(20), watcher.recv()).await;
            kinds.extend(page.unwrap().unwrap().unwrap().entries.into_iter().map(|entry| entry.kind));
        }
        assert_eq!(kinds, ["SweepCreated", "SweepPaused"]);
    }
    handle.shutdown();
}

#[tokio::test]
async fn a_watcher_reads_on_from_the_store_where_the_ring_does_not_reach() {
    let place = Place::new("history");
    let sweep = ended_sweep(&place).await;
    let (_lock, Controller { handle, .. }) = place.open();
    let mut watch = handle.watch(pb::WatchRequest { sweep, ..Default::default() }).await.unwrap();
    let page = tokio::time::timeout(Duration::from_secs(10), watch.recv()).await.unwrap().unwrap().unwrap();
    let positions: Vec<u64> = page.entries.iter().map(|entry| entry.pos).collect();
    assert!(positions.is_sorted() && positions.len() > 8, "{positions:?}");
    let reports: Vec<&str> =
        page.entries.iter().filter(|e| e.kind == "Report").map(|e| e.body_json.as_str()).collect();
    assert!(reports.len() == 2 && reports[0].contains("\"loss\":0.5"), "{reports:?}");
    handle.shutdown();
}

#[tokio::test]
async fn trials_are_listed_in_pages_in_any_order() {
    let place = Place::new("pages");
    let sweep = ended_sweep(&place).await;
    let (_lock, Controller { handle, .. }) = place.open();
    for (sort, wanted) in [("", [1, 2]), ("-trial", [2, 1]), ("value", [2, 1]), ("-value", [1, 2])] {
        let mut request = pb::ListTrialsRequest {
            sweep: sweep.clone(),
            sort: sort.into(),
            page_size: 1,
            ..Default::default()
        };
        let mut found = Vec::new();
        loop {
            let page = handle.list_trials(request.clone()).await.unwrap();
            found.extend(page.trials.iter().map(|trial| trial.trial));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found, wanted, "{sort}");
    }
    for (trial, rank) in [(1, 2), (2, 1)] {
        let request = pb::GetTrialRequest { sweep: sweep.clone(), trial, best: false };
        assert_eq!(handle.get_trial(request).await.unwrap().rank, Some(rank));
    }
    handle.shutdown();
}

/// The chunks of an export to its end, which it has to say.
async fn exported(handle: &Handle, request: pb::ExportSweepRequest) -> pb::ExportChunk {
    let mut stream = handle.export_sweep(request).await.unwrap();
    let mut all = pb::ExportChunk::default();
    while !all.end {
        let chunk = stream.recv().await.expect("it says its end").unwrap();
        all.end = chunk.end;
        all.trials.extend(chunk.trials);
        all.reports.extend(chunk.reports);
        all.events.extend(chunk.events);
    }
    all
}

#[tokio::test]
async fn an_export_goes_on_behind_any_row() {
    use pb::export_sweep_request::What;
    let place = Place::new("export");
    let sweep = ended_sweep(&place).await;
    let (_lock, Controller { handle, .. }) = place.open();
    let request =
        |what: What| pb::ExportSweepRequest { sweep: sweep.clone(), what: what.into(), ..Default::default() };
    let trials = exported(&handle, request(What::Trials)).await.trials;
    let rest = pb::ExportSweepRequest { after_trial: 1, ..request(What::Trials) };
    assert_eq!(exported(&handle, rest).await.trials, trials[1..]);
    let events = exported(&handle, request(What::Events)).await.events;
    let rest = pb::ExportSweepRequest { after: events[4].n, ..request(What::Events) };
    assert_eq!(exported(&handle, rest).await.events, events[5..]);
    let reports = exported(&handle, request(What::Reports)).await.reports;
    assert_eq!(reports.len(), 2);
    for (k, last) in reports.iter().enumerate() {
        let (after_trial, after_attempt, after) = (last.trial, last.attempt, last.pos);
        let rest = pb::ExportSweepRequest { after_trial, after_attempt, after, ..request(What::Reports) };
        assert_eq!(exported(&handle, rest).await.reports, reports[k + 1..]);
    }
    handle.shutdown();
}

#[tokio::test]
async fn the_output_of_a_run_comes_from_its_agent_until_nobody_reads() {
    let place = Place::new("logs");
    let (_lock, Controller { handle, .. }) = place.open();
    let sweep = handle.create_sweep(creation("")).await.unwrap().sweep.unwrap().sweep;
    let mut agent = Agent::join(&handle, Vec::new()).await;
    let run = agent.assigned().await;
    agent.start(&run).await;
    let request = pb::LogsRequest { sweep, trial: 1, follow: true, ..Default::default() };
    let mut lines = handle.logs(request.clone()).await.unwrap();
    let follow = agent.follow().await;
    assert!(!follow.cancel);
    let piece = pb::Output { request: follow.request, data: "hello".into(), ..Default::default() };
    agent.say(Up::Output(piece.clone())).await;
    assert_eq!(lines.recv().await.unwrap().unwrap().data, "hello");
    drop(lines);
    let cancel = agent.follow().await;
    assert!(cancel.cancel && cancel.request == follow.request);

    // A reader that reads nothing for too long is told so, after all that it was in time for.
    let mut lines = handle.logs(request.clone()).await.unwrap();
    let piece = pb::Output { request: agent.follow().await.request, ..piece };
    for _ in 0..1200 {
        agent.say(Up::Output(piece.clone())).await;
    }
    assert!(agent.follow().await.cancel);
    let mut last = lines.recv().await.unwrap();
    let mut count = 0;
    while last.is_ok() {
        count += 1;
        last = lines.recv().await.expect("it says that it breaks off");
    }
    assert!((1000..1200).contains(&count), "{count}");

    // Once the run is over, what was stored is shown, of the attempt that is asked for.
    agent.end(&run, 3).await;
    agent.acknowledged(&run, 3).await;
    // Its agent is asked first; without one the stored tail is what there is.
    drop(agent);
    let stored = loop {
        let mut stored = handle.logs(request.clone()).await.unwrap();
        if let Ok(chunk) = stored.recv().await.unwrap() {
            break chunk;
        }
    };
    assert_eq!(stored.data, "bye");
    let mut absent = handle.logs(pb::LogsRequest { attempt: 7, ..request }).await.unwrap();
    assert_eq!(absent.recv().await.unwrap().unwrap_err().kind, RefusedKind::NotFound);
    handle.shutdown();
}
