//! The controller's streams as gRPC's.

use std::pin::Pin;

use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::controller;

/// What a streaming method answers with.
pub(super) type Stream<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

/// The answer that sends on what `receiver` gives.
pub(super) fn stream<T: Send + 'static>(receiver: controller::Stream<T>) -> Response<Stream<T>> {
    Response::new(Box::pin(ReceiverStream::new(receiver).map(|item| item.map_err(Status::from))))
}
