//! `swath run` and `swath watch` as a person sees them: under a pseudo-terminal of some size, and as a pipe.
//!
//! What the program writes is drawn by a small terminal of the test's own ([`Screen`]), which fails on a sequence that it
//! does not know and on a line that is wider than it is.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use unicode_width::UnicodeWidthChar;

use crate::support::{Home, binary, kill, sweep, wait_for};

/// Makes stdin the controlling terminal of a session of its own, and becomes the command.
const LEADER: &str = "import os, sys, fcntl, termios\nos.setsid()\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execv(sys.argv[1], sys.argv[1:])";

/// Reports one value; then waits until the file `go` allows this trial, and reports another.
const GATED: &str = r#"
import os, sys, time
x = float(next(a for a in sys.argv if a.startswith("--x=")).split("=")[1])
trial = int(os.environ["SWATH_TRIAL"])
print(f"step=0 loss={1 + x}", flush=True)
open(f"began.{trial}", "w").close()
def allowed():
    try: return int(open("go").read() or 0)
    except FileNotFoundError: return 0
while allowed() < trial: time.sleep(0.01)
for step in range(1, 6):
    print(f"step={step} loss={x + 1 / (step + 1)}", flush=True)
"#;

/// A terminal of some size: what is on it, what scrolled off its top, and what went wrong.
struct Screen {
    columns: usize,
    rows: Vec<Vec<char>>,
    scrolled: Vec<String>,
    at: (usize, usize),
    /// The last column was filled: the next character would go to the next line.
    full: bool,
    /// Lines that were too wide.
    overflows: Vec<String>,
    colors: usize,
    escapes: usize,
    rest: Vec<u8>,
    bytes: Vec<u8>,
}

impl Screen {
    fn new(columns: usize, rows: usize) -> Self {
        Screen {
            columns,
            rows: vec![vec![' '; columns]; rows],
            scrolled: Vec::new(),
            at: (0, 0),
            full: false,
            overflows: Vec::new(),
            colors: 0,
            escapes: 0,
            rest: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let whole = match std::str::from_utf8(&rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => panic!("not UTF-8: {error} in {:?}", String::from_utf8_lossy(&rest)),
        };
        let mut text = std::str::from_utf8(&rest[..whole]).unwrap();
        while let Some(c) = text.chars().next() {
            if c != '\u{1b}' {
                self.character(c);
                text = &text[c.len_utf8()..];
                continue;
            }
            // Not all of a sequence may be here yet.
            let end = text.char_indices().skip(2).find(|(_, c)| ('@'..='~').contains(c));
            let Some((end, _)) = end else { break };
            assert!(text.starts_with("\u{1b}["), "an unknown sequence: {text:?}");
            self.sequence(&text[2..=end]);
            text = &text[end + 1..];
        }
        self.rest = [text.as_bytes(), &rest[whole..]].concat();
    }

    fn sequence(&mut self, text: &str) {
        self.escapes += 1;
        let (number, kind) = text.split_at(text.len() - 1);
        let n: usize = number.split(';').next().unwrap_or_default().parse().unwrap_or(1);
        match kind {
            "m" => self.colors += 1,
            "A" => {
                assert!(n <= self.at.1, "the cursor goes {n} up from row {}", self.at.1);
                self.at.1 -= n;
                self.full = false;
            }
            "J" if number.is_empty() || number == "0" => {
                let (x, y) = self.at;
                self.rows[y][x..].fill(' ');
                for row in &mut self.rows[y + 1..] {
                    row.fill(' ');
                }
            }
            _ => panic!("an unknown sequence: {text:?}"),
        }
    }

    fn character(&mut self, c: char) {
        match c {
            '\r' => self.at.0 = 0,
            '\n' => self.line_feed(),
            _ => {
                assert!(!c.is_control(), "a control character: {c:?}");
                let wide = c.width().unwrap_or(0);
                if self.full || self.at.0 + wide > self.columns {
                    self.overflows.push(self.row(self.at.1));
                    self.at.0 = 0;
                    self.line_feed();
                }
                let (x, y) = self.at;
                if wide > 0 {
                    self.rows[y][x] = c;
                }
                self.at.0 = (x + wide).min(self.columns - 1);
                self.full = x + wide >= self.columns;
                return;
            }
        }
        self.full = false;
    }

    fn line_feed(&mut self) {
        self.full = false;
        if self.at.1 + 1 < self.rows.len() {
            self.at.1 += 1;
        } else {
            let gone = self.rows.remove(0);
            self.scrolled.push(gone.into_iter().collect::<String>().trim_end().to_owned());
            self.rows.push(vec![' '; self.columns]);
        }
    }

    fn row(&self, y: usize) -> String {
        self.rows[y].iter().collect::<String>().trim_end().to_owned()
    }

    /// What a person sees.
    fn text(&self) -> String {
        let rows: Vec<String> = (0..self.rows.len()).map(|y| self.row(y)).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// What a person sees, and what they see when they scroll up.
    fn all(&self) -> String {
        let mut all = self.scrolled.join("\n");
        all.push('\n');
        all.push_str(&self.text());
        all
    }
}

/// A command at a terminal.
struct Session {
    child: Child,
    master: File,
    /// Keeps the terminal open when the command has gone.
    _slave: File,
    before: Termios,
    screen: Screen,
}

impl Session {
    /// Starts a command as the leader of a session at a new terminal. `set` goes into its environment.
    fn start(home: &Home, size: (u16, u16), set: &[(&str, &str)], command: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())))
            .unwrap();
        let (columns, rows) = size;
        tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let mut python = std::process::Command::new("python3");
        let environment = home.command(&[]);
        python.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        python
            .current_dir(&home.dir)
            .args(["-c", LEADER])
            .args(command)
            .env("TERM", "xterm")
            .env("SWATH", binary());
        python.envs(set.iter().copied());
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child = python.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let screen = Screen::new(usize::from(columns), usize::from(rows));
        Session { child, master: File::from(master), _slave: slave, before, screen }
    }

    fn swath(home: &Home, size: (u16, u16), set: &[(&str, &str)], arguments: &[&str]) -> Self {
        let command: Vec<&str> = [binary()].into_iter().chain(arguments.iter().copied()).collect();
        Session::start(home, size, set, &command)
    }

    /// Takes in what was written.
    fn pump(&mut self) {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = self.master.read(&mut buffer) {
            self.screen.feed(&buffer[..n]);
        }
    }

    /// Waits for something to be seen.
    fn shows(&mut self, text: &str) {
        let seen = self.wait(|session| session.screen.text().contains(text));
        assert!(seen, "waited in vain for '{text}' on\n{}", self.screen.all());
    }

    fn wait(&mut self, mut condition: impl FnMut(&mut Session) -> bool) -> bool {
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        loop {
            self.pump();
            if condition(self) {
                return true;
            }
            if std::time::Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the command's end; fails unless it ended with `code`, in order.
    fn ends(mut self, code: i32) -> Screen {
        let mut status = None;
        let ended = self.wait(|session| {
            status = session.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end:\n{}", self.screen.all());
        self.pump();
        let screen = &self.screen;
        assert_eq!(status.unwrap().code(), Some(code), "\n{}", screen.all());
        assert!(screen.overflows.is_empty(), "wider than the terminal: {:#?}", screen.overflows);
        self.has_modes_of_before();
        std::mem::replace(&mut self.screen, Screen::new(1, 1))
    }

    fn has_modes_of_before(&self) {
        let after = tcgetattr(&self.master).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
    }

    fn takes_keys(&self) -> bool {
        !tcgetattr(&self.master).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gated(trials: u32, more: &str) -> Home {
    let home = Home::new();
    home.write("train.py", GATED);
    home.write("sweep.yaml", &format!("name: mnist-lr\n{}", sweep("train.py", trials, more)));
    home
}

fn began(home: &Home, trial: u32) {
    let name = format!("began.{trial}");
    wait_for(&name, || home.dir.join(&name).exists().then_some(()));
}

/// Runs a gated sweep of 8 at a terminal; gives the screen in the middle and at the end.
fn watched(size: (u16, u16), set: &[(&str, &str)]) -> (String, Screen) {
    let home = gated(8, "parallel: 2\n");
    home.write("go", "5");
    let mut session = Session::swath(&home, size, set, &["run", "sweep.yaml"]);
    began(&home, 6);
    began(&home, 7);
    session.shows("5/8");
    session.shows("5 done");
    session.shows("RUN");
    session.shows("loss");
    // Both that run have told their first step.
    let both = session.wait(|session| {
        let text = session.screen.text();
        let told = |trial: &str| text.lines().any(|line| line.split_whitespace().take(2).eq([trial, "0"]));
        told("6") && told("7")
    });
    assert!(both, "{}", session.screen.all());
    let middle = session.screen.text();
    home.write("go", "100");
    let end = session.ends(0);
    println!("--- {size:?} {set:?}\n{middle}\n--- the end\n{}", end.all());
    (middle, end)
}

#[test]
fn t3_the_live_view_shows_how_the_sweep_stands() {
    let (middle, end) = watched((80, 24), &[]);
    let lines: Vec<&str> = middle.lines().collect();
    let head = lines.iter().position(|line| line.starts_with("mnist-lr")).unwrap();
    let block = &lines[head..];
    assert!(block[0].contains("random · minimize loss · seed 7"), "{middle}");
    assert!(block[0].ends_with("● running"), "{middle}");
    assert!(block[1].starts_with(" trials █") && block[1].contains('░'), "{middle}");
    assert!(block[1].contains("5/8   5 done · 2 running"), "{middle}");
    assert!(
        block[2].starts_with(" best   0.") && block[2].contains("trial ") && block[2].contains("x=0."),
        "{middle}"
    );
    assert!(block[3].contains("best so far") && block[3].contains("since the last gain"), "{middle}");
    assert!(block[4].starts_with(" time   ") && block[4].contains(" gone · about "), "{middle}");
    assert!(middle.contains(" [p]ause  [s]top  [d]etach"), "{middle}");
    // Ended trials stand above the view, once each, in the order of their ends.
    let all = end.all();
    for k in 1..=8 {
        assert_eq!(all.matches(&format!("[{k:>3}/8]")).count(), 1, "{all}");
    }
    assert!(all.contains("BEST"), "{all}");
    // Of the view nothing is left.
    assert!(!all.contains("[p]ause") && !all.contains("● running"), "{all}");
    assert!(all.contains("finished: 8 trials in "), "{all}");
    assert!(end.colors > 0);
}

#[test]
fn t3_the_view_fits_a_small_terminal() {
    let (middle, end) = watched((60, 16), &[]);
    assert!(
        middle.contains("● running") && middle.contains("PARAMETERS") && middle.contains("x=0.441"),
        "{middle}"
    );
    assert!(middle.lines().count() <= 16, "{middle}");
    assert!(end.all().contains("finished: 8 trials in "), "{}", end.all());
}

#[test]
fn t3_no_color_has_no_color() {
    let (middle, end) = watched((80, 24), &[("NO_COLOR", "1")]);
    assert!(middle.contains("● running"), "{middle}");
    assert_eq!(end.colors, 0);
    assert!(end.escapes > 0, "it is redrawn in place all the same");
}

#[test]
fn t3_without_utf_8_all_is_ascii() {
    for size in [(80, 24), (60, 16)] {
        let (middle, end) = watched(size, &[("LC_ALL", "C")]);
        assert!(middle.contains("* running") && middle.contains(" trials #"), "{middle}");
        assert!(end.bytes.is_ascii(), "{}", end.all());
    }
}

#[test]
fn t3_a_dumb_terminal_gets_lines() {
    let home = gated(3, "");
    home.write("go", "100");
    let end = Session::swath(&home, (80, 24), &[("TERM", "dumb")], &["run", "sweep.yaml"]).ends(0);
    assert_eq!(end.escapes, 0);
    let all = end.all();
    assert!(
        all.contains("swath: ") && all.contains("[  3/3] ") && all.contains("finished: 3 trials"),
        "{all}"
    );
}

#[test]
fn t3_a_pipe_gets_lines_without_an_escape() {
    for locale in ["C", "C.UTF-8"] {
        let home = gated(3, "");
        home.write("go", "100");
        let output =
            home.command(&["run", "sweep.yaml"]).env("LC_ALL", locale).env("TERM", "xterm").output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            assert!(!text.contains(&0x1b) && !text.contains(&b'\r'), "{}", String::from_utf8_lossy(text));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.lines().filter(|line| line.starts_with('[')).count(), 3, "{said}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("finished: 3 trials"));
    }
}

#[test]
fn t4_ctrl_c_at_the_terminal_pauses_and_resume_ends_it() {
    let home = gated(4, "parallel: 2\n");
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "sweep.yaml"]);
    began(&home, 1);
    began(&home, 2);
    assert!(session.wait(|session| session.takes_keys()), "keys are taken without echo");
    session.press("\u{3}");
    let end = session.ends(130).all();
    assert!(end.contains("paused after 0 trials"), "{end}");
    assert!(end.contains("swath run --resume"), "{end}");
    home.is_left_alone();
    home.write("go", "100");
    let end = Session::swath(&home, (80, 24), &[], &["run", "--resume"]).ends(0).all();
    assert!(end.contains("finished: 4 trials"), "{end}");
}

#[test]
fn t4_ctrl_c_twice_at_the_terminal_kills() {
    let home = Home::new();
    home.write("train.sh", "trap '' TERM\ntouch began.1\nwhile :; do sleep 0.05; done\n");
    home.write("sweep.yaml", &sweep("train.sh", 2, "command: [sh, train.sh]\ngrace: 1h\n"));
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "sweep.yaml"]);
    began(&home, 1);
    session.press("\u{3}");
    session.shows("Ctrl-C again");
    session.press("\u{3}");
    session.ends(130);
    home.is_left_alone();
}

#[test]
fn ctrl_z_is_dropped_with_a_word() {
    let home = gated(2, "");
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "sweep.yaml"]);
    began(&home, 1);
    assert!(session.wait(|session| session.takes_keys()));
    session.press("\u{1a}");
    session.shows("Ctrl-Z is not taken");
    home.write("go", "100");
    let end = session.ends(0).all();
    assert!(end.contains("finished: 2 trials"), "{end}");
}

#[test]
fn keys_detach_pause_and_stop() {
    let home = gated(3, "");
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "sweep.yaml"]);
    began(&home, 1);
    session.shows("[d]etach");
    session.press("d");
    let end = session.ends(0).all();
    assert!(end.contains("left alone: its runs go on"), "{end}");
    assert!(!home.processes().is_empty(), "its run goes on");
    // Again, with the same run; then paused from the keys.
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "sweep.yaml"]);
    session.shows("[p]ause");
    session.press("p");
    let end = session.ends(11).all();
    assert!(end.contains("paused after 0 trials"), "{end}");
    // One `s` asks, another key says no, two stop.
    let mut session = Session::swath(&home, (80, 24), &[], &["run", "--resume"]);
    session.shows("[s]top");
    session.press("s");
    session.shows("press s again");
    session.press("x");
    assert!(session.wait(|session| !session.screen.text().contains("press s again")));
    session.press("ss");
    let end = session.ends(11).all();
    assert!(end.contains("stopped"), "{end}");
    home.is_left_alone();
}

#[test]
fn t3_a_closed_terminal_detaches_and_is_left_in_order() {
    let home = gated(2, "");
    // The shell leads the session: when it is killed, the terminal hangs up.
    let mut session =
        Session::start(&home, (80, 24), &[], &["/bin/sh", "-c", "\"$SWATH\" run sweep.yaml; true"]);
    began(&home, 1);
    session.shows("[d]etach");
    session.child.kill().unwrap();
    session.child.wait().unwrap();
    let run = |home: &Home| {
        home.processes().into_iter().any(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"run")
        })
    };
    wait_for("swath run to leave", || (!run(&home)).then_some(()));
    session.has_modes_of_before();
    assert!(!home.processes().is_empty(), "its run goes on");
    home.write("go", "100");
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    assert!(done.out.starts_with("finished: 2 trials"), "{done:?}");
    let trial = home.swath(&["trial", "show", "@last/1", "-o", "json"]).expect(0).json();
    assert_eq!(trial["runs"].as_array().unwrap().len(), 1, "it was adopted: {trial}");
}

#[test]
fn t3_the_terminal_is_left_in_order_when_the_parent_shell_is_killed() {
    let home = gated(2, "");
    home.write("inner.sh", "echo $$ > inner\n\"$SWATH\" run sweep.yaml\necho inner went on\n");
    let outer = "/bin/sh inner.sh; while [ ! -e bye ]; do sleep 0.02; done";
    let mut session = Session::start(&home, (80, 24), &[], &["/bin/sh", "-c", outer]);
    began(&home, 1);
    session.shows("[d]etach");
    kill(home.read("inner").trim().parse().unwrap(), "KILL");
    home.write("go", "100");
    session.shows("finished: 2 trials");
    assert!(session.wait(|session| !session.takes_keys()));
    home.write("bye", "");
    session.ends(0);
}

#[test]
fn a_run_in_the_background_is_never_stopped_by_its_terminal() {
    let home = gated(3, "");
    let script = "set -m; \"$SWATH\" run sweep.yaml & wait $!; echo code $?";
    let mut session = Session::start(&home, (80, 24), &[], &["/bin/bash", "-c", script]);
    began(&home, 1);
    home.write("go", "100");
    session.shows("code 0");
    let end = session.ends(0).all();
    assert!(end.contains("finished: 3 trials"), "{end}");
}

#[test]
fn a_watcher_leaves_with_q_and_the_sweep_goes_on() {
    let home = gated(2, "");
    let run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1);
    let mut session = Session::swath(&home, (80, 24), &[], &["watch"]);
    session.shows("● running");
    session.shows("1 running");
    session.press("q");
    session.ends(0);
    home.write("go", "100");
    run.end().expect(0);
    let end = Session::swath(&home, (80, 24), &[], &["watch", "@last"]).ends(0).all();
    assert!(end.contains("2/2   2 done"), "{end}");
}
