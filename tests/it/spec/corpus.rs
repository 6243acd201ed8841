//! Every file of the corpus gives the verdict, the parameters, the grid and the argv that are expected of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use swath::space::{Count, Distribution, Value};
use swath::spec::{self, Code, Definition, Method, Overrides, Severity, command};

use crate::support::shared;

/// Columns of EXPECTED.tsv.
const PARAMS: usize = 5;
const GRID: usize = 6;
const VERDICT: usize = 10;
const ARGV: usize = 12;

/// Warnings that EXPECTED.tsv does not count: those of the command, and the habit of `momentum`.
fn counts(diagnostic: &spec::Diagnostic) -> bool {
    let aside = [Code::UnknownMacro, Code::MacroInside, Code::SeveralWords, Code::RangeExcludesZero];
    diagnostic.severity == Severity::Warning && !aside.contains(&diagnostic.code)
}

/// What of which file differs on purpose: rows of docs/sweep-file.md that begin with a corpus file and one of the words
/// `verdict`, `parameters`, `grid`, `argv`.
fn differences() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sweep-file.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
        Some((cells.next()?, cells.next()?)).filter(|(file, _)| file.ends_with(".yaml"))
    };
    page.lines().filter_map(row).collect()
}

/// Equal, or the same number up to the last digits of an exponential.
fn same_argv(ours: &Option<Vec<String>>, wanted: &Option<Vec<String>>) -> bool {
    let (Some(ours), Some(wanted)) = (ours, wanted) else { return ours == wanted };
    let digits = |text: &str| text.contains(['.', 'e']).then(|| text.parse::<f64>().ok()).flatten();
    ours.len() == wanted.len()
        && ours.iter().zip(wanted).all(|(a, b)| {
            a == b
                || a.split_once('=').zip(b.split_once('=')).is_some_and(|((k, a), (l, b))| {
                    k == l && digits(a).zip(digits(b)).is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * b.abs())
                })
        })
}

fn environment(name: &str) -> Option<String> {
    let known = BTreeMap::from([("MYVAR", "hello"), ("EMPTY", ""), ("HOME", "/home/u")]);
    known.get(name).map(|value| (*value).to_owned())
}

fn argv(definition: &Definition) -> Option<Vec<String>> {
    let space = &definition.space;
    let point = match definition.method {
        Method::Grid => space.grid().ok()?.point(0)?,
        _ => space.midpoint(),
    };
    let assignment = space.assignment(&point);
    let built = command::build(definition, &assignment, &environment, "/W/wandb/sweep-SWEEP/config-RUN.json");
    built.ok().map(|built| built.argv)
}

#[test]
fn every_file_gives_what_is_expected() {
    let Some(folder) = shared("corpus/wandb") else { return };
    let differ = differences();
    let expected = fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in expected.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let file = cells[0];
        seen += 1;
        let differs = |what: &str| differ.iter().any(|(name, cell)| name == file && cell == what);
        let bytes = fs::read(folder.join(file)).unwrap();
        let parsed = spec::parse(spec::decode(&bytes).unwrap(), file, &Overrides::default());
        let verdict = match &parsed.definition {
            None => "reject",
            Some(_) if parsed.diagnostics.iter().any(counts) => "warn",
            Some(_) => "accept",
        };
        let talk = spec::render(&parsed.diagnostics, file, false);
        if verdict != cells[VERDICT] {
            wrong.push(format!("{file}: {verdict}, not {}\n{talk}", cells[VERDICT]));
            continue;
        }
        let Some(definition) = &parsed.definition else { continue };
        if cells[PARAMS] != "-"
            && !differs("parameters")
            && cells[PARAMS] != definition.space.leaves().len().to_string()
        {
            wrong.push(format!(
                "{file}: {} parameters, not {}",
                definition.space.leaves().len(),
                cells[PARAMS]
            ));
        }
        if cells[GRID] != "-" && !differs("grid") {
            let count = definition.space.grid().map_or(Count::Exact(0), |grid| grid.len());
            if count.to_string() != cells[GRID] {
                wrong.push(format!("{file}: {count} points, not {}", cells[GRID]));
            }
        }
        let wanted: Option<Vec<String>> = serde_json::from_str(cells[ARGV]).ok();
        let ours = argv(definition);
        if !differs("argv") && !same_argv(&ours, &wanted) {
            wrong.push(format!("{file}:\n  {ours:?}\n  {wanted:?}"));
        }
    }
    assert!(seen > 200, "only {seen} files");
    assert!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn serde_yaml_sees_the_same_constants() {
    let Some(folder) = shared("corpus/wandb") else { return };
    let mut compared = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let Some(definition) = spec::parse(&text, "f.yaml", &Overrides::default()).definition else {
            continue;
        };
        // it knows no integers beyond 64 bits
        let Ok(mut tree) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { continue };
        tree.apply_merge().unwrap();
        for leaf in definition.space.leaves() {
            let mut node = &tree;
            for name in &leaf.path {
                let level = node.get("parameters").and_then(serde_yaml::Value::as_mapping);
                let level = level.unwrap_or_else(|| panic!("{} has no group for {name}", path.display()));
                let found = level.iter().find(|(key, _)| key_text(key) == *name);
                node = found.unwrap_or_else(|| panic!("{} has no {name}", path.display())).1;
            }
            let (ours, key) = match &leaf.distribution {
                Distribution::Constant { value } => (value.clone(), "value"),
                Distribution::Categorical { values } => (Value::List(values.clone()), "values"),
                _ => continue,
            };
            compared += 1;
            assert!(same(&ours, &node[key]), "{}: {}: {ours:?} {:?}", path.display(), leaf.name(), node[key]);
        }
    }
    assert!(compared > 500, "only {compared} parameters were compared");
}

fn key_text(key: &serde_yaml::Value) -> String {
    match key {
        serde_yaml::Value::String(text) => text.clone(),
        serde_yaml::Value::Null => "null".to_owned(),
        other => serde_yaml::to_string(other).unwrap().trim().to_owned(),
    }
}

/// Equal, up to the scalars that YAML 1.1 and 1.2 read otherwise.
fn same(ours: &Value, theirs: &serde_yaml::Value) -> bool {
    use serde_yaml::Value as Yaml;
    match (ours, theirs) {
        (Value::List(a), Yaml::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Yaml::Mapping(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.iter().any(|(key, value)| key_text(key) == *k && same(v, value)))
        }
        (Value::Text(a), Yaml::String(b)) => a == b,
        (Value::Null, Yaml::Null) => true,
        (Value::Bool(a), Yaml::Bool(b)) => a == b,
        // yes, no, on, off
        (Value::Bool(_), Yaml::String(word)) => word.len() <= 3,
        // octal, base 60, underscores, notations that 1.2 does not know
        (Value::Int(_) | Value::Float(_), Yaml::String(text)) => text.contains(|c: char| c.is_ascii_digit()),
        (Value::Float(a), Yaml::Number(b)) => b.as_f64().is_some_and(|b| *a == b || a.is_nan() && b.is_nan()),
        (Value::Int(_), Yaml::Number(b)) if b.as_f64().is_some_and(|b| ours.number() == Some(b)) => true,
        (Value::Int(_) | Value::Text(_), Yaml::Number(_)) | (Value::Text(_), Yaml::Tagged(_)) => true,
        (_, Yaml::Tagged(tagged)) => same(ours, &tagged.value),
        (Value::BigInt(_), _) => true,
        _ => false,
    }
}
