//! The store itself: status, verification, backup.

use tonic::{Request, Response, Status};

use crate::api::peer::acting;
use crate::controller::Handle;
use crate::pb;
use crate::pb::admin_service_server::AdminService;

/// The service, in front of a controller.
#[derive(Clone, Debug)]
pub(super) struct Admin(pub(super) Handle);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.status(request.into_inner()).await?))
    }

    async fn verify(
        &self,
        request: Request<pb::VerifyRequest>,
    ) -> Result<Response<pb::VerifyResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.verify(request.into_inner()).await?))
    }

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<pb::BackupResponse>, Status> {
        let controller = acting(&self.0, &request);
        Ok(Response::new(controller.backup(request.into_inner()).await?))
    }
}
