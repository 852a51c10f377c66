//! `/auth/sessions`: where a person is signed in.

use actix_web::{HttpResponse, web::Data};
use contract::{ErrorCode, Session};
use futures_util::future::try_join;

use crate::{
    db,
    http::{
        caller::{Bearer, Caller, timestamp},
        error::Error,
        extract::Id,
    },
    openapi::{NotFoundErrors, ServerErrors, TokenErrors},
    state::State,
};

/// The caller's live sessions, the last used first.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    tag = "auth",
    operation_id = "list_sessions",
    summary = "List the own sessions",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The caller's sessions.", body = Vec<Session>),
        TokenErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn list(state: Data<State>, bearer: Bearer) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let (caller, sessions) = state
        .read(async |conn| {
            let caller = Caller::of(&claims, &state, conn);
            let sessions = async { Ok(db::sessions::list(conn, claims.user, state.now()).await?) };
            try_join(caller, sessions).await
        })
        .await?;

    let sessions: Vec<Session> = sessions
        .into_iter()
        .map(|session| Session {
            id: session.id,
            created_date: timestamp(session.created_date),
            last_used_date: timestamp(session.last_used_date),
            user_agent: session.user_agent,
            current: session.id == caller.session,
        })
        .collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    tag = "auth",
    operation_id = "end_session",
    summary = "End one of the own sessions",
    params(("id" = i64, Path, minimum = 1, description = "The session's number")),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The session has ended."),
        TokenErrors,
        NotFoundErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn end(state: Data<State>, bearer: Bearer, id: Id) -> Result<HttpResponse, Error> {
    let claims = bearer.required()?;
    let caller = state.read(async |conn| Caller::of(&claims, &state, conn).await).await?;

    let ended = match id.number() {
        Some(id) => db::sessions::end(&*state.connection().await?, caller.user.id, id).await?,
        None => false,
    };

    if !ended {
        let detail = format!("Session {} does not exist", id.as_str());
        return Err(Error::new(ErrorCode::SessionNotFound, detail));
    }
    tracing::info!(event = "session_ended", user = caller.user.id, session = id.number());
    Ok(HttpResponse::NoContent().finish())
}
