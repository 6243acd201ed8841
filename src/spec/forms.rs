//! One parameter's mapping -> its distribution: which of W&B's forms was meant, and what is wrong with it.
//!
//! The keys `distribution`, `value`, `values`, `min`/`max` decide the form, as the library's schemas do in their order;
//! the form decides which keys belong to it. So an error names the key at fault, not "no form fits".

use std::collections::HashSet;

use crate::space::{Distribution, Step, Value};
use crate::spec::code::Code;
use crate::spec::diagnostic::{At, Check};
use crate::spec::fields::{Fields, shown, unknown, wrong};
use crate::spec::near::nearest;
use crate::spec::python::python_repr;
use crate::spec::source::Node;

/// Values of one parameter.
const MAX_VALUES: usize = 10_000;
/// W&B's tolerance for the sum of probabilities, relative and absolute.
const SUM_TOLERANCE: f64 = 1e-5 + 1e-8;

/// Every key that some form has.
const KEYS: [&str; 13] = [
    "value",
    "values",
    "min",
    "max",
    "distribution",
    "q",
    "mu",
    "sigma",
    "probabilities",
    "a",
    "b",
    "when",
    "parameters",
];

/// The names of `distribution`, with the keys that go with each.
const FORMS: [(&str, &[&str]); 18] = [
    ("constant", &["value"]),
    ("categorical", &["values"]),
    ("categorical_w_probabilities", &["values", "probabilities"]),
    ("int_uniform", &["min", "max"]),
    ("uniform", &["min", "max"]),
    ("q_uniform", &["min", "max", "q"]),
    ("log_uniform", &["min", "max"]),
    ("q_log_uniform", &["min", "max", "q"]),
    ("inv_log_uniform", &["min", "max"]),
    ("log_uniform_values", &["min", "max"]),
    ("q_log_uniform_values", &["min", "max", "q"]),
    ("inv_log_uniform_values", &["min", "max"]),
    ("normal", &["mu", "sigma"]),
    ("q_normal", &["mu", "sigma", "q"]),
    ("log_normal", &["mu", "sigma"]),
    ("q_log_normal", &["mu", "sigma", "q"]),
    ("beta", &["a", "b"]),
    ("q_beta", &["a", "b", "q"]),
];

/// The distribution of one parameter; none: `check` knows why.
pub(super) fn distribution(fields: Fields<'_>, name: &str, check: &mut Check<'_>) -> Option<Distribution> {
    let form = form(fields, name, check)?;
    let (_, keys) = *FORMS.iter().find(|(known, _)| *known == form)?;
    if !only(fields, name, form, keys, check) {
        return None;
    }
    for key in keys.iter().filter(|key| matches!(**key, "value" | "values" | "min" | "max" | "probabilities"))
    {
        if fields.get(key).is_none() {
            let message = format!("'{name}' has no '{key}', which {form} needs");
            check.error(Code::NoForm, fields.head(), fields.path, message);
            return None;
        }
    }
    Reader { fields, name, form }.read(check)
}

/// The name of the form that was meant.
fn form(fields: Fields<'_>, name: &str, check: &mut Check<'_>) -> Option<&'static str> {
    if let Some(node) = fields.get("distribution") {
        let names: Vec<&'static str> = FORMS.iter().map(|(name, _)| *name).collect();
        let Some(Value::Text(text)) = node.scalar() else {
            return wrong(check, node, &fields.path_of("distribution"), "the name of a distribution");
        };
        if let Some(known) = names.iter().find(|known| *known == text) {
            return Some(known);
        }
        let message = format!("'{name}' has the unknown distribution {}", shown(node));
        let found = check.error(Code::UnknownDistribution, node.at, &fields.path_of("distribution"), message);
        match nearest(text, &names) {
            Some(near) => found.label(format!("did you mean '{near}'?")),
            None => found.help(format!("known are {}", names.join(", "))),
        };
        return None;
    }
    let has = |key: &str| fields.get(key).is_some();
    let whole =
        |key: &str| matches!(fields.get(key).and_then(Node::scalar), Some(Value::Int(_) | Value::BigInt(_)));
    if has("value") && has("values") {
        let (value, values) = (fields.node.get("value")?, fields.node.get("values")?);
        check
            .error(Code::NoForm, value.key_at, fields.path, format!("'{name}' has both 'value' and 'values'"))
            .also(values.key_at, "and here")
            .help("keep one of them");
        return None;
    }
    if has("value") {
        return Some("constant");
    }
    if has("values") {
        return Some(if has("probabilities") { "categorical_w_probabilities" } else { "categorical" });
    }
    if has("min") && has("max") {
        return Some(if whole("min") && whole("max") { "int_uniform" } else { "uniform" });
    }
    if !strangers(fields, check) {
        let (message, help) = if has("min") || has("max") {
            let (there, missing) = if has("min") { ("min", "max") } else { ("max", "min") };
            (format!("'{name}' has '{there}' but no '{missing}'"), format!("add '{missing}'"))
        } else if has("mu") || has("sigma") || has("a") || has("b") {
            let like = if has("mu") || has("sigma") { "normal" } else { "beta" };
            (format!("'{name}' has no 'distribution'"), format!("add distribution: {like}"))
        } else {
            (format!("'{name}' has no value"), "give value, values, or min and max".to_owned())
        };
        check.error(Code::NoForm, fields.head(), fields.path, message).help(help);
    }
    None
}

/// Refuses keys that no form has; true: there were some.
fn strangers(fields: Fields<'_>, check: &mut Check<'_>) -> bool {
    let mut any = false;
    for entry in fields.entries().iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        unknown(check, entry, &fields.path_of(&entry.key), &KEYS);
        any = true;
    }
    any
}

/// Refuses keys that do not go with the form; true: there were none.
fn only(fields: Fields<'_>, name: &str, form: &str, keys: &[&str], check: &mut Check<'_>) -> bool {
    let mut good = !strangers(fields, check);
    for entry in fields.entries() {
        let key = entry.key.as_str();
        if !KEYS.contains(&key) || keys.contains(&key) || matches!(key, "distribution" | "when") {
            continue;
        }
        good = false;
        let message = format!("'{name}' has '{key}', which does not go with {form}");
        let found = check.error(Code::NoForm, entry.key_at, &fields.path_of(key), message);
        if key == "probabilities" && form == "categorical" {
            found.help("distribution: categorical_w_probabilities, or leave 'distribution' out");
        } else {
            found.help(format!("{form} takes {}", keys.join(", ")));
        }
    }
    good
}

/// Reads the numbers of a form whose keys are all there.
struct Reader<'n> {
    fields: Fields<'n>,
    name: &'n str,
    form: &'static str,
}

impl Reader<'_> {
    fn read(&self, check: &mut Check<'_>) -> Option<Distribution> {
        match self.form {
            "constant" => self.value(check),
            "categorical" => Some(Distribution::Categorical { values: self.values(check)? }),
            "categorical_w_probabilities" => self.weighted(check),
            "int_uniform" => self.int_uniform(check),
            "normal" | "q_normal" | "log_normal" | "q_log_normal" => self.normal(check),
            "beta" | "q_beta" => self.beta(check),
            _ => self.range(check),
        }
    }

    fn path(&self, key: &str) -> String {
        self.fields.path_of(key)
    }

    fn node(&self, key: &str) -> Option<&Node> {
        self.fields.get(key)
    }

    fn value(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let value = self.node("value")?.value();
        self.without_nul(&value, self.node("value")?.at, check)?;
        Some(Distribution::Constant { value })
    }

    fn without_nul(&self, value: &Value, at: At, check: &mut Check<'_>) -> Option<()> {
        if has_nul(value) {
            let message = format!("a value of '{}' holds a NUL character, which no argument can", self.name);
            check.error(Code::TooLongForArgv, at, self.fields.path, message);
            return None;
        }
        Some(())
    }

    fn values(&self, check: &mut Check<'_>) -> Option<Vec<Value>> {
        let items = self.fields.list("values", check)?;
        let (at, path) = (self.node("values")?.at, self.path("values"));
        if items.is_empty() {
            check.error(Code::NoValues, at, &path, format!("'{}' has an empty list of values", self.name));
            return None;
        }
        if items.len() > MAX_VALUES {
            let message =
                format!("'{}' has {} values: at most {MAX_VALUES} are taken", self.name, items.len());
            check.error(Code::TooMany, at, &path, message);
            return None;
        }
        let values: Vec<Value> = items.iter().map(|item| item.value()).collect();
        for (value, item) in values.iter().zip(items) {
            self.without_nul(value, item.at, check)?;
        }
        let distinct: HashSet<String> = values.iter().map(|value| python_repr(&whole(value))).collect();
        if distinct.len() < values.len() {
            let repeated = values.len() - distinct.len();
            let message = format!("'{}' repeats {repeated} of its values; a grid gives each once", self.name);
            check.note(Code::RepeatedValues, at, &path, message);
        }
        Some(values)
    }

    fn weighted(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let values = self.values(check)?;
        let items = self.fields.list("probabilities", check)?;
        let (at, path) = (self.node("probabilities")?.at, self.path("probabilities"));
        let mut probabilities = Vec::with_capacity(items.len());
        for item in items {
            match number_of(item) {
                Some(p) if p >= 0.0 && p.is_finite() => probabilities.push(p),
                Some(_) => {
                    let message = format!("a probability of '{}' is {}", self.name, shown(item));
                    check.error(Code::BadProbabilities, item.at, &path, message);
                    return None;
                }
                None => return wrong(check, item, &path, "numbers"),
            }
        }
        if probabilities.len() != values.len() {
            let (p, v) = (probabilities.len(), values.len());
            let message = format!("'{}' has {v} values and {p} probabilities", self.name);
            check.error(Code::BadProbabilities, at, &path, message);
            return None;
        }
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            let message = format!("the probabilities of '{}' add up to {}, not to 1", self.name, four(sum));
            check.error(Code::BadProbabilities, at, &path, message);
            return None;
        }
        Some(Distribution::CategoricalWithProbabilities { values, probabilities })
    }

    fn int_uniform(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let bound = |key: &str, check: &mut Check<'_>| {
            let node = self.node(key)?;
            match node.scalar() {
                Some(Value::Int(i)) => Some(*i),
                Some(Value::BigInt(_)) => {
                    let message = format!("'{}' has {key} {}, beyond 64 bits", self.name, shown(node));
                    check.error(Code::OutOfRange, node.at, &self.path(key), message);
                    None
                }
                Some(Value::Float(_)) => {
                    let message =
                        format!("'{}' has {key} {}: int_uniform takes integers", self.name, shown(node));
                    check
                        .error(Code::WrongKind, node.at, &self.path(key), message)
                        .help("write it without a fraction, or take uniform");
                    None
                }
                _ => wrong(check, node, &self.path(key), "an integer"),
            }
        };
        let (min, max) = (bound("min", check), bound("max", check));
        let (min, max) = (min?, max?);
        self.ordered(min.cmp(&max), check)?;
        Some(Distribution::IntUniform { min, max })
    }

    fn range(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let (min, max, q) = (self.number("min", check), self.number("max", check), self.step(check));
        let (min, max, q) = (min?, max?, q?);
        self.ordered(min.total_cmp(&max), check)?;
        if self.form.ends_with("_values") && min <= 0.0 {
            self.refuse_log(min, max, check);
            return None;
        }
        if matches!(self.form, "log_uniform" | "q_log_uniform" | "inv_log_uniform") {
            self.exponents(min, max, check)?;
        }
        if self.form == "uniform" {
            self.excludes_zero(min, check);
        }
        Some(match self.form {
            "uniform" => Distribution::Uniform { min, max },
            "log_uniform" => Distribution::LogUniform { min, max },
            "q_log_uniform" => Distribution::QLogUniform { min, max, q },
            "inv_log_uniform" => Distribution::InvLogUniform { min, max },
            "log_uniform_values" => Distribution::LogUniformValues { min, max },
            "q_log_uniform_values" => Distribution::QLogUniformValues { min, max, q },
            "inv_log_uniform_values" => Distribution::InvLogUniformValues { min, max },
            _ => {
                self.note_step(min, max, q, check);
                let integer = |key| matches!(self.node(key).and_then(Node::scalar), Some(Value::Int(_)));
                let integral = integer("min") && integer("max") && matches!(q, Step::Int(_));
                Distribution::QUniform { min, max, q, integral }
            }
        })
    }

    fn normal(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let mu = if self.node("mu").is_some() { self.number("mu", check) } else { Some(0.0) };
        let (sigma, q) = (self.positive_or_zero("sigma", check), self.step(check));
        let (mu, sigma, q) = (mu?, sigma?, q?);
        Some(match self.form {
            "normal" => Distribution::Normal { mu, sigma },
            "q_normal" => Distribution::QNormal { mu, sigma, q },
            "log_normal" => Distribution::LogNormal { mu, sigma },
            _ => Distribution::QLogNormal { mu, sigma, q },
        })
    }

    fn beta(&self, check: &mut Check<'_>) -> Option<Distribution> {
        let (a, b, q) =
            (self.positive_or_zero("a", check), self.positive_or_zero("b", check), self.step(check));
        let (a, b, q) = (a?, b?, q?);
        Some(if self.form == "beta" { Distribution::Beta { a, b } } else { Distribution::QBeta { a, b, q } })
    }

    /// A finite number; -0.0 is 0.
    fn number(&self, key: &str, check: &mut Check<'_>) -> Option<f64> {
        let node = self.node(key)?;
        let Some(number) = number_of(node) else {
            // What overflows (`1e400`) is text, yet surely a number was meant.
            if matches!(node.scalar(), Some(Value::Text(text)) if text.parse::<f64>().is_ok_and(f64::is_infinite))
            {
                return self.not_finite(key, node, check);
            }
            return wrong(check, node, &self.path(key), "a number");
        };
        if matches!(node.scalar(), Some(Value::BigInt(_))) {
            let message = format!("'{}' has {key} {}, beyond 64 bits", self.name, shown(node));
            check
                .error(Code::OutOfRange, node.at, &self.path(key), message)
                .help("write it with an exponent, as 1.0e+20");
            return None;
        }
        if !number.is_finite() {
            return self.not_finite(key, node, check);
        }
        Some(if number == 0.0 { 0.0 } else { number })
    }

    fn not_finite<T>(&self, key: &str, node: &Node, check: &mut Check<'_>) -> Option<T> {
        let message = format!("'{}' has {key} {}: not a finite number", self.name, shown(node));
        check.error(Code::NotFinite, node.at, &self.path(key), message);
        None
    }

    /// `sigma`, `a` or `b`: 1 where it is left out.
    fn positive_or_zero(&self, key: &str, check: &mut Check<'_>) -> Option<f64> {
        if self.node(key).is_none() {
            return Some(1.0);
        }
        let number = self.number(key, check)?;
        if number < 0.0 {
            let node = self.node(key)?;
            let message = format!("'{}' has {key} {}: it must not be below 0", self.name, shown(node));
            check.error(Code::OutOfRange, node.at, &self.path(key), message);
            return None;
        }
        Some(number)
    }

    /// `q`: 1 where it is left out.
    fn step(&self, check: &mut Check<'_>) -> Option<Step> {
        let Some(node) = self.node("q") else { return Some(Step::Int(1)) };
        let number = self.number("q", check)?;
        if number <= 0.0 {
            let message = format!("'{}' has q {}: it must be above 0", self.name, shown(node));
            check.error(Code::BadStep, node.at, &self.path("q"), message);
            return None;
        }
        Some(match node.scalar() {
            Some(Value::Int(i)) => Step::Int(*i),
            _ => Step::Float(number),
        })
    }

    fn ordered(&self, order: std::cmp::Ordering, check: &mut Check<'_>) -> Option<()> {
        let (min, max) = (self.node("min")?, self.node("max")?);
        let (low, high) = (shown(min), shown(max));
        let name = self.name;
        match order {
            std::cmp::Ordering::Less => return Some(()),
            std::cmp::Ordering::Equal => check
                .error(Code::MinIsMax, min.at, &self.path("min"), format!("'{name}' has min equal to max"))
                .help(format!("for a fixed value write: value: {low}")),
            std::cmp::Ordering::Greater => check
                .error(Code::MinAboveMax, min.at, &self.path("min"), format!("'{name}' has min above max"))
                .help(format!("swap them: min: {high}, max: {low}")),
        }
        .label(low.clone())
        .also(max.at, high.clone());
        None
    }

    fn refuse_log(&self, min: f64, max: f64, check: &mut Check<'_>) {
        let Some(node) = self.node("min") else { return };
        let message =
            format!("'{}' has a logarithmic scale from {min} to {max}: min must be above 0", self.name);
        check
            .error(Code::LogOfZero, node.at, &self.path("min"), message)
            .help("raise min, or take distribution: uniform");
    }

    /// Warns of bounds that are exponents of e.
    fn exponents(&self, min: f64, max: f64, check: &mut Check<'_>) -> Option<()> {
        let (low, high, signs) = match self.form {
            "inv_log_uniform" => (-max, -min, "-"),
            _ => (min, max, ""),
        };
        let (at, path) = (self.node("distribution")?.at, self.path("distribution"));
        if !high.exp().is_finite() {
            let message = format!("'{}' goes up to exp({high}), which is not a finite number", self.name);
            check
                .error(Code::NotFinite, at, &path, message)
                .help(format!("for values write: distribution: {}_values", self.form));
            return None;
        }
        let (first, last) = if signs.is_empty() { (min, max) } else { (max, min) };
        let message = format!(
            "{} takes the exponents of e, not the values: exp({signs}{first}) to exp({signs}{last}) is {} to {}",
            self.form,
            four(low.exp()),
            four(high.exp())
        );
        // The library reports these at the top level alone.
        let grouped = self.fields.path.contains(".parameters.");
        let found = match grouped {
            true => check.note(Code::Exponents, at, &path, message),
            false => check.warning(Code::Exponents, at, &path, message),
        }
        .label(format!("min and max below are {min} and {max}"));
        let surely = if 0.0 < min && max <= 1.0 { "surely these were meant: " } else { "" };
        if min > 0.0 {
            found.help(format!(
                "{surely}for values between {min} and {max} use: distribution: {}_values",
                self.form
            ));
        } else {
            found.help(format!("for values instead of exponents use: distribution: {}_values", self.form));
        }
        Some(())
    }

    /// Momentum and dropout are commonly switched off by 0.
    fn excludes_zero(&self, min: f64, check: &mut Check<'_>) {
        let switch = matches!(self.name.rsplit(['.', '/']).next(), Some("momentum" | "dropout"));
        if let (true, Some(node)) = (switch && min > 0.0, self.node("min")) {
            check.warning(
                Code::RangeExcludesZero,
                node.at,
                &self.path("min"),
                format!("{}'s range excludes 0", self.name),
            );
        }
    }

    /// Notes a step that misses the bounds, with the values reached.
    fn note_step(&self, min: f64, max: f64, q: Step, check: &mut Check<'_>) {
        let size = match q {
            Step::Int(i) => i as f64,
            Step::Float(f) => f,
        };
        let off = |x: f64| ((x / size).round_ties_even() * size - x).abs() > 1e-9 * size.max(x.abs());
        if !(off(min) || off(max)) {
            return;
        }
        let (first, last) = ((min / size).round_ties_even(), (max / size).round_ties_even());
        let at = |k: f64| four(k * size);
        let reached = match last - first {
            n if n < 1.0 => at(first),
            n if n < 2.0 => format!("{} and {}", at(first), at(last)),
            n if n < 3.0 => format!("{}, {} and {}", at(first), at(first + 1.0), at(last)),
            _ => format!("{}, {} .. {}", at(first), at(first + 1.0), at(last)),
        };
        let place = self.node("q").map_or(self.fields.head(), |node| node.at);
        let message =
            format!("'{}': q {size} does not divide {min} to {max}: the values are {reached}", self.name);
        check.note(Code::StepMisses, place, &self.path("q"), message);
    }
}

fn number_of(node: &Node) -> Option<f64> {
    node.scalar().and_then(Value::number)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.contains('\0'),
        Value::List(items) => items.iter().any(has_nul),
        Value::Map(entries) => entries.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => false,
    }
}

/// Integral floats as integers: the values that a grid takes for one.
fn whole(value: &Value) -> Value {
    match value {
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 9e15 => Value::Int(*f as i64),
        other => other.clone(),
    }
}

/// Four significant digits.
pub(super) fn four(x: f64) -> String {
    if x == 0.0 || !(1e-4..1e15).contains(&x.abs()) {
        return if x == 0.0 { "0".to_owned() } else { format!("{x:.3e}") };
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    let fixed = format!("{x:.*}", usize::try_from(digits.max(0)).unwrap_or(0));
    if x.fract() == 0.0 && fixed.contains('.') {
        fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        fixed
    }
}
