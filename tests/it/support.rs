//! Shared by the tests: where the design's corpus lies, and a home of one's own with the binary under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that takes a moment, on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The design's test data beside the checkout, or `None` (with a message) where it is absent.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: {} is absent", full.display());
    None
}

/// The binary under test.
pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_swath")
}

/// Waits until `condition` gives something; says `what` was waited for when it never does.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A page that is made from the code lies in the project as the code makes it. `SWATH_REWRITE=1` writes it anew.
pub(crate) fn same_as_file(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("SWATH_REWRITE").is_some() {
        fs::write(&file, made).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept == made, "{path} is not what the code makes; SWATH_REWRITE=1 cargo test writes it anew");
}

/// A user of swath: a home, a working folder and a store that nobody else has. Ends what it left running.
pub(crate) struct Home {
    /// The working folder.
    pub dir: PathBuf,
}

impl Home {
    /// A new one, with nothing in it.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("swath-it-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Home { dir: dir.canonicalize().unwrap() }
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// What a file holds; empty where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// Where the store lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// `swath ARGS` in this home, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.dir)
            .env("LC_ALL", "C.UTF-8")
            .env("USER", "ana")
            .env("SWATH_DATA_DIR", self.data())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs `swath ARGS` to its end.
    pub(crate) fn swath(&self, args: &[&str]) -> Done {
        Done::from(self.command(args).output().unwrap())
    }

    /// Starts `swath ARGS`; its stderr goes to a file of the home.
    pub(crate) fn start(&self, args: &[&str], stderr: &str) -> Running {
        let err = fs::File::create(self.dir.join(stderr)).unwrap();
        let child = self.command(args).stdout(Stdio::piped()).stderr(err).spawn().unwrap();
        Running { child, err: self.dir.join(stderr) }
    }

    /// Processes that belong to this home: their environment names its store.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = format!("HOME={}", self.dir.display()).into_bytes();
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark)
        })
        .collect()
    }
}

impl Home {
    /// Waits until nothing of this home runs any more: a runner ends a moment after it said that its run did.
    pub(crate) fn is_left_alone(&self) {
        wait_for("no process left", || self.processes().is_empty().then_some(()));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for pid in self.processes() {
            kill(pid, "KILL");
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Sends a signal by name; a process that is gone is fine.
pub(crate) fn kill(pid: u32, signal: &str) {
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Done {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Done {
    /// Fails the test unless the command ended with `code`; shows what it said.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {}", self.out))
    }
}

/// A command that runs.
pub(crate) struct Running {
    pub child: Child,
    err: PathBuf,
}

impl Running {
    /// A command that was started otherwise, with its stderr in a file.
    pub(crate) fn of(child: Child, err: PathBuf) -> Self {
        Running { child, err }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits until it has said something.
    pub(crate) fn says(&self, text: &str) {
        wait_for(&format!("'{text}' in {}", self.err.display()), || self.said().contains(text).then_some(()));
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Done {
        let output = self.child.wait_with_output().unwrap();
        let err = fs::read_to_string(&self.err).unwrap_or_default();
        Done { err, ..Done::from(output) }
    }
}

/// A script that reports a loss that depends on its parameter at once.
pub(crate) const QUICK: &str = r#"
import sys
x = float(next(a for a in sys.argv if a.startswith("--x=")).split("=")[1])
for step in range(3):
    print(f"step={step} loss={(x - 0.3) ** 2 + 1 / (step + 1)}", flush=True)
"#;

/// A sweep of `trials` random values of x.
pub(crate) fn sweep(program: &str, trials: u32, more: &str) -> String {
    format!(
        "program: {program}\nmethod: random\nmetric: {{name: loss, goal: minimize}}\nparameters:\n  x: {{min: 0.0, max: 1.0}}\nrun_cap: {trials}\nseed: 7\n{more}"
    )
}
