//! `/auth`: signing up, in and out.

pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod sessions;
pub(crate) mod status;

use actix_web::{HttpRequest, HttpResponse, http::header};
use contract::{ACCESS_TOKEN_TYPE, ErrorCode, TRANSPORT_COOKIE, TRANSPORT_HEADER, Tokens};

use crate::{
    auth::{
        cookie::{RefreshCookie, same_site},
        refresh_token::RefreshToken,
        token,
    },
    db,
    http::{error::Error, middleware::client_of},
    state::State,
};

/// How the refresh token travels.
enum Transport {
    /// In the bodies of requests and responses.
    Body,
    /// In a cookie that scripts cannot read.
    Cookie(RefreshCookie),
}

impl Transport {
    /// What the request asks for. A cookie is for pages of our own site only.
    fn of(request: &HttpRequest, state: &State) -> Result<Self, Error> {
        let wanted = request.headers().get(TRANSPORT_HEADER);
        let wanted = wanted.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !wanted.trim().eq_ignore_ascii_case(TRANSPORT_COOKIE) {
            return Ok(Self::Body);
        }
        let https = client_of(request).https;
        if !same_site(request, https, &state.config.server.cors_allowed_origins) {
            return Err(Error::new(
                ErrorCode::CrossSite,
                "The cookie is for pages of this site only.",
            ));
        }
        Ok(Self::Cookie(RefreshCookie::for_request(request, https)))
    }

    /// Answers with a session's tokens.
    fn answer(
        &self,
        state: &State,
        user: i64,
        session: i64,
        refresh_token: &RefreshToken,
    ) -> Result<HttpResponse, Error> {
        let access_token = state.keys.issue(user, session, state.now()).map_err(Error::internal)?;
        let mut response = HttpResponse::Ok();
        let refresh_token = match self {
            Self::Body => Some(refresh_token.expose()),
            Self::Cookie(cookie) => {
                response.cookie(cookie.set(refresh_token.expose(), db::sessions::IDLE));
                None
            }
        };
        // RFC 6749, 5.1: responses with tokens are not to be stored by HTTP/1.0 caches either.
        response.insert_header((header::PRAGMA, "no-cache"));
        Ok(response.json(Tokens {
            access_token,
            refresh_token,
            token_type: ACCESS_TOKEN_TYPE.to_owned(),
            expires_in: u64::try_from(token::LIFETIME.num_seconds()).unwrap_or_default(),
        }))
    }
}
