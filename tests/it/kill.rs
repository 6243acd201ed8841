//! `kill -9` at seeded random moments, and at named points: whatever dies, the same sweep comes to its end.
//!
//! A seed makes a campaign: a sweep of 60 quick trials in a home of its own, `swath run` started again after every
//! kill, and a `swath watch` beside it. The scripts keep a list of their own of what they report; the test reads the
//! spools at every kill. When the sweep has ended, [`Campaign::check`] compares all of these with what swath exports.
//!
//! `SWATH_KILL_SEEDS=200 cargo test --test it kill::` runs 200 campaigns of each series; `SWATH_KILL_SEEDS=17..18` one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use swath::failpoint;
use swath::runner::{Folder, Record, SpoolReader};

use crate::support::{Home, Running, kill, wait_for};

const TRIALS: u32 = 60;
const PARALLEL: usize = 4;
const STEPS: u64 = 3;

/// Reports three times; `id` names (trial, attempt, step). What is printed was written to a list of the script's own
/// before.
const SCRIPT: &str = r#"
for step in 1 2 3; do
    id=$((SWATH_TRIAL * 10000 + SWATH_ATTEMPT * 100 + step))
    echo "$id" >> "$HOME/reported"
    echo "step=$step id=$id loss=0.$SWATH_TRIAL$step"
    sleep 0.01
done
"#;

/// Must be shown nowhere.
const SECRET: &str = "canary-5e1f0c";

fn file(trials: u32, retries: u32) -> String {
    format!(
        "name: killed\ncommand: [sh, train.sh, \"${{args}}\"]\nmethod: random\nmetric: {{name: loss, goal: minimize}}\n\
         parameters:\n  x: {{min: 0.0, max: 1.0}}\n  y: {{values: [a, b, c]}}\nrun_cap: {trials}\nseed: 11\n\
         parallel: {PARALLEL}\nretries: {retries}\nenv: {{PASSWORD: {SECRET}}}\n"
    )
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// `swath run`: client, agent and, mostly, the controller.
    Run,
    /// One runner.
    Runner,
    /// `swath run` and all runners.
    RunAndRunners,
    /// `swath watch`, which holds the store when it took over from a dead run.
    Watch,
    /// One script.
    Script,
}

#[test]
fn f02_swath_is_killed_at_random() {
    use Victim::{Run, RunAndRunners, Runner, Watch};
    series(0, &[Run, Run, Run, Runner, Runner, RunAndRunners, Watch]);
}

#[test]
fn f02_scripts_are_killed_too() {
    use Victim::{Run, RunAndRunners, Runner, Script};
    series(20, &[Run, Run, Runner, RunAndRunners, Script, Script, Script]);
}

/// Runs every seed's campaign, two at once, and says which failed and how to repeat them.
fn series(retries: u32, victims: &[Victim]) {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let (kills, attempts) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let mut campaign = Campaign::new(seed, TRIALS, retries);
                    let outcome = catch_unwind(AssertUnwindSafe(|| campaign.fight(victims)));
                    kills.fetch_add(campaign.kills.len() as u64, Ordering::Relaxed);
                    match outcome {
                        Ok(n) => _ = attempts.fetch_add(n, Ordering::Relaxed),
                        Err(_) => {
                            println!(
                                "seed {seed}: killed {:?}\nits home: {}",
                                campaign.kills,
                                campaign.keep().display()
                            );
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    println!(
        "{} campaigns, {} kills, {} attempts of {TRIALS} trials each",
        seeds.end - seeds.start,
        kills.into_inner(),
        attempts.into_inner()
    );
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed (see above); again: SWATH_KILL_SEEDS={0}..{1} cargo test --test it kill::f02",
        failed[0],
        failed[0] + 1
    );
}

fn seeds() -> Range<u64> {
    let text = std::env::var("SWATH_KILL_SEEDS").unwrap_or_else(|_| "4".to_owned());
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("SWATH_KILL_SEEDS is N or A..B, not {text}"));
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}

/// Numbers that depend on the seed alone (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.below(items.len() as u64) as usize])
    }
}

/// One seed's sweep and what was seen of it.
struct Campaign {
    home: Home,
    dice: Dice,
    trials: u32,
    retries: u32,
    starts: u32,
    watches: u32,
    kills: Vec<(Victim, usize)>,
    /// Ids of the reports that were seen in a spool.
    spooled: BTreeSet<u64>,
}

impl Campaign {
    fn new(seed: u64, trials: u32, retries: u32) -> Self {
        let home = Home::new();
        home.write("train.sh", SCRIPT);
        home.write("sweep.yaml", &file(trials, retries));
        Campaign {
            home,
            dice: Dice(seed),
            trials,
            retries,
            starts: 0,
            watches: 0,
            kills: Vec::new(),
            spooled: BTreeSet::new(),
        }
    }

    /// Keeps the home of a failed campaign for a look.
    fn keep(&self) -> PathBuf {
        let kept = self.home.dir.with_extension("kept");
        let _ = fs::remove_dir_all(&kept);
        for pid in self.home.processes() {
            kill(pid, "KILL");
        }
        let _ = fs::rename(&self.home.dir, &kept);
        kept
    }

    /// Kills and starts again until the sweep has ended; checks all. Gives the number of attempts.
    fn fight(&mut self, victims: &[Victim]) -> u64 {
        let mut run = self.run();
        let mut watch = self.watch();
        let blows = 4 + self.dice.below(4);
        for _ in 0..blows {
            if !self.pass_some_time(&mut run) {
                break;
            }
            let victim = self.dice.one_of(victims).unwrap();
            self.see_spools();
            let hit = self.strike(victim, &mut run, &mut watch);
            self.kills.push((victim, hit));
            self.see_spools();
            if matches!(victim, Victim::Run | Victim::RunAndRunners) {
                // The dead run's runners go on for a while.
                self.pause(60);
                if self.is_over() {
                    break;
                }
                run = self.run();
            }
            if watch.child.try_wait().unwrap().is_some() {
                watch = self.watch();
            }
        }
        self.finish(run, watch);
        self.check()
    }

    /// By its file; a sweep that may end meanwhile by its name, since of a file whose sweep has ended a new one begins.
    fn run(&mut self) -> Running {
        self.starts += 1;
        let name = format!("run.{}", self.starts);
        let is_near_its_end = self.reported_to_the_end() + PARALLEL >= self.trials as usize;
        let words: &[&str] =
            if is_near_its_end { &["run", "--resume", "@last"] } else { &["run", "sweep.yaml"] };
        self.home.start(words, &name)
    }

    /// A client that is shown everything; what it was shown goes to a file.
    fn watch(&mut self) -> Running {
        self.watches += 1;
        let out = fs::File::create(self.home.dir.join(format!("watch.{}", self.watches))).unwrap();
        let err = fs::File::create(self.home.dir.join(format!("watch.{}.err", self.watches))).unwrap();
        let mut command = self.home.command(&["watch", "@last", "-o", "json"]);
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        Running::of(child, self.home.dir.join(format!("watch.{}.err", self.watches)))
    }

    /// A moment of up to `ms` milliseconds, drawn.
    fn pause(&mut self, ms: u64) {
        thread::sleep(Duration::from_micros(self.dice.below(ms * 1000)));
    }

    /// Lets the sweep go on for some reports, or a start for some milliseconds. False: the run has ended.
    fn pass_some_time(&mut self, run: &mut Running) -> bool {
        if self.dice.below(4) > 0 {
            let wanted = self.reported().len() as u64 + self.dice.below(35);
            let ended = wait_for("reports", || {
                let ended = run.child.try_wait().unwrap().is_some();
                (ended || self.reported().len() as u64 >= wanted).then_some(ended)
            });
            if ended {
                return false;
            }
            self.pause(30);
        } else {
            self.pause(250);
        }
        run.child.try_wait().unwrap().is_none()
    }

    /// Kills; how many processes it hit.
    fn strike(&mut self, victim: Victim, run: &mut Running, watch: &mut Running) -> usize {
        let mut pids = Vec::new();
        if matches!(victim, Victim::Run | Victim::RunAndRunners) {
            pids.push(run.pid());
        }
        match victim {
            Victim::Run => {}
            Victim::Watch => pids.push(watch.pid()),
            Victim::RunAndRunners => pids.extend(self.runners()),
            Victim::Runner => {
                let runners = self.runners();
                pids.extend(self.dice.one_of(&runners));
            }
            Victim::Script => {
                let scripts = self.scripts();
                pids.extend(self.dice.one_of(&scripts));
            }
        }
        for pid in &pids {
            kill(*pid, "KILL");
        }
        if matches!(victim, Victim::Run | Victim::RunAndRunners) {
            run.child.wait().unwrap();
        }
        if victim == Victim::Watch {
            watch.child.wait().unwrap();
        }
        pids.len()
    }

    /// Runners, and the nurseries that fork them. A command that its runner has just forked bears its arguments still.
    fn runners(&self) -> Vec<u32> {
        let mut pids = self.with_argument(1, b"exec");
        let all = pids.clone();
        pids.retain(|pid| parent(*pid).is_none_or(|parent| !all.contains(&parent)));
        pids
    }

    fn scripts(&self) -> Vec<u32> {
        self.with_argument(0, b"sh")
    }

    fn with_argument(&self, place: usize, wanted: &[u8]) -> Vec<u32> {
        let mut pids = self.home.processes();
        pids.retain(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(place) == Some(wanted)
        });
        pids.sort_unstable();
        pids
    }

    /// Ids that the scripts noted. The last line of a killed script may be torn.
    fn reported(&self) -> BTreeSet<u64> {
        self.home.read("reported").lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Notes what lies in the spools.
    fn see_spools(&mut self) {
        for runs in self.run_folders() {
            for (_, folder) in Folder::list(&runs).unwrap_or_default() {
                // A folder may go away while it is read: its reports were acknowledged, and others see to those.
                let Ok(mut reader) = SpoolReader::open(&folder) else { continue };
                while let Ok(Some(entry)) = reader.next() {
                    if let Record::Report(report) = entry.record {
                        self.spooled.extend(report.values.iter().filter_map(|(_, value)| id(*value)));
                    }
                }
            }
        }
    }

    /// `work/STORE/MACHINE/runs` of all stores and machines.
    fn run_folders(&self) -> Vec<PathBuf> {
        let below = |dir: PathBuf| {
            fs::read_dir(dir)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect::<Vec<_>>()
        };
        let stores = below(self.home.data().join("work"));
        stores.into_iter().flat_map(below).map(|machine| machine.join("runs")).collect()
    }

    /// Whether the sweep has ended. Asked only when it may have: to ask is to take part.
    fn is_over(&self) -> bool {
        self.reported_to_the_end() == self.trials as usize && self.sweeps()[0]["state"] == "FINISHED"
    }

    /// Trials of which some attempt noted its last report.
    fn reported_to_the_end(&self) -> usize {
        let reported = self.reported();
        let last = reported.iter().filter(|id| **id % 100 == STEPS).map(|id| id / 10_000);
        last.collect::<BTreeSet<_>>().len()
    }

    fn sweeps(&self) -> Vec<Json> {
        let list = self.home.swath(&["sweep", "list", "-o", "json"]).expect(0).json();
        list["sweeps"].as_array().unwrap().clone()
    }

    /// Waits until run and watch have ended by themselves and nothing is left.
    fn finish(&mut self, mut run: Running, mut watch: Running) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while run.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the sweep does not end: {}", run.said());
            thread::sleep(Duration::from_millis(20));
        }
        let done = run.end();
        if done.code != Some(0) {
            assert!(self.is_over(), "{done:?}");
        }
        wait_for("the watcher's end", || watch.child.try_wait().unwrap());
        wait_for("no process left", || self.home.processes().is_empty().then_some(()));
    }

    /// Everything that must hold at the end. Gives the number of attempts.
    fn check(&self) -> u64 {
        let home = &self.home;
        let sweeps = self.sweeps();
        assert_eq!(sweeps.len(), 1, "one file, one sweep: {sweeps:?}");
        assert_eq!(sweeps[0]["state"], "FINISHED", "{}", sweeps[0]);
        let trials = trials(home);
        let mut same = undisturbed().clone();
        same.retain(|trial, _| *trial <= u64::from(self.trials));
        assert_eq!(assignments(&trials), same, "the same trials as without a kill");
        for trial in &trials {
            assert_eq!(trial["state"], "SUCCEEDED", "{trial}");
        }
        let history = History::of(home);
        history.check(self.trials, self.retries);
        self.check_reports(&history);
        self.check_watched(&history);
        home.swath(&["audit", "verify"]).expect(0);
        home.is_left_alone();
        history.ends.len() as u64
    }

    /// Every report of an attempt that ended by itself is there; of a killed one, all up to some step; and every one
    /// that was ever seen in a spool.
    fn check_reports(&self, history: &History) {
        let exported = exported_ids(&self.home);
        let all: BTreeSet<u64> = exported.iter().copied().collect();
        assert_eq!(all.len(), exported.len(), "a report is there twice");
        let reported = self.reported();
        for ((trial, attempt), end) in &history.ends {
            let of = |ids: &BTreeSet<u64>| -> Vec<u64> {
                ids.iter()
                    .copied()
                    .filter(|id| id / 100 == u64::from(*trial) * 100 + u64::from(*attempt))
                    .collect()
            };
            let (printed, stored) = (of(&reported), of(&all));
            if end["exit"]["code"].is_number() {
                assert_eq!(printed, stored, "reports of {trial}.{attempt}, which ended so: {end}");
            } else {
                assert!(
                    printed.starts_with(&stored),
                    "{trial}.{attempt}: {stored:?} of {printed:?}, ended {end}"
                );
            }
            // Killed between its note and its line, a script has printed all but the last.
            if end["exit"]["signal"].is_number() {
                assert!(
                    stored.len() + 1 >= printed.len(),
                    "{trial}.{attempt}: {stored:?} of {printed:?}, ended {end}"
                );
            }
        }
        let lost: Vec<_> = self.spooled.difference(&all).collect();
        assert!(lost.is_empty(), "were in a spool and are lost: {lost:?}");
        let invented: Vec<_> = all.difference(&reported).collect();
        assert!(invented.is_empty(), "nobody reported {invented:?}");
    }

    /// What a watcher was shown is there still, at the same position.
    fn check_watched(&self, history: &History) {
        let exported = exported_ids(&self.home).into_iter().collect::<BTreeSet<_>>();
        for n in 1..=self.watches {
            let text = self.home.read(&format!("watch.{n}"));
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let mut last = 0;
            for line in whole.lines() {
                let entry: Json =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                let pos: u64 = entry["pos"].as_str().unwrap().parse().unwrap();
                assert!(pos > last, "watch.{n}: {pos} after {last}");
                last = pos;
                if entry["kind"] == "Report" {
                    let body: Json = serde_json::from_str(entry["bodyJson"].as_str().unwrap()).unwrap();
                    let shown = id(body["values"]["id"].as_f64().unwrap()).unwrap();
                    assert!(exported.contains(&shown), "was shown and is lost: {line}");
                } else {
                    assert_eq!(history.events.get(&pos), Some(&entry), "was shown otherwise");
                }
            }
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// A report's `id` among the values of a row.
fn id(value: f64) -> Option<u64> {
    (value >= 10_000.0 && value.fract() == 0.0).then_some(value as u64)
}

fn trials(home: &Home) -> Vec<Json> {
    let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
    list["trials"].as_array().unwrap().clone()
}

/// (trial, its parameters).
fn assignments(trials: &[Json]) -> BTreeMap<u64, String> {
    trials.iter().map(|trial| (trial["trial"].as_u64().unwrap(), trial["params"].to_string())).collect()
}

/// What the sweep proposes when nobody is killed.
fn undisturbed() -> &'static BTreeMap<u64, String> {
    static TRIALS_OF: OnceLock<BTreeMap<u64, String>> = OnceLock::new();
    TRIALS_OF.get_or_init(|| {
        let home = Home::new();
        home.write("train.sh", SCRIPT);
        home.write("sweep.yaml", &file(TRIALS, 0));
        home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
        let trials = trials(&home);
        assert_eq!(trials.len(), TRIALS as usize);
        assignments(&trials)
    })
}

/// The ids in `sweep export --what reports`, as often as they are there.
fn exported_ids(home: &Home) -> Vec<u64> {
    let rows =
        home.swath(&["sweep", "export", "@last", "--what", "reports", "--format", "jsonl"]).expect(0).out;
    let rows = rows.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    rows.filter(|row| row["metric"] == "id").map(|row| id(row["value"].as_f64().unwrap()).unwrap()).collect()
}

/// The log of a sweep.
struct History {
    /// By position.
    events: BTreeMap<u64, Json>,
    /// How each (trial, attempt) ended.
    ends: BTreeMap<(u32, u32), Json>,
    successes: BTreeMap<u32, u32>,
    crashes: BTreeMap<u32, u32>,
    most_at_once: usize,
}

impl History {
    fn of(home: &Home) -> Self {
        let text = home.swath(&["sweep", "export", "@last", "--what", "events"]).expect(0).out;
        assert!(!text.contains(SECRET), "a secret is shown");
        let mut history = History {
            events: BTreeMap::new(),
            ends: BTreeMap::new(),
            successes: BTreeMap::new(),
            crashes: BTreeMap::new(),
            most_at_once: 0,
        };
        let mut live = BTreeSet::new();
        for (k, line) in text.lines().enumerate() {
            let entry: Json = serde_json::from_str(line).unwrap();
            assert_eq!(entry["n"], (k + 1).to_string(), "events have no gap");
            let body: Json = serde_json::from_str(entry["bodyJson"].as_str().unwrap()).unwrap();
            history.take(entry["kind"].as_str().unwrap(), &body, &mut live);
            history.events.insert(entry["pos"].as_str().unwrap().parse().unwrap(), entry);
        }
        assert!(live.is_empty(), "runs without an end: {live:?}");
        history
    }

    fn take(&mut self, kind: &str, body: &Json, live: &mut BTreeSet<(u32, u32)>) {
        let number = |name: &str| body["run"][name].as_u64().unwrap_or_default() as u32;
        let run = (number("trial"), number("attempt"));
        match kind {
            "RunAssigned" => {
                assert!(live.iter().all(|(trial, _)| *trial != run.0), "two runs of trial {} at once", run.0);
                live.insert(run);
                self.most_at_once = self.most_at_once.max(live.len());
            }
            "RunEnded" => {
                assert!(live.remove(&run), "an end of {run:?}, which does not run");
                match &body["outcome"] {
                    outcome if outcome == "succeeded" => *self.successes.entry(run.0).or_default() += 1,
                    outcome if outcome["queued"] == "crashed" => *self.crashes.entry(run.0).or_default() += 1,
                    _ => {}
                }
                self.ends.insert(run, body["ended"].clone());
            }
            _ => {}
        }
    }

    fn check(&self, trials: u32, retries: u32) {
        let once: BTreeMap<u32, u32> = (1..=trials).map(|trial| (trial, 1)).collect();
        assert_eq!(self.successes, once, "one success a trial");
        assert!(self.most_at_once <= PARALLEL, "{} runs at once", self.most_at_once);
        assert!(self.crashes.values().all(|n| *n <= retries), "retries: {:?}", self.crashes);
    }
}

/// Runs the sweep, long enough for every number of a commit below, with a point armed until somebody has died there, kills the run too, and starts it again; checks all.
fn killed_at(point: &str) {
    let mut campaign = Campaign::new(0, 32, 0);
    let fired = campaign.home.dir.join("fired");
    let said = fs::File::create(campaign.home.dir.join("run.0")).unwrap();
    let mut command = campaign.home.command(&["run", "sweep.yaml"]);
    command.env(failpoint::VARIABLE, format!("{point}@{}", fired.display()));
    let mut run = command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
    wait_for(&format!("{point} to be reached"), || fired.exists().then_some(()));
    campaign.see_spools();
    kill(run.id(), "KILL");
    run.wait().unwrap();
    campaign.see_spools();
    let run = campaign.run();
    let watch = campaign.watch();
    campaign.finish(run, watch);
    campaign.check();
}

/// One test a group of points, so that they run beside each other.
fn killed_at_each(points: &[&str]) {
    for point in points {
        println!("killed at {point}");
        killed_at(point);
    }
}

#[test]
fn f01_killed_before_a_commit() {
    killed_at_each(&["before_commit:1", "before_commit:2", "before_commit:5", "before_commit:12"]);
}

#[test]
fn f01_killed_between_a_commit_and_its_answers() {
    killed_at_each(&["after_commit:1", "after_commit:2", "after_commit:5", "after_commit:12"]);
}

#[test]
fn f12_killed_at_each_point_of_the_agent() {
    killed_at_each(&["after_folder", "after_folder:7", "after_spawn", "after_spawn:7"]);
}

#[test]
fn f12_killed_at_each_point_of_the_runner() {
    killed_at_each(&["before_started", "after_started", "before_end", "after_end"]);
}

#[test]
fn f57_one_of_two_others_takes_over_the_runs_of_a_killed_holder() {
    let home = Home::new();
    home.write("train.sh", "touch \"began.$SWATH_SWEEP\"; echo loss=0.5\nwhile [ ! -e go ]; do sleep 0.02; done\necho loss=0.25\n");
    let run = |name: &str| {
        let text = format!(
            "name: {name}\ncommand: [sh, train.sh]\nmethod: grid\nmetric: {{name: loss}}\nparameters: {{x: {{values: [1]}}}}\n"
        );
        home.write(&format!("{name}.yaml"), &text);
        let run = home.start(&["run", &format!("{name}.yaml")], &format!("err.{name}"));
        run.says(name);
        let id = run.said().split_whitespace().nth(1).unwrap().to_owned();
        wait_for("its script", || home.dir.join(format!("began.{id}")).exists().then_some(()));
        run
    };
    let (mut first, second, third) = (run("first"), run("second"), run("third"));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    home.write("go", "");
    for other in [second, third] {
        let done = other.end().expect(0);
        assert!(done.out.starts_with("finished: 1 trial"), "{done:?}");
    }
    // Whoever took the dead one's run over has handed in all of it.
    let trial = home.swath(&["trial", "show", "first/1", "-o", "json"]).expect(0).json();
    assert_eq!(trial["state"], "SUCCEEDED", "{trial}");
    assert_eq!(trial["objectives"][0]["value"], 0.25, "{trial}");
    assert_eq!(trial["runs"].as_array().unwrap().len(), 1, "{trial}");
    let reports = home.swath(&["sweep", "export", "first", "--what", "reports"]).expect(0).out;
    assert_eq!(reports.lines().count(), 3, "{reports}");
    home.swath(&["audit", "verify"]).expect(0);
    home.is_left_alone();
}
