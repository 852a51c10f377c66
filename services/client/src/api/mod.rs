//! The API's operations as typed calls. Signing in and out is [`crate::session`]'s.

mod error;
mod json;
mod link;
mod request;

use contract::{
    ChangePassword, ErrorCode, NewUser, Registration, Session as SessionInfo, UpdateUser, User,
    UserMessage, paths,
};

pub(crate) use self::{
    error::{Error, Result},
    json::read as read_json,
    request::{BASE_URL, Request, Response},
};
use crate::session::Session;

/// Some users, and where the next ones are.
pub(crate) struct UserPage {
    pub(crate) users: Vec<User>,
    /// The path and query of the next page; `None` on the last one.
    pub(crate) next: Option<String>,
}

/// The users at `path`: [`paths::USERS`], or what [`UserPage::next`] said.
pub(crate) async fn users(session: Session, path: &str) -> Result<UserPage> {
    let response = session.send(Request::get(path)).await?;
    let next = response.header("link").and_then(|links| link::next(&links));
    Ok(UserPage { users: response.json().await?, next })
}

pub(crate) async fn add_user(session: Session, user: &NewUser) -> Result<User> {
    let response = session.send(Request::post(paths::USERS).json(user)?).await?;
    Ok(response.json::<UserMessage>().await?.user)
}

pub(crate) async fn update_user(session: Session, id: i64, user: &UpdateUser) -> Result<User> {
    let response = session.send(Request::put(&paths::user(id)).json(user)?).await?;
    Ok(response.json::<UserMessage>().await?.user)
}

/// Removes a user; one whom somebody else has removed is no failure.
pub(crate) async fn remove_user(session: Session, id: i64) -> Result<()> {
    remove(session, &paths::user(id), ErrorCode::UserNotFound).await
}

/// Has the API remove what is at `path`, or say by `gone` that it is gone already.
async fn remove(session: Session, path: &str, gone: ErrorCode) -> Result<()> {
    match session.send(Request::delete(path)).await {
        Err(error) if error.code() != Some(gone) => Err(error),
        _ => Ok(()),
    }
}

pub(crate) async fn register(registration: &Registration) -> Result<User> {
    Request::post(paths::REGISTER).json(registration)?.send(None).await?.json().await
}

pub(crate) async fn change_password(session: Session, change: &ChangePassword) -> Result<()> {
    session.send(Request::put(paths::PASSWORD).json(change)?).await.map(drop)
}

pub(crate) async fn sessions(session: Session) -> Result<Vec<SessionInfo>> {
    session.send(Request::get(paths::SESSIONS)).await?.json().await
}

/// Ends one of the person's other sessions; one that has ended by itself is no failure.
pub(crate) async fn end_session(session: Session, id: i64) -> Result<()> {
    remove(session, &paths::session(id), ErrorCode::SessionNotFound).await
}
