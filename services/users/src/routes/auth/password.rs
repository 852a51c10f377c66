//! PUT `/auth/password`: a person changes the password.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use contract::{ChangePassword, ErrorCode};

use crate::{
    auth::{password::Verdict, throttle::Kind},
    db::{self, throttle::Key},
    http::{
        caller::{Bearer, Caller},
        error::Error,
        extract::Body,
    },
    openapi::{BodyErrors, IncorrectPasswordErrors, OverloadErrors, ThrottleErrors, TokenErrors},
    state::State,
};

/// Sets a new password and ends all other sessions of the user.
#[utoipa::path(
    put,
    path = "/auth/password",
    tag = "auth",
    operation_id = "change_password",
    summary = "Change the password",
    request_body = ChangePassword,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The password was changed."),
        TokenErrors,
        IncorrectPasswordErrors,
        BodyErrors,
        ThrottleErrors,
        OverloadErrors,
    ),
)]
pub(crate) async fn change(
    state: Data<State>,
    request: HttpRequest,
    bearer: Bearer,
    body: Body,
) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    let input: ChangePassword = body.parse()?;
    input
        .new_password
        .differs_from(&caller.user.username, &caller.user.email)
        .map_err(|violation| Error::field("new_password", violation))?;
    state.throttle_address(Kind::Credentials, &request)?;
    let account = Key::account(&caller.user.email);
    let conn = state.connection().await?;
    state.throttle_account(&conn, &account).await?;
    let current = db::users::password_hash(&conn, caller.user.id).await?;
    // No connection is held while hashes are computed.
    drop(conn);

    if state.hasher.verify(input.current_password, current).await? == Verdict::Mismatch {
        tracing::warn!(event = "password_change_failed", user = caller.user.id);
        return Err(Error::new(
            ErrorCode::IncorrectPassword,
            "The current password is not correct.",
        ));
    }
    let hash = state.hasher.hash(input.new_password.expose().to_owned()).await?;

    let mut conn = state.connection().await?;
    let ended =
        db::sessions::change_password(&mut conn, caller.user.id, &hash, caller.session).await?;
    db::throttle::reset(&conn, &account).await?;

    tracing::info!(event = "password_changed", user = caller.user.id, ended);
    Ok(HttpResponse::NoContent().finish())
}
