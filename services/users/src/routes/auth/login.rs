//! POST `/auth/login`: a person signs in.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use contract::{ErrorCode, Login, Tokens};
use futures_util::future::try_join;

use crate::{
    auth::{password::Verdict, refresh_token::RefreshToken, throttle::Kind},
    db::{self, throttle::Key, users::Credentials},
    http::{error::Error, extract::Body},
    openapi::{BodyErrors, CredentialErrors, CrossSiteErrors, OverloadErrors, ThrottleErrors},
    routes::auth::Transport,
    state::State,
};

/// While a password is verified, another request may change it, or renew its hash: then it is held
/// against what there is now, once.
const ATTEMPTS: usize = 2;

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
    let email = input.email.to_ascii_lowercase();
    let account = Key::account(&email);

    let mut credentials = {
        let conn = state.connection().await?;
        let counted = state.throttle_account(&conn, &account);
        let credentials = async { Ok(db::users::credentials(&conn, &email).await?) };
        try_join(counted, credentials).await?.1
    };

    let token = RefreshToken::generate().map_err(Error::internal)?;
    let user_agent = request.headers().get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    for _ in 0..ATTEMPTS {
        // No connection is held while the hash is computed, and it is computed for everybody.
        let hash = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
        let verdict = state.hasher.verify(input.password.clone(), hash).await?;
        let user = credentials.filter(|user| user.active && verdict != Verdict::Mismatch);
        let Some(Credentials { id: user, password_hash: mut hash, .. }) = user else { break };
        let renewed = match verdict {
            Verdict::MatchOutdated => Some(state.hasher.hash(input.password.clone()).await?),
            Verdict::Match | Verdict::Mismatch => None,
        };

        let mut conn = state.connection().await?;
        if let Some((old, new)) = hash.as_deref().zip(renewed.as_deref()) {
            db::users::rehash(&conn, user, old, new).await?;
            hash = renewed;
        }
        let (hash, now) = (hash.as_deref(), state.now());
        let session =
            db::sessions::create(&mut conn, user, hash, &account, &token, user_agent, now).await?;
        if let Some(session) = session {
            tracing::info!(event = "login", user, session);
            return transport.answer(&state, user, session, &token);
        }
        credentials = db::users::credentials(&conn, &email).await?;
    }
    tracing::warn!(event = "login_failed");
    Err(Error::new(ErrorCode::IncorrectCredentials, "Incorrect email and/or password."))
}
