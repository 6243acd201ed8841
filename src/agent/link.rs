//! One stream to the controller. Dropping it closes the stream.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::core::Input;
use super::task::Task;
use crate::api::client::Client;
use crate::pb;

/// Messages that wait in either direction; a peer that does not take them makes the other wait.
const QUEUE: usize = 1024;

/// The near end of a stream that is open, or about to be.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) outbox: mpsc::Sender<pb::AgentUp>,
    pub(crate) inbox: mpsc::Receiver<Input>,
    _task: Task,
}

impl Link {
    /// Opens a stream. Its inbox says `Opened`, then what comes, and ends with the stream.
    pub(crate) fn open(client: &Client) -> Link {
        let (outbox, up) = mpsc::channel(QUEUE);
        let (say, inbox) = mpsc::channel(QUEUE);
        Link { outbox, inbox, _task: Task::spawn(carry(client.clone(), up, say)) }
    }
}

async fn carry(client: Client, up: mpsc::Receiver<pb::AgentUp>, say: mpsc::Sender<Input>) {
    let mut down = match client.agents().connect(ReceiverStream::new(up)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return tracing::debug!(%status, "no stream to the controller"),
    };
    if say.send(Input::Opened).await.is_err() {
        return;
    }
    loop {
        match down.message().await {
            Ok(Some(message)) => {
                // A kind that this version does not know is passed over.
                let Some(kind) = message.kind else { continue };
                if say.send(Input::Down(kind)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(status) => return tracing::debug!(%status, "the stream to the controller broke"),
        }
    }
}
