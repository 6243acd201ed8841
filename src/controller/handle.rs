//! How the rest of swath speaks to the controller: one method a request, typed; cheap to clone.
//!
//! A request that changes something goes through the core's mailbox and is answered once what it did is on the disk.
//! Requests that only read stored things are answered by the readers, on threads of their own. Whatever a request waits
//! for, it holds its share of [`ROOM`]; one that finds none left is refused, so that no flood of them uses up the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message as _;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio_stream::StreamExt;

use crate::controller::keepers;
use crate::controller::lessons::Pupil;
use crate::controller::loaded::Loaded;
use crate::controller::mailbox::Mailbox;
use crate::controller::pending::Asked;
use crate::controller::start::Outboxes;
use crate::controller::{Refused, RefusedKind};
use crate::pb;
use crate::spec::Code;
use crate::sweep::{Pos, SweepId};

/// Messages that come as they are made. Dropping it ends their making.
pub type Stream<T> = mpsc::Receiver<Result<T, Refused>>;

/// The controller, as others see it.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) mailbox: Mailbox<Message>,
    /// Whose name stands in the log.
    pub(super) actor: Arc<str>,
    pub(super) links: Arc<AtomicU64>,
    pub(super) outboxes: Outboxes,
    /// Of [`ROOM`], what is left.
    pub(super) room: Arc<Semaphore>,
}

/// What reaches the core.
#[derive(Debug)]
pub(super) enum Message {
    /// Somebody asks for something.
    Ask { call: Call, actor: Arc<str>, reply: oneshot::Sender<Result<Answer, Refused>> },
    /// Somebody wants the whole of a sweep.
    Export { request: pb::ExportSweepRequest, reply: Opened<pb::ExportChunk> },
    /// Somebody wants to see entries as they come.
    Watch { request: pb::WatchRequest, reply: Opened<pb::WatchResponse> },
    /// Somebody wants a run's output.
    Logs { request: pb::LogsRequest, reply: Opened<pb::LogsChunk> },
    /// Nobody reads that output any more.
    Unfollow { number: u64 },
    /// An agent's stream is open; what it is to hear goes to `down`.
    LinkOpened { link: LinkId },
    /// It said something.
    LinkSaid { link: LinkId, message: pb::AgentUp },
    /// It is gone.
    LinkClosed { link: LinkId },
    /// A reader has folded a sweep that is over.
    Folded { sweep: SweepId, result: Result<Box<Loaded>, String> },
    /// A reader has read what a new sweep learns from earlier ones.
    Taught { pupil: Box<Pupil>, asked: Box<Asked>, read: Result<(), Refused> },
    /// A keeper has answered.
    Suggested { sweep: SweepId, number: u64, answer: keepers::Answer },
    /// A backup was written and verified.
    BackedUp { file: String, last: Pos },
    /// Take no more work, answer what is in flight, end.
    Shutdown,
}

/// One stream of one agent process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(pub(super) u64);

/// Where a stream of messages is handed over once it is open.
pub(super) type Opened<T> = oneshot::Sender<Result<Stream<T>, Refused>>;

/// Requests under way may hold so much memory together, in KiB.
pub(super) const ROOM: usize = 64 << 10;
/// What a request holds at least, in KiB: so many of them, 4096, may be under way.
const LEAST: usize = 16;

/// Messages for an agent that may wait for its connection.
const OUTBOX: usize = 1024;

macro_rules! calls {
    ($($(#[$doc:meta])* $method:ident($variant:ident: $request:ident) -> $response:ident;)*) => {
        /// A request to the core.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "each is moved once, and then taken apart")]
        pub(super) enum Call {
            $($variant(pb::$request),)*
        }

        /// Its answer.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "each is moved once, and then taken apart")]
        pub(super) enum Answer {
            $($variant(pb::$response),)*
        }

        impl Handle {
            $($(#[$doc])*
            pub async fn $method(&self, request: pb::$request) -> Result<pb::$response, Refused> {
                match self.ask(Call::$variant(request)).await? {
                    Answer::$variant(response) => Ok(response),
                    other => Err(Refused::new(RefusedKind::Internal, Code::Internal, format!("an answer to something else: {other:?}"))),
                }
            })*
        }

        impl Call {
            /// About how much memory it holds.
            fn bytes(&self) -> usize {
                match self {
                    $(Call::$variant(request) => request.encoded_len(),)*
                }
            }

            /// Its bytes: what tells two requests under one id apart.
            pub(super) fn encoded(&self) -> Vec<u8> {
                match self {
                    $(Call::$variant(request) => request.encode_to_vec(),)*
                }
            }
        }
    };
}

calls! {
    /// Creates a sweep from the text of a sweep file.
    create_sweep(CreateSweep: CreateSweepRequest) -> CreateSweepResponse;
    /// One sweep, whole.
    get_sweep(GetSweep: GetSweepRequest) -> Sweep;
    /// Sweeps, in pages.
    list_sweeps(ListSweeps: ListSweepsRequest) -> ListSweepsResponse;
    /// Changes what may change while a sweep runs.
    set_sweep(SetSweep: SetSweepRequest) -> SetSweepResponse;
    /// No new runs.
    pause_sweep(PauseSweep: PauseSweepRequest) -> PauseSweepResponse;
    /// Goes on.
    resume_sweep(ResumeSweep: ResumeSweepRequest) -> ResumeSweepResponse;
    /// Ends a sweep for good.
    stop_sweep(StopSweep: StopSweepRequest) -> StopSweepResponse;
    /// Hides a sweep, or brings it back.
    delete_sweep(DeleteSweep: DeleteSweepRequest) -> DeleteSweepResponse;
    /// Trials of a sweep, in pages.
    list_trials(ListTrials: ListTrialsRequest) -> ListTrialsResponse;
    /// One trial, whole.
    get_trial(GetTrial: GetTrialRequest) -> Trial;
    /// Stops a trial.
    stop_trial(StopTrial: StopTrialRequest) -> StopTrialResponse;
    /// Queues final trials again.
    retry_trials(RetryTrials: RetryTrialsRequest) -> RetryTrialsResponse;
    /// Trials that run next.
    enqueue(Enqueue: EnqueueRequest) -> EnqueueResponse;
    /// Trials for the caller.
    ask_for_trials(AskForTrials: AskRequest) -> AskResponse;
    /// What became of a trial that was asked for.
    tell_trial(TellTrial: TellRequest) -> TellResponse;
    /// Notes, tags, exclusion.
    annotate(Annotate: AnnotateRequest) -> AnnotateResponse;
    /// The store, its holder, its health.
    status(Status: StatusRequest) -> StatusResponse;
    /// Checks the audit chain of the whole store.
    verify(Verify: VerifyRequest) -> VerifyResponse;
    /// Copies the store.
    backup(Backup: BackupRequest) -> BackupResponse;
}

impl Handle {
    /// The same controller; what is asked through it bears this name in the log.
    pub fn acting_for(&self, name: &str) -> Handle {
        Handle { actor: name.into(), ..self.clone() }
    }

    /// All trials, reports, events, the definition or the best of a sweep.
    pub async fn export_sweep(
        &self,
        request: pb::ExportSweepRequest,
    ) -> Result<Stream<pb::ExportChunk>, Refused> {
        self.open(|reply| Message::Export { request, reply }).await
    }

    /// The entries of a sweep from a position on, and those after them as they are committed.
    pub async fn watch(&self, request: pb::WatchRequest) -> Result<Stream<pb::WatchResponse>, Refused> {
        self.open(|reply| Message::Watch { request, reply }).await
    }

    /// The output of a trial's run.
    pub async fn logs(&self, request: pb::LogsRequest) -> Result<Stream<pb::LogsChunk>, Refused> {
        self.open(|reply| Message::Logs { request, reply }).await
    }

    /// Takes in what an agent says until its stream ends; what it is to hear comes out. Dropping that end closes the
    /// link, as the end of `inbound` does. Needs a tokio runtime around it.
    pub fn connect_agent<S>(&self, mut inbound: S) -> mpsc::Receiver<pb::AgentDown>
    where
        S: tokio_stream::Stream<Item = pb::AgentUp> + Send + Unpin + 'static,
    {
        let link = LinkId(self.links.fetch_add(1, Ordering::Relaxed));
        let (down, outbox) = mpsc::channel(OUTBOX);
        let mailbox = self.mailbox.clone();
        // The core closes a link by dropping the other sender: this one must not keep the stream open.
        let gone = down.downgrade();
        self.outboxes.insert(link, down);
        let outboxes = Arc::clone(&self.outboxes);
        tokio::spawn(async move {
            if mailbox.send(Message::LinkOpened { link }, 1).await.is_err() {
                return;
            }
            loop {
                let message = tokio::select! {
                    () = closed(&gone) => break,
                    message = inbound.next() => message,
                };
                let Some(message) = message else { break };
                let bytes = message.encoded_len();
                if mailbox.send(Message::LinkSaid { link, message }, bytes).await.is_err() {
                    return;
                }
            }
            // Whoever no longer listens has ended, and with it all links.
            let _ = mailbox.push(Message::LinkClosed { link });
            outboxes.remove(&link);
        });
        outbox
    }

    /// Ends the controller: no more hand-outs, agents hear goodbye, what is in flight is stored and answered. Whoever
    /// called `start` sees the end.
    pub fn shutdown(&self) {
        // Already ended is as good.
        let _ = self.mailbox.push(Message::Shutdown);
    }

    async fn open<T>(&self, message: impl FnOnce(Opened<T>) -> Message) -> Result<Stream<T>, Refused> {
        let _room = self.room(0)?;
        let (reply, opened) = oneshot::channel();
        self.mailbox.send(message(reply), 1).await.map_err(|_| Refused::gone())?;
        opened.await.map_err(|_| Refused::gone())?
    }

    async fn ask(&self, call: Call) -> Result<Answer, Refused> {
        let (reply, answer) = oneshot::channel();
        let bytes = call.bytes();
        let _room = self.room(bytes)?;
        let message = Message::Ask { call, actor: Arc::clone(&self.actor), reply };
        self.mailbox.send(message, bytes).await.map_err(|_| Refused::gone())?;
        answer.await.map_err(|_| Refused::gone())?
    }

    /// A request's share of the memory, until it is answered.
    fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refused> {
        let share = bytes.div_ceil(1024).clamp(LEAST, ROOM);
        self.room.try_acquire_many(u32::try_from(share).unwrap_or(u32::MAX)).map_err(|_| {
            let why =
                format!("too many requests are under way: {} of them, or {} MiB", ROOM / LEAST, ROOM >> 10);
            Refused::new(RefusedKind::ResourceExhausted, Code::OverLimit, why)
                .with_help("ask again in a moment")
        })
    }
}

/// Waits until nobody listens at the other end, or the core has closed the link.
async fn closed(outbox: &mpsc::WeakSender<pb::AgentDown>) {
    if let Some(sender) = outbox.upgrade() {
        sender.closed().await;
    }
}
