//! DELETE `/users/{id}`: a user goes, with all sessions.

use actix_web::{HttpResponse, web::Data};
use contract::{ErrorCode, Message};

use crate::{
    db::{self, users::Removal},
    http::{
        caller::{Bearer, Caller},
        error::Error,
        extract::Id,
    },
    openapi::{ForbiddenErrors, LastAdminErrors, NotFoundErrors, ServerErrors, TokenErrors},
    state::State,
};

/// Removes a user and ends all of the user's sessions.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    tag = "users",
    operation_id = "remove_user",
    summary = "Remove a user (that user, administrators)",
    params(("id" = i64, Path, minimum = 1, description = "The user's number")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The user was removed.", body = Message),
        TokenErrors,
        ForbiddenErrors,
        NotFoundErrors,
        LastAdminErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn remove(
    state: Data<State>,
    bearer: Bearer,
    id: Id,
) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    caller.must_be(id.number())?;

    let removal = match id.number() {
        Some(id) => db::users::delete(&mut *state.connection().await?, id).await?,
        None => Removal::NotFound,
    };

    match removal {
        Removal::Removed(email) => {
            tracing::info!(event = "user_removed", user = id.number(), by = caller.user.id);
            Ok(HttpResponse::Ok().json(Message { message: format!("{email} was removed!") }))
        }
        Removal::NotFound => Err(Error::user_not_found(id.as_str())),
        Removal::LastAdmin => Err(Error::new(
            ErrorCode::LastAdmin,
            "This is the last administrator. Make somebody else one first.",
        )),
    }
}
