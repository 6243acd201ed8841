//! Several objectives, and what stands for a missing value, as far as files go.

use swath::spec::{self, Aggregate, Code, Definition, Goal, Impute};

use super::{accepted, errors, parse};

fn with_line(line: &str) -> String {
    format!("program: t.py\nmethod: bayes\nparameters: {{a: {{min: 0.0, max: 1.0}}}}\n{line}\n")
}

fn definition(line: &str) -> Definition {
    let parsed = parse(&with_line(line));
    parsed.definition.unwrap_or_else(|| panic!("{line}: {:?}", parsed.diagnostics))
}

#[test]
fn what_stands_for_a_missing_value_is_kept_without_a_note() {
    let line = "metric: {name: x, impute: latest, impute_while_running: worst}";
    assert_eq!(accepted(&with_line(line)), []);
    let objective = &definition(line).objectives[0];
    assert_eq!((objective.impute, objective.impute_while_running), (Impute::Latest, Some(Impute::Worst)));
    let plain = &definition("metric: {name: x, impute_while_running: 'false'}").objectives[0];
    assert_eq!((plain.impute, plain.impute_while_running), (Impute::Worst, None));
    // W&B's words are texts
    assert_eq!(errors(&with_line("metric: {name: x, impute_while_running: false}")), [Code::WrongKind]);
    assert_eq!(errors(&with_line("metric: {name: x, impute: mean}")), [Code::NotAllowed]);
    let definition = definition(line);
    let json = serde_json::to_string(&definition).unwrap();
    assert_eq!(serde_json::from_str::<Definition>(&json).unwrap(), definition);
}

#[test]
fn several_objectives_are_taken_each_with_its_own_keys() {
    let line = "objectives: [{name: x, target: 0.5}, {name: y, goal: maximize, aggregate: last}]";
    assert_eq!(accepted(&with_line(line)), []);
    let definition = definition(line);
    assert_eq!(spec::unsupported(&definition), []);
    let [x, y] = definition.objectives.as_slice() else { panic!("two objectives") };
    assert_eq!((x.goal, x.target, x.aggregate), (Goal::Minimize, Some(0.5), Aggregate::Best));
    assert_eq!((y.goal, y.target, y.aggregate), (Goal::Maximize, None, Aggregate::Last));
    assert_eq!(errors(&with_line("objectives: [{name: x}, {name: x}]")), [Code::MetricTwice]);
}

#[test]
fn a_stopping_rule_beside_several_objectives_names_its_metric() {
    let objectives = "objectives: [{name: x}, {name: y, goal: maximize}]";
    let line = |metric: &str| format!("{objectives}\nearly_terminate: {{type: asha{metric}}}");
    assert_eq!(errors(&with_line(&line(""))), [Code::NeedsMetric]);
    let stopping = definition(&line(", metric: y")).early_terminate.unwrap();
    assert_eq!((stopping.metric.as_str(), stopping.goal), ("y", Goal::Maximize));
}

#[test]
fn what_has_no_effect_beside_other_objectives_is_noted() {
    let line = "objectives: [{name: x, impute: best, impute_while_running: best}, {name: y, impute: best}]";
    let notes = parse(&with_line(line)).diagnostics;
    let fields: Vec<(&str, Code)> = notes.iter().map(|note| (note.field.as_str(), note.code)).collect();
    assert_eq!(
        fields,
        [("objectives.0.impute_while_running", Code::NoEffect), ("objectives.1.impute", Code::NoEffect)]
    );
    // one in a list is a metric
    assert_eq!(accepted(&with_line("objectives: [{name: x, impute_while_running: best}]")), []);
}

#[test]
fn earlier_sweeps_are_named_and_only_bayes_learns_from_them() {
    let metric = "metric: {name: x}";
    let named = definition(&format!("{metric}\nfrom: [k3v9x2ma, lr search]"));
    assert_eq!(named.from, ["k3v9x2ma", "lr search"]);
    assert_eq!(spec::unsupported(&named), []);
    let json = serde_json::to_string(&named).unwrap();
    assert_eq!(serde_json::from_str::<Definition>(&json).unwrap(), named);
    let many = vec!["a"; 21].join(", ");
    assert_eq!(errors(&with_line(&format!("{metric}\nfrom: [{many}]"))), [Code::OutOfRange]);
    assert_eq!(errors(&with_line(&format!("{metric}\nfrom: {{a: 1}}"))), [Code::WrongKind]);
    let random = with_line("from: [a]").replace("bayes", "random");
    assert_eq!(accepted(&random), [Code::NoEffect]);
}
