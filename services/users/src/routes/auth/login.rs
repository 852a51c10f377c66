//! POST `/auth/login`: a person signs in.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use contract::{ErrorCode, Login, Tokens};
use futures_util::future::try_join;

use crate::{
    auth::{password::Verdict, refresh_token::RefreshToken, throttle::Kind},
    db::{self, throttle::Key},
    http::{error::Error, extract::Body},
    openapi::{BodyErrors, CredentialErrors, CrossSiteErrors, OverloadErrors, ThrottleErrors},
    routes::auth::Transport,
    state::State,
};

/// Begins a session. With `X-Auth-Transport: cookie` the refresh token comes in a cookie.
///
/// Whether the account is unknown, deactivated or locked, or the password is another
/// one, cannot be told from status, body or time.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "auth",
    operation_id = "login",
    summary = "Sign in",
    request_body = Login,
    params(("X-Auth-Transport" = Option<String>, Header, description = "`cookie`: the refresh token travels in a cookie; for browsers")),
    responses(
        (status = 200, description = "Signed in.", body = Tokens),
        CredentialErrors,
        CrossSiteErrors,
        BodyErrors,
        ThrottleErrors,
        OverloadErrors,
    ),
)]
pub(crate) async fn login(
    state: Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let transport = Transport::of(&request, &state)?;
    let input: Login = body.parse()?;
    state.throttle_address(Kind::Credentials, &request)?;
    let account = Key::account(&input.email);

    let credentials = {
        let conn = state.connection().await?;
        let counted = state.throttle_account(&conn, &account);
        let credentials = async { Ok(db::users::credentials(&conn, &input.email).await?) };
        try_join(counted, credentials).await?.1
    };

    // No connection is held while the hash is computed, and it is computed for everybody.
    let hash = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
    let verdict = state.hasher.verify(input.password.clone(), hash).await?;
    let user = credentials.filter(|user| user.active && verdict != Verdict::Mismatch);
    let Some(user) = user else {
        tracing::warn!(event = "login_failed");
        return Err(Error::new(
            ErrorCode::IncorrectCredentials,
            "Incorrect email and/or password.",
        ));
    };
    let renewed = match verdict {
        Verdict::MatchOutdated => Some(state.hasher.hash(input.password).await?),
        Verdict::Match | Verdict::Mismatch => None,
    };

    let token = RefreshToken::generate().map_err(Error::internal)?;
    let user_agent = request.headers().get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    let mut conn = state.connection().await?;
    if let Some((old, new)) = user.password_hash.as_deref().zip(renewed.as_deref()) {
        db::users::rehash(&conn, user.id, old, new).await?;
    }
    db::throttle::reset(&conn, &account).await?;
    let session = db::sessions::create(&mut conn, user.id, &token, user_agent, state.now()).await?;

    tracing::info!(event = "login", user = user.id, session);
    transport.answer(&state, user.id, session, &token)
}
