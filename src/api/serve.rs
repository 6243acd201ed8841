//! The server: all services on one listener, with health and reflection as gRPC defines them.

use std::time::Duration;

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::api::admin::Admin;
use crate::api::agents::Agents;
use crate::api::client::MESSAGE_LIMIT;
use crate::api::sweeps::Sweeps;
use crate::api::trials::Trials;
use crate::controller::Handle;
use crate::pb;
use crate::pb::admin_service_server::AdminServiceServer;
use crate::pb::agent_service_server::AgentServiceServer;
use crate::pb::sweep_service_server::SweepServiceServer;
use crate::pb::trial_service_server::TrialServiceServer;

/// Streams that one connection may have open at once.
const STREAMS: u32 = 100;

/// Serves until `stop` is cancelled, then lets calls in flight end.
///
/// # Errors
///
/// The listener failed.
pub async fn serve(
    controller: Handle,
    listener: UnixListener,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    macro_rules! limited {
        ($server:ident, $service:expr) => {
            $server::new($service)
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT)
        };
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SweepServiceServer<Sweeps>>().await;
    health.set_serving::<TrialServiceServer<Trials>>().await;
    health.set_serving::<AgentServiceServer<Agents>>().await;
    health.set_serving::<AdminServiceServer<Admin>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .build_v1()
        .expect("build.rs wrote these descriptors");
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(60)))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(limited!(SweepServiceServer, Sweeps(controller.clone())))
        .add_service(limited!(TrialServiceServer, Trials(controller.clone())))
        .add_service(limited!(AgentServiceServer, Agents(controller.clone())))
        .add_service(limited!(AdminServiceServer, Admin(controller)))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled_owned())
        .await
}
