//! Agents: one bidirectional stream each.

use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::peer::acting;
use crate::api::stream::Stream;
use crate::controller::Handle;
use crate::pb;
use crate::pb::agent_service_server::AgentService;

/// The service, in front of a controller.
#[derive(Clone, Debug)]
pub(super) struct Agents(pub(super) Handle);

#[tonic::async_trait]
impl AgentService for Agents {
    type ConnectStream = Stream<pb::AgentDown>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::AgentUp>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let controller = acting(&self.0, &request);
        // A message that cannot be read ends the stream: the agent says hello again.
        let inbound = request.into_inner().map_while(Result::ok);
        let outbound = ReceiverStream::new(controller.connect_agent(inbound)).map(Ok);
        Ok(Response::new(Box::pin(outbound)))
    }
}
