//! The top level of a sweep file -> the definition.

use crate::space::{Count, Distribution, NotDiscrete, Value};
use crate::spec::code::Code;
use crate::spec::command::{self, DEFAULT, MACROS, MAX_ARGUMENT, MAX_ARGV, macro_name};
use crate::spec::definition::{DEFAULT_GRACE, Definition, GridOrder, Method, StopSignal};
use crate::spec::diagnostic::{At, Check, shortened};
use crate::spec::extensions::{self, MAX_TRIALS, count, positive};
use crate::spec::fields::{Fields, shown, wrong};
use crate::spec::kept::Kept;
use crate::spec::near::nearest;
use crate::spec::overrides::Overrides;
use crate::spec::source::{Kind, Node};
use crate::spec::{early, objectives, parameters};

/// Every key of the top level.
const KEYS: [&str; 39] = [
    "apiVersion",
    "budget",
    "collect",
    "command",
    "constraints",
    "controller",
    "description",
    "early_terminate",
    "enqueue",
    "entity",
    "env",
    "from",
    "grace",
    "image_uri",
    "job",
    "kind",
    "kubernetes",
    "method",
    "metric",
    "metrics",
    "name",
    "notes",
    "objectives",
    "on_silence",
    "order",
    "parallel",
    "parameters",
    "priority",
    "program",
    "project",
    "resources",
    "retries",
    "run_cap",
    "scheduler",
    "seed",
    "stop_signal",
    "tags",
    "timeout",
    "workdir",
];
/// W&B's keys that have no effect here.
const WITHOUT_EFFECT: [&str; 4] = ["project", "entity", "job", "image_uri"];
/// Earlier sweeps to learn from.
const MAX_FROM: usize = 20;
/// A grid of more points than this deserves a limit.
const HUGE: u128 = 1_000_000;

/// Reads the whole; none: `check` knows why.
pub(super) fn definition(
    root: &Node,
    name: &str,
    overrides: &Overrides,
    check: &mut Check<'_>,
) -> Option<Definition> {
    let root = Fields { node: root, path: "" };
    let mut kept = Kept::default();
    kept.ignored("", root.lenient(&KEYS, check));
    let meant = root.as_meant(&KEYS);
    let root = Fields { node: &meant, ..root };
    for key in WITHOUT_EFFECT {
        if root.text(key, check).is_some() {
            kept.without_effect(root, key, check);
        }
    }
    root.text("apiVersion", check);
    root.word("kind", &[("sweep", ())], check);
    controller(root, &mut kept, check);
    kubernetes(root, &mut kept, check);
    if let Some(entry) = root.node.get("priority") {
        check.note(Code::NoEffect, entry.key_at, "priority", "'priority' has no effect yet");
    }
    let scheduler = extensions::scheduler(root, check);
    let method = method(root, scheduler, overrides.method_unless_named, check);
    let space = parameters::space(root, check);
    let objectives = objectives::objectives(root, &mut kept, check);
    let early_terminate = early::stopping(root, &objectives, &mut kept, check);
    let order = root.word("order", &[("file", GridOrder::File), ("shuffled", GridOrder::Shuffled)], check);
    let budget = extensions::budget(root, check);
    let run_cap = count(root, "run_cap", MAX_TRIALS, check);
    let (program, command) = (program(root, check), command(root, overrides, check));
    let name = sweep_name(root, check).unwrap_or_else(|| name.to_owned());
    let definition = Definition {
        name,
        description: root.text("description", check),
        program,
        command,
        method: method.unwrap_or(Method::Random),
        order: order.unwrap_or_default(),
        enqueue: parameters::enqueue(root, space.as_ref(), check),
        objectives,
        constraints: objectives::constraints(root, check),
        early_terminate,
        seed: root.integer("seed", 0, i64::MAX, check).and_then(|seed| u64::try_from(seed).ok()),
        run_cap: [run_cap, budget.trials].into_iter().flatten().min(),
        gpu_hours: budget.gpu_hours,
        wall: budget.wall,
        parallel: count(root, "parallel", 10_000, check),
        priority: root
            .integer("priority", -1_000_000, 1_000_000, check)
            .and_then(|p| i32::try_from(p).ok())
            .unwrap_or(0),
        resources: extensions::resources(root, check),
        retries: root
            .integer("retries", 0, 1_000_000, check)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        timeout: positive(root, "timeout", check),
        grace: root.duration("grace", check).unwrap_or(DEFAULT_GRACE),
        stop_signal: root
            .word("stop_signal", &[("TERM", StopSignal::Term), ("INT", StopSignal::Int)], check)
            .unwrap_or_default(),
        collect: extensions::collect(root, check),
        env: extensions::env(root, check),
        workdir: root.text("workdir", check),
        on_silence: extensions::on_silence(root, check),
        tags: root.texts("tags", check).unwrap_or_default(),
        from: root.texts("from", check).unwrap_or_default(),
        notes: root.text("notes", check),
        kept: kept.0,
        space: space?,
    };
    method?;
    let has_program = definition.program.is_some() || overrides.program.is_some();
    fits(root, &definition, has_program, check);
    Some(definition)
}

fn controller(root: Fields<'_>, kept: &mut Kept, check: &mut Check<'_>) {
    let Some(node) = root.get("controller") else { return };
    match &node.kind {
        Kind::Map(_) => {
            Fields { node, path: "controller" }.word("type", &[("local", ()), ("cloud", ())], check);
        }
        Kind::Scalar { value: Value::Text(_), .. } => {
            root.word("controller", &[("local", ()), ("cloud", ())], check);
        }
        Kind::Scalar { .. } | Kind::List(_) => {
            wrong::<()>(check, node, "controller", "a mapping");
        }
    }
    kept.without_effect(root, "controller", check);
}

fn kubernetes(root: Fields<'_>, kept: &mut Kept, check: &mut Check<'_>) {
    let Some(node) = root.get("kubernetes") else { return };
    let Some(fields) = Fields::of(node, "kubernetes", check) else { return };
    fields.only(&["namespace", "template", "queue", "wait"], check);
    fields.text("namespace", check);
    fields.text("queue", check);
    fields.duration("wait", check);
    kept.without_effect(root, "kubernetes", check);
}

fn method(
    root: Fields<'_>,
    scheduler: Option<&str>,
    unless_named: Option<Method>,
    check: &mut Check<'_>,
) -> Option<Method> {
    const METHODS: [(&str, Method); 6] = [
        ("random", Method::Random),
        ("grid", Method::Grid),
        ("bayes", Method::Bayes),
        ("tpe", Method::Tpe),
        ("cmaes", Method::Cmaes),
        ("sobol", Method::Sobol),
    ];
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    let Some(node) = root.get("method") else {
        if unless_named.is_some() && root.get("scheduler").is_none() {
            return unless_named;
        }
        if root.get("scheduler").is_none() || scheduler.is_some() {
            check
                .error(Code::BadMethod, root.head(), "method", "the file has no 'method'")
                .help("add method: random (or grid, bayes, tpe, cmaes, sobol)");
        }
        return None;
    };
    let Some(Value::Text(text)) = node.scalar() else {
        return wrong(check, node, "method", "the name of a method");
    };
    if let Some((_, method)) = METHODS.iter().find(|(name, _)| name == text) {
        if let Some(engine) = scheduler.filter(|engine| !engine.is_empty()) {
            let message = format!("'method' is '{text}' beside a scheduler that stands for '{engine}'");
            check.error(Code::Scheduler, node.at, "method", message).help("delete the section 'scheduler'");
        }
        return Some(*method);
    }
    if text == "custom" {
        match scheduler {
            Some("tpe") => return Some(Method::Tpe),
            Some("bayes") => return Some(Method::Bayes),
            Some(_) => {
                check.error(
                    Code::BadMethod,
                    node.at,
                    "method",
                    "'engine: wandb' goes with method grid, random or bayes",
                );
            }
            None if root.get("scheduler").is_some() => {}
            None => {
                check
                    .error(
                        Code::BadMethod,
                        node.at,
                        "method",
                        "'method: custom' needs W&B's 'scheduler' section",
                    )
                    .help("name the method itself: tpe, bayes ..");
            }
        }
        return None;
    }
    let found =
        check.error(Code::BadMethod, node.at, "method", format!("unknown method '{}'", shortened(text)));
    match nearest(text, &names) {
        Some(near) => found.label(format!("did you mean '{near}'?")),
        None => found.help(format!("known are {}", names.join(", "))),
    };
    None
}

fn program(root: Fields<'_>, check: &mut Check<'_>) -> Option<String> {
    let program = root.text("program", check)?;
    if program.is_empty() {
        let at = root.get("program")?.at;
        check.error(Code::NotAllowed, at, "program", "'program' is empty");
        return None;
    }
    Some(program)
}

fn sweep_name(root: Fields<'_>, check: &mut Check<'_>) -> Option<String> {
    let name = root.text("name", check)?;
    if !good_sweep_name(&name) {
        let at = root.get("name")?.at;
        check
            .error(Code::BadSweepName, at, "name", format!("'{}' cannot be a sweep's name", shortened(&name)))
            .help("1 to 200 characters, not only spaces, no control characters");
        return None;
    }
    Some(name)
}

/// 1 to 200 characters, not only spaces, none of them a control character.
pub(super) fn good_sweep_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 200 && !name.chars().any(char::is_control)
}

/// The elements of `command` as text.
fn command(root: Fields<'_>, overrides: &Overrides, check: &mut Check<'_>) -> Vec<String> {
    let default = || DEFAULT.iter().map(|element| (*element).to_owned()).collect();
    let mut command = Vec::new();
    let node = root.get("command");
    match node.map(|node| node.items()) {
        Some(Some(items)) => {
            for (i, item) in items.iter().enumerate() {
                let text = command::python_str(&item.value());
                element(&text, item.at, &format!("command.{i}"), check);
                command.push(text);
            }
        }
        Some(None) => {
            let node = node.expect("matched just now");
            let message = format!("'command' is {}: it must be a list", shown(node));
            check
                .error(Code::BadCommand, node.at, "command", message)
                .help("write one element a word: command: [\"${env}\", python, \"${program}\", \"${args}\"]");
        }
        None => {}
    }
    if !overrides.command.is_empty() {
        return overrides.command.clone();
    }
    if command.is_empty() { default() } else { command }
}

/// Warns of elements that do not do what they look like.
fn element(text: &str, at: At, path: &str, check: &mut Check<'_>) {
    if text.contains('\0') {
        check.error(Code::BadCommand, at, path, "an element of 'command' holds a NUL character");
        return;
    }
    let variables_aside = text.replace("${envvar:", "");
    if let Some(name) = macro_name(text) {
        let variable = name
            .strip_prefix("envvar:")
            .is_some_and(|name| name.chars().all(|c| matches!(c, 'A'..='Z' | '0'..='9' | '_')));
        if !variable && !MACROS.contains(&name) && !name.contains("${") {
            let found = check.warning(
                Code::UnknownMacro,
                at,
                path,
                format!("'{}' is no macro: it vanishes", shortened(text)),
            );
            if let Some(near) = nearest(name, &MACROS) {
                found.label(format!("did you mean '${{{near}}}'?"));
            }
        }
        return;
    }
    if variables_aside.contains("${") {
        let message = format!("'{}' has a macro inside a longer word: it stays as it is", shortened(text));
        check.warning(Code::MacroInside, at, path, message).help("make the macro an element of its own");
    }
    if text.starts_with('-') && text.trim().contains(char::is_whitespace) {
        let message = format!("'{}' is one argument: no shell splits it", shortened(text));
        check.warning(Code::SeveralWords, at, path, message).help("write one element a word");
    }
}

/// Whether the parts go together.
fn fits(root: Fields<'_>, definition: &Definition, has_program: bool, check: &mut Check<'_>) {
    let head = root.node.get("method").map_or(root.head(), |entry| entry.value.at);
    let name = root.get("method").map(shown).unwrap_or_default();
    let searched = definition.space.leaves().iter().any(|leaf| !leaf.distribution.is_constant());
    match definition.method {
        Method::Grid => grid(root, definition, check),
        Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol if !searched => {
            check.error(
                Code::NothingToSearch,
                head,
                "method",
                format!("method {name} has nothing to search: all parameters are constants"),
            );
        }
        Method::Random | Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol => {}
    }
    let learns = matches!(definition.method, Method::Bayes | Method::Tpe | Method::Cmaes);
    let aims = ["metric", "metrics", "objectives"].iter().any(|key| root.get(key).is_some());
    if learns && !aims {
        check
            .error(Code::NeedsMetric, head, "method", format!("method {name} needs a metric"))
            .help("add metric: {name: .., goal: minimize}");
    }
    if let Some(entry) = root.node.get("from") {
        if definition.from.len() > MAX_FROM {
            let message = format!("'from' names {} sweeps; allowed are {MAX_FROM}", definition.from.len());
            check.error(Code::OutOfRange, entry.value.at, "from", message);
        } else if definition.method != Method::Bayes {
            let message = "'from' has no effect: only method bayes learns from earlier sweeps";
            check.note(Code::NoEffect, entry.key_at, "from", message);
        }
    }
    let needs_program = definition.command.iter().any(|element| element == "${program}");
    if needs_program && !has_program && root.get("program").is_none() {
        check
            .warning(
                Code::NoProgram,
                root.head(),
                "program",
                "no program: it has to be given when the sweep is started",
            )
            .help(
                "add program: train.py, or start it with -- COMMAND; trials taken with swath ask need none",
            );
    }
    lengths(root, definition, check);
}

fn grid(root: Fields<'_>, definition: &Definition, check: &mut Check<'_>) {
    let mut continuous = false;
    for leaf in definition.space.leaves() {
        let weighted = matches!(leaf.distribution, Distribution::CategoricalWithProbabilities { .. });
        if leaf.distribution.is_discrete() && !weighted {
            continue;
        }
        continuous = true;
        let (name, at) = (leaf.name(), parameter_at(root, &leaf.path));
        let (what, help) = if weighted {
            ("probabilities", "leave 'probabilities' out, or take method: random")
        } else {
            ("a continuous range", "give a step (distribution: q_uniform, q: ..) or values")
        };
        let message = format!("a grid needs discrete parameters: '{}' has {what}", shortened(&name));
        check.error(Code::GridContinuous, at, &format!("parameters.{name}"), message).help(help);
    }
    if continuous {
        return;
    }
    let at = root.node.get("method").map_or(root.head(), |entry| entry.value.at);
    match definition.space.grid() {
        Err(error @ NotDiscrete::TooConnected { .. }) => {
            check.error(Code::TooMany, at, "parameters", error.to_string().replace('`', "'"));
        }
        Err(error) => {
            check.error(Code::GridContinuous, at, "parameters", error.to_string().replace('`', "'"));
        }
        Ok(grid) => {
            let points = grid.len();
            if points == Count::Beyond && definition.order == GridOrder::Shuffled {
                let at = root.get("order").map_or(at, |node| node.at);
                check
                    .error(
                        Code::TooMany,
                        at,
                        "order",
                        format!("a grid of {points} points cannot be shuffled"),
                    )
                    .help("order: file");
            }
            let limited =
                definition.run_cap.is_some() || definition.gpu_hours.is_some() || definition.wall.is_some();
            if points > Count::Exact(HUGE) && !limited {
                check
                    .note(
                        Code::HugeGrid,
                        at,
                        "method",
                        format!("the grid has {points} points and no limit is set"),
                    )
                    .help("set run_cap or budget");
            }
        }
    }
}

/// Where a parameter stands.
fn parameter_at(root: Fields<'_>, path: &[String]) -> At {
    let mut node = root.node;
    let mut at = root.head();
    for name in path {
        let Some(entry) = node.get("parameters").and_then(|level| level.value.get(name)) else { break };
        at = entry.key_at;
        node = &entry.value;
    }
    at
}

/// Refuses values that no command line can carry, where the command carries them.
fn lengths(root: Fields<'_>, definition: &Definition, check: &mut Check<'_>) {
    let uses = |wanted: fn(&str) -> bool| {
        definition.command.iter().filter_map(|element| macro_name(element)).any(wanted)
    };
    let json = uses(|name| name == "args_json");
    if !json && !uses(|name| name.starts_with("args") && name != "args_json_file") {
        return;
    }
    let mut total = 0;
    for leaf in definition.space.leaves() {
        let longest = match &leaf.distribution {
            Distribution::Constant { value } => length(value, json),
            Distribution::Categorical { values }
            | Distribution::CategoricalWithProbabilities { values, .. } => {
                values.iter().map(|value| length(value, json)).max().unwrap_or(0)
            }
            _ => 25,
        };
        let size = longest + leaf.path.iter().map(|name| name.len() + 4).sum::<usize>();
        total += size;
        if size >= MAX_ARGUMENT {
            let name = leaf.name();
            let message = format!(
                "a value of '{}' makes an argument of {size} bytes: Linux takes {MAX_ARGUMENT}",
                shortened(&name)
            );
            check
                .error(
                    Code::TooLongForArgv,
                    parameter_at(root, &leaf.path),
                    &format!("parameters.{name}"),
                    message,
                )
                .help("put \"${args_json_file}\" into 'command', or read the file that SWATH_PARAMS names");
        }
    }
    if total >= MAX_ARGV || (json && total >= MAX_ARGUMENT) {
        let message = format!("the parameters make a command of {total} bytes, more than Linux takes");
        check
            .error(Code::TooLongForArgv, root.head(), "parameters", message)
            .help("put \"${args_json_file}\" into 'command', or read the file that SWATH_PARAMS names");
    }
}

fn length(value: &Value, json: bool) -> usize {
    if json { command::python_json(value).len() } else { command::python_str(value).len() }
}
