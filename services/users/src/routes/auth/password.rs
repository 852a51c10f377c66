//! PUT `/auth/password`: a person changes the password.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use contract::{ChangePassword, ErrorCode};
use futures_util::future::try_join;

use crate::{
    auth::{password::Verdict, throttle::Kind},
    db::{self, sessions::Change, throttle::Key},
    http::{
        caller::{Bearer, Caller},
        error::Error,
        extract::Body,
    },
    openapi::{BodyErrors, IncorrectPasswordErrors, OverloadErrors, ThrottleErrors, TokenErrors},
    state::State,
};

/// While hashes are computed, another request may change the password, or renew its hash: then the
/// current password is held against what there is now, once.
const ATTEMPTS: usize = 2;

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
    let user = caller.user.id;
    let tries = Key::password(user);
    let mut current = {
        let conn = state.connection().await?;
        let counted = state.throttle_account(&conn, &tries);
        let current = async { Ok(db::users::password_hash(&conn, user).await?) };
        try_join(counted, current).await?.1
    };

    let mut new = None;
    for _ in 0..ATTEMPTS {
        // No connection is held while hashes are computed.
        let verdict = state.hasher.verify(input.current_password.clone(), current.clone()).await?;
        if verdict == Verdict::Mismatch {
            break;
        }
        let hash = match new.take() {
            Some(hash) => hash,
            None => state.hasher.hash(input.new_password.expose().to_owned()).await?,
        };

        let mut conn = state.connection().await?;
        let (old, kept) = (current.as_deref(), caller.session);
        match db::sessions::change_password(&mut conn, user, kept, old, &hash, &tries).await? {
            Change::Made(ended) => {
                tracing::info!(event = "password_changed", user, ended);
                return Ok(HttpResponse::NoContent().finish());
            }
            Change::Ended => return Err(Error::token_invalid()),
            Change::OtherHash => current = db::users::password_hash(&conn, user).await?,
        }
        new = Some(hash);
    }
    tracing::warn!(event = "password_change_failed", user);
    Err(Error::new(ErrorCode::IncorrectPassword, "The current password is not correct."))
}
