//! The live view: a block that is redrawn in place below the lines of ended trials, which stay in the scroll-back.
//!
//! At most ten redraws a second, and none when nothing changed but once a second the ages. The alternate screen is not
//! used and the cursor is not hidden, so there is nothing to restore but the keys' modes.

use std::io::Write;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use crate::api::client::Client;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::follow::{Turn, Wish};
use crate::cli::format::{age, duration, escape, number, wrap};
use crate::cli::front;
use crate::cli::keys::Keys;
use crate::cli::progress::{self, Lines, ended_trials};
use crate::cli::settings::Settings;
use crate::cli::table::shorten;
use crate::cli::terminal::{self, Stream, Style, is_utf8};
use crate::cli::words;
use crate::pb;

/// Between two redraws.
const QUICKEST: Duration = Duration::from_millis(100);
/// Between two redraws when only ages change.
const SLOWEST: Duration = Duration::from_secs(1);

/// Trials of a front that are shown.
const FRONT: usize = 3;
/// Metrics that runs are shown with.
const METRICS: usize = 3;

/// The view of one sweep.
pub(super) struct Live {
    sweep: pb::Sweep,
    lines: Lines,
    keys: Option<Keys>,
    color: bool,
    utf8: bool,
    /// Rows of the block that stand on the screen.
    drawn: usize,
    /// Finished lines to go above the block.
    scroll: Vec<String>,
    last_draw: Instant,
    last_look: Instant,
    dirty: bool,
    stale: bool,
    /// `s` was pressed once.
    stopping: bool,
    word: String,
    begun: Instant,
}

impl Live {
    /// A view that has drawn nothing yet.
    pub(super) fn new(sweep: &pb::Sweep, settings: &Settings) -> Self {
        let now = Instant::now();
        terminal::hold_back(true);
        Live {
            sweep: sweep.clone(),
            lines: Lines::new(settings),
            keys: Keys::take(),
            color: Stream::Stderr.color(settings.color.value),
            utf8: is_utf8(),
            drawn: 0,
            scroll: Vec::new(),
            last_draw: now,
            last_look: now,
            dirty: true,
            stale: false,
            stopping: false,
            word: String::new(),
            begun: now,
        }
    }

    /// Draws for the first time.
    pub(super) fn begin(&mut self, sweep: &pb::Sweep) {
        self.lines.start_from(sweep);
        self.refresh(sweep);
        self.draw();
    }

    /// Whether the message is worth another look at the sweep now; if not, [`Live::is_stale`] says so later.
    pub(super) fn wants(&mut self, message: &pb::WatchResponse) -> bool {
        if message.entries.is_empty() {
            return false;
        }
        let now = self.last_look.elapsed() >= QUICKEST;
        self.stale |= !now;
        now
    }

    /// Whether something happened since the last look.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Takes in how the sweep stands.
    pub(super) fn refresh(&mut self, sweep: &pb::Sweep) {
        self.sweep = sweep.clone();
        self.last_look = Instant::now();
        self.begun = self.last_look;
        self.stale = false;
        self.dirty = true;
    }

    /// Takes in a message; lines of trials that ended go to the scroll-back.
    ///
    /// # Errors
    ///
    /// The controller is lost.
    pub(super) async fn take(
        &mut self,
        message: &pb::WatchResponse,
        sweep: &pb::Sweep,
        client: &Client,
    ) -> Result<(), Failure> {
        self.refresh(sweep);
        for trial in ended_trials(message) {
            let request = pb::GetTrialRequest { sweep: sweep.sweep.clone(), trial, best: false };
            let trial = client.trials().get(request).await?.into_inner();
            self.scroll.extend(self.lines.line(&trial, sweep));
        }
        Ok(())
    }

    /// Says something below the block.
    pub(super) fn say(&mut self, text: &str) {
        self.word = text.to_owned();
        self.dirty = true;
    }

    /// Waits until a key asks for something or there is something to redraw.
    pub(super) async fn turn(&mut self) -> Turn {
        let wait = if self.dirty || self.stale { QUICKEST } else { SLOWEST };
        let due = tokio::time::sleep_until((self.last_draw + wait).into());
        let key = async {
            match &mut self.keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            key = key => self.pressed(key).map_or(Turn::Redraw, Turn::Wish),
            () = due => Turn::Redraw,
        }
    }

    /// What a key asks for. Stopping asks twice.
    fn pressed(&mut self, key: u8) -> Option<Wish> {
        self.dirty = true;
        let asked = std::mem::take(&mut self.stopping);
        match key {
            b'p' => return Some(Wish::Pause(Exit::Interrupted)),
            b'd' | b'q' => return Some(Wish::Detach),
            b's' if asked => return Some(Wish::Stop),
            b's' => {
                self.stopping = true;
                self.word = "stop for good? it can never go on: press s again; any other key: no".to_owned();
            }
            _ => self.word.clear(),
        }
        None
    }

    /// Redraws the block.
    pub(super) fn draw(&mut self) {
        let (columns, rows) = Stream::Stderr.size().unwrap_or((80, 24));
        let block = self.block(columns, rows);
        let mut text = self.erase();
        text.push_str(&self.scrolled(columns));
        for line in &block {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = block.len();
        self.last_draw = Instant::now();
        self.dirty = false;
        put(&text);
    }

    /// Takes the block off the screen; what scrolled stays.
    pub(super) fn end(&mut self, sweep: &pb::Sweep) {
        self.sweep = sweep.clone();
        let (columns, _) = Stream::Stderr.size().unwrap_or((80, 24));
        let mut text = self.erase();
        text.push_str(&self.scrolled(columns));
        self.drawn = 0;
        self.keys = None;
        put(&text);
    }

    /// The lines that go above the block, and whole what was said beside it.
    fn scrolled(&mut self, columns: usize) -> String {
        let said: String = terminal::held_back()
            .iter()
            .flat_map(|line| wrap(&escape(line), Some(columns)))
            .map(|line| format!("{line}\n"))
            .collect();
        let ended: String =
            self.scroll.drain(..).map(|line| format!("{}\n", shorten(&line, columns))).collect();
        said + &ended
    }

    /// Moves to the block's first row and clears from there on.
    fn erase(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) }
    }

    fn block(&self, columns: usize, rows: usize) -> Vec<String> {
        let mut lines = vec![self.head(columns), self.trials(columns)];
        if let Some(best) = progress::best_line(&self.sweep) {
            lines.push(format!(" best   {best}"));
            if self.sweep.trend.len() > 1 {
                let line = words::sparkline(&self.sweep.trend, 20, self.utf8);
                let since = crate::cli::format::count(self.sweep.since_gain, "trial");
                lines.push(format!("        {line}  best so far   {since} since the last gain"));
            }
        }
        if front::has_one(&self.sweep) {
            lines.push(format!(" front  {}", front::sentence(&self.sweep)));
            if !self.sweep.front.is_empty() && rows >= 20 {
                let table = front::lines(&self.sweep, FRONT, Some(columns.saturating_sub(7)));
                lines.extend(table.iter().map(|line| format!("       {line}")));
            }
        }
        lines.push(self.time());
        if self.sweep.gpu_hours > 0.0 || self.sweep.gpu_hours_budget.is_some() {
            let of = self.sweep.gpu_hours_budget.map(|b| format!(" of {}", number(b))).unwrap_or_default();
            lines.push(format!(" cost   {} GPU h{of}", number(self.sweep.gpu_hours)));
        }
        if let Some(savings) = self.sweep.savings.as_ref().filter(|savings| savings.stopped > 0) {
            lines.push(format!(" saved  {}", words::stopping(savings)));
        }
        let foot = self.foot(columns);
        let room = rows.saturating_sub(lines.len() + foot.len() + 1);
        lines.extend(self.runs(columns, room));
        lines.extend(foot);
        lines.truncate(rows.saturating_sub(1).max(3));
        lines.iter().map(|line| shorten(line, columns)).collect()
    }

    fn head(&self, columns: usize) -> String {
        let sweep = &self.sweep;
        let left = format!(
            "{}  {}   {} · seed {}",
            escape(&sweep.name),
            sweep.sweep,
            words::purpose(sweep),
            sweep.seed
        );
        let mark = if self.utf8 { "● " } else { "* " };
        let state = format!("{mark}{}", words::sweep_state(sweep));
        let room = columns.saturating_sub(state.width() + 1);
        let left = shorten(&left, room);
        let gap = " ".repeat(columns.saturating_sub(left.width() + state.width()));
        format!("{left}{gap}{}", Style::Running.paint(&state, self.color))
    }

    fn trials(&self, columns: usize) -> String {
        let counts = self.sweep.counts.unwrap_or_default();
        let words = format!("{}   {}", words::progress(&self.sweep), words::counts(&counts));
        let total: Option<f64> = self.sweep.trials.as_ref().and_then(|n| n.parse().ok());
        let Some(total) = total.filter(|total| *total > 0.0) else { return format!(" trials {words}") };
        let width = columns.saturating_sub(words.width() + 11).min(28);
        if width < 6 {
            return format!(" trials {words}");
        }
        let share = f64::from(words::ended(&counts)) / total;
        let full = ((share * width as f64).floor() as usize).min(width);
        let (on, off) = if self.utf8 { ("█", "░") } else { ("#", "-") };
        format!(" trials {}{}  {words}", on.repeat(full), off.repeat(width - full))
    }

    fn time(&self) -> String {
        let gone = words::seconds(self.sweep.wall.as_ref());
        let gone =
            if self.sweep.state() == pb::sweep::State::Running { gone + self.begun.elapsed() } else { gone };
        let left = match progress::remaining(&self.sweep) {
            Some(left) => format!("about {} left", duration(left)),
            None if self.sweep.trials.is_none() => "no limit is set".to_owned(),
            None => "time left unknown until 3 runs have ended".to_owned(),
        };
        format!(" time   {} gone · {left}", duration(gone))
    }

    fn runs(&self, columns: usize, room: usize) -> Vec<String> {
        if self.sweep.running.is_empty() || room < 3 {
            return Vec::new();
        }
        let metrics: Vec<(&str, String, usize)> = self
            .sweep
            .objectives
            .iter()
            .take(METRICS)
            .map(|objective| (objective.name.as_str(), shorten(&escape(&objective.name), 20)))
            .map(|(name, head)| (name, head.clone(), head.width().max(9)))
            .collect();
        let heads: String =
            metrics.iter().map(|(_, head, wide)| format!("{}  ", padded(head, *wide))).collect();
        // In a narrow terminal the parameters matter more than the place.
        let at = |place: &str| if columns < 80 { String::new() } else { format!("{place:<11} ") };
        let mut lines = vec![
            String::new(),
            format!(" RUN    STEP   {heads}{:<10}  AGE    {}PARAMETERS", "", at("WHERE")),
        ];
        let now = words::now_us();
        for trial in self.sweep.running.iter().take(room - 2) {
            let run = trial.runs.last();
            let name = match run {
                Some(run) if run.attempt > 1 => format!("{}.{}", trial.trial, run.attempt),
                _ => trial.trial.to_string(),
            };
            let curve: Vec<f64> = trial.curve.iter().map(|point| point.value).collect();
            let values: String = metrics
                .iter()
                .map(|(name, _, wide)| {
                    let value = trial.last.get(*name).copied().map(number).unwrap_or_default();
                    format!("{}  ", padded(&value, *wide))
                })
                .collect();
            let line = format!(
                " {name:<6} {:<6} {values}{}  {:<6} {}{}",
                trial.last_step.map_or_else(|| "-".to_owned(), |step| step.to_string()),
                padded(&words::sparkline(&curve, 10, self.utf8), 10),
                run.and_then(|run| words::since(run.start.as_ref(), now)).map_or_else(|| "-".to_owned(), age),
                at(&run.map(place).unwrap_or_default()),
                words::parameters(trial.params.as_ref()),
            );
            lines.push(shorten(&line, columns));
        }
        let more = self.sweep.running.len().saturating_sub(room - 2);
        if more > 0 {
            let last = lines.len() - 1;
            lines[last] = format!(" and {} more", more + 1);
        }
        lines
    }

    fn foot(&self, columns: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.word.is_empty() {
            lines.extend(
                wrap(&self.word, Some(columns.saturating_sub(1))).iter().map(|line| format!(" {line}")),
            );
        }
        if self.keys.is_some() {
            lines.push(" [p]ause  [s]top  [d]etach".to_owned());
        }
        lines
    }
}

/// `text` in `width` columns.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// `box1:gpu0`.
fn place(run: &pb::Run) -> String {
    if !run.caller.is_empty() {
        return format!("by {}", shorten(&escape(&run.caller), 12));
    }
    let Some(place) = run.placements.first() else { return String::new() };
    let gpus: Vec<String> = place.devices.iter().map(|device| device.index.to_string()).collect();
    let host = shorten(&escape(&place.host), 8);
    if gpus.is_empty() { host } else { format!("{host}:gpu{}", gpus.join(",")) }
}

impl Drop for Live {
    /// However the view ends, what was said is not lost.
    fn drop(&mut self) {
        let said: String = terminal::held_back().iter().map(|line| format!("{line}\n")).collect();
        terminal::hold_back(false);
        put(&said);
    }
}

/// Writes to stderr in one piece. A terminal that is gone is no error.
fn put(text: &str) {
    let mut err = terminal::screen();
    let _ = err.write_all(text.as_bytes());
    let _ = err.flush();
}
