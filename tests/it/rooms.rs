//! The sources keep to the design: who may import whom, what a pure room may not touch, a head on every file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PURE: [&str; 5] = ["space", "spec", "search", "stopping", "sweep"];

/// Room -> rooms that it may name besides itself.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("failpoint", &[]),
    ("space", &[]),
    ("spec", &["space"]),
    ("search", &["space"]),
    ("stopping", &["space"]),
    ("sweep", &["space", "spec", "search", "stopping"]),
    ("pb", &["space", "spec", "sweep"]),
    ("store", &["space", "spec", "search", "stopping", "sweep"]),
    ("controller", &["space", "spec", "search", "stopping", "sweep", "store", "pb", "failpoint"]),
    ("api", &["space", "spec", "sweep", "controller", "pb"]),
    ("runner", &["space", "spec", "sweep", "failpoint"]),
    ("agent", &["space", "spec", "sweep", "runner", "api::client", "pb"]),
    ("cli", &["*"]),
];

/// What no pure room may name: I/O, async, clocks, randomness of its own, global state.
const FORBIDDEN: [&str; 22] = [
    "tokio::",
    "tonic::",
    "prost::",
    "rusqlite::",
    "dashmap::",
    "std::fs",
    "std::process",
    "std::env",
    "std::net",
    "std::io",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "rand::rng",
    "rand::random",
    "thread::spawn",
    "thread::sleep",
    "static mut",
    "OnceLock",
    "LazyLock",
    "println!",
    ".await",
];

/// Codes stand in one table, and everything else names them by the enum.
#[test]
fn no_code_is_written_as_text_but_in_its_table() {
    for (path, text) in sources() {
        if path.ends_with("spec/code.rs") || is_test(&path.to_string_lossy()) {
            continue;
        }
        for (at, _) in production(&text).match_indices("\"SW") {
            let code = &production(&text)[at + 1..];
            let digits = code[2..].chars().take_while(char::is_ascii_digit).count();
            assert!(digits != 4, "{}: {}", path.display(), &code[..6]);
        }
    }
}

/// Every Rust file below a folder of the project.
fn sources_below(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut out);
    out
}

fn sources() -> Vec<(PathBuf, String)> {
    sources_below("src")
}

/// The room a file belongs to, and the path to show.
fn room(path: &Path) -> (String, String) {
    let shown = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned();
    let inside = shown.strip_prefix("src/").unwrap();
    (inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned(), shown)
}

/// Whether a whole file is there for tests alone.
fn is_test(shown: &str) -> bool {
    shown.contains("/tests/") || shown.ends_with("testing.rs") || shown.ends_with("tests.rs")
}

/// The code without its tests and comments. Tests end a file.
fn production(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::x` or `crate::x::y` that the code names, imports in braces included.
fn named_rooms(code: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if at > 0 && code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(inner) = rest.strip_prefix('{') {
            let inner = inner.split('}').next().unwrap_or_default();
            out.extend(inner.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
            continue;
        }
        let word =
            |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let first = word(rest);
        let second = rest[first.len()..].strip_prefix("::").map(word).unwrap_or_default();
        out.insert(if second.is_empty() { first } else { format!("{first}::{second}") });
    }
    out
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let (room, shown) = room(&path);
        if room == "lib" || room == "main" || is_test(&shown) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{shown}: the room '{room}' is not in the design"));
            continue;
        };
        if allowed.contains(&"*") {
            continue;
        }
        for named in named_rooms(&production(&text)) {
            let its_room = named.split("::").next().unwrap_or_default();
            let may = its_room == room || allowed.iter().any(|a| *a == its_room || *a == named);
            if !may {
                wrong.push(format!("{shown}: {room} may not name crate::{named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let (room, shown) = room(&path);
        if !PURE.contains(&room.as_str()) || is_test(&shown) {
            continue;
        }
        let code = production(&text);
        wrong.extend(
            FORBIDDEN.iter().filter(|word| code.contains(**word)).map(|word| format!("{shown}: {word}")),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_leaves_nothing_undone() {
    let mut wrong = Vec::new();
    let marks = ["TO", "FIX", "XX"].map(|mark| {
        format!(
            "{mark}{}",
            if mark == "TO" {
                "DO"
            } else if mark == "FIX" {
                "ME"
            } else {
                "X"
            }
        )
    });
    for (path, text) in sources() {
        let (_, shown) = room(&path);
        if !text.starts_with("//! ") {
            wrong.push(format!("{shown}: begins without a //! line"));
        }
        let undone = marks.iter().map(String::as_str).chain(["todo!(", "unimplemented!("]);
        wrong.extend(undone.filter(|mark| text.contains(mark)).map(|mark| format!("{shown}: {mark}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_check_itself_sees_a_wrong_arrow() {
    assert_eq!(
        named_rooms("use crate::store::Store; use crate::{cli, api}; crate::pb::Sweep")
            .into_iter()
            .collect::<Vec<_>>(),
        ["api", "cli", "pb::Sweep", "store::Store"]
    );
    assert_eq!(production("use x;\n// crate::store\n#[cfg(test)]\nmod tests { crate::store }"), "use x;");
}

#[test]
fn the_table_of_faults_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let code: String = ["src", "tests"].into_iter().flat_map(sources_below).map(|(_, text)| text).collect();
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| F") || line.starts_with("| B")).collect();
    assert!(rows.len() > 60, "the table has {} rows", rows.len());
    let named =
        rows.iter().flat_map(|row| row.rsplit('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2));
    let missing: Vec<&str> = named.filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
