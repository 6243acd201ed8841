//! The way into the core: a queue that is bounded by commands and by bytes. Where it is full, senders wait; a command
//! keeps its room until the core takes it out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Commands that may wait.
const COMMANDS: usize = 8192;
/// Bytes of them, in units of [`UNIT`].
const UNITS: usize = (16 << 20) / UNIT;
const UNIT: usize = 1024;

/// The senders' end.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    sender: Sender<Letter<T>>,
    commands: Arc<Semaphore>,
    units: Arc<Semaphore>,
}

/// The core's end.
#[derive(Debug)]
pub(super) struct Inbox<T>(Receiver<Letter<T>>);

#[derive(Debug)]
struct Letter<T> {
    content: T,
    _room: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

/// What the core found in its inbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Letter(T),
    /// Nothing came in time.
    Nothing,
    /// Nobody can send any more.
    Closed,
}

/// The core has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

pub(super) fn mailbox<T>() -> (Mailbox<T>, Inbox<T>) {
    let (sender, receiver) = channel();
    let (commands, units) = (Arc::new(Semaphore::new(COMMANDS)), Arc::new(Semaphore::new(UNITS)));
    (Mailbox { sender, commands, units }, Inbox(receiver))
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox {
            sender: self.sender.clone(),
            commands: Arc::clone(&self.commands),
            units: Arc::clone(&self.units),
        }
    }
}

impl<T> Mailbox<T> {
    /// Waits for room, then sends. `bytes`: about how much memory it holds.
    pub(super) async fn send(&self, content: T, bytes: usize) -> Result<(), Gone> {
        let units = u32::try_from(bytes.div_ceil(UNIT).clamp(1, UNITS)).map_err(|_| Gone)?;
        let command = Arc::clone(&self.commands).acquire_owned().await.map_err(|_| Gone)?;
        let unit = Arc::clone(&self.units).acquire_many_owned(units).await.map_err(|_| Gone)?;
        self.sender.send(Letter { content, _room: Some((command, unit)) }).map_err(|_| Gone)
    }

    /// Sends at once, whatever waits: for the few messages that end something.
    pub(super) fn push(&self, content: T) -> Result<(), Gone> {
        self.sender.send(Letter { content, _room: None }).map_err(|_| Gone)
    }
}

impl<T> Inbox<T> {
    /// Waits at most `patience`; none: until something comes.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Found<T> {
        let Some(patience) = patience else {
            return self.0.recv().map_or(Found::Closed, |letter| Found::Letter(letter.content));
        };
        match self.0.recv_timeout(patience) {
            Ok(letter) => Found::Letter(letter.content),
            Err(RecvTimeoutError::Timeout) => Found::Nothing,
            Err(RecvTimeoutError::Disconnected) => Found::Closed,
        }
    }

    /// What is there already.
    pub(super) fn next(&self) -> Option<T> {
        self.0.try_recv().ok().map(|letter| letter.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f42_a_full_mailbox_makes_its_senders_wait_and_loses_nothing() {
        let (mailbox, inbox) = mailbox::<usize>();
        for k in 0..COMMANDS {
            mailbox.send(k, 1).await.unwrap();
        }
        let late = mailbox.clone();
        let mut waiting = tokio::spawn(async move { late.send(COMMANDS, 1).await });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        assert_eq!(inbox.next(), Some(0));
        assert_eq!((&mut waiting).await.unwrap(), Ok(()));
        let rest: Vec<usize> = std::iter::from_fn(|| inbox.next()).collect();
        assert_eq!(rest, (1..=COMMANDS).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn large_commands_fill_it_too() {
        let (mailbox, inbox) = mailbox::<u8>();
        for k in 0..16 {
            mailbox.send(k, 1 << 20).await.unwrap();
        }
        let mut next = Box::pin(mailbox.send(16, 1));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
        assert_eq!(inbox.next(), Some(0));
        assert_eq!(next.await, Ok(()));
    }
}
