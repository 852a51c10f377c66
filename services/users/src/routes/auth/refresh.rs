//! POST `/auth/refresh`: a refresh token buys the next pair.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use contract::{Refresh, Tokens};

use crate::{
    auth::{refresh_token::RefreshToken, throttle::Kind},
    db::{self, sessions::Exchange},
    http::{error::Error, extract::Body},
    openapi::{BodyErrors, CrossSiteErrors, ServerErrors, ThrottleErrors, TokenErrors},
    routes::auth::Transport,
    state::State,
};

/// Exchanges a refresh token for a new pair of tokens; it can be used once.
///
/// For 30 seconds, and only while its successor is unused, it may be shown again and
/// buys the same successor: two tabs that refresh at once, or an answer that got
/// lost. Shown later, it must have been copied: the whole session is ended.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "auth",
    operation_id = "refresh",
    summary = "Exchange a refresh token",
    request_body(content = Refresh, description = "None with `X-Auth-Transport: cookie`"),
    params(("X-Auth-Transport" = Option<String>, Header, description = "`cookie`: the refresh token travels in a cookie; for browsers")),
    responses(
        (status = 200, description = "Both tokens are new.", body = Tokens),
        TokenErrors,
        CrossSiteErrors,
        BodyErrors,
        ThrottleErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn refresh(
    state: Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let transport = Transport::of(&request, &state)?;
    let token = match &transport {
        Transport::Cookie(cookie) => cookie.read(&request).ok_or_else(Error::token_required)?,
        Transport::Body => body.parse::<Refresh>()?.refresh_token,
    };
    state.throttle_address(Kind::Credentials, &request)?;
    let token = RefreshToken::parse(&token).map_err(|_| Error::token_invalid())?;
    let successor = RefreshToken::generate().map_err(Error::internal)?;

    let mut conn = state.connection().await?;
    let exchange = db::sessions::exchange(&mut conn, &token, successor, state.now()).await?;

    match exchange {
        Exchange::Rotated(session, successor) | Exchange::Replayed(session, successor) => {
            transport.answer(&state, session.user_id, session.id, &successor)
        }
        Exchange::Reused(session) => {
            tracing::warn!(
                event = "refresh_token_reused",
                user = session.user_id,
                session = session.id,
                "a used refresh token was shown again; the session has been ended"
            );
            Err(Error::token_invalid())
        }
        Exchange::Expired(session) => {
            tracing::info!(event = "session_expired", user = session.user_id, session = session.id);
            Err(Error::token_expired())
        }
        Exchange::Unknown => Err(Error::token_invalid()),
    }
}
