//! POST `/auth/logout`: a person signs out.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use crate::{
    auth::cookie::RefreshCookie,
    db,
    http::{
        caller::{Bearer, Caller},
        error::Error,
        extract::Query,
        middleware::client_of,
    },
    openapi::{ServerErrors, TokenErrors, ValidationErrors},
    state::State,
};

/// Ends this session, or with `?all` every session of the user. From then on their
/// tokens, access tokens too, are refused (OWASP ASVS 5.0, 7.4.1).
#[utoipa::path(
    post,
    path = "/auth/logout",
    tag = "auth",
    operation_id = "logout",
    summary = "Sign out",
    params(("all" = Option<bool>, Query, allow_reserved, description = "End all sessions of the user")),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "Signed out."),
        TokenErrors,
        ValidationErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn logout(
    state: Data<State>,
    request: HttpRequest,
    bearer: Bearer,
    query: Query,
) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;
    let all = query.flag("all").map_err(|violation| Error::field("all", violation))?;

    let user = caller.user.id;
    let conn = state.connection().await?;
    if all {
        let ended = db::sessions::end_all(&conn, user, None).await?;
        tracing::info!(event = "logout_all", user, ended);
    } else {
        db::sessions::end(&conn, user, caller.session).await?;
        tracing::info!(event = "logout", user, session = caller.session);
    }

    let mut response = HttpResponse::NoContent();
    let cookie = RefreshCookie::for_request(&request, client_of(&request).https);
    if cookie.read(&request).is_some() {
        response.cookie(cookie.clear());
    }
    Ok(response.finish())
}
