//! Records become readings, and what the log says of the run.
//!
//! History gives a reading a row. A name that only ever stands in the summary (`run.summary["best"] = 0.9`) gives one
//! reading, at the last step, when the run ends. Names that begin with `_` are W&B's own, objects with `_type` are
//! media; neither are metrics.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::blocks::Blocks;
use super::records::{Changed, History, Item, Record, Typed};
use crate::runner::channels::json::{self, Json, Number, joined};
use crate::runner::channels::limits::{JSON_LINE_BYTES, NAMES};
use crate::runner::channels::notes::Notes;
use crate::runner::channels::reading::{Channel, Reading};
use crate::runner::channels::tail::WandbSeen;

/// Reads one `.wandb` file.
#[derive(Debug, Default)]
pub(crate) struct WandbLog {
    blocks: Blocks,
    rows: Rows,
}

impl WandbLog {
    /// A reader at the start of a file, whose readings belong to `section`.
    pub(crate) fn new(section: u32) -> WandbLog {
        WandbLog { rows: Rows { section, ..Rows::default() }, ..WandbLog::default() }
    }

    /// Takes the file's next bytes.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        seen: &mut WandbSeen,
        notes: &mut Notes,
        take: &mut dyn FnMut(Reading),
    ) {
        let mut unreadable = false;
        let rows = &mut self.rows;
        self.blocks.feed(bytes, notes, &mut |record| match Record::decode(record) {
            Ok(record) => rows.record(record, seen, take),
            Err(_) => unreadable = true,
        });
        if unreadable {
            notes.once("unreadable", || "a record of a .wandb file cannot be read; it is left out".into());
        }
    }

    /// Gives what only the summary says, if the log did not come to its end.
    pub(crate) fn finish(&mut self, take: &mut dyn FnMut(Reading)) {
        self.rows.end(take);
    }
}

/// What the records have said so far.
#[derive(Debug, Default)]
struct Rows {
    section: u32,
    last_step: Option<i64>,
    /// Names that history has given.
    logged: BTreeSet<String>,
    summary: BTreeMap<String, f64>,
}

impl Rows {
    fn record(&mut self, record: Record, seen: &mut WandbSeen, take: &mut dyn FnMut(Reading)) {
        if let Some(version) = record.header.and_then(|header| header.version_info) {
            remember_version(&version.producer, seen);
        }
        if let Some(run) = record.run {
            if let Some(telemetry) = run.telemetry {
                remember_version(&telemetry.cli_version, seen);
            }
            seen.run_id = Some(run.run_id);
            remember_config(&run.config.unwrap_or_default(), &mut seen.config);
        }
        if let Some(history) = record.history {
            self.row(&history, take);
        }
        if let Some(summary) = record.summary {
            self.summarise(&summary);
        }
        if let Some(exit) = record.exit {
            seen.exit_code = Some(exit.exit_code);
            self.end(take);
        }
    }

    fn row(&mut self, history: &History, take: &mut dyn FnMut(Reading)) {
        let mut metrics = Vec::new();
        let mut own_step = None;
        let mut time = None;
        for item in &history.item {
            match name(item).as_str() {
                "_step" => own_step = number(item).and_then(|number| number.integer),
                "_timestamp" => {
                    time = number(item).map(|number| number.value).filter(|time| time.is_finite())
                }
                _ => numbers(item, &mut |name, value| metrics.push((name.to_owned(), value))),
            }
        }
        let step = history.step.map(|step| step.num).or(own_step).filter(|step| *step >= 0);
        let step = step.unwrap_or_else(|| self.last_step.map_or(0, |last| last.saturating_add(1)));
        self.last_step = self.last_step.max(Some(step));
        for (name, _) in &metrics {
            if self.logged.len() < NAMES && !self.logged.contains(name) {
                self.logged.insert(name.clone());
            }
        }
        if !metrics.is_empty() {
            take(Reading { section: self.section, step, time, metrics, source: Channel::Wandb });
        }
    }

    fn summarise(&mut self, summary: &Changed) {
        for item in &summary.update {
            numbers(item, &mut |name, value| {
                if self.summary.len() < NAMES || self.summary.contains_key(name) {
                    self.summary.insert(name.to_owned(), value);
                }
            });
        }
        for item in &summary.remove {
            self.summary.remove(&name(item));
        }
    }

    /// At the run's end: names that only the summary has. Once, for they are then logged.
    fn end(&mut self, take: &mut dyn FnMut(Reading)) {
        let summary = std::mem::take(&mut self.summary);
        let metrics: Vec<_> = summary.into_iter().filter(|(name, _)| !self.logged.contains(name)).collect();
        self.logged.extend(metrics.iter().map(|(name, _)| name.clone()));
        if !metrics.is_empty() {
            let step = self.last_step.unwrap_or(0);
            take(Reading { section: self.section, step, time: None, metrics, source: Channel::Wandb });
        }
    }
}

fn remember_version(version: &str, seen: &mut WandbSeen) {
    let release = version.split('+').next().unwrap_or_default();
    if !release.is_empty() {
        seen.version = Some(release.to_owned());
    }
}

fn remember_config(config: &Changed, seen: &mut BTreeMap<String, String>) {
    for item in &config.update {
        let name = name(item);
        let is_room = seen.len() < NAMES && item.value_json.len() <= JSON_LINE_BYTES;
        if is_room && !name.starts_with('_') {
            seen.insert(name, item.value_json.clone());
        }
    }
}

/// wandb-core writes even a top-level name as a path of one.
fn name(item: &Item) -> String {
    if item.nested_key.is_empty() {
        return joined("", &item.key);
    }
    item.nested_key.iter().fold(String::new(), |name, key| joined(&name, key))
}

fn number(item: &Item) -> Option<Number> {
    match value(item)? {
        Json::Number(number) => Some(number),
        Json::Text(_) | Json::Object(_) | Json::Other => None,
    }
}

/// The value, where it can be or hold a number. Both forms may be there and say the same.
fn value(item: &Item) -> Option<Json> {
    if !item.value_json.is_empty() {
        return parsed(&item.value_json);
    }
    match item.typed.as_ref()? {
        Typed::Integer(integer) => {
            Some(Json::Number(Number { value: *integer as f64, integer: Some(*integer) }))
        }
        Typed::Number(value) => Some(Json::Number(Number { value: *value, integer: None })),
        Typed::Json(text) => parsed(text),
        Typed::None(_) | Typed::Boolean(_) | Typed::Text(_) => None,
    }
}

fn parsed(text: &str) -> Option<Json> {
    let may_hold_numbers = !text.starts_with(['"', '[']) && text.len() <= JSON_LINE_BYTES;
    may_hold_numbers.then(|| json::parse(text)).flatten()
}

fn numbers(item: &Item, take: &mut dyn FnMut(&str, f64)) {
    let name = name(item);
    if name.starts_with('_') {
        return;
    }
    if let Some(value) = value(item) {
        json::flatten_unless(&name, &value, &is_media, &mut |name, value| {
            if let Json::Number(number) = value {
                take(name, number.value);
            }
        });
    }
}

/// An image, a table, a histogram.
fn is_media(entries: &[(String, Json)]) -> bool {
    entries.iter().any(|(key, _)| key == "_type")
}
