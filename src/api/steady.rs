//! A channel whose calls outlive the controller: when the holder of the store goes, the same call is made again to the
//! next one, until its deadline.
//!
//! That is safe because every mutation carries a request id: an equal one gets the first answer again. A call whose answer
//! is a stream is repeated only until the answer begins; the stream's reader knows where it stood. An agent's stream,
//! whose requests are a stream too, and a backup, whose file would be there already, are left as they are.

use std::error::Error as StdError;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt;

/// Between two tries.
const MOMENT: Duration = Duration::from_millis(10);

/// What a connector says when trying again would not help: the store does not open.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Hopeless(pub String);

/// See the module.
#[derive(Clone, Debug)]
pub struct Steady {
    channel: Channel,
    deadline: Duration,
}

/// How a call may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Not at all.
    Never,
    /// Until its answer begins.
    Stream,
    /// Until it is answered.
    Whole,
}

impl Repeat {
    fn of(path: &str) -> Repeat {
        match path.rsplit('/').next().unwrap_or_default() {
            "Connect" | "Backup" => Repeat::Never,
            "Watch" | "Export" | "Logs" => Repeat::Stream,
            _ => Repeat::Whole,
        }
    }
}

impl Steady {
    /// Calls over `channel` that take `deadline` at most.
    pub(super) fn new(channel: Channel, deadline: Duration) -> Steady {
        Steady { channel, deadline }
    }

    async fn call_again(self, request: Request<Body>, repeat: Repeat) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let end = Instant::now() + self.deadline;
        loop {
            let again = Request::from_parts(
                parts.clone(),
                Body::new(Full::new(body.clone()).map_err(|never| match never {})),
            );
            let left = end.saturating_duration_since(Instant::now());
            let answer = match tokio::time::timeout(left, once(self.channel.clone(), again, repeat)).await {
                Ok(answer) => answer,
                Err(_) => {
                    return Err(Status::deadline_exceeded(format!("no answer within {:?}", self.deadline)));
                }
            };
            let gone = match &answer {
                Ok(response) => is_unavailable(response.headers()),
                Err(lost) => lost.may_pass,
            };
            if !gone || Instant::now() + MOMENT > end {
                return answer.map_err(|lost| lost.status);
            }
            tokio::time::sleep(MOMENT).await;
        }
    }
}

/// A call that got no answer.
struct Lost {
    status: Status,
    /// The next holder may answer.
    may_pass: bool,
}

/// Makes the call once. A whole answer is read to its end, for the controller may go in the middle of it.
async fn once(channel: Channel, request: Request<Body>, repeat: Repeat) -> Result<Response<Body>, Lost> {
    let response = channel.oneshot(request).await.map_err(|error| {
        let own = own(&error);
        Lost { may_pass: own.is_none(), status: Status::unavailable(own.unwrap_or_else(|| deepest(&error))) }
    })?;
    if repeat == Repeat::Stream {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|status| Lost { status, may_pass: true })?;
    if body.trailers().is_some_and(is_unavailable) {
        let trailers = body.trailers().and_then(Status::from_header_map);
        return Err(Lost { status: trailers.unwrap_or_else(|| Status::unavailable("")), may_pass: true });
    }
    Ok(Response::from_parts(parts, Body::new(body.map_err(|never| match never {}))))
}

/// Whether the status says that the controller is on its way out or in.
fn is_unavailable(headers: &HeaderMap) -> bool {
    headers
        .get("grpc-status")
        .is_some_and(|code| code.as_bytes() == (Code::Unavailable as i32).to_string().as_bytes())
}

/// Why this process itself could not become the holder: trying again would not help.
fn own(error: &(dyn StdError + 'static)) -> Option<String> {
    chain(error).find_map(|error| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        inner.is::<Hopeless>().then(|| inner.to_string())
    })
}

/// What the system said, under all that was wrapped around it.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    format!("the controller is lost: {}", chain(error).last().unwrap_or(error))
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

impl Service<Request<Body>> for Steady {
    type Response = Response<Body>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let repeat = Repeat::of(request.uri().path());
        let steady = self.clone();
        Box::pin(async move {
            match repeat {
                Repeat::Never => Ok(steady.channel.oneshot(request).await?),
                Repeat::Stream | Repeat::Whole => Ok(steady.call_again(request, repeat).await?),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_repeated_as_their_kind_allows() {
        assert!(Repeat::of("/swath.v1.SweepService/List") == Repeat::Whole);
        assert!(Repeat::of("/swath.v1.SweepService/Watch") == Repeat::Stream);
        assert!(Repeat::of("/swath.v1.AgentService/Connect") == Repeat::Never);
        assert!(Repeat::of("/swath.v1.AdminService/Backup") == Repeat::Never);
    }

    #[test]
    fn a_store_that_does_not_open_is_not_asked_for_again() {
        let own = io::Error::other(Hopeless("left".to_owned()));
        assert!(super::own(&own).is_some());
        assert!(super::own(&io::Error::from(io::ErrorKind::ConnectionReset)).is_none());
    }
}
