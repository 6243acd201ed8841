//! Sends a run's output: its last lines, and what follows while somebody looks.
//!
//! The log is read where the runner writes it, or where it is kept once the run's folder is gone. Nothing rings when a
//! line is written, so it is looked at a few times a second, and only while it is followed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::pb;
use crate::pb::agent_up::Kind as Up;
use crate::runner::{self, Folder, Piece};

const CHUNK: usize = 64 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Where a run's output may lie.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) folder: Folder,
    pub(crate) kept: Folder,
}

/// Sends what is asked for. Ends with the run, with the request, or with the stream.
pub(crate) async fn follow(place: Place, ask: pb::Follow, outbox: mpsc::Sender<pb::AgentUp>) {
    let request = ask.request;
    let note = match send_all(place, &ask, &outbox).await {
        Ok(()) => String::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "nothing of this run's output is on this machine".to_owned()
        }
        Err(error) => format!("the output cannot be read: {error}"),
    };
    let end = pb::Output { request, data: Default::default(), end: true, note };
    // Where the stream is gone, so is who asked.
    let _ = outbox.send(pb::AgentUp { kind: Some(Up::Output(end)) }).await;
}

async fn send_all(place: Place, ask: &pb::Follow, outbox: &mpsc::Sender<pb::AgentUp>) -> io::Result<()> {
    let (stderr, tail) = (ask.stderr, ask.tail as usize);
    let mut offset = blocking({
        let place = place.clone();
        move || start(&place.log(stderr)?, tail)
    })
    .await?;
    loop {
        // Looked at first: what is written before the end is then still read.
        let is_over = !ask.follow || !place.lives();
        let looked = place.clone();
        let piece = blocking(move || looked.read(stderr, offset)).await?;
        offset = piece.offset + piece.bytes.len() as u64;
        if !piece.bytes.is_empty() {
            let output = pb::Output {
                request: ask.request,
                data: piece.bytes.into(),
                end: false,
                note: String::new(),
            };
            if outbox.send(pb::AgentUp { kind: Some(Up::Output(output)) }).await.is_err() {
                return Ok(());
            }
        } else if is_over {
            return Ok(());
        } else {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Place {
    /// Whether the run's folder is still there.
    fn lives(&self) -> bool {
        self.folder.path().exists()
    }

    /// The log as it lies now, or will: a run that has printed nothing has none.
    fn log(&self, stderr: bool) -> io::Result<PathBuf> {
        let folders = [&self.folder, &self.kept];
        let folder = folders.into_iter().find(|folder| folder.log().exists());
        let folder = folder.or_else(|| Some(&self.folder).filter(|_| self.lives()));
        let folder = folder.ok_or(io::ErrorKind::NotFound)?;
        Ok(if stderr { folder.error_log() } else { folder.log() })
    }

    /// Some bytes from `offset` on. Moved while it was read, the log is read where it is kept.
    fn read(&self, stderr: bool, offset: u64) -> io::Result<Piece> {
        loop {
            let log = self.log(stderr)?;
            let piece = runner::read_output(&log, offset, CHUNK);
            if self.log(stderr)? == log {
                return piece;
            }
        }
    }
}

/// Where the last `lines` lines of what is kept begin; 0: where all of it does.
fn start(log: &Path, lines: usize) -> io::Result<u64> {
    let kept = runner::kept_output(log)?;
    let (mut at, mut found, mut is_last) = (kept.end, 0, true);
    while lines > 0 && at > kept.start {
        let from = at.saturating_sub(CHUNK as u64).max(kept.start);
        let piece = runner::read_output(log, from, (at - from) as usize)?;
        for (index, byte) in piece.bytes.iter().enumerate().rev() {
            // The end of the last line begins no further one.
            if *byte == b'\n' && !is_last {
                found += 1;
                if found == lines {
                    return Ok(piece.offset + index as u64 + 1);
                }
            }
            is_last = false;
        }
        if piece.offset > from {
            // Only this is kept any more.
            return Ok(piece.offset);
        }
        at = from;
    }
    Ok(kept.start)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn last(text: &str, lines: usize) -> String {
        let name = format!("swath-follow-{}-{:x}", std::process::id(), rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let log = folder.join("out.log");
        fs::write(&log, text).unwrap();
        let start = start(&log, lines).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        text[start as usize..].to_owned()
    }

    #[test]
    fn the_last_lines_are_found_with_and_without_a_newline_at_the_end() {
        assert_eq!(last("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc");
        assert_eq!(last("a\nb\n", 9), "a\nb\n");
        assert_eq!(last("a\nb\n", 0), "a\nb\n");
        assert_eq!(last("\n\n\n", 1), "\n");
        assert_eq!(last("", 3), "");
        let long = format!("first\n{}\nend\n", "x".repeat(3 * CHUNK));
        assert_eq!(last(&long, 2).len(), long.len() - 6);
    }
}
