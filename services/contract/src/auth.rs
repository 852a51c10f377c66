//! Signing in: what the authentication operations take and answer.

use serde::{Deserialize, Serialize};

use crate::{
    NewUser, Password,
    form::{Fields, Input},
};

/// The only token type that the API issues (RFC 6750).
pub const ACCESS_TOKEN_TYPE: &str = "Bearer";
/// What every refresh token begins with, so that a scanner recognises a leaked one.
pub const REFRESH_TOKEN_PREFIX: &str = "tdr_";
/// The request header by which a browser asks that the refresh token travel in a cookie.
pub const TRANSPORT_HEADER: &str = "x-auth-transport";
/// The value of [`TRANSPORT_HEADER`] that does so.
pub const TRANSPORT_COOKIE: &str = "cookie";

/// A person signs up: POST `/auth/register`; the same fields as for a new user.
pub type Registration = NewUser;

/// A person signs in: POST `/auth/login`.
///
/// The rules for new passwords do not count here: what counts is whether it is the right one.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Login {
    /// The e-mail address.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, pattern = r"^[^\u0000]*$"))]
    pub email: String,
    /// The password.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, format = Password, pattern = r"^[^\u0000]*$"))]
    pub password: String,
}

impl Input for Login {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.take::<String>("email");
        let password = fields.take::<String>("password");
        Some(Self { email: email?.trim().to_owned(), password: password? })
    }
}

/// A refresh token is exchanged: POST `/auth/refresh`, unless it travels in the cookie.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refresh {
    /// The refresh token.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, pattern = r"^[^\u0000]*$"))]
    pub refresh_token: String,
}

impl Input for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.take("refresh_token")? })
    }
}

/// A person changes the password: PUT `/auth/password`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangePassword {
    /// The password until now.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, format = Password, pattern = r"^[^\u0000]*$"))]
    pub current_password: String,
    /// The password from now on.
    pub new_password: Password,
}

impl Input for ChangePassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current_password = fields.take("current_password");
        let new_password = fields.take("new_password");
        Some(Self { current_password: current_password?, new_password: new_password? })
    }
}

/// The tokens of a session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tokens {
    /// A JWT for the `Authorization` header (RFC 9068).
    pub access_token: String,
    /// Buys the next pair, once; null where it travels in the cookie.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub refresh_token: Option<String>,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

/// One of the caller's sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The session's number.
    pub id: i64,
    /// When the person signed in (RFC 3339, UTC).
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_date: String,
    /// When the session was last refreshed (RFC 3339, UTC).
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_used_date: String,
    /// The program that signed in, as it named itself.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub user_agent: Option<String>,
    /// Whether it is the session that asks.
    pub current: bool,
}
