//! Sends a run's output: its last lines, and what follows while somebody looks.
//!
//! The log is read where the runner writes it, or where it is kept once the run's folder is gone. Nothing rings when a
//! line is written, so it is looked at a few times a second, and only while it is followed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::pb;
use crate::pb::agent_up::Kind as Up;
use crate::runner::Folder;

const CHUNK: usize = 64 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Where a run's output may lie.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) folder: Folder,
    pub(crate) kept: PathBuf,
}

/// Reads a log that grows, and goes on in the next one when the runner has begun one.
#[derive(Debug)]
struct LogReader {
    path: PathBuf,
    file: File,
}

/// Sends what is asked for. Ends with the run, with the request, or with the stream.
pub(crate) async fn follow(place: Place, ask: pb::Follow, outbox: mpsc::Sender<pb::AgentUp>) {
    let request = ask.request;
    let note = match send_all(&place, &ask, &outbox).await {
        Ok(()) if ask.stderr => "standard output and error are kept together".to_owned(),
        Ok(()) => String::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "this run's output is not on this machine".to_owned()
        }
        Err(error) => format!("the output cannot be read: {error}"),
    };
    let end = pb::Output { request, data: Default::default(), end: true, note };
    // Where the stream is gone, so is who asked.
    let _ = outbox.send(pb::AgentUp { kind: Some(Up::Output(end)) }).await;
}

async fn send_all(place: &Place, ask: &pb::Follow, outbox: &mpsc::Sender<pb::AgentUp>) -> io::Result<()> {
    let (place, tail) = (place.clone(), ask.tail);
    let looked = place.clone();
    let opened = spawn_blocking(move || open(&looked, tail)).await.map_err(io::Error::other)?;
    let (before, mut reader) = opened?;
    if !before.is_empty() && !send(ask.request, before, outbox).await {
        return Ok(());
    }
    loop {
        // Looked at first: what is written before the end is then still read.
        let is_over = !ask.follow || !place.folder.log().exists();
        let (back, read) = spawn_blocking(move || {
            let read = reader.read();
            (reader, read)
        })
        .await
        .map_err(io::Error::other)?;
        reader = back;
        let data = read?;
        if data.is_empty() {
            if is_over {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        } else if !send(ask.request, data, outbox).await {
            return Ok(());
        }
    }
}

/// False: nobody listens any more.
async fn send(request: u64, data: Vec<u8>, outbox: &mpsc::Sender<pb::AgentUp>) -> bool {
    let output = pb::Output { request, data: data.into(), end: false, note: String::new() };
    outbox.send(pb::AgentUp { kind: Some(Up::Output(output)) }).await.is_ok()
}

/// Opens the log where the last `tail` lines begin; 0: at its begin. What of them lies in an older half comes first.
fn open(place: &Place, tail: u32) -> io::Result<(Vec<u8>, LogReader)> {
    let path = if place.folder.log().exists() { place.folder.log() } else { place.kept.clone() };
    let mut file = File::open(&path)?;
    let lines = if tail == 0 { usize::MAX } else { tail as usize };
    let (start, found) = start_of_last_lines(&mut file, lines)?;
    file.seek(SeekFrom::Start(start))?;
    let mut before = Vec::new();
    if start == 0
        && found < lines
        && let Some(older) = older_half(place.folder.path())
    {
        let mut older = File::open(older)?;
        let (start, _) = start_of_last_lines(&mut older, lines - found)?;
        older.seek(SeekFrom::Start(start))?;
        older.take(CHUNK as u64 * 16).read_to_end(&mut before)?;
    }
    Ok((before, LogReader { path, file }))
}

/// The half that was filled last: `out.log.N` with the highest N.
fn older_half(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.strip_prefix("out.log.")?.parse::<u64>().ok());
    numbers.max().map(|number| folder.join(format!("out.log.{number}")))
}

/// Where the last `lines` lines begin, and how many there are.
fn start_of_last_lines(file: &mut File, lines: usize) -> io::Result<(u64, usize)> {
    if lines == usize::MAX {
        return Ok((0, 0));
    }
    let mut at = file.metadata()?.len();
    let (mut found, mut is_last) = (0, true);
    let mut buffer = vec![0; CHUNK];
    while at > 0 {
        let size = usize::try_from(at).unwrap_or(CHUNK).min(CHUNK);
        at -= size as u64;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buffer[..size])?;
        for (offset, byte) in buffer[..size].iter().enumerate().rev() {
            // The end of the last line begins no further one.
            if *byte == b'\n' && !std::mem::take(&mut is_last) {
                found += 1;
                if found == lines {
                    return Ok((at + offset as u64 + 1, lines));
                }
            }
            is_last = false;
        }
    }
    Ok((0, found + usize::from(!is_last)))
}

impl LogReader {
    /// Some more bytes; none: there are none yet.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut data = vec![0; CHUNK];
        let mut size = self.file.read(&mut data)?;
        if size == 0 && self.has_rotated() {
            self.file = File::open(&self.path)?;
            size = self.file.read(&mut data)?;
        }
        data.truncate(size);
        Ok(data)
    }

    fn has_rotated(&self) -> bool {
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(opened), Ok(there)) => opened.ino() != there.ino(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, lines: usize) -> String {
        let path = std::env::temp_dir().join(format!(
            "swath-follow-{}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        ));
        fs::write(&path, text).unwrap();
        let mut file = File::open(&path).unwrap();
        let (start, _) = start_of_last_lines(&mut file, lines).unwrap();
        fs::remove_file(&path).unwrap();
        text[start as usize..].to_owned()
    }

    #[test]
    fn the_last_lines_are_found_with_and_without_a_newline_at_the_end() {
        assert_eq!(last("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc");
        assert_eq!(last("a\nb\n", 9), "a\nb\n");
        assert_eq!(last("\n\n\n", 1), "\n");
        assert_eq!(last("", 3), "");
        let long = format!("first\n{}\nend\n", "x".repeat(3 * CHUNK));
        assert_eq!(last(&long, 2).len(), long.len() - 6);
    }
}
