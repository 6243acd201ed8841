//! Trials: look, stop, retry, enqueue, annotate, read their output; ask for one, tell what became of it.

use tonic::{Request, Response, Status};

use crate::api::peer::acting;
use crate::api::stream::{Stream, stream};
use crate::controller::Handle;
use crate::pb;
use crate::pb::trial_service_server::TrialService;

/// The service, in front of a controller.
#[derive(Clone, Debug)]
pub(super) struct Trials(pub(super) Handle);

#[tonic::async_trait]
impl TrialService for Trials {
    async fn list(
        &self,
        request: Request<pb::ListTrialsRequest>,
    ) -> Result<Response<pb::ListTrialsResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.list_trials(request.into_inner()).await?))
    }

    async fn get(&self, request: Request<pb::GetTrialRequest>) -> Result<Response<pb::Trial>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.get_trial(request.into_inner()).await?))
    }

    async fn stop(
        &self,
        request: Request<pb::StopTrialRequest>,
    ) -> Result<Response<pb::StopTrialResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.stop_trial(request.into_inner()).await?))
    }

    async fn retry(
        &self,
        request: Request<pb::RetryTrialsRequest>,
    ) -> Result<Response<pb::RetryTrialsResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.retry_trials(request.into_inner()).await?))
    }

    async fn enqueue(
        &self,
        request: Request<pb::EnqueueRequest>,
    ) -> Result<Response<pb::EnqueueResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.enqueue(request.into_inner()).await?))
    }

    async fn annotate(
        &self,
        request: Request<pb::AnnotateRequest>,
    ) -> Result<Response<pb::AnnotateResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.annotate(request.into_inner()).await?))
    }

    async fn ask(&self, request: Request<pb::AskRequest>) -> Result<Response<pb::AskResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.ask_for_trials(request.into_inner()).await?))
    }

    async fn tell(&self, request: Request<pb::TellRequest>) -> Result<Response<pb::TellResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.tell_trial(request.into_inner()).await?))
    }

    type LogsStream = Stream<pb::LogsChunk>;

    async fn logs(&self, request: Request<pb::LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let controller = acting(&self.0, &request);
        Ok(stream(controller.logs(request.into_inner()).await?))
    }
}
