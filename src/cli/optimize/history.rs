//! `--history FILE`: what was asked and told, a JSON line each, in the words of the protocol.
//!
//! A line is on disk before it is acknowledged. An `ask` stands there with the trials it gave, so that reading the file
//! computes no proposal again. A last line without an end is what a kill left: it was never acknowledged, and is cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value as Json};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::optimize::request::Request;
use crate::cli::optimize::study::Study;
use crate::cli::talk;
use crate::space::Assignment;
use crate::spec::Code;

/// Largest file that is read.
const MOST_BYTES: u64 = 4 << 30;

/// The file, held by this process.
#[derive(Debug)]
pub(super) struct HistoryFile {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines.
    length: u64,
}

impl HistoryFile {
    /// Opens a file, makes it where there is none, and brings the study to where it ends.
    ///
    /// # Errors
    ///
    /// It cannot be opened, another process writes it, or a line of it does not fit the study.
    pub(super) fn open(path: &Path, study: &mut Study) -> Result<HistoryFile, Failure> {
        let refuse = |exit, why: String| {
            Failure::new(exit, Code::BadHistory, why).context(format!("--> {}", path.display()))
        };
        let cannot = |error: io::Error| refuse(Exit::Failed, format!("the history cannot be read: {error}"));
        let made = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(cannot)?;
        let kind = file.metadata().map_err(cannot)?;
        if !kind.is_file() || kind.len() > MOST_BYTES {
            return Err(refuse(Exit::Usage, "the history is not a regular file of at most 4 GiB".to_owned()));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            refuse(Exit::Refused, "another process writes this history".to_owned())
                .help("end it, or name another file")
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(cannot)?;
        let length = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for (number, line) in (1..).zip(bytes[..length].split_inclusive(|byte| *byte == b'\n')) {
            replay(study, line).map_err(|why| {
                refuse(Exit::Damaged, format!("line {number} of the history: {why}"))
                    .help("delete that line, or name another file")
            })?;
        }
        if length < bytes.len() {
            talk!("warning: the last line of {} has no end and is cut off", path.display());
        }
        let mut history = HistoryFile { file, path: path.to_owned(), length: length as u64 };
        history.cut().map_err(cannot)?;
        if made {
            history.sync_folder().map_err(cannot)?;
        }
        Ok(history)
    }

    /// Writes a line; it is on disk when this returns. After an error the file is as it was.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let bytes = [line.as_bytes(), b"\n"].concat();
        match self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.cut()?;
                Err(error)
            }
        }
    }

    /// Leaves nothing but whole lines.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    /// A new file's name is on disk as well.
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }
}

/// Carries out what a line says.
fn replay(study: &mut Study, line: &[u8]) -> Result<(), String> {
    let mut fields: Map<String, Json> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if fields.get("op").is_some_and(|op| op == "ask") {
        if let Some(fit) = fields.remove("fit") {
            study.record(serde_json::from_value(fit).map_err(|error| error.to_string())?);
            study.written();
        }
        return started(study, &fields.remove("trials").unwrap_or_default());
    }
    let request = Request::of(fields).map_err(|error| error.to_string())?;
    study.check(&request).map_err(|error| error.to_string())?;
    study.carry_out(request);
    Ok(())
}

/// The trials that an `ask` gave.
fn started(study: &mut Study, trials: &Json) -> Result<(), String> {
    for trial in trials.as_array().ok_or("'trials' is no list")? {
        let params = trial.get("params").cloned().unwrap_or_default();
        let params: Assignment = serde_json::from_value(params).map_err(|error| error.to_string())?;
        let point = study.point(&params).map_err(|error| error.to_string())?;
        let id = study.next_id();
        if trial.get("id").and_then(Json::as_u64) != Some(u64::from(id)) {
            return Err(format!("trial {id} should stand here"));
        }
        study.start(point);
    }
    Ok(())
}
