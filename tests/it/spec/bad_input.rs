//! The bad-input matrix, as far as files go: one test a line.

use std::time::Duration;

use swath::space::{Assignment, Value};
use swath::spec::{self, Code, Overrides, Severity, command};

use super::{accepted, errors, found, parse, with_parameter};

fn with_line(line: &str) -> String {
    format!("program: t.py\nmethod: random\nparameters: {{a: {{min: 0.0, max: 1.0}}}}\n{line}\n")
}

#[test]
fn b01_empty_file() {
    for text in ["", "# only comments\n", "---\n", "\n\n"] {
        assert_eq!(errors(text), [Code::NoSweep], "{text:?}");
    }
}

#[test]
fn b02_syntax_error() {
    assert_eq!(found("method: random\nparameters:\n\ta: 1\n")[0].0, Code::Syntax);
    assert_eq!(found("method: random\nparameters:\n\ta: 1\n")[0].1, 3);
    assert_eq!(errors("a: [1, 2\nb: 3\n"), [Code::Syntax]);
}

#[test]
fn b03_alias_bomb() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let nested = format!("a: {}", "[".repeat(1000));
    let blocks: String = (0..1000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let wide = format!("a: [{}x]", "x,".repeat(200_000));
    for text in [bomb, nested, blocks, wide] {
        assert_eq!(errors(&text), [Code::TooLarge]); // benches/measures says what it takes
    }
    assert_eq!(errors("a: &a [*a]\n"), [Code::AliasLoop]);
}

#[test]
fn b04_huge_file() {
    let bytes = vec![b' '; spec::MAX_BYTES + 1];
    assert_eq!(spec::decode(&bytes).unwrap_err().code, Code::TooLarge);
}

#[test]
fn b05_duplicate_key() {
    let parsed = parse("program: t.py\nmethod: random\nparameters:\n  lr: {value: 1}\n  lr: {value: 2}\n");
    assert_eq!(parsed.diagnostics[0].code, Code::DuplicateKey);
    assert!(parsed.diagnostics[0].message.contains("lines 4 and 5"), "{}", parsed.diagnostics[0].message);
}

#[test]
fn b06_unknown_key() {
    let parsed = parse(&with_line("paramters: {}"));
    assert_eq!(
        (parsed.diagnostics[0].code, parsed.diagnostics[0].severity),
        (Code::UnknownKey, Severity::Error)
    );
    assert_eq!(parsed.diagnostics[0].label, "did you mean 'parameters'?");
    assert_eq!(accepted(&with_line("zzz: 1")), [Code::IgnoredKey]);
}

#[test]
fn b06_a_misspelt_key_hides_nothing_and_brings_no_error_but_its_own() {
    let text = "program: t.py\nmetod: random\nmetric: {nme: loss}\nparamters: {lr: {min: 2, max: 1}}\n\
                early_terminate: {type: hyperband, min_itr: 0}\n";
    let mut codes = errors(text);
    codes.sort_by_key(|code| *code as u32);
    let misspelt = [Code::UnknownKey; 4];
    assert_eq!(
        codes,
        [&misspelt[..], &[Code::OutOfRange, Code::MinAboveMax][..]].concat(),
        "{:?}",
        found(text)
    );
}

#[test]
fn b07_not_utf8() {
    for (bytes, place) in
        [(b"a: \xff".as_slice(), "byte 3"), (b"\xff\xfea\0", "byte 0"), (b"a: \0", "byte 3")]
    {
        let diagnostic = spec::decode(bytes).unwrap_err();
        assert_eq!(diagnostic.code, Code::NotText);
        assert!(diagnostic.message.contains(place), "{}", diagnostic.message);
    }
    assert_eq!(spec::decode("\u{feff}a: 1".as_bytes()).unwrap(), "a: 1");
}

#[test]
fn b08_yaml_traps() {
    let parsed = parse(&with_parameter("{values: [no, on, 1e-3, 012, 1:30]}"));
    let definition = parsed.definition.unwrap();
    let values = command::python_json(&Value::List(match &definition.space.leaves()[0].distribution {
        swath::space::Distribution::Categorical { values } => values.clone(),
        other => panic!("{other:?}"),
    }));
    assert_eq!(values, "[false, true, 0.001, 10, 90]");
    assert_eq!(parsed.diagnostics.iter().filter(|d| d.code == Code::OldNumber).count(), 2);
}

#[test]
fn b09_bounds() {
    assert_eq!(errors(&with_parameter("{min: 2, max: 1}")), [Code::MinAboveMax]);
    assert_eq!(errors(&with_parameter("{min: 1, max: 1}")), [Code::MinIsMax]);
    assert_eq!(
        errors(&with_parameter("{distribution: log_uniform_values, min: 0, max: 1}")),
        [Code::LogOfZero]
    );
    assert!(
        parse(&with_parameter("{min: 1, max: 1}")).diagnostics[0].help.as_ref().unwrap().contains("value:")
    );
}

#[test]
fn b10_step() {
    for q in ["0", "-1"] {
        assert_eq!(
            errors(&with_parameter(&format!("{{distribution: q_uniform, min: 0, max: 8, q: {q}}}"))),
            [Code::BadStep]
        );
    }
    assert_eq!(
        accepted(&with_parameter("{distribution: q_uniform, min: 1, max: 10, q: 4}")),
        [Code::StepMisses]
    );
    assert_eq!(accepted(&with_parameter("{distribution: q_uniform, min: 0, max: 8, q: 4}")), []);
}

#[test]
fn b11_not_finite() {
    for bound in [".nan", ".inf", "1e400"] {
        assert_eq!(
            errors(&with_parameter(&format!("{{min: 0.0, max: {bound}}}"))),
            [Code::NotFinite],
            "{bound}"
        );
    }
    let zero = parse(&with_parameter("{min: -0.0, max: 1.0}")).definition.unwrap();
    assert!(format!("{:?}", zero.space.leaves()[0].distribution).contains("min: 0.0"));
}

#[test]
fn b12_integers() {
    assert_eq!(errors(&with_parameter("{min: 1, max: 99999999999999999999}")), [Code::OutOfRange]);
    assert_eq!(errors(&with_line("run_cap: 1.5")), [Code::WrongKind]);
    assert_eq!(accepted(&with_parameter("{values: [99999999999999999999]}")), []);
}

#[test]
fn b13_values() {
    assert_eq!(errors(&with_parameter("{values: []}")), [Code::NoValues]);
    assert_eq!(accepted(&with_parameter("{values: [1, 1.0, x]}")), [Code::RepeatedValues]);
    let many = vec!["1"; 10_001].join(",");
    assert_eq!(errors(&with_parameter(&format!("{{values: [{many}]}}"))), [Code::TooMany]);
}

#[test]
fn b14_probabilities() {
    for p in ["[0.5, 0.4]", "[1.5, -0.5]", "[1.0]"] {
        let text = with_parameter(&format!("{{values: [1, 2], probabilities: {p}}}"));
        assert_eq!(errors(&text), [Code::BadProbabilities], "{p}");
    }
}

#[test]
fn b15_huge_grid() {
    let mut text = String::from("program: t.py\nmethod: grid\nparameters:\n");
    for i in 0..24 {
        text.push_str(&format!("  p{i}: {{values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}}\n"));
    }
    let parsed = parse(&text);
    assert_eq!(
        parsed.definition.unwrap().space.grid().unwrap().len().to_string(),
        format!("1{}", "0".repeat(24))
    );
    assert_eq!(parsed.diagnostics[0].code, Code::HugeGrid);
    assert_eq!(accepted(&format!("{text}run_cap: 5\n")), []);
}

#[test]
fn b16_continuous_grid() {
    assert_eq!(
        errors("program: t.py\nmethod: grid\nparameters: {a: {min: 0.0, max: 1.0}}\n"),
        [Code::GridContinuous]
    );
}

#[test]
fn b17_number_of_parameters() {
    assert_eq!(errors("program: t.py\nmethod: random\nparameters: {}\n"), [Code::NoParameters]);
    let mut text = String::from("program: t.py\nmethod: random\nparameters:\n");
    (0..10_001).for_each(|i| text.push_str(&format!("  p{i}: {{value: {i}}}\n")));
    assert_eq!(errors(&text), [Code::TooMany]);
}

#[test]
fn b18_names() {
    for name in ["\"\"", "\"a\\nb\"", "\"a\\u0007\"", &"é".repeat(600)] {
        let text = format!("program: t.py\nmethod: random\nparameters:\n  {name}: {{value: 1}}\n");
        assert_eq!(errors(&text), [Code::BadName], "{name}");
    }
    assert_eq!(
        accepted("program: t.py\nmethod: random\nparameters: {../a b=: {value: 1}}\n"),
        [Code::OddName]
    );
    let alike = accepted(
        "program: t.py\nmethod: random\nparameters: {lr: {value: 1}, lα: {value: 1}, la: {value: 2}}\n",
    );
    assert_eq!(alike, [Code::OddName, Code::LookAlikes]);
}

#[test]
fn b19_case() {
    assert_eq!(
        accepted("program: t.py\nmethod: random\nparameters: {lr: {value: 1}, LR: {value: 1}}\n"),
        [Code::LookAlikes]
    );
    assert_eq!(errors(&with_line("env: {A: 1, a: 2}")), [Code::BadEnvName]);
}

#[test]
fn b20_conditions() {
    let text = |when: &str| {
        format!(
            "program: t.py\nmethod: random\nparameters:\n  a: {{values: [1, 2], when: {when}}}\n  b: {{values: [1, 2], when: {{a: 1}}}}\n  c: {{min: 0.0, max: 1.0}}\n"
        )
    };
    for when in ["{zzz: 1}", "{a: 1}", "{c: 0.5}", "{b: 3}", "{}"] {
        assert_eq!(errors(&text(when)), [Code::BadCondition], "{when}");
    }
    let parsed = parse(&text("{b: 1}"));
    assert!(parsed.diagnostics[0].message.contains("a needs b needs a"), "{}", parsed.diagnostics[0].message);
}

#[test]
fn b21_metric() {
    assert_eq!(errors(&with_line("metric: {goal: minimize}")), [Code::MissingKey]);
    assert_eq!(errors(&with_line("metric: {name: x, goal: smallest}")), [Code::NotAllowed]);
    assert_eq!(errors(&with_line("metric: {name: x}\nobjectives: [{name: y}]")), [Code::MetricTwice]);
    assert_eq!(accepted(&with_line("")), []);
}

#[test]
fn b22_early_terminate() {
    let early =
        |rule: &str| with_line(&format!("metric: {{name: x}}\nearly_terminate: {{type: hyperband, {rule}}}"));
    assert_eq!(errors(&early("min_iter: 1, eta: 1")), [Code::OutOfRange]);
    assert_eq!(errors(&early("min_iter: 0")), [Code::OutOfRange]);
    assert_eq!(errors(&early("max_iter: 2, s: 2")), [Code::BadBands]);
    assert_eq!(errors(&early("max_iter: 27")), [Code::MissingKey]);
    assert_eq!(accepted(&early("max_iter: 27, s: 2")), []);
}

/// The rules that are not W&B's: the same care.
#[test]
fn b22_early_terminate_of_other_types() {
    let early = |rule: &str| with_line(&format!("metric: {{name: x}}\nearly_terminate: {{type: {rule}}}"));
    for (rule, expected) in [
        ("asha, eta: 1", Code::OutOfRange),
        ("asha, min_iter: 0", Code::OutOfRange),
        ("asha, min_iter: 9, max_iter: 9", Code::BadBands),
        ("asha, min_iter: soon", Code::WrongKind),
        ("median, startup: -1", Code::OutOfRange),
        ("percentile", Code::MissingKey),
        ("percentile, percentile: 100", Code::OutOfRange),
        ("threshold", Code::MissingKey),
        ("threshold, min: 2, max: 1", Code::BadBands),
        ("threshold, max: .nan", Code::NotFinite),
        ("patience", Code::MissingKey),
        ("patience, patience: 0", Code::OutOfRange),
        ("curve", Code::MissingKey),
        ("asha, audit: 2", Code::OutOfRange),
        ("ashas", Code::NotAllowed),
    ] {
        assert_eq!(errors(&early(rule)), [expected], "{rule}");
    }
    assert_eq!(errors(&with_line("early_terminate: {type: asha}")), [Code::NeedsMetric]);
    for rule in [
        "asha",
        "median",
        "percentile, percentile: 25",
        "threshold, min: 0.1",
        "patience, patience: 3",
        "curve, max_iter: 27",
    ] {
        let parsed = parse(&early(&format!("{rule}, audit: 0.1")));
        let definition = parsed.definition.unwrap_or_else(|| panic!("{rule}: {:?}", parsed.diagnostics));
        assert_eq!(spec::unsupported(&definition), [], "{rule}");
        let stopping = definition.early_terminate.as_ref().map(|stopping| stopping.audit);
        assert_eq!((stopping, definition.stopping_rule().is_some()), (Some(0.1), true));
        let json = serde_json::to_string(&definition).unwrap();
        assert_eq!(serde_json::from_str::<spec::Definition>(&json).unwrap(), definition, "{rule}");
    }
    let promoted = parse(&early("asha, promote: true")).definition.unwrap();
    assert_eq!(spec::unsupported(&promoted).len(), 1);
}

#[test]
fn the_first_rung_lies_at_a_third_of_the_length() {
    let rule = |rule: &str| {
        let text = with_line(&format!("metric: {{name: x}}\nearly_terminate: {{type: asha{rule}}}"));
        parse(&text).definition.unwrap().early_terminate.unwrap().rule
    };
    let asha = |min_iter, max_iter, eta| spec::Rule::Asha { min_iter, max_iter, eta };
    assert_eq!(rule(""), asha(1, None, 3.0));
    assert_eq!(rule(", max_iter: 27"), asha(9, Some(27), 3.0));
    assert_eq!(rule(", max_iter: 100, eta: 4"), asha(34, Some(100), 4.0));
    assert_eq!(rule(", max_iter: 27, min_iter: 1"), asha(1, Some(27), 3.0));
    let median = parse(&with_line("metric: {name: x}\nearly_terminate: {type: median, max_iter: 27}"));
    let median = median.definition.unwrap().early_terminate.unwrap().rule;
    assert_eq!(median, spec::Rule::Median { min_iter: 9, startup: 5 });
}

#[test]
fn b23_run_cap() {
    for cap in ["0", "-1", "1000000000000000000"] {
        assert_eq!(errors(&with_line(&format!("run_cap: {cap}"))), [Code::OutOfRange], "{cap}");
    }
    assert_eq!(accepted(&with_line("run_cap: 2.0")), []);
}

#[test]
fn b24_command() {
    assert_eq!(accepted(&with_line("command: []")), []);
    assert_eq!(errors(&with_line("command: python x")), [Code::BadCommand]);
    assert_eq!(accepted(&with_line("command: [\"${unknown}\", \"'\"]")), [Code::UnknownMacro]);
    assert_eq!(
        accepted(&with_line("command: [\"a=${args}\", \"-a b\"]")),
        [Code::MacroInside, Code::SeveralWords]
    );
}

#[test]
fn b25_hostile_values_are_one_argument() {
    let definition = parse(&with_line("")).definition.unwrap();
    for value in ["; rm -rf ~", "$(id)", "`id`", "' OR 1=1 --", "a\nb", "-x", "${args}", "é中"] {
        let assignment = Assignment(vec![("a".into(), Value::Text(value.into()))]);
        let built = command::build(&definition, &assignment, &|_| None, "f").unwrap();
        assert_eq!(built.argv, ["/usr/bin/env", "python", "t.py", &format!("--a={value}")]);
    }
    assert_eq!(errors(&with_parameter("{value: \"a\\0b\"}")), [Code::TooLongForArgv]);
}

#[test]
fn b26_environment_names() {
    assert_eq!(errors(&with_line("env: {\"A=B\": 1}")), [Code::BadEnvName]);
    assert_eq!(errors(&with_line("env: {\"A\\0\": 1}")), [Code::BadEnvName]);
}

#[test]
fn b29_sweep_name() {
    for name in ["\"\"", "\"  \"", "\"a\\nb\"", &"x".repeat(201)] {
        assert_eq!(errors(&with_line(&format!("name: {name}"))), [Code::BadSweepName], "{name}");
    }
    for name in ["CON", "..", "🚀", "\"a\\u202eb\""] {
        assert_eq!(accepted(&with_line(&format!("name: {name}"))), [], "{name}");
    }
}

#[test]
fn b46_durations() {
    for wrong in ["10", "1h30", "-5s", "1e9d"] {
        assert_eq!(errors(&with_line(&format!("timeout: {wrong}"))), [Code::BadDuration], "{wrong}");
    }
    assert_eq!(
        parse(&with_line("timeout: 1h30m")).definition.unwrap().timeout,
        Some(Duration::from_secs(5400))
    );
}

#[test]
fn b53_too_long_for_argv() {
    let long = "x".repeat(128 * 1024);
    let text = with_parameter(&format!("{{value: {long}}}"));
    assert_eq!(errors(&text), [Code::TooLongForArgv]);
    assert_eq!(accepted(&format!("{text}command: [python, t.py, \"${{args_json_file}}\"]\n")), []);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Ok(text) = spec::decode(&bytes) {
            let parsed = spec::parse(text, "f.yaml", &Overrides::default());
            spec::render(&parsed.diagnostics, "f.yaml", true);
        }
    }

    #[test]
    fn arbitrary_yaml_never_panics(text in "(method|parameters|metric|a|min|\\{|\\}|\\[|\\]|:|,| |\n|-|&x|\\*x|<<|!!int|1e5|\"|'|#|\\t|é){0,60}") {
        let set = vec![text.clone(), "parameters.a.min=3".to_owned()];
        let parsed = spec::parse(&text, "f.yaml", &Overrides { set, ..Overrides::default() });
        spec::render(&parsed.diagnostics, "f.yaml", true);
    }
}
