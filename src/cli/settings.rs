//! Settings: flag over environment over configuration file over default, and where each came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use serde::Deserialize;

use crate::cli::env_vars;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Format;
use crate::cli::terminal::ColorChoice;
use crate::spec::{Code, duration};

/// Options that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// Form of the result [default: table] [env: SWATH_OUTPUT]
    #[arg(short, long, global = true, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
    /// Ids only, one a line; for run: the result alone
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More of the talk on stderr; -vv for all of it [env: SWATH_LOG]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colour [env: SWATH_COLOR, NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub color: Option<ColorChoice>,
    /// Where the store and the runs lie [default: $XDG_DATA_HOME/swath] [env: SWATH_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Limits lists and names to a project; where new sweeps go [default: default] [env: SWATH_PROJECT]
    #[arg(long, global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// Time for one request [default: 30s] [env: SWATH_TIMEOUT]
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<String>,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An option of this command.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "{flag}"),
            Origin::Environment(name) => write!(f, "{name} (environment)"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Default => write!(f, "default"),
        }
    }
}

/// A setting and its origin.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    /// What is in force.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

/// All settings in force.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the options' own names
pub(super) struct Settings {
    pub output: Setting<Format>,
    pub color: Setting<ColorChoice>,
    pub data_dir: Setting<PathBuf>,
    pub project: Setting<String>,
    pub timeout: Setting<Duration>,
    pub progress: Setting<String>,
    pub log: Setting<String>,
    pub quiet: bool,
    /// Said once, on stderr.
    pub warnings: Vec<String>,
}

/// `config.yaml`; every key optional.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    output: Option<String>,
    color: Option<String>,
    data_dir: Option<PathBuf>,
    project: Option<String>,
    timeout: Option<String>,
    progress: Option<String>,
    log: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_yaml::Value>,
}

/// The path of the configuration file, whether it is there or not.
pub(super) fn config_path() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("swath/config.yaml"))
}

/// `$VARIABLE`, else `$HOME/FALLBACK`. A relative value does not count, as the XDG specification has it.
fn base(variable: &str, fallback: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(fallback)))
}

/// Reads the four sources into one.
///
/// # Errors
///
/// A value that does not parse, naming where it came from; a configuration file that cannot be read.
pub(super) fn resolve(global: &Global) -> Result<Settings, Failure> {
    let path = config_path();
    let file = path.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut warnings = Vec::new();
    for key in file.unknown.keys() {
        warnings.push(format!("unknown key '{key}' in {} has no effect", shown(path.as_deref())));
    }
    let source = Sources { path: path.unwrap_or_default() };
    let timeout = source.pick("--timeout", global.timeout.clone(), env_vars::TIMEOUT, file.timeout, "30s");
    let data_dir = source.paths("--data-dir", global.data_dir.clone(), env_vars::DATA_DIR, file.data_dir)?;
    let output = global.output.map(|format| format.to_string());
    let color = global.color.map(|choice| format!("{choice:?}").to_lowercase());
    let log = ["warn", "swath=debug,warn", "trace"][usize::from(global.verbose.min(2))];
    Ok(Settings {
        output: source.pick("--output", output, env_vars::OUTPUT, file.output, "table").parse(parse_enum)?,
        color: source.pick("--color", color, env_vars::COLOR, file.color, "auto").parse(parse_enum)?,
        data_dir,
        project: source.pick("--project", global.project.clone(), env_vars::PROJECT, file.project, "default"),
        timeout: timeout.parse(|text| duration::parse(text).map_err(|error| error.to_string()))?,
        progress: source.pick("--progress", None, env_vars::PROGRESS, file.progress, "auto"),
        log: match global.verbose {
            0 => source.pick("--verbose", None, env_vars::LOG, file.log, log),
            _ => Setting { value: log.to_owned(), origin: Origin::Flag("--verbose") },
        },
        quiet: global.quiet,
        warnings,
    })
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(bad_config(path, &error)),
    };
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    serde_yaml::from_str(&text).map_err(|error| bad_config(path, &error))
}

fn bad_config(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, Code::BadSetting, format!("the configuration file cannot be used: {error}"))
        .context(format!("--> {}", path.display()))
        .help("mend the file, or take it away: every key in it is optional")
}

struct Sources {
    path: PathBuf,
}

impl Sources {
    /// The first source that says something, in the order of precedence.
    fn first<T>(
        &self,
        (flag, given): (&'static str, Option<T>),
        (variable, environment): (&'static str, Option<T>),
        file: Option<T>,
    ) -> Option<(T, Origin)> {
        given
            .map(|value| (value, Origin::Flag(flag)))
            .or_else(|| environment.map(|value| (value, Origin::Environment(variable))))
            .or_else(|| file.map(|value| (value, Origin::File(self.path.clone()))))
    }

    fn pick(
        &self,
        flag: &'static str,
        given: Option<String>,
        variable: &'static str,
        file: Option<String>,
        default: &str,
    ) -> Setting<String> {
        let environment = env::var(variable).ok().filter(|value| !value.is_empty());
        let (value, origin) = self
            .first((flag, given), (variable, environment), file)
            .unwrap_or_else(|| (default.to_owned(), Origin::Default));
        Setting { value, origin }
    }

    fn paths(
        &self,
        flag: &'static str,
        given: Option<PathBuf>,
        variable: &'static str,
        file: Option<PathBuf>,
    ) -> Result<Setting<PathBuf>, Failure> {
        let environment = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let (value, origin) = if let Some(said) = self.first((flag, given), (variable, environment), file) {
            said
        } else {
            let dir = base("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
                Failure::usage("there is no place for the store: neither HOME nor XDG_DATA_HOME is set")
                    .help("--data-dir DIR")
            })?;
            (dir.join("swath"), Origin::Default)
        };
        let value = std::path::absolute(&value)?;
        Ok(Setting { value, origin })
    }
}

impl Setting<String> {
    fn parse<T>(self, parse: impl Fn(&str) -> Result<T, String>) -> Result<Setting<T>, Failure> {
        match parse(&self.value) {
            Ok(value) => Ok(Setting { value, origin: self.origin }),
            Err(why) => Err(Failure::new(
                Exit::Usage,
                Code::BadSetting,
                format!("'{}' is no value for this setting: {why}", self.value),
            )
            .context(format!("from: {}", self.origin))),
        }
    }
}

fn parse_enum<T: clap::ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|variant| variant.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        format!("it may be {}", names.join(", "))
    })
}
