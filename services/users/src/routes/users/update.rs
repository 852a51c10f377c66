//! PUT `/users/{id}`: a new name and e-mail address.

use actix_web::{HttpResponse, web::Data};
use contract::{UpdateUser, UserMessage};

use crate::{
    db,
    http::{
        caller::{Bearer, Caller, show},
        error::Error,
        extract::{Body, Id},
    },
    openapi::{
        BodyErrors, ConflictErrors, ForbiddenErrors, NotFoundErrors, ServerErrors, TokenErrors,
    },
    state::State,
};

/// Changes a user's name and e-mail address.
#[utoipa::path(
    put,
    path = "/users/{id}",
    tag = "users",
    operation_id = "update_user",
    summary = "Change a user (that user, administrators)",
    params(("id" = i64, Path, minimum = 1, description = "The user's number")),
    request_body = UpdateUser,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The user was changed.", body = UserMessage),
        TokenErrors,
        ForbiddenErrors,
        NotFoundErrors,
        ConflictErrors,
        BodyErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn update(
    state: Data<State>,
    bearer: Bearer,
    id: Id,
    body: Body,
) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    caller.must_be(id.number())?;
    let input: UpdateUser = body.parse()?;

    let user = match id.number() {
        Some(id) => {
            db::users::update(&*state.connection().await?, id, &input.username, &input.email)
                .await?
        }
        None => None,
    };

    let user = user.ok_or_else(|| Error::user_not_found(id.as_str()))?;
    tracing::info!(event = "user_updated", user = user.id, by = caller.user.id);
    Ok(HttpResponse::Ok().json(UserMessage {
        message: format!("{} was updated!", user.id),
        user: show(user, Some(&caller)),
    }))
}
