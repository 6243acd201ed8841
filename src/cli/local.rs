//! The local store of one user: whoever comes first holds it and is the controller, the others join it over a socket.
//!
//! ```text
//! connect(sock) --answered--> done
//!       |  nobody answers
//! take the lock --had by another--> wait a moment, connect again; after 10 s say who has it
//!       |  taken
//! open, fold, bind, serve --> connect(sock)
//! ```
//!
//! The connector of every client runs this, now and whenever its connection breaks: so when the holder ends in any way,
//! one of those that are left holds the store within milliseconds. The lock dies with its process; nobody takes it by
//! force.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::Hopeless;
use crate::api::client::{Client, connect_socket};
use crate::api::serve;
use crate::controller::{self, Controller, Ended};
use crate::pb;
use crate::store::{
    self, DataDir, DirError, Held, Lock, LockError, NetworkRule, OpenError, Store, SystemDisk,
};

/// How long a holder that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries while somebody else is just starting to serve.
const MOMENT: Duration = Duration::from_millis(5);
/// Longest path that the address of a Unix socket holds.
const SOCKET_PATH_LIMIT: usize = 107;
/// How long calls in flight may take once the holder leaves.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why the store cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Another process holds the store and does not answer.
    #[error("{0}")]
    Held(Held),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log does not fold.
    #[error(transparent)]
    Start(#[from] controller::StartError),
    /// The socket.
    #[error("{}: {source}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The controller in this process has ended by itself.
    #[error("{0}")]
    Ended(String),
    /// The channel.
    #[error(transparent)]
    Channel(#[from] crate::api::client::Error),
}

/// What is done when the controller in this process ends by itself: the store is fenced or broken, and nothing may go on.
pub(super) type OnEnd = Arc<dyn Fn(&Ended) + Send + Sync>;

/// A place in the local store.
#[derive(Clone)]
pub(super) struct Local {
    inner: Arc<Inner>,
}

struct Inner {
    dir: DataDir,
    options: store::Options,
    on_end: OnEnd,
    holding: Mutex<Option<Holding>>,
    leaving: CancellationToken,
}

/// This process is the controller.
struct Holding {
    controller: controller::Handle,
    stop: CancellationToken,
    server: JoinHandle<()>,
    ended: JoinHandle<()>,
}

impl Local {
    /// Makes or checks the data directory. A directory on a network file system is replaced by `/var/tmp/swath-UID`,
    /// unless it was chosen by hand; what was done is said in the second value.
    ///
    /// # Errors
    ///
    /// See [`DirError`].
    pub(super) fn prepare(
        dir: &Path,
        chosen: bool,
        options: store::Options,
        on_end: OnEnd,
    ) -> Result<(Self, Option<String>), Error> {
        let (dir, note) = match DataDir::prepare(dir, &*options.disk, NetworkRule::Refuse) {
            Ok(dir) => (dir, None),
            Err(DirError::Network { dir, kind }) if !chosen => {
                let user = rustix::process::getuid().as_raw();
                let instead = PathBuf::from(format!("/var/tmp/swath-{user}"));
                let note = format!(
                    "{} is on a network file system ({kind}), where a store is not safe: the store is in {}",
                    dir.display(),
                    instead.display()
                );
                (DataDir::prepare(&instead, &SystemDisk, NetworkRule::Refuse)?, Some(note))
            }
            Err(error) => return Err(error.into()),
        };
        let inner =
            Inner { dir, options, on_end, holding: Mutex::new(None), leaving: CancellationToken::new() };
        Ok((Local { inner: Arc::new(inner) }, note))
    }

    /// Where the store is.
    pub(super) fn dir(&self) -> &Path {
        self.inner.dir.path()
    }

    /// Whether this process is the controller now.
    pub(super) async fn is_holder(&self) -> bool {
        self.inner.holding.lock().await.is_some()
    }

    /// A client whose connection is made here, and made again whenever it breaks.
    ///
    /// # Errors
    ///
    /// The store is held by a process that does not answer, or does not open.
    pub(super) async fn client(&self) -> Result<Client, Error> {
        // Once by hand: the reason for a failure would be lost inside the channel.
        drop(self.open().await?);
        let local = self.clone();
        let client = Client::connect_with(move || {
            let local = local.clone();
            async move { local.open().await.map_err(|error| io::Error::other(Hopeless(error.to_string()))) }
        });
        let client = client.await?;
        if !self.is_holder().await {
            self.hear(&client).await?;
        }
        Ok(client)
    }

    /// A stopped holder takes connections and answers none: says who it is.
    async fn hear(&self, client: &Client) -> Result<(), Error> {
        let status = client.clone().with_deadline(PATIENCE).admin().status(pb::StatusRequest {}).await;
        match status {
            Err(status) if status.code() == tonic::Code::DeadlineExceeded => {
                match Lock::take(&self.inner.dir) {
                    Err(LockError::Held(held)) => Err(Error::Held(held)),
                    // It has gone just now; or the system's own failure, which the next call will meet again.
                    Ok(_) | Err(LockError::Io { .. }) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Ends the part of the controller, if this process has it: answers what is in flight, closes the store, frees the
    /// lock. Whoever else is there takes over.
    pub(super) async fn leave(&self) {
        self.inner.leaving.cancel();
        let Some(holding) = self.inner.holding.lock().await.take() else { return };
        holding.controller.shutdown();
        let _ = tokio::time::timeout(FAREWELL, holding.ended).await;
        holding.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), holding.server).await;
    }

    fn socket(&self) -> PathBuf {
        self.inner.dir.path().join("sock")
    }

    /// A connection to the controller, whoever it is; becomes it where nobody is.
    async fn open(&self) -> Result<UnixStream, Error> {
        let began = Instant::now();
        let path = self.socket();
        loop {
            if let Ok(stream) = connect_socket(&path).await {
                return Ok(stream);
            }
            // In a task of its own: a channel polls its connector only while somebody waits for a call, and a place that is
            // half taken would keep everybody else from it, this process too.
            let local = self.clone();
            let held = tokio::spawn(async move { local.hold().await });
            match held.await.map_err(|panic| Error::Ended(panic.to_string()))? {
                Ok(()) => {}
                Err(Error::Held(held)) if began.elapsed() > PATIENCE => return Err(Error::Held(held)),
                Err(Error::Held(_)) => tokio::time::sleep(MOMENT).await,
                Err(other) => return Err(other),
            }
        }
    }

    /// Becomes the controller, unless this process is it already or another has the lock.
    async fn hold(&self) -> Result<(), Error> {
        let mut holding = self.inner.holding.lock().await;
        if self.inner.leaving.is_cancelled() {
            return Err(Error::Ended("this process is leaving the store".to_owned()));
        }
        if holding.is_some() {
            return Ok(());
        }
        let lock = match Lock::take(&self.inner.dir) {
            Ok(lock) => lock,
            Err(LockError::Held(held)) => return Err(Error::Held(held)),
            Err(LockError::Io { path, source }) => return Err(Error::Socket { path, source }),
        };
        let options = self.inner.options.clone();
        let opened = tokio::task::spawn_blocking(move || -> Result<(Lock, Controller), Error> {
            let store = Store::open(&lock, &options)?;
            let controller =
                controller::start(store, controller::Options { data_dir: lock.dir().path().to_owned() })?;
            Ok((lock, controller))
        });
        let (lock, controller) = opened.await.map_err(|panic| Error::Ended(panic.to_string()))??;
        let listener = bind(&self.socket())?;
        tracing::info!(store = %self.dir().display(), "this process holds the store");
        *holding = Some(self.serve(lock, controller, listener));
        Ok(())
    }

    fn serve(&self, lock: Lock, controller: Controller, listener: UnixListener) -> Holding {
        let stop = CancellationToken::new();
        let Controller { handle, ended } = controller;
        let served = serve(handle.clone(), listener, stop.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the server ended");
            }
        });
        let on_end = Arc::clone(&self.inner.on_end);
        let ended = tokio::spawn(async move {
            match ended.await {
                Ok(Ended::Shutdown) | Err(_) => {}
                Ok(wrong) => on_end(&wrong),
            }
            // Only now: while the core lives nobody else may write.
            drop(lock);
        });
        Holding { controller: handle, stop, server, ended }
    }
}

/// Binds the socket, which only the holder of the lock may do. One that a dead holder left is in the way.
fn bind(path: &Path) -> Result<UnixListener, Error> {
    let wrong = |source| Error::Socket { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let listener = if path.as_os_str().len() <= SOCKET_PATH_LIMIT {
        UnixListener::bind(path)
    } else {
        // The folder's own name is reached through its descriptor.
        let folder = fs::File::open(path.parent().unwrap_or(path)).map_err(wrong)?;
        let name = path.file_name().unwrap_or_default();
        UnixListener::bind(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
    };
    let listener = listener.map_err(wrong)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is far away.
    struct Nfs;

    impl store::Disk for Nfs {
        fn free(&self, _: &Path) -> io::Result<u64> {
            Ok(1 << 40)
        }

        fn network(&self, _: &Path) -> io::Result<Option<String>> {
            Ok(Some("nfs".to_owned()))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_place_that_is_being_taken_for_nobody_can_be_left() {
        let dir = std::env::temp_dir().join(format!("swath-place-{}", std::process::id()));
        let (local, _) = Local::prepare(&dir, true, store::Options::default(), Arc::new(|_| {}))
            .unwrap_or_else(|error| panic!("{error}"));
        {
            // Begun, and polled no more: as a connector is whose caller has given up.
            let mut opening = std::pin::pin!(local.open());
            let begun = std::future::poll_fn(|context| {
                std::task::Poll::Ready(opening.as_mut().poll(context).is_pending())
            });
            assert!(begun.await, "a store is not opened at once");
            let left = tokio::time::timeout(Duration::from_secs(20), async {
                while !local.is_holder().await {
                    tokio::task::yield_now().await;
                }
                local.leave().await;
            });
            left.await.expect("the place is taken, and left");
        }
        let _ = fs::remove_dir_all(&dir);
    }

    #[test]
    fn f40_the_store_of_a_home_on_a_network_file_system_is_kept_beside_it() {
        let dir = std::env::temp_dir().join(format!("swath-nfs-{}", std::process::id()));
        let prepare = |chosen| {
            let options = store::Options { accept_loss: None, disk: Arc::new(Nfs) };
            Local::prepare(&dir, chosen, options, Arc::new(|_| {}))
        };
        let (local, note) = prepare(false).unwrap_or_else(|error| panic!("{error}"));
        let user = rustix::process::getuid().as_raw();
        assert_eq!(local.dir(), Path::new(&format!("/var/tmp/swath-{user}")));
        assert_eq!(fs::metadata(local.dir()).unwrap().permissions().mode() & 0o777, 0o700);
        let note = note.expect("it says so");
        assert!(note.contains("network file system (nfs)") && note.contains("/var/tmp/swath-"), "{note}");
        let refused = prepare(true).err();
        assert!(matches!(refused, Some(Error::Dir(DirError::Network { .. }))), "a chosen one is refused");
        let _ = fs::remove_dir(&dir);
        let _ = fs::remove_dir(local.dir()); // stays where somebody keeps a store there
    }
}
