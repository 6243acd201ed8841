//! How diagnostics look, and that the pages are those of the code.

use swath::spec::{self, Code, Overrides};

use super::parse;

#[test]
fn errors_look_as_promised() {
    let text = "program: t.py\nmethod: random\n# errors follow\nmetric: {name: loss}\nparamters:\n  lr:\n    min: 0.1\n    max: 0.01\n";
    let parsed = parse(text);
    let shown = spec::render(&parsed.diagnostics, "sweep.yaml", false);
    let expected = "error SW1003: unknown key 'paramters'
  --> sweep.yaml:5:1
   5 | paramters:
     | ^^^^^^^^^ did you mean 'parameters'?
error SW1102: 'lr' has min above max
  --> sweep.yaml:7:10
   7 |     min: 0.1
     |          ^^^ 0.1
   8 |     max: 0.01
     |          ---- 0.01
  help: swap them: min: 0.01, max: 0.1
";
    assert_eq!(shown, expected);
}

#[test]
fn bounds_show_both_places_and_exponents_the_way_out() {
    let text = "program: t.py\nmethod: random\nparameters:\n  lr:\n    min: 0.1\n    max: 0.01\n  wd:\n    distribution: log_uniform\n    min: 0.01\n    max: 0.1\n";
    let parsed = parse(text);
    let shown = spec::render(&parsed.diagnostics, "sweep.yaml", false);
    let expected = "error SW1102: 'lr' has min above max
  --> sweep.yaml:5:10
   5 |     min: 0.1
     |          ^^^ 0.1
   6 |     max: 0.01
     |          ---- 0.01
  help: swap them: min: 0.01, max: 0.1
warning SW1210: log_uniform takes the exponents of e, not the values: exp(0.01) to exp(0.1) is 1.010 to 1.105
  --> sweep.yaml:8:19
   8 |     distribution: log_uniform
     |                   ^^^^^^^^^^^ min and max below are 0.01 and 0.1
  help: surely these were meant: for values between 0.01 and 0.1 use: distribution: log_uniform_values
";
    assert_eq!(shown, expected);
    assert_eq!(spec::summary(&parsed.diagnostics, "sweep.yaml").unwrap(), "1 error, 1 warning in sweep.yaml");
}

#[test]
fn an_error_in_an_option_is_shown_there() {
    let text = "program: t.py\nmethod: random\nparameters:\n  lr: {min: 0.1, max: 1.0}\n";
    let overrides = Overrides { set: vec!["parameters.lr.max=0.01".into()], ..Overrides::default() };
    let parsed = spec::parse(text, "sweep.yaml", &overrides);
    let shown = spec::render(&parsed.diagnostics, "sweep.yaml", false);
    assert!(shown.contains("--> sweep.yaml:4:13"), "{shown}");
    assert!(shown.contains("     | parameters.lr.max=0.01"), "{shown}");
    let overrides = Overrides { set: vec!["parameters.lr.max=x".into()], ..Overrides::default() };
    let parsed = spec::parse(text, "sweep.yaml", &overrides);
    let shown = spec::render(&parsed.diagnostics, "sweep.yaml", false);
    assert!(shown.contains("--> --set parameters.lr.max:19"), "{shown}");
    let overrides =
        Overrides { set: vec!["parameters.lr.max=0.5".into(), "method=grid".into()], ..Overrides::default() };
    assert_eq!(spec::parse(text, "sweep.yaml", &overrides).diagnostics[0].code, Code::GridContinuous);
}

#[test]
fn terminal_escapes_are_never_shown_raw() {
    let parsed = parse(
        "program: t.py\nmethod: random\n\"a\\e[31mb\": 1\nparameters: {\"x\\e[0m\\u202e\": {value: 1}}\n",
    );
    let shown = spec::render(&parsed.diagnostics, "a\u{1b}[1m.yaml", false);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn the_page_of_errors_is_made_from_the_codes() {
    crate::support::same_as_file("docs/errors.md", &spec::code::errors_page());
}
