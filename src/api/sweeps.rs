//! Sweeps: create, look, change, end, watch.

use tonic::{Request, Response, Status};

use crate::api::peer::acting;
use crate::api::stream::{Stream, stream};
use crate::controller::Handle;
use crate::pb;
use crate::pb::sweep_service_server::SweepService;

/// The service, in front of a controller.
#[derive(Clone, Debug)]
pub(super) struct Sweeps(pub(super) Handle);

#[tonic::async_trait]
impl SweepService for Sweeps {
    async fn create(
        &self,
        request: Request<pb::CreateSweepRequest>,
    ) -> Result<Response<pb::CreateSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.create_sweep(request.into_inner()).await?))
    }

    async fn get(&self, request: Request<pb::GetSweepRequest>) -> Result<Response<pb::Sweep>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.get_sweep(request.into_inner()).await?))
    }

    async fn list(
        &self,
        request: Request<pb::ListSweepsRequest>,
    ) -> Result<Response<pb::ListSweepsResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.list_sweeps(request.into_inner()).await?))
    }

    async fn set(
        &self,
        request: Request<pb::SetSweepRequest>,
    ) -> Result<Response<pb::SetSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.set_sweep(request.into_inner()).await?))
    }

    async fn pause(
        &self,
        request: Request<pb::PauseSweepRequest>,
    ) -> Result<Response<pb::PauseSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.pause_sweep(request.into_inner()).await?))
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeSweepRequest>,
    ) -> Result<Response<pb::ResumeSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.resume_sweep(request.into_inner()).await?))
    }

    async fn stop(
        &self,
        request: Request<pb::StopSweepRequest>,
    ) -> Result<Response<pb::StopSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.stop_sweep(request.into_inner()).await?))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteSweepRequest>,
    ) -> Result<Response<pb::DeleteSweepResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.delete_sweep(request.into_inner()).await?))
    }

    type ExportStream = Stream<pb::ExportChunk>;

    async fn export(
        &self,
        request: Request<pb::ExportSweepRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let controller = acting(&self.0, &request);
        Ok(stream(controller.export_sweep(request.into_inner()).await?))
    }

    type WatchStream = Stream<pb::WatchResponse>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let controller = acting(&self.0, &request);
        Ok(stream(controller.watch(request.into_inner()).await?))
    }
}
