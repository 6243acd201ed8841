//! The API's messages in the words and marks of the screen.

use std::time::Duration;

use crate::cli::format::{count, duration, escape, number, short};
use crate::cli::terminal::is_utf8;
use crate::pb;

/// A sweep's state as people read it.
pub(super) fn sweep_state(sweep: &pb::Sweep) -> &'static str {
    use pb::sweep::State;
    match sweep.state() {
        State::Running => "running",
        State::Paused => "paused",
        State::Finished => "finished",
        State::Stopped => "stopped",
        State::Damaged => "damaged",
        State::Unspecified => "unknown",
    }
}

/// A trial's state as people read it; a succeeded one that breaks a limit is infeasible.
pub(super) fn trial_state(trial: &pb::Trial) -> &'static str {
    use pb::trial::State;
    match trial.state() {
        State::Queued => "queued",
        State::Running => "running",
        State::Succeeded if !trial.feasible => "infeasible",
        State::Succeeded => "succeeded",
        State::Stopped => "stopped",
        State::Failed => "failed",
        State::Unspecified => "unknown",
    }
}

/// `minimize` or `maximize`.
pub(super) fn goal(objective: &pb::Objective) -> &'static str {
    match objective.goal() {
        pb::objective::Goal::Maximize => "maximize",
        pb::objective::Goal::Minimize | pb::objective::Goal::Unspecified => "minimize",
    }
}

/// `random · minimize val_loss`, or the method alone where there is no metric.
pub(super) fn purpose(sweep: &pb::Sweep) -> String {
    let mut out = sweep.method.clone();
    for objective in &sweep.objectives {
        out.push_str(&format!(" · {} {}", goal(objective), escape(&objective.name)));
    }
    out
}

/// `40/100`, or `12/-` where there is no limit: trials that ended, of those that will be.
pub(super) fn progress(sweep: &pb::Sweep) -> String {
    format!("{}/{}", ended(&sweep.counts.unwrap_or_default()), sweep.trials.as_deref().unwrap_or("-"))
}

/// Trials that ended.
pub(super) fn ended(counts: &pb::Counts) -> u32 {
    counts.succeeded + counts.stopped + counts.failed
}

/// `25 done · 13 stopped · 2 failed`, without what is not there.
pub(super) fn counts(counts: &pb::Counts) -> String {
    let parts = [
        (counts.succeeded, "done"),
        (counts.infeasible, "infeasible"),
        (counts.stopped, "stopped"),
        (counts.failed, "failed"),
        (counts.running, "running"),
        (counts.queued, "queued"),
    ];
    let shown: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if shown.is_empty() { "none yet".to_owned() } else { shown.join(" · ") }
}

/// `val_loss 0.1832`, or `f1 0.913 · size 88 ◆4` for the first of a Pareto front of 4 trials; nothing where there is no
/// value.
pub(super) fn best(sweep: &pb::Sweep) -> String {
    let shown = |trial: &pb::Trial| values(&trial.objectives);
    match (&sweep.best, sweep.front.first()) {
        (Some(best), _) => shown(best),
        (None, Some(first)) => {
            format!("{} {}{}", shown(first), if is_utf8() { "◆" } else { "front of " }, sweep.front_size)
        }
        (None, None) => String::new(),
    }
}

/// `val_loss 0.1832 · size 88`.
pub(super) fn values(objectives: &[pb::Objective]) -> String {
    let shown: Vec<String> =
        objectives.iter().filter_map(|o| Some(format!("{} {}", escape(&o.name), number(o.value?)))).collect();
    shown.join(" · ")
}

/// `lr=3.1e-4 batch_size=64`: parameters for a line of a table. A dotted name is shortened to its last part while
/// that is unique.
pub(super) fn parameters(assignment: Option<&pb::Assignment>) -> String {
    let Some(assignment) = assignment else { return String::new() };
    let names: Vec<&str> = assignment.entries.iter().map(|entry| entry.name.as_str()).collect();
    let shown: Vec<String> = assignment
        .entries
        .iter()
        .map(|entry| format!("{}={}", escape(short_name(&entry.name, &names)), value(entry.value.as_ref())))
        .collect();
    shown.join(" ")
}

fn short_name<'a>(name: &'a str, all: &[&str]) -> &'a str {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let tail = last(name);
    let unique = all.iter().filter(|other| other.rsplit('.').next() == Some(tail)).count() == 1;
    if unique && !tail.is_empty() { tail } else { name }
}

/// One parameter's value, short.
pub(super) fn value(value: Option<&pb::Value>) -> String {
    use pb::value::Kind;
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Number(x)) => short(*x),
        Some(Kind::Integer(i)) => i.to_string(),
        Some(Kind::Text(text)) => escape(text),
        Some(Kind::Flag(flag)) => flag.to_string(),
        Some(Kind::Json(json)) => escape(json),
        Some(Kind::Null(_)) | None => "null".to_owned(),
    }
}

/// A protobuf duration; negative ones, which nobody sends, are 0.
pub(super) fn seconds(duration: Option<&prost_types::Duration>) -> Duration {
    duration.and_then(|d| Duration::try_from(*d).ok()).unwrap_or_default()
}

/// Microseconds since 1970 of a protobuf time.
pub(super) fn micros(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    time.map(|t| t.seconds * 1_000_000 + i64::from(t.nanos) / 1_000)
}

/// How long ago a time was, never negative.
pub(super) fn since(time: Option<&prost_types::Timestamp>, now_us: i64) -> Option<Duration> {
    let us = micros(time)?;
    Some(Duration::from_micros(u64::try_from(now_us - us).unwrap_or(0)))
}

/// The present time in microseconds since 1970.
pub(super) fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How long a trial's last attempt took.
pub(super) fn trial_duration(trial: &pb::Trial) -> Option<Duration> {
    trial.runs.last().and_then(|run| run.duration.as_ref()).map(|d| seconds(Some(d)))
}

/// `asked by ana, lease until 14:02 UTC`: who has a run that no machine has.
pub(super) fn caller(run: &pb::Run) -> Option<String> {
    if run.caller.is_empty() {
        return None;
    }
    let asked = format!("asked by {}", escape(&run.caller));
    let Some(end) = &run.lease_end else { return Some(asked) };
    let text = |micros: i64| pb::timestamp(crate::sweep::Timestamp(micros)).to_string(); // 2026-11-25T14:02:11Z
    let (end, now) = (text(micros(Some(end)).unwrap_or_default()), text(now_us()));
    let day = |text: &str| text.split('T').next().unwrap_or_default().to_owned();
    let date = if day(&end) == day(&now) { String::new() } else { day(&end) + " " };
    let clock: String = end.split('T').nth(1).unwrap_or_default().chars().take(5).collect();
    Some(format!("{asked}, lease until {date}{clock} UTC"))
}

/// GPU hours in words, or nothing where none were used.
pub(super) fn cost(gpu_hours: f64) -> String {
    if gpu_hours > 0.0 { format!("{} GPU h", number_3(gpu_hours)) } else { String::new() }
}

fn number_3(x: f64) -> String {
    if x >= 100.0 {
        format!("{x:.0}")
    } else if x >= 1.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.3}")
    }
}

/// `about 2h54 (41 %) · asha stopped 13 trials`.
pub(super) fn stopping(savings: &pb::Savings) -> String {
    let stopped = format!("{} stopped {}", escape(&savings.rule), count(savings.stopped, "trial"));
    match (saved(savings), savings.share) {
        (Some(saved), Some(share)) => format!("about {saved} ({:.0} %) · {stopped}", share * 100.0),
        _ if savings.stopped == 0 => format!("nothing · {stopped}"),
        _ => format!("unknown until a run has come to its end · {stopped}"),
    }
}

/// What stopping saved; `None` while nothing was stopped, or nobody knows how long a run takes.
pub(super) fn saved(savings: &pb::Savings) -> Option<String> {
    let hours = savings.hours.filter(|_| savings.stopped > 0)?;
    Some(match savings.gpu_hours.filter(|gpu_hours| *gpu_hours > 0.0) {
        Some(gpu_hours) => cost(gpu_hours),
        None => duration(Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default()),
    })
}

/// How often a stopping rule was wrong, by the runs that were let go on.
pub(super) fn audit(savings: &pb::Savings) -> String {
    match (savings.audited, savings.spared) {
        (0, 0) => "not measured".to_owned(),
        (0, spared) => format!("not known yet, {} let go on", count(spared, "run")),
        (audited, _) => {
            format!("{} of {} let go on ended as the best so far", savings.wrong, count(audited, "run"))
        }
    }
}

/// A sparkline of at most `width` cells: `▇▆▅▃▁`, or `#*+=-:.` without UTF-8. Scaled to the values shown.
pub(super) fn sparkline(values: &[f64], width: usize, utf8: bool) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: [char; 7] = ['.', ':', '-', '=', '+', '*', '#'];
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() || width == 0 {
        return String::new();
    }
    let cells = finite.len().min(width);
    let picked = (0..cells).map(|k| finite[(k + 1) * finite.len() / cells - 1]);
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let marks: &[char] = if utf8 { &BLOCKS[..7] } else { &ASCII };
    picked
        .map(|v| {
            let at = if high > low { (v - low) / (high - low) } else { 0.0 };
            marks[((at * (marks.len() - 1) as f64).round() as usize).min(marks.len() - 1)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_falls_with_its_values() {
        assert_eq!(sparkline(&[3.0, 2.0, 1.0, 0.0], 8, true), "▇▅▃▁");
        assert_eq!(sparkline(&[1.0, f64::NAN, 0.0], 8, false), "#.");
        assert_eq!(sparkline(&[1.0; 50], 10, true).chars().count(), 10);
        assert_eq!(sparkline(&[], 10, true), "");
    }

    #[test]
    fn a_dotted_name_shows_its_last_part_while_that_is_unique() {
        let all = ["model.lr", "head.lr", "data.size"];
        assert_eq!(short_name("data.size", &all), "size");
        assert_eq!(short_name("model.lr", &all), "model.lr");
    }
}
