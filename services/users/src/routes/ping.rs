//! GET `/ping`: whether the service runs.

use actix_web::{HttpResponse, Responder};
use serde::Serialize;
use utoipa::ToSchema;

/// The service runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pong {
    /// Always `pong!`.
    message: &'static str,
    /// Always `success`.
    status: &'static str,
}

/// Answers without touching the database.
#[utoipa::path(
    get,
    path = "/ping",
    tag = "ping",
    operation_id = "ping",
    summary = "Is the service running?",
    responses((status = 200, description = "It is.", body = Pong)),
)]
pub(crate) async fn ping() -> impl Responder {
    HttpResponse::Ok().json(Pong { message: "pong!", status: "success" })
}
