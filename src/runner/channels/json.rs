//! JSON as training scripts write it: with bare `NaN`, `Infinity`, `-Infinity`, which strict readers refuse.
//!
//! Only what channels need is kept: numbers, texts and objects. Depth is limited, and a name grows no longer than it
//! takes to see that it is too long, so that no input costs more than its own length many times over.

use super::limits::{JSON_DEPTH, NAME_BYTES};

/// A number, and its exact value where it was written as an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) integer: Option<i64>,
}

/// A value; lists are read and forgotten.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Number(Number),
    Text(String),
    Object(Vec<(String, Json)>),
    /// A boolean, null or a list.
    Other,
}

/// Reads a text that is one JSON value as a whole.
pub(super) fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

/// Calls `take` with each value that is no object and its name, names of nested objects joined with `.`.
pub(super) fn flatten(name: &str, value: &Json, take: &mut dyn FnMut(&str, &Json)) {
    flatten_unless(name, value, &|_| false, take);
}

/// As [`flatten`], but objects that are `kept_out` are passed over.
pub(super) fn flatten_unless(
    name: &str,
    value: &Json,
    kept_out: &dyn Fn(&[(String, Json)]) -> bool,
    take: &mut dyn FnMut(&str, &Json),
) {
    match value {
        Json::Object(entries) if kept_out(entries) => {}
        Json::Object(entries) => {
            for (key, value) in entries {
                flatten_unless(&joined(name, key), value, kept_out, take);
            }
        }
        Json::Number(_) | Json::Text(_) | Json::Other => take(name, value),
    }
}

/// `prefix.key`, cut where it is longer than a name may be by one character, which is enough to refuse it.
pub(super) fn joined(prefix: &str, key: &str) -> String {
    let mut name = String::with_capacity((prefix.len() + 1 + key.len()).min(NAME_BYTES + 4));
    name.push_str(prefix);
    let dot = if prefix.is_empty() { None } else { Some('.') };
    for c in dot.into_iter().chain(key.chars()) {
        if name.len() > NAME_BYTES {
            break;
        }
        name.push(c);
    }
    name
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > JSON_DEPTH {
            return None;
        }
        self.blanks();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Other),
            b'f' => self.word("false", Json::Other),
            b'n' => self.word("null", Json::Other),
            b'N' => self.word("NaN", real(f64::NAN)),
            b'I' => self.word("Infinity", real(f64::INFINITY)),
            b'-' if self.rest().starts_with("-I") => self.word("-Infinity", real(f64::NEG_INFINITY)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut entries = Vec::new();
        self.at += 1;
        self.blanks();
        if self.eat(b'}') {
            return Some(Json::Object(entries));
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.blanks();
            if !self.eat(b':') {
                return None;
            }
            entries.push((key, self.value(depth + 1)?));
            self.blanks();
            if self.eat(b'}') {
                return Some(Json::Object(entries));
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        self.blanks();
        if self.eat(b']') {
            return Some(Json::Other);
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            if self.eat(b']') {
                return Some(Json::Other);
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    /// Its escapes are serde_json's to undo.
    fn string(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        let mut is_plain = true;
        while *bytes.get(end)? != b'"' {
            let escape = bytes[end] == b'\\';
            is_plain &= !escape;
            end += 1 + usize::from(escape);
        }
        let literal = &self.text[self.at..=end];
        self.at = end + 1;
        if is_plain {
            return Some(literal[1..literal.len() - 1].to_owned());
        }
        serde_json::from_str(literal).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(rest.len());
        let literal = &rest[..end];
        let digits = literal.strip_prefix('-').unwrap_or(literal);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('.') {
            return None;
        }
        let value: f64 = literal.parse().ok()?;
        self.at += end;
        if value.is_infinite() {
            return Some(Json::Other); // too large for a number, so none
        }
        Some(Json::Number(Number { value, integer: literal.parse().ok() }))
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.rest().starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }
}

fn real(value: f64) -> Json {
    Json::Number(Number { value, integer: None })
}

#[cfg(test)]
mod tests {
    use super::{Json, flatten, parse};

    fn numbers(text: &str) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        flatten("", &parse(text).expect("JSON"), &mut |name, value| {
            if let Json::Number(number) = value {
                found.push((name.to_owned(), number.value));
            }
        });
        found
    }

    #[test]
    fn numbers_flatten_and_may_be_bare_words() {
        let found =
            numbers(r#"{"a": {"b": 1, "c": {"d": -Infinity}}, "e": [1, {"x": 2}], "f\"": 5e-1, "g": true}"#);
        let expected = [("a.b", 1.0), ("a.c.d", f64::NEG_INFINITY), ("f\"", 0.5)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(numbers(r#"{"a": NaN}"#)[0].1.is_nan());
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\": }",
            "{\"a\": 1,}",
            "[1",
            "{\"a\": 1} x",
            "Nan",
            "-",
            "1.",
            "\"a",
            "\"\\",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn depth_and_names_are_limited() {
        assert_eq!(parse(&"[".repeat(100_000)), None);
        let long = format!("{{\"{}\": {{\"b\": 1}}}}", "a".repeat(10_000));
        assert_eq!(numbers(&long)[0].0.len(), super::NAME_BYTES + 1);
        assert_eq!(numbers("{\"a\": 1e999}"), []);
    }
}
