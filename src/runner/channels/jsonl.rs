//! JSON lines: the file that `SWATH_METRICS` names, one object a line.
//!
//! `step` is an integer of at least 0, else one more than the last; `time` is seconds since 1970; every other number
//! is a metric, and so are the texts `"NaN"`, `"Infinity"`, `"-Infinity"`. The last line waits until it ends.

use super::json::{self, Json};
use super::limits::{JSON_FILE_BYTES, JSON_LINE_BYTES};
use super::notes::Notes;
use super::reading::{Channel, Reading};

/// Reads the file's bytes in order. Any split of them gives the same readings.
#[derive(Debug, Default)]
pub(super) struct JsonLines {
    section: u32,
    last_step: Option<i64>,
    /// Lines that have ended.
    lines: u64,
    /// Bytes taken.
    bytes: u64,
    /// The unfinished line.
    held: Vec<u8>,
    /// It is too long.
    overlong: bool,
    /// Values that are neither numbers nor objects.
    left_out: u64,
}

impl JsonLines {
    /// The same file begins anew, or another one took its place.
    pub(super) fn restart(&mut self) {
        *self = JsonLines { section: self.section + 1, left_out: self.left_out, ..JsonLines::default() };
    }

    /// Takes the file's next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], notes: &mut Notes, take: &mut dyn FnMut(Reading)) {
        let room = JSON_FILE_BYTES.saturating_sub(self.bytes);
        let taken = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        if taken < bytes.len() {
            notes.once("file", || "metrics file: longer than 1 GiB; the rest is not read".into());
        }
        self.bytes += taken as u64;
        let mut rest = &bytes[..taken];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.hold(&rest[..end]);
            self.end_line(notes, take);
            rest = &rest[end + 1..];
        }
        self.hold(rest);
    }

    /// Takes the rest as a line, if it is a whole object, and says what was left out.
    pub(super) fn finish(&mut self, notes: &mut Notes, take: &mut dyn FnMut(Reading)) {
        if std::str::from_utf8(&self.held).is_ok_and(|text| json::parse(text).is_some()) {
            self.end_line(notes, take);
        }
        self.held.clear();
        if self.left_out > 0 {
            notes.once("left out", || {
                format!("metrics file: {} values that are no numbers were left out", self.left_out)
            });
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.overlong |= self.held.len() + bytes.len() > JSON_LINE_BYTES;
        if self.overlong {
            self.held.clear();
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, notes: &mut Notes, take: &mut dyn FnMut(Reading)) {
        self.lines += 1;
        let line = std::mem::take(&mut self.held);
        let read = if std::mem::take(&mut self.overlong) {
            Err("longer than 1 MiB")
        } else if line.trim_ascii().is_empty() {
            Ok(None)
        } else {
            self.line(&line)
        };
        match read {
            Ok(Some(reading)) => take(reading),
            Ok(None) => {}
            Err(why) => {
                notes.once(why, || format!("metrics file, line {}: {why}; the line is skipped", self.lines))
            }
        }
        self.held = line;
        self.held.clear();
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reading>, &'static str> {
        const FORM: &str = "not an object like {\"step\": 3, \"loss\": 0.2}";
        let text = std::str::from_utf8(line).map_err(|_| FORM)?;
        let Some(Json::Object(entries)) = json::parse(text) else { return Err(FORM) };
        let mut time = None;
        let mut said = None;
        let mut metrics = Vec::new();
        for (key, value) in &entries {
            match key.as_str() {
                "step" => said = Some(step(value).ok_or("step is not an integer of at least 0")?),
                "time" => time = number(value).filter(|time| time.is_finite()),
                _ => json::flatten(key, value, &mut |name, value| match number(value) {
                    Some(value) => metrics.push((name.to_owned(), value)),
                    None => self.left_out += 1,
                }),
            }
        }
        let step = said.unwrap_or_else(|| self.last_step.map_or(0, |last| last.saturating_add(1)));
        self.last_step = Some(step);
        let reading = Reading { section: self.section, step, time, metrics, source: Channel::Json };
        Ok((!reading.metrics.is_empty()).then_some(reading))
    }
}

/// An integer, also where it is written `3.0`.
fn step(value: &Json) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: every integer below is a float
    let Json::Number(number) = value else { return None };
    let whole = (number.value.fract() == 0.0 && number.value.abs() < EXACT).then_some(number.value as i64);
    number.integer.or(whole).filter(|step| *step >= 0)
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => Some(number.value),
        Json::Text(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Json::Object(_) | Json::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{JSON_LINE_BYTES, JsonLines};
    use crate::runner::channels::notes::Notes;
    use crate::runner::channels::reading::Reading;

    fn read(chunks: &[&[u8]]) -> (Vec<Reading>, Vec<String>) {
        let (mut lines, mut notes, mut found) = (JsonLines::default(), Notes::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, &mut notes, &mut |reading| found.push(reading));
        }
        lines.finish(&mut notes, &mut |reading| found.push(reading));
        (found, notes.take())
    }

    fn told(text: &str) -> Vec<String> {
        let one = |r: &Reading| {
            let pairs: Vec<_> = r.metrics.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}: {}", r.step, pairs.join(", "))
        };
        read(&[text.as_bytes()]).0.iter().map(one).collect()
    }

    #[test]
    fn an_object_a_line() {
        let text = "{\"step\": 3, \"loss\": 0.2, \"val\": {\"acc\": 0.9}, \"time\": 1e9}\n\n{\"loss\": NaN}\n{\"step\": 7.0, \"a\": \"-Infinity\"}\r\n{\"b\": 1}";
        assert_eq!(told(text), ["3: loss=0.2, val.acc=0.9", "4: loss=NaN", "7: a=-inf", "8: b=1"]);
        assert_eq!(read(&[text.as_bytes()]).0[0].time, Some(1e9));
    }

    #[test]
    fn b33_what_is_no_number_is_left_out_and_counted() {
        let (found, notes) =
            read(&[b"{\"a\": \"0.5\", \"b\": true, \"c\": null, \"d\": [1], \"e\": 1e999, \"f\": 1}\n"]);
        assert_eq!(found[0].metrics, [("f".to_owned(), 1.0)]);
        assert_eq!(notes, ["metrics file: 5 values that are no numbers were left out"]);
    }

    #[test]
    fn b34_a_negative_step_is_refused_and_named_once() {
        let (found, notes) =
            read(&[b"{\"a\": 1}\n{\"step\": -1, \"a\": 2}\n{\"step\": \"x\", \"a\": 2}\n[1]\nx\n"]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            notes,
            [
                "metrics file, line 2: step is not an integer of at least 0; the line is skipped",
                "metrics file, line 4: not an object like {\"step\": 3, \"loss\": 0.2}; the line is skipped",
            ]
        );
    }

    #[test]
    fn a_line_cut_by_the_end_is_not_read_and_a_long_one_is_skipped() {
        assert_eq!(told("{\"a\": 1}\n{\"a\": 2"), ["0: a=1"]);
        let long = format!("{{\"a\": \"{}\"}}\n{{\"b\": 1}}\n", "x".repeat(JSON_LINE_BYTES));
        assert_eq!(told(&long), ["0: b=1"]);
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same(
            pieces in prop::collection::vec(prop_oneof![
                Just("{\"step\": 3, \"a\": 1}".to_owned()), Just("\n".to_owned()), Just("{\"b\": NaN}".to_owned()),
                Just("{\"a\": {\"b\": [1, {}]}}".to_owned()), "[\\[\\]{}\":,0-9eE.\\\\-é]{0,12}",
            ], 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = pieces.concat().into_bytes();
            let at = cut.index(bytes.len() + 1);
            prop_assert_eq!(format!("{:?}", read(&[&bytes])), format!("{:?}", read(&[&bytes[..at], &bytes[at..]])));
        }
    }
}
