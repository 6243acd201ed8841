//! The agent with real runners and a controller that only remembers what it acknowledged.

mod controller;
mod process;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use swath::agent;
use swath::pb;
use swath::pb::agent_down::Kind as Down;
use swath::pb::ended::{Exit, LostWhy};
use tokio::task::spawn_blocking;

use controller::{Controller, PATIENCE};
use process::{AgentProcess, options};

/// A folder of a test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("swath-agent-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// Where the one agent's runs lie.
    fn runs(&self, store: &str) -> PathBuf {
        let machine = agent::Machine::here(&self.0).unwrap().id;
        self.0.join("work").join(store).join(machine).join("runs")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(name: &str, value: &str) -> pb::assignment::Entry {
    let value = pb::Value { kind: Some(pb::value::Kind::Text(value.to_owned())) };
    pb::assignment::Entry { name: name.to_owned(), value: Some(value) }
}

/// A run of a shell script.
fn script(text: &str) -> pb::RunSpec {
    pb::RunSpec {
        command: ["sh", "-c", text].map(str::to_owned).to_vec(),
        grace: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
        stop_signal: "TERM".to_owned(),
        wanted: vec!["loss".to_owned()],
        ..pb::RunSpec::default()
    }
}

/// Prints `count` values of `loss`, then waits for `file`, if one is named.
fn prints(count: u32, wait_for: Option<&Path>) -> pb::RunSpec {
    let wait = wait_for
        .map_or(String::new(), |file| format!("until [ -e {} ]; do sleep 0.02; done", file.display()));
    script(&format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo \"loss=0.$i\"; done; {wait}"))
}

/// Runs whose folders are there; emptied ones that wait for a later run are none.
fn held(runs: &Path) -> usize {
    let folders = fs::read_dir(runs).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    folders.filter(|entry| !entry.file_name().to_string_lossy().starts_with("spare.")).count()
}

/// Waits, off the runtime, until a condition of the system holds.
async fn until(what: &'static str, is_so: impl Fn() -> bool + Send + 'static) {
    let wait = spawn_blocking(move || {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !is_so() {
            assert!(std::time::Instant::now() < deadline, "in vain waited until {what}");
            std::thread::yield_now();
        }
    });
    wait.await.unwrap();
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

/// Whether the process runs: one that nobody has waited for does not.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_to_its_end_and_leaves_nothing_but_its_output() {
    let scratch = Scratch::new("end");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    controller.assign("a", (1, 1), prints(5, None)).await;
    let run = controller.end_of((1, 1)).await;
    assert_eq!(run.ended.unwrap().exit, Some(Exit::Code(0)));
    assert_eq!(run.names, ["loss"]);
    let values: Vec<f64> = run.reports.iter().map(|report| report.value[0]).collect();
    assert_eq!(values, [0.1, 0.2, 0.3, 0.4, 0.5]);
    assert_eq!(run.started.unwrap().argv[..2], ["sh", "-c"]);
    agent.idle().await;
    assert_eq!(held(&scratch.runs("s")), 0);
    agent.detach().await;
    let agents = scratch.runs("s").join("../agents");
    assert_eq!(fs::read_dir(agents).unwrap().count(), 0, "no trace of an agent that holds nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_gives_grace_and_a_stop_now_none() {
    let scratch = Scratch::new("stop");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    let saves = "trap 'echo loss=0.9; exit 3' TERM; echo loss=0.5; while :; do sleep 0.02; done";
    let ignores = "trap '' TERM; echo loss=0.5; while :; do sleep 0.02; done";
    for (trial, text) in [(1, saves), (2, ignores)] {
        controller.assign("a", (trial, 1), script(text)).await;
        controller.until("the script is there", |state| !state.runs[&(trial, 1)].reports.is_empty()).await;
    }
    controller.stop("a", (1, 1), false).await;
    let saved = controller.end_of((1, 1)).await;
    let ended = saved.ended.unwrap();
    assert_eq!(ended.exit, Some(Exit::Code(3)));
    assert!(ended.signalled && !ended.killed);
    assert_eq!(saved.reports.last().unwrap().value, [0.9]);
    controller.stop("a", (2, 1), true).await;
    let ended = controller.end_of((2, 1)).await.ended.unwrap();
    assert_eq!(ended.exit, Some(Exit::Signal(9)));
    assert!(ended.killed);
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_agent_killed_at_random_moments() {
    const REPORTS: u32 = 300;
    let scratch = Scratch::new("f12");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let go = scratch.0.join("go");
    let mut agent = AgentProcess::spawn(&scratch.0, &controller.socket, "a0");
    controller.assign("a0", (1, 1), prints(REPORTS, Some(&go))).await;
    for life in 1..=6_usize {
        // Each life ends a little further on, none of them after the last report.
        let seen = 7 * life * life;
        controller.until("it has got on", |state| state.runs[&(1, 1)].reports.len() >= seen).await;
        agent.kill();
        let id = format!("a{life}");
        agent = AgentProcess::spawn(&scratch.0, &controller.socket, &id);
        controller
            .until("the heir says hello", |state| state.hellos.iter().any(|hello| hello.agent == id))
            .await;
        let hello = controller.state().hellos.iter().rfind(|hello| hello.agent == id).cloned().unwrap();
        // And for those whose heir died before the controller had answered it.
        assert!(hello.speaks_for.contains(&format!("a{}", life - 1)), "{hello:?}");
        assert_eq!(hello.runs.len(), 1, "{hello:?}");
    }
    fs::write(&go, "").unwrap();
    let run = controller.end_of((1, 1)).await;
    assert_eq!(run.ended.unwrap().exit, Some(Exit::Code(0)));
    let steps: Vec<i64> = run.reports.iter().map(|report| report.step.unwrap()).collect();
    assert_eq!(steps.len(), REPORTS as usize, "each report once");
    assert!(steps.is_sorted());
    let runs = scratch.runs("s");
    until("the folder is gone", move || held(&runs) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_runner_takes_its_command_along_and_its_reports_arrive() {
    let scratch = Scratch::new("runner");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    controller.assign("a", (1, 1), prints(3, Some(Path::new("/nonexistent")))).await;
    controller.until("it reports", |state| state.runs[&(1, 1)].reports.len() == 3).await;
    let started = controller.state().runs[&(1, 1)].started.clone().unwrap();
    kill(started.runner_pid);
    let run = controller.end_of((1, 1)).await;
    assert_eq!(run.ended.unwrap().exit, Some(Exit::Lost(LostWhy::Runner.into())));
    assert!(!is_alive(started.command_pid), "the command outlives its runner");
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_and_runner_killed_the_next_agent_ends_what_is_left() {
    let scratch = Scratch::new("both");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = AgentProcess::spawn(&scratch.0, &controller.socket, "a");
    controller.assign("a", (1, 1), prints(3, Some(Path::new("/nonexistent")))).await;
    controller.until("it reports", |state| state.runs[&(1, 1)].reports.len() == 3).await;
    let started = controller.state().runs[&(1, 1)].started.clone().unwrap();
    agent.kill();
    kill(started.runner_pid);
    let next = agent::start(options(&scratch.0, &controller.socket, "b").await);
    let run = controller.end_of((1, 1)).await;
    assert_eq!(run.ended.unwrap().exit, Some(Exit::Lost(LostWhy::Runner.into())));
    assert!(!is_alive(started.command_pid));
    next.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f54_spool_shorter_than_the_cursor_or_gone() {
    let scratch = Scratch::new("f54");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = AgentProcess::spawn(&scratch.0, &controller.socket, "a");
    for trial in 1..=3 {
        controller.assign("a", (trial, 1), prints(3, Some(Path::new("/nonexistent")))).await;
        controller.until("it reports", |state| state.runs[&(trial, 1)].reports.len() == 3).await;
    }
    agent.kill();
    // What a box that lost power comes back with: no processes, and less on the disk than was acknowledged.
    for trial in 1..=3 {
        let started = controller.state().runs[&(trial, 1)].started.clone().unwrap();
        kill(started.runner_pid);
        kill(started.command_pid);
        until("its processes are gone", move || !is_alive(started.runner_pid)).await;
        let key = controller.key((trial, 1));
        let folder = scratch.runs("s").join(format!("{}-{trial}.1-{}", key.sweep, key.fence));
        let spool = fs::File::options().write(true).open(folder.join("spool")).unwrap();
        match trial {
            1 => spool.set_len(spool.metadata().unwrap().len() / 2).unwrap(),
            2 => spool.set_len(0).unwrap(),
            _ => fs::remove_dir_all(folder).unwrap(),
        }
    }
    let next = agent::start(options(&scratch.0, &controller.socket, "b").await);
    controller
        .until("all are lost", |state| state.runs.values().all(|run| run.lost || run.ended.is_some()))
        .await;
    next.idle().await;
    let runs = controller.state().runs.clone();
    assert!(runs.values().all(|run| run.reports.len() == 3 && run.lost), "{runs:#?}");
    assert_eq!(held(&scratch.runs("s")), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_holder_killed_while_two_other_agents_live() {
    let scratch = Scratch::new("f57");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let go = scratch.0.join("go");
    let dying = AgentProcess::spawn(&scratch.0, &controller.socket, "dying");
    controller.assign("dying", (1, 1), prints(20, Some(&go))).await;
    controller.until("it has started", |state| state.runs[&(1, 1)].started.is_some()).await;
    let heirs = ["b", "c"].map(|id| (id, AgentProcess::spawn(&scratch.0, &controller.socket, id)));
    for (id, _) in &heirs {
        controller.until("it says hello", |state| state.hellos.iter().any(|hello| hello.agent == *id)).await;
    }
    dying.kill();
    fs::write(&go, "").unwrap();
    let run = controller.end_of((1, 1)).await;
    assert_eq!(run.reports.len(), 20);
    let speakers: std::collections::BTreeSet<String> = {
        let state = controller.state();
        let speaking = state.hellos.iter().filter(|hello| hello.speaks_for.contains(&"dying".to_owned()));
        speaking.map(|hello| hello.agent.clone()).collect()
    };
    assert_eq!(speakers.len(), 1, "{speakers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f58_an_agent_of_no_slots_adopts_delivers_the_stop_and_starts_nothing() {
    let scratch = Scratch::new("f58");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = AgentProcess::spawn(&scratch.0, &controller.socket, "a");
    controller.assign("a", (1, 1), prints(3, Some(Path::new("/nonexistent")))).await;
    controller.until("it reports", |state| state.runs[&(1, 1)].reports.len() == 3).await;
    agent.kill();
    let mut adopting = options(&scratch.0, &controller.socket, "b").await;
    adopting.slots = 0;
    let adopting = agent::start(adopting);
    controller.until("it adopts", |state| state.hellos.iter().any(|hello| hello.agent == "b")).await;
    controller.assign("b", (2, 1), script("exit 0")).await;
    controller.until("it refuses", |state| state.refused == ["this agent starts nothing"]).await;
    controller.stop("b", (1, 1), false).await;
    let ended = controller.end_of((1, 1)).await.ended.unwrap();
    assert_eq!((ended.exit, ended.signalled), (Some(Exit::Signal(15)), true));
    adopting.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f60_one_work_folder_two_stores() {
    let scratch = Scratch::new("f60");
    let (first, second) = (scratch.0.join("1"), scratch.0.join("2"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    let one = Controller::listen(&first, "one", 1);
    let two = Controller::listen(&second, "two", 1);
    let agent = AgentProcess::spawn(&scratch.0, &one.socket, "a");
    one.assign("a", (1, 1), prints(3, Some(Path::new("/nonexistent")))).await;
    one.until("it reports", |state| state.runs[&(1, 1)].reports.len() == 3).await;
    agent.kill();
    let other = agent::start(options(&scratch.0, &two.socket, "b").await);
    two.until("it says hello", |state| !state.hellos.is_empty()).await;
    assert!(two.state().hellos[0].runs.is_empty() && two.state().hellos[0].speaks_for.is_empty());
    let started = one.state().runs[&(1, 1)].started.clone().unwrap();
    assert!(is_alive(started.command_pid), "it is not the other store's to end");
    other.detach().await;
    let own = agent::start(options(&scratch.0, &one.socket, "c").await);
    one.until("it is adopted", |state| state.hellos.iter().any(|hello| hello.agent == "c")).await;
    one.stop("c", (1, 1), true).await;
    one.end_of((1, 1)).await;
    own.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_command_that_cannot_start_says_whose_fault_it_is() {
    let scratch = Scratch::new("f27");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    let missing = pb::RunSpec { command: vec!["no-such-program".to_owned()], ..script("") };
    controller.assign("a", (1, 1), missing).await;
    let ended = controller.end_of((1, 1)).await.ended.unwrap();
    let Some(Exit::NotStarted(why)) = ended.exit else { panic!("{ended:?}") };
    assert!(why.contains("no-such-program"), "{why}");
    agent.idle().await;
    // Where the runner itself cannot be started, it is the machine's fault.
    let mut broken = options(&scratch.0, &controller.socket, "b").await;
    broken.program = scratch.0.join("no-swath");
    let broken = agent::start(broken);
    controller.assign("b", (2, 1), script("exit 0")).await;
    let ended = controller.end_of((2, 1)).await.ended.unwrap();
    assert!(matches!(ended.exit, Some(Exit::NotStartedHere(_))), "{ended:?}");
    broken.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f68_a_replaced_binary_still_starts_runs() {
    let scratch = Scratch::new("f68");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let binary = scratch.0.join("swath");
    fs::copy(crate::support::binary(), &binary).unwrap();
    let mut options = options(&scratch.0, &controller.socket, "a").await;
    options.program.clone_from(&binary);
    let agent = agent::start(options);
    let go = scratch.0.join("go");
    controller.assign("a", (1, 1), prints(2, Some(&go))).await;
    controller.until("it reports", |state| state.runs[&(1, 1)].reports.len() == 2).await;
    // As an upgrade does it: another file at the same place.
    let newer = scratch.0.join("newer");
    fs::copy(crate::support::binary(), &newer).unwrap();
    fs::rename(&newer, &binary).unwrap();
    controller.assign("a", (2, 1), prints(2, None)).await;
    assert_eq!(controller.end_of((2, 1)).await.reports.len(), 2);
    fs::write(&go, "").unwrap();
    assert_eq!(controller.end_of((1, 1)).await.reports.len(), 2);
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b25_values_arrive_byte_for_byte() {
    let scratch = Scratch::new("b25");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    let values = [
        "; rm -rf ~",
        "$(id)",
        "`id`",
        "' OR 1=1 --",
        "a\nb",
        "-x",
        "--",
        "",
        "é中",
        "%s\\n",
        "\"q\"",
        "\u{1b}[31m",
    ];
    let out = scratch.0.join("argv");
    let mut spec = script(&format!("printf '%s\\0' \"$@\" > {}", out.display()));
    spec.command.extend(["argv0".to_owned(), "${args}".to_owned()]);
    let entries = values.iter().zip(0..).map(|(value, i)| text(&format!("p{i:02}"), value)).collect();
    spec.assignment = Some(pb::Assignment { entries });
    controller.assign("a", (1, 1), spec).await;
    assert_eq!(controller.end_of((1, 1)).await.ended.unwrap().exit, Some(Exit::Code(0)));
    let written = fs::read_to_string(out).unwrap();
    let expected: String = values.iter().zip(0..).map(|(value, i)| format!("--p{i:02}={value}\0")).collect();
    assert_eq!(written, expected);
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gpus_become_the_variable_and_the_files_own_env_wins() {
    use pb::placement::GpuGrant;
    let scratch = Scratch::new("gpus");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    let device = |uuid: &str| pb::Device { uuid: uuid.to_owned(), ..pb::Device::default() };
    let granted = pb::Placement {
        gpus: GpuGrant::Devices.into(),
        devices: vec![device("GPU-1"), device("GPU-2")],
        ..pb::Placement::default()
    };
    let hidden = pb::Placement { gpus: GpuGrant::Hidden.into(), ..pb::Placement::default() };
    for (trial, placement, own, expected) in
        [(1, granted.clone(), None, "GPU-1,GPU-2|"), (2, hidden, None, "|"), (3, granted, Some("7"), "7|")]
    {
        let out = scratch.0.join(format!("gpus-{trial}"));
        let shown = format!("echo \"$CUDA_VISIBLE_DEVICES|$SWATH_NVML_LIBRARY\" > {}", out.display());
        let mut spec = script(&shown);
        spec.env.extend(own.map(|value| pb::run_spec::EnvVar {
            name: "CUDA_VISIBLE_DEVICES".to_owned(),
            value: value.to_owned(),
        }));
        controller.assign_placed("a", (trial, 1), spec, placement).await;
        controller.end_of((trial, 1)).await;
        assert_eq!(fs::read_to_string(out).unwrap().trim_end(), expected);
    }
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_attempt_of_the_trial_is_ended_before_a_new_one_starts() {
    let scratch = Scratch::new("older");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    controller.assign("a", (1, 1), prints(1, Some(Path::new("/nonexistent")))).await;
    controller.until("it reports", |state| !state.runs[&(1, 1)].reports.is_empty()).await;
    let older = controller.state().runs[&(1, 1)].started.clone().unwrap().command_pid;
    controller.assign("a", (1, 2), script(&format!("[ ! -e /proc/{older} ] && echo loss=1"))).await;
    let newer = controller.end_of((1, 2)).await;
    assert_eq!(newer.ended.unwrap().exit, Some(Exit::Code(0)), "both lived at once");
    controller.end_of((1, 1)).await;
    agent.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_followed_to_the_runs_end_and_kept_behind_it() {
    let scratch = Scratch::new("follow");
    let controller = Controller::listen(&scratch.0, "s", 1);
    let agent = agent::start(options(&scratch.0, &controller.socket, "a").await);
    let go = scratch.0.join("go");
    let text = format!(
        "echo one; echo two; echo loss=1; until [ -e {} ]; do sleep 0.02; done; echo three",
        go.display()
    );
    controller.assign("a", (1, 1), script(&text)).await;
    controller.until("it reports", |state| !state.runs[&(1, 1)].reports.is_empty()).await;
    let ask = |request, tail, follow| {
        Down::Follow(pb::Follow {
            request,
            run: Some(controller.key((1, 1))),
            tail,
            follow,
            ..pb::Follow::default()
        })
    };
    controller.send("a", ask(1, 2, true)).await;
    controller
        .until("the first lines come", |state| state.output.get(&1).is_some_and(|(data, _)| !data.is_empty()))
        .await;
    fs::write(&go, "").unwrap();
    controller.until("the end comes", |state| state.output[&1].1.is_some()).await;
    agent.idle().await;
    controller.send("a", ask(2, 0, false)).await;
    controller
        .until("the kept output comes", |state| state.output.get(&2).is_some_and(|(_, end)| end.is_some()))
        .await;
    let shown = |request| String::from_utf8(controller.state().output[&request].0.clone()).unwrap();
    assert_eq!(shown(1), "two\nloss=1\nthree\n");
    assert_eq!(shown(2), "one\ntwo\nloss=1\nthree\n");
}
