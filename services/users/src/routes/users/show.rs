//! GET `/users/{id}`: one user.

use actix_web::{HttpResponse, web::Data};
use contract::User;
use futures_util::future::try_join;

use crate::{
    db,
    http::{
        caller::{self, Bearer, Caller},
        error::Error,
        extract::Id,
    },
    openapi::{NotFoundErrors, ServerErrors, TokenErrors},
    state::State,
};

/// One user.
#[utoipa::path(
    get,
    path = "/users/{id}",
    tag = "users",
    operation_id = "get_user",
    summary = "Get a user",
    params(("id" = i64, Path, minimum = 1, description = "The user's number")),
    security((), ("bearer" = [])),
    responses(
        (
            status = 200,
            description = "The user; e-mail and is_admin are null unless they are the caller's own or the caller is an administrator.",
            body = User,
        ),
        TokenErrors,
        NotFoundErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn show(
    state: Data<State>,
    bearer: Bearer,
    id: Id,
) -> Result<HttpResponse, Error> {
    let claims = bearer.optional()?;

    let (caller, user) = state
        .read(async |conn| {
            let caller = Caller::of_optional(claims.as_ref(), &state, conn);
            let user = async {
                match id.number() {
                    Some(id) => Ok(db::users::find(conn, id).await?),
                    None => Ok(None),
                }
            };
            try_join(caller, user).await
        })
        .await?;

    let user = user.ok_or_else(|| Error::user_not_found(id.as_str()))?;
    Ok(HttpResponse::Ok().json(caller::show(user, caller.as_ref())))
}
