//! The command's stdout and stderr: one pipe each, passed through to the log, the tail and, by hand, our own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::fcntl_setpipe_size;

use super::collect::{Collector, StreamId};
use super::output::{Logs, Tail};

/// Read at once; a pipe holds as much unless it is widened.
const CHUNK: usize = 64 << 10;
/// Read at once of a stream that has said little yet: memory that is never used is not touched.
const FIRST_CHUNK: usize = 4 << 10;
/// What a pipe is widened to once its writer has filled it.
const WIDE: usize = 1 << 20;

/// Both streams and where they go.
pub(crate) struct Streams {
    pipes: [Option<File>; 2],
    is_wide: [bool; 2],
    echoes: bool,
    buffer: Vec<u8>,
    logs: Logs,
    tail: Tail,
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
enum Drained {
    Some,
    Nothing,
    End,
}

impl Streams {
    /// `echoes`: pass them on to our own stdout and stderr too.
    pub(crate) fn new(pipes: [OwnedFd; 2], logs: Logs, echoes: bool) -> Streams {
        for pipe in &pipes {
            // A pipe that waits would only delay the loop; that it can be set is certain for a descriptor of ours.
            let _ = rustix::io::ioctl_fionbio(pipe, true);
        }
        let pipes = pipes.map(|pipe| Some(File::from(pipe)));
        Streams {
            pipes,
            is_wide: [false; 2],
            echoes,
            buffer: vec![0; FIRST_CHUNK],
            logs,
            tail: Tail::default(),
        }
    }

    /// Those that are not at their end.
    pub(crate) fn open(&self) -> impl Iterator<Item = (StreamId, BorrowedFd<'_>)> {
        self.pipes.iter().enumerate().filter_map(|(id, pipe)| Some((id, pipe.as_ref()?.as_fd())))
    }

    /// Passes on what one read of the stream gives.
    pub(crate) fn pump(&mut self, stream: StreamId, collector: &mut Collector) {
        self.read(stream, collector);
    }

    /// Passes on what is left in the pipes. Does not wait: who holds one now is no process of the run.
    pub(crate) fn drain(&mut self, collector: &mut Collector) {
        for stream in [0, 1] {
            // One may be a small one.
            let full_reads = WIDE / CHUNK + 2;
            for _ in 0..full_reads {
                if self.read(stream, collector) != Drained::Some {
                    break;
                }
                collector.read_lines();
            }
        }
    }

    pub(crate) fn tail(&self) -> String {
        self.tail.text()
    }

    /// Bytes the disk had no room for.
    pub(crate) fn unlogged(&self) -> u64 {
        self.logs.dropped()
    }

    fn read(&mut self, stream: StreamId, collector: &mut Collector) -> Drained {
        let Some(pipe) = &mut self.pipes[stream] else { return Drained::End };
        let n = match pipe.read(&mut self.buffer) {
            Ok(0) => {
                self.pipes[stream] = None;
                return Drained::End;
            }
            Ok(n) => n,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Drained::Nothing;
            }
            Err(_) => {
                self.pipes[stream] = None;
                return Drained::End;
            }
        };
        if n == CHUNK && !self.is_wide[stream] {
            self.is_wide[stream] = true;
            // Refused above the user's share of pipe memory; then it stays as it was.
            let _ = fcntl_setpipe_size(&*pipe, WIDE);
        }
        let is_full = n == self.buffer.len();
        let bytes = &self.buffer[..n];
        self.logs.write(stream, bytes);
        self.tail.push(bytes);
        collector.output(stream, bytes);
        // Nobody reads our own stream any more: the command learns it as it would without us.
        if self.echoes && !echo(stream, bytes) {
            self.pipes[stream] = None;
            return Drained::End;
        }
        if is_full && n < CHUNK {
            self.buffer.resize(CHUNK, 0);
        }
        Drained::Some
    }
}

fn echo(stream: StreamId, bytes: &[u8]) -> bool {
    if stream == 0 {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).is_ok()
    } else {
        io::stderr().write_all(bytes).is_ok()
    }
}
