//! GET `/auth/status`: who is signed in.

use actix_web::{HttpResponse, web::Data};
use contract::User;

use crate::{
    http::{
        caller::{Bearer, Caller, show},
        error::Error,
    },
    openapi::{ServerErrors, TokenErrors},
    state::State,
};

/// The user whose token this is.
#[utoipa::path(
    get,
    path = "/auth/status",
    tag = "auth",
    operation_id = "status",
    summary = "Who is signed in?",
    security(("bearer" = [])),
    responses((status = 200, description = "The caller.", body = User), TokenErrors, ServerErrors),
)]
pub(crate) async fn status(state: Data<State>, bearer: Bearer) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    Ok(HttpResponse::Ok().json(show(caller.user.clone(), Some(&caller))))
}
