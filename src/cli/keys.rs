//! Single keys from the terminal, without echo and without waiting for the end of a line.
//!
//! The terminal's modes are restored when [`Keys`] is dropped, which a panic does too. Signals stay as they are: Ctrl-C is
//! SIGINT, not a key.

use std::io::{self, IsTerminal, Read};
use std::thread;

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc;

/// Keys as they are pressed.
#[derive(Debug)]
pub(super) struct Keys {
    before: Termios,
    pressed: mpsc::Receiver<u8>,
}

impl Keys {
    /// Takes the terminal at stdin; `None` where stdin is none, its modes cannot be set, or another job has it: who
    /// touches it from the background is stopped.
    pub(super) fn take() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || tcgetpgrp(&stdin).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &modes).ok()?;
        let (sender, pressed) = mpsc::channel(16);
        // Blocked in `read` until a key comes; ends with the process, or when nobody listens any more.
        let reader = thread::Builder::new().name("keys".to_owned()).spawn(move || {
            for byte in io::stdin().lock().bytes() {
                match byte {
                    Ok(byte) if sender.blocking_send(byte).is_ok() => {}
                    Ok(_) | Err(_) => break,
                }
            }
        });
        let keys = Keys { before, pressed };
        reader.ok().map(|_| keys)
    }

    /// The next key; never, once the terminal is gone.
    pub(super) async fn next(&mut self) -> u8 {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
