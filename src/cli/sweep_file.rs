//! A sweep file on its way to the controller: read safely, checked here first so that every error shows at once.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::talk;
use crate::cli::terminal::{ColorChoice, Stream};
use crate::pb;
use crate::spec::{self, Code, Diagnostic};

/// Options that override the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Overrides {
    /// Any key of the file by its path: --set parameters.lr.max=0.1
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What overrides the file")]
    pub set: Vec<String>,
    /// Shown name [default: the file's]
    #[arg(long, help_heading = "What overrides the file")]
    pub name: Option<String>,
    /// Runs at once
    #[arg(short, long, value_name = "N", help_heading = "What overrides the file")]
    pub parallel: Option<u32>,
    /// Trials at most; the stricter of this and the file's counts
    #[arg(short = 'n', long, value_name = "N", help_heading = "What overrides the file")]
    pub trials: Option<u32>,
    /// gpu_hours=2,wall=1h,trials=50; the stricter of this and the file's counts
    #[arg(
        long,
        value_name = "KEY=VALUE,..",
        value_delimiter = ',',
        help_heading = "What overrides the file"
    )]
    pub budget: Vec<String>,
    /// Makes proposals reproducible [default: the file's, else drawn, printed and stored]
    #[arg(long, value_name = "N", help_heading = "What overrides the file")]
    pub seed: Option<u64>,
    /// Add a tag
    #[arg(long = "tag", value_name = "TAG", help_heading = "What overrides the file")]
    pub tags: Vec<String>,
    /// Add a note
    #[arg(long, value_name = "TEXT", help_heading = "What overrides the file")]
    pub note: Option<String>,
    /// Replaces the file's command; the same macros
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Overrides {
    /// As the API takes them.
    pub(super) fn to_pb(&self) -> pb::create_sweep_request::Overrides {
        pb::create_sweep_request::Overrides {
            set: self.set.clone(),
            name: self.name.clone().unwrap_or_default(),
            parallel: self.parallel,
            trials: self.trials,
            budget: self.budget.clone(),
            seed: self.seed,
            tags: self.tags.clone(),
            note: self.note.clone().unwrap_or_default(),
            command: self.command.clone(),
            program: String::new(),
        }
    }
}

/// A sweep file's text and where it lies.
#[derive(Debug)]
pub(super) struct SweepFile {
    /// As it was typed.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl SweepFile {
    /// Reads a sweep file.
    ///
    /// # Errors
    ///
    /// No such file; not a regular file (a FIFO or `/dev/zero` must not hang); larger than 1 MiB; not UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        match read(path) {
            Ok(text) => Ok(SweepFile { path: path.to_owned(), text }),
            Err(diagnostic) => {
                let shown = path.display().to_string();
                let text = spec::render(&[*diagnostic], &shown, Stream::Stderr.color(ColorChoice::Auto));
                talk!("{}exit code {}", text, Exit::BadFile.code());
                Err(Failure::said(Exit::BadFile))
            }
        }
    }

    /// Checks the file and says what is wrong with it, everything at once; else gives the request that creates it.
    ///
    /// # Errors
    ///
    /// The file is wrong (exit code 3), or asks for what this release does not do.
    pub(super) fn check(
        &self,
        overrides: &Overrides,
        settings: &Settings,
    ) -> Result<pb::CreateSweepRequest, Failure> {
        let shown = self.path.display().to_string();
        let parsed = spec::parse(&self.text, &shown, &(&overrides.to_pb()).into());
        if !parsed.diagnostics.is_empty() {
            let color = Stream::Stderr.color(settings.color.value);
            talk!("{}", spec::render(&parsed.diagnostics, &shown, color).trim_end());
        }
        if parsed.definition.is_none() {
            let counts = spec::summary(&parsed.diagnostics, &shown).unwrap_or_default();
            talk!("{counts:<77} exit code {}", Exit::BadFile.code());
            return Err(Failure::said(Exit::BadFile));
        }
        let file = std::path::absolute(&self.path)?;
        let folder = std::env::current_dir()?;
        Ok(pb::CreateSweepRequest {
            file: self.text.clone(),
            path: shown,
            overrides: Some(overrides.to_pb()),
            origin_file: file.display().to_string(),
            origin_folder: folder.display().to_string(),
            origin_hash: hash(&self.text, &overrides.to_pb()),
            ..Default::default()
        })
    }
}

/// The text of a regular file of at most 1 MiB.
///
/// # Errors
///
/// What is wrong with it: no such file, not a regular one (a FIFO or `/dev/zero` must not hang), too large, no text.
pub(super) fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let refuse = |why: String| Box::new(Diagnostic::whole(Code::NotAFile, why));
    let unreadable = |error: io::Error| refuse(format!("{} cannot be read: {error}", path.display()));
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        return Err(refuse(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    let limit = spec::MAX_BYTES as u64 + 1;
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    spec::decode(&bytes).map(str::to_owned)
}

/// What makes two starts the same sweep: the file's text and the options that override it, limits aside, since a
/// larger `-n` goes on with the old sweep.
fn hash(text: &str, overrides: &pb::create_sweep_request::Overrides) -> String {
    use prost::Message as _;
    let relevant = pb::create_sweep_request::Overrides {
        trials: None,
        budget: Vec::new(),
        parallel: None,
        ..overrides.clone()
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    hasher.update(&relevant.encode_to_vec());
    hasher.finalize().to_hex().to_string()
}
