//! Users: what the API shows of them and what it takes.

use serde::{Deserialize, Serialize};

use crate::{
    Email, Password, Username,
    form::{Fields, Input},
};

/// The most users on a page.
pub const PAGE_LIMIT_MAX: u16 = 100;
/// The users on a page where the request does not say.
pub const PAGE_LIMIT_DEFAULT: u16 = 50;

/// A user, as far as the caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The user's number; never used again.
    pub id: i64,
    /// The user's name, unique ignoring case.
    pub username: String,
    /// The e-mail address; null unless the caller is this user or an administrator.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub email: Option<String>,
    /// When the user was added (RFC 3339, UTC).
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_date: String,
    /// Whether this is an administrator; null unless the caller is this user or one.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub is_admin: Option<bool>,
}

/// A user to add: POST `/users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewUser {
    /// The user's name.
    pub username: Username,
    /// The user's e-mail address.
    pub email: Email,
    /// The user's first password.
    pub password: Password,
}

impl Input for NewUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.take::<Username>("username");
        let email = fields.take::<Email>("email");
        let password = fields.take::<Password>("password");
        if let Some(password) = &password
            && let Err(violation) = password.differs_from_fields(username.as_ref(), email.as_ref())
        {
            fields.refuse("password", violation);
        }
        Some(Self { username: username?, email: email?, password: password? })
    }
}

/// A user's new name and address: PUT `/users/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateUser {
    /// The user's name.
    pub username: Username,
    /// The user's e-mail address.
    pub email: Email,
}

impl Input for UpdateUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.take::<Username>("username");
        let email = fields.take::<Email>("email");
        Some(Self { username: username?, email: email? })
    }
}

/// What was done, in words: the answer to DELETE `/users/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// What was done.
    pub message: String,
}

/// What was done, and the user as it is now: the answer to POST and PUT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserMessage {
    /// What was done.
    pub message: String,
    /// The user as it is now.
    pub user: User,
}
