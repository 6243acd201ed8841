//! The client: typed access to the services over one channel, and what a refusal says.
//!
//! How the channel reaches a controller is the caller's: a connector is passed in. Messages have the same limit in
//! both directions, and every call but a stream has a deadline.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::api::steady::Steady;
use crate::pb::admin_service_client::AdminServiceClient;
use crate::pb::agent_service_client::AgentServiceClient;
use crate::pb::sweep_service_client::SweepServiceClient;
use crate::pb::trial_service_client::TrialServiceClient;
use crate::spec;

/// Largest message, in both directions.
pub const MESSAGE_LIMIT: usize = 4 << 20;
/// How long one request may take unless the caller says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long a call is made again when the connection breaks under it, and the pause between two.
const PATIENCE: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(20);

/// Longest path that the address of a Unix socket holds.
const SOCKET_PATH_LIMIT: usize = 107;

/// A channel to a controller and what goes over it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    deadline: Duration,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $service:ident,)*) => {
        $($(#[$doc])*
        pub fn $name(&self) -> $service<Steady> {
            $service::new(Steady::new(self.channel.clone(), self.deadline))
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT)
        })*
    };
}

impl Client {
    /// Connects by `connect`, now and again whenever the connection is lost.
    pub async fn connect_with<F, Opening, Stream>(connect: F) -> Result<Client, Error>
    where
        F: Fn() -> Opening + Send + 'static,
        Opening: Future<Output = io::Result<Stream>> + Send + 'static,
        Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connector = tower::service_fn(move |_: Uri| {
            let opening = connect();
            async move { opening.await.map(TokioIo::new) }
        });
        let channel = endpoint().connect_with_connector(connector).await?;
        Ok(Client { channel, deadline: DEADLINE })
    }

    /// Connects to the controller that listens on `socket`.
    pub async fn connect_unix(socket: PathBuf) -> Result<Client, Error> {
        Client::connect_with(move || {
            let socket = socket.clone();
            async move { connect_socket(&socket).await }
        })
        .await
    }

    /// The same with another deadline for each request.
    pub fn with_deadline(self, deadline: Duration) -> Client {
        Client { deadline, ..self }
    }

    services! {
        /// Sweeps: create, list, show, change, watch.
        sweeps: SweepServiceClient,
        /// Trials: list, show, stop, retry, logs.
        trials: TrialServiceClient,
        /// The stream of an agent.
        agents: AgentServiceClient,
        /// The store: status, verification, backup.
        admin: AdminServiceClient,
    }
}

/// Calls again where the connection broke under the call: the store's holder may have died, and another takes over.
/// For what may be called twice: what only reads, and what bears a request id.
///
/// # Errors
///
/// The call's own, or the connection's when nobody has taken over.
pub async fn steadily<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if is_broken(&status) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(MOMENT).await;
            }
            answer => return answer,
        }
    }
}

/// Whether it is this side's word that nobody answered, and no controller's answer.
fn is_broken(status: &Status) -> bool {
    let is_own = std::error::Error::source(status).is_some();
    is_own && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal)
}

/// The URI is never resolved: the connector knows where to go.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://swath")
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(60))
}

/// Connects to a Unix socket. One whose path is too long for an address is reached through its opened folder.
pub async fn connect_socket(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() <= SOCKET_PATH_LIMIT {
        return UnixStream::connect(path).await;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let folder = std::fs::File::open(folder)?;
    UnixStream::connect(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)).await
}

/// What a call came to when it came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of failure: decides the exit code.
    pub kind: Kind,
    /// Its stable code, where the controller names one that this version knows.
    pub code: Option<spec::Code>,
    /// What is wrong, and where.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The field of the request at fault.
    pub field: Option<String>,
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be right.
    Invalid,
    /// There is no such sweep, trial or run.
    NotFound,
    /// The same request id came with another request.
    Exists,
    /// Somebody else changed it first.
    Conflict,
    /// Not in this state.
    State,
    /// Full: the disk, or a limit.
    Exhausted,
    /// No controller answers.
    Unavailable,
    /// It took too long.
    Deadline,
    /// Not allowed.
    Denied,
    /// This controller cannot do that.
    Unsupported,
    /// The controller is at fault.
    Internal,
}

impl From<Code> for Kind {
    fn from(code: Code) -> Kind {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
            Code::NotFound => Kind::NotFound,
            Code::AlreadyExists => Kind::Exists,
            Code::Aborted => Kind::Conflict,
            Code::FailedPrecondition => Kind::State,
            Code::ResourceExhausted => Kind::Exhausted,
            Code::Unavailable => Kind::Unavailable,
            // tonic's client cancels a call of its own whose deadline has passed.
            Code::DeadlineExceeded | Code::Cancelled => Kind::Deadline,
            Code::PermissionDenied | Code::Unauthenticated => Kind::Denied,
            Code::Unimplemented => Kind::Unsupported,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Kind::Internal,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        let info = status.get_details_error_info();
        let violation =
            status.get_details_bad_request().and_then(|bad| bad.field_violations.into_iter().next());
        Error {
            kind: status.code().into(),
            message: status.message().to_owned(),
            help: info.as_ref().and_then(|info| info.metadata.get("help").cloned()),
            field: violation.map(|violation| violation.field),
            code: info.and_then(|info| spec::Code::named(&info.reason)),
        }
    }
}

impl From<tonic::transport::Error> for Error {
    fn from(error: tonic::transport::Error) -> Error {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Error {
            kind: Kind::Unavailable,
            code: None,
            message: format!("cannot reach the controller: {cause}"),
            help: None,
            field: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_keeps_its_code_help_and_field() {
        let mut details = ErrorDetails::new();
        details.set_error_info("SW5003", "swath", [("help".to_owned(), "say which".to_owned())]);
        details.add_bad_request_violation("parallel", "must be at least 1");
        let status = Status::with_error_details(Code::InvalidArgument, "parallel is 0", details);
        let error = Error::from(status);
        assert_eq!(error.kind, Kind::Invalid);
        assert_eq!(error.code, Some(spec::Code::RefusedNow));
        assert_eq!(error.message, "parallel is 0");
        assert_eq!(error.help.as_deref(), Some("say which"));
        assert_eq!(error.field.as_deref(), Some("parallel"));
    }

    #[test]
    fn a_bare_status_is_still_an_error_with_its_message() {
        let error = Error::from(Status::unavailable("recovering"));
        assert_eq!((error.kind, error.message.as_str(), error.code), (Kind::Unavailable, "recovering", None));
    }

    #[tokio::test]
    async fn a_socket_of_any_path_length_is_reached() {
        let deep = "d".repeat(60);
        let root = std::env::temp_dir().join(format!("swath-socket-{}", std::process::id()));
        let folder = root.join(&deep).join(&deep);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("sock");
        assert!(path.as_os_str().len() > SOCKET_PATH_LIMIT);
        let opened = std::fs::File::open(&folder).unwrap();
        let short = format!("/proc/self/fd/{}/sock", opened.as_raw_fd());
        let listener = tokio::net::UnixListener::bind(short).unwrap();
        let (connected, accepted) = tokio::join!(connect_socket(&path), listener.accept());
        assert!(connected.is_ok() && accepted.is_ok(), "{connected:?}");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[tokio::test]
    async fn nobody_at_the_socket_is_unavailable() {
        let error = Client::connect_unix(PathBuf::from("/nonexistent/sock")).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("No such file"), "{error}");
    }
}
