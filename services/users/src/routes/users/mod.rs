//! `/users`: the accounts.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod show;
pub(crate) mod update;

use contract::NewUser;

use crate::{db, http::error::Error, state::State};

/// Adds a user who is no administrator: by an administrator, or by registration.
pub(crate) async fn add(state: &State, user: NewUser) -> Result<db::users::User, Error> {
    let hash = state.hasher.hash(user.password.expose().to_owned()).await?;
    // Only now: no connection is held while the hash is computed.
    let conn = state.connection().await?;
    let row = db::users::NewUser {
        username: user.username.as_str(),
        email: user.email.as_str(),
        password_hash: Some(&hash),
        is_admin: false,
        created_date: state.now(),
    };
    Ok(db::users::insert(&conn, &row).await?)
}
