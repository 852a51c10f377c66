//! POST `/auth/register`: a person signs up.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use contract::{Registration, User, paths};

use crate::{
    auth::throttle::Kind,
    http::{caller::timestamp, error::Error, extract::Body},
    openapi::{BodyErrors, ConflictErrors, OverloadErrors, ThrottleErrors},
    routes::users::add,
    state::State,
};

/// Adds the person as a user. Sign in afterwards.
#[utoipa::path(
    post,
    path = "/auth/register",
    tag = "auth",
    operation_id = "register",
    summary = "Sign up",
    request_body = Registration,
    responses(
        (
            status = 201,
            description = "The user was added.",
            body = User,
            headers(("Location" = String, description = "The user's path")),
        ),
        ConflictErrors,
        BodyErrors,
        ThrottleErrors,
        OverloadErrors,
    ),
)]
pub(crate) async fn register(
    state: Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let input: Registration = body.parse()?;
    state.throttle_address(Kind::Register, &request)?;

    let user = add(&state, input).await?;

    tracing::info!(event = "registered", user = user.id);
    Ok(HttpResponse::Created().insert_header((header::LOCATION, paths::user(user.id))).json(User {
        id: user.id,
        username: user.username,
        email: Some(user.email),
        created_date: timestamp(user.created_date),
        is_admin: Some(user.is_admin),
    }))
}
