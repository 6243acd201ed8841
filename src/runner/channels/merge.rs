//! One series a name out of what the channels give.
//!
//! - A name belongs to the first channel, in the order of [`Channel`], that has given it; values of it from another
//!   are dropped from then on. What was handed on before stays, with its channel.
//! - A channel's new section counts on from the last step of the one before.
//! - Above [`ROWS_A_SECOND`] rows wait. Of those that wait the last one of a step counts, and when they become too many
//!   every second one goes, but never one that holds the least, the greatest or the last value of a wanted name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::limits::{HELD_VALUES, NAME_BYTES, NAMES, ROWS_A_SECOND, STDOUT_NAMES, WANDB_FILES};
use super::notes::Notes;
use super::reading::{Channel, Reading};

/// One line of the run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Not negative; sections follow one another.
    pub step: i64,
    /// Seconds since 1970, where the script said it.
    pub time: Option<f64>,
    /// Where it came from.
    pub source: Channel,
    /// Each name once.
    pub metrics: Vec<(String, f64)>,
}

/// How much was left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Values of a name that an earlier channel owns.
    pub not_owned: u64,
    /// Values whose name is empty, too long, or has control characters.
    pub bad_names: u64,
    /// Values of names above the limits.
    pub too_many_names: u64,
    /// Rows thinned out above the rate limit.
    pub thinned: u64,
}

/// Makes one series a name of what the channels give.
#[derive(Debug, Default)]
pub struct Merge {
    wanted: BTreeSet<String>,
    owners: BTreeMap<String, Channel>,
    /// Names that stdout was the first to give.
    from_stdout: usize,
    /// What to add to the steps of each section.
    offsets: BTreeMap<(Channel, u32), i64>,
    /// The largest step of each channel.
    largest: BTreeMap<Channel, i64>,
    held: VecDeque<Row>,
    held_values: usize,
    /// When the current second began, and how many rows of it are used up.
    second: Option<(Duration, usize)>,
    dropped: Dropped,
    notes: Notes,
}

impl Merge {
    /// `wanted`: names that must not be thinned or crowded out (objective, constraints, stopping rule).
    pub fn new(wanted: &[String]) -> Merge {
        Merge { wanted: wanted.iter().cloned().collect(), ..Merge::default() }
    }

    /// Takes in one reading.
    pub fn add(&mut self, reading: Reading) {
        let step = self.numbered(&reading);
        let source = reading.source;
        let mut metrics: BTreeMap<String, (usize, f64)> = BTreeMap::new();
        for (place, (name, value)) in reading.metrics.into_iter().enumerate() {
            if self.admits(&name, source) {
                metrics.entry(name).or_insert((place, value)).1 = value;
            }
        }
        if metrics.is_empty() {
            return;
        }
        let mut metrics: Vec<_> =
            metrics.into_iter().map(|(name, (place, value))| (place, name, value)).collect();
        metrics.sort_by_key(|(place, _, _)| *place);
        let metrics: Vec<_> = metrics.into_iter().map(|(_, name, value)| (name, value)).collect();
        self.held_values += metrics.len();
        self.held.push_back(Row { step, time: reading.time, source, metrics });
        if self.held_values > HELD_VALUES {
            self.thin();
        }
    }

    /// Rows that may go on now, in the order they came. `now`: any monotonic time.
    pub fn rows(&mut self, now: Duration) -> Vec<Row> {
        let limit = ROWS_A_SECOND as usize;
        let used = match self.second {
            Some((began, used)) if now < began + Duration::from_secs(1) => used,
            _ => {
                self.second = Some((now, 0));
                if self.held.len() > limit {
                    self.keep_last_of_step();
                }
                0
            }
        };
        let count = self.held.len().min(limit - used);
        if let Some((_, used)) = &mut self.second {
            *used += count;
        }
        self.release(count)
    }

    /// When held rows may go on, on the clock of [`Merge::rows`]; `None`: none are held.
    pub fn due(&self) -> Option<Duration> {
        let (began, _) = self.second?;
        (!self.held.is_empty()).then(|| began + Duration::from_secs(1))
    }

    /// The last rows, without the rate limit.
    pub fn finish(&mut self) -> Vec<Row> {
        self.release(self.held.len())
    }

    /// What was left out so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Every name that was given, in order.
    pub fn names(&self) -> Vec<&str> {
        self.owners.keys().map(String::as_str).collect()
    }

    /// What the user should hear, each thing once.
    pub fn notes(&mut self) -> Vec<String> {
        self.notes.take()
    }

    fn release(&mut self, count: usize) -> Vec<Row> {
        let rows: Vec<_> = self.held.drain(..count).collect();
        self.held_values -= rows.iter().map(|row| row.metrics.len()).sum::<usize>();
        rows
    }

    /// The reading's step, its section counted on from the one before.
    fn numbered(&mut self, reading: &Reading) -> i64 {
        let largest = self.largest.get(&reading.source).copied();
        let section = (reading.source, reading.section);
        let offset = *self.offsets.entry(section).or_insert(largest.map_or(0, |step| step.saturating_add(1)));
        if self.offsets.len() > WANDB_FILES * Channel::ALL.len() {
            self.offsets.pop_first();
        }
        let step = reading.step.saturating_add(offset);
        self.largest.insert(reading.source, largest.map_or(step, |largest| largest.max(step)));
        step
    }

    /// Whether a value of this name from this channel counts.
    fn admits(&mut self, name: &str, source: Channel) -> bool {
        if let Some(owner) = self.owners.get_mut(name) {
            let owns = source <= *owner;
            *owner = source.min(*owner);
            self.dropped.not_owned += u64::from(!owns);
            return owns;
        }
        if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            self.dropped.bad_names += 1;
            self.notes.once("bad name", || format!("a metric's name is empty, longer than {NAME_BYTES} bytes or has control characters ({source}: \"{}\"); such metrics are left out", shown(name)));
            return false;
        }
        if !self.wanted.contains(name) && !self.has_room(source) {
            self.dropped.too_many_names += 1;
            return false;
        }
        self.from_stdout += usize::from(source == Channel::Stdout);
        self.owners.insert(name.to_owned(), source);
        true
    }

    fn has_room(&mut self, source: Channel) -> bool {
        if source == Channel::Stdout && self.from_stdout >= STDOUT_NAMES {
            self.notes.once("stdout names", || format!("lines of stdout gave more than {STDOUT_NAMES} names; further ones are left out (collect.stdout: {{names: [...]}} says which to read)"));
            return false;
        }
        if self.owners.len() >= NAMES {
            self.notes.once("names", || {
                format!("the run gave more than {NAMES} metric names; further ones are left out")
            });
            return false;
        }
        true
    }

    fn thin(&mut self) {
        self.keep_last_of_step();
        if self.held_values <= HELD_VALUES / 2 {
            return;
        }
        let kept = self.protected();
        let before = self.held.len();
        let mut place = 0;
        self.held.retain(|_| {
            place += 1;
            place % 2 == 0 || kept.contains(&(place - 1))
        });
        self.count_thinned(before);
    }

    /// The places of the rows with the least, the greatest and the last value of each wanted name.
    fn protected(&self) -> BTreeSet<usize> {
        let mut kept = BTreeSet::new();
        for wanted in &self.wanted {
            let (mut least, mut greatest, mut last) = (None, None, None);
            for (place, row) in self.held.iter().enumerate() {
                let Some((_, value)) = row.metrics.iter().find(|(name, _)| name == wanted) else { continue };
                last = Some(place);
                if value.is_nan() || value.is_infinite() {
                    continue;
                }
                if least.is_none_or(|(_, known)| *value < known) {
                    least = Some((place, *value));
                }
                if greatest.is_none_or(|(_, known)| *value > known) {
                    greatest = Some((place, *value));
                }
            }
            kept.extend(least.map(|(place, _)| place));
            kept.extend(greatest.map(|(place, _)| place));
            kept.extend(last);
        }
        kept
    }

    /// Of each step and name the last value, at the place of the step's last row.
    fn keep_last_of_step(&mut self) {
        let before = self.held.len();
        let mut steps: BTreeMap<(Channel, i64), usize> = BTreeMap::new();
        let mut rows: Vec<Option<Row>> = Vec::with_capacity(before);
        for mut row in self.held.drain(..) {
            if let Some(earlier) = steps.insert((row.source, row.step), rows.len())
                && let Some(earlier) = rows[earlier].take()
            {
                let later: BTreeSet<_> = row.metrics.iter().map(|(name, _)| name.clone()).collect();
                row.metrics.extend(earlier.metrics.into_iter().filter(|(name, _)| !later.contains(name)));
            }
            rows.push(Some(row));
        }
        self.held.extend(rows.into_iter().flatten());
        self.count_thinned(before);
    }

    fn count_thinned(&mut self, before: usize) {
        self.held_values = self.held.iter().map(|row| row.metrics.len()).sum();
        let gone = before - self.held.len();
        self.dropped.thinned += gone as u64;
        if gone > 0 {
            self.notes.once("thinned", || format!("the script gave more than {ROWS_A_SECOND} rows a second; they were thinned, the best and the last value of the sweep's metric are kept"));
        }
    }
}

/// The beginning of a name, made safe to print.
fn shown(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Merge, Row};
    use crate::runner::channels::limits::{NAMES, ROWS_A_SECOND, STDOUT_NAMES};
    use crate::runner::channels::reading::{Channel, Reading};

    fn reading(source: Channel, section: u32, step: i64, name: &str, value: f64) -> Reading {
        Reading { section, step, time: None, metrics: vec![(name.to_owned(), value)], source }
    }

    fn merge() -> Merge {
        Merge::new(&["loss".to_owned()])
    }

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_first_channel_in_order_owns_a_name() {
        let mut merge = merge();
        merge.add(reading(Channel::Stdout, 0, 0, "loss", 1.0));
        merge.add(reading(Channel::Wandb, 0, 0, "loss", 2.0));
        merge.add(reading(Channel::Stdout, 0, 1, "loss", 3.0));
        merge.add(reading(Channel::Stdout, 0, 1, "acc", 4.0));
        let values: Vec<_> = merge.rows(second(0)).iter().map(|row| row.metrics[0].1).collect();
        assert_eq!(values, [1.0, 2.0, 4.0]);
        assert_eq!(merge.dropped().not_owned, 1);
        assert_eq!(merge.names(), ["acc", "loss"]);
    }

    #[test]
    fn a_new_section_counts_on_and_an_old_one_stays() {
        let mut merge = merge();
        for (section, step) in [(0, 5), (1, 0), (1, 1), (0, 6), (2, 0)] {
            merge.add(reading(Channel::Wandb, section, step, "loss", 1.0));
        }
        merge.add(reading(Channel::Json, 0, 0, "acc", 1.0));
        let steps: Vec<_> = merge.finish().iter().map(|row| row.step).collect();
        assert_eq!(steps, [5, 6, 7, 6, 8, 0]);
    }

    #[test]
    fn the_later_of_two_values_in_one_row_counts() {
        let mut merge = merge();
        let metrics = [("b", 1.0), ("a", 2.0), ("b", 3.0)].map(|(n, v)| (n.to_owned(), v)).to_vec();
        merge.add(Reading { metrics, ..reading(Channel::Json, 0, 0, "", 0.0) });
        let row = merge.finish().remove(0);
        assert_eq!(row.metrics, [("b".to_owned(), 3.0), ("a".to_owned(), 2.0)]);
    }

    #[test]
    fn b36_bad_names_are_refused_counted_and_named_once() {
        let mut merge = merge();
        for name in ["", "a\0b", "\x1b[31m", &"x".repeat(10 << 10)] {
            merge.add(reading(Channel::Json, 0, 0, name, 1.0));
        }
        assert_eq!((merge.finish().len(), merge.dropped().bad_names), (0, 4));
        let notes = merge.notes();
        assert_eq!(notes.len(), 1);
        assert!(!notes[0].contains('\x1b'));
    }

    #[test]
    fn b35_names_above_the_limits_are_refused_but_wanted_ones_are_not() {
        let mut merge = merge();
        for n in 0..STDOUT_NAMES + 5 {
            merge.add(reading(Channel::Stdout, 0, 0, &format!("s{n}"), 1.0));
        }
        assert_eq!(merge.dropped().too_many_names, 5);
        for n in 0..NAMES {
            merge.add(reading(Channel::Json, 0, 0, &format!("j{n}"), 1.0));
        }
        merge.add(reading(Channel::Stdout, 0, 0, "loss", 1.0));
        assert_eq!(merge.names().len(), NAMES + 1);
        assert_eq!(merge.notes().len(), 2);
    }

    #[test]
    fn b35_a_flood_is_thinned_and_the_best_and_last_are_kept() {
        let mut merge = merge();
        let value = |n: i64| match n {
            777_777 => -1.0,
            _ => 1.0 + n as f64,
        };
        let mut rows: Vec<Row> = Vec::new();
        for n in 0..1_000_000 {
            merge.add(reading(Channel::Json, 0, n, "loss", value(n)));
            if n % 1000 == 0 {
                rows.extend(merge.rows(second(0)));
            }
        }
        assert_eq!(rows.len(), ROWS_A_SECOND as usize);
        assert_eq!(merge.due(), Some(second(1)));
        assert_eq!(merge.rows(second(1)).len(), ROWS_A_SECOND as usize);
        let last = merge.finish();
        assert!(last.iter().any(|row| row.metrics[0].1 == -1.0));
        assert_eq!(last.last().map(|row| row.step), Some(999_999));
        assert_eq!((merge.dropped().thinned + 2000 + last.len() as u64, merge.notes().len()), (1_000_000, 1));
        assert_eq!(merge.due(), None);
    }

    #[test]
    fn of_waiting_rows_the_last_of_a_step_counts() {
        let mut merge = merge();
        for n in 0..5_000 {
            merge.add(reading(Channel::Stdout, 0, n % 10, if n < 4_990 { "loss" } else { "acc" }, n as f64));
        }
        let rows = merge.rows(second(0));
        assert_eq!(rows.len(), 10);
        assert_eq!(rows[9].metrics, [("acc".to_owned(), 4_999.0), ("loss".to_owned(), 4_989.0)]);
    }
}
