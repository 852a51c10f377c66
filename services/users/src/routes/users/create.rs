//! POST `/users`: an administrator adds a user.

use actix_web::{HttpResponse, http::header, web::Data};
use contract::{NewUser, UserMessage, paths};

use crate::{
    http::{
        caller::{Bearer, Caller, show},
        error::Error,
        extract::Body,
    },
    openapi::{BodyErrors, ConflictErrors, ForbiddenErrors, OverloadErrors, TokenErrors},
    routes::users::add,
    state::State,
};

/// Adds a user.
#[utoipa::path(
    post,
    path = "/users",
    tag = "users",
    operation_id = "create_user",
    summary = "Add a user (administrators)",
    request_body = NewUser,
    security(("bearer" = [])),
    responses(
        (
            status = 201,
            description = "The user was added.",
            body = UserMessage,
            headers(("Location" = String, description = "The user's path")),
        ),
        TokenErrors,
        ForbiddenErrors,
        ConflictErrors,
        BodyErrors,
        OverloadErrors,
    ),
)]
pub(crate) async fn create(
    state: Data<State>,
    bearer: Bearer,
    body: Body,
) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    caller.must_be_admin()?;
    let input: NewUser = body.parse()?;

    let user = add(&state, input).await?;

    tracing::info!(event = "user_added", user = user.id, by = caller.user.id);
    Ok(HttpResponse::Created().insert_header((header::LOCATION, paths::user(user.id))).json(
        UserMessage {
            message: format!("{} was added!", user.email),
            user: show(user, Some(&caller)),
        },
    ))
}
