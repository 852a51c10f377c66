//! Errors as the API answers them (RFC 9457).

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// The body of every error: `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is, `code` which one.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words (RFC 9110).
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// What went wrong and what to do, for a person.
    pub detail: String,
    /// The same as `detail`, under the name that clients of the Flask original read.
    pub message: String,
    /// What went wrong, for a program.
    pub code: ErrorCode,
    /// Names this request in the service's logs.
    pub request_id: String,
    /// What is wrong with each field; only where fields were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What went wrong; a word that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErrorCode {
    /// 400: the body is not JSON (RFC 8259), or names a member twice.
    InvalidJson,
    /// 400: the request is malformed in another way.
    BadRequest,
    /// 401: no credentials were sent.
    TokenRequired,
    /// 401: the token was good and has expired.
    TokenExpired,
    /// 401: the token is not, or is no longer, good.
    TokenInvalid,
    /// 401: no such user, or not this password; the answer does not say which.
    IncorrectCredentials,
    /// 403: the caller may not do this.
    Forbidden,
    /// 403: the current password is another one.
    IncorrectPassword,
    /// 403: a request with a cookie came from another site.
    CrossSite,
    /// 404: there is nothing at this path.
    NotFound,
    /// 404: there is no such user.
    UserNotFound,
    /// 404: the caller has no such session.
    SessionNotFound,
    /// 405: this path has other methods; `Allow` names them.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    RequestTimeout,
    /// 409: somebody else has this e-mail address.
    EmailTaken,
    /// 409: somebody else has this user name.
    UsernameTaken,
    /// 409: without this user there would be no administrator.
    LastAdmin,
    /// 413: the body is larger than 32 KiB.
    PayloadTooLarge,
    /// 415: the body is not `application/json`.
    UnsupportedMediaType,
    /// 422: `errors` says which fields break which rules.
    ValidationFailed,
    /// 429: too many tries; `Retry-After` says when to come again.
    TooManyRequests,
    /// 500: our fault; the request id leads to the cause.
    Internal,
    /// 503: too many passwords to check at once; `Retry-After` says when to come again.
    Overloaded,
    /// 503: the database does not answer; `Retry-After` says when to come again.
    DatabaseUnavailable,
    /// 503: the database has not the schema of this release.
    SchemaMissing,
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidJson | Self::BadRequest => 400,
            Self::TokenRequired
            | Self::TokenExpired
            | Self::TokenInvalid
            | Self::IncorrectCredentials => 401,
            Self::Forbidden | Self::IncorrectPassword | Self::CrossSite => 403,
            Self::NotFound | Self::UserNotFound | Self::SessionNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::EmailTaken | Self::UsernameTaken | Self::LastAdmin => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ValidationFailed => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::DatabaseUnavailable | Self::SchemaMissing => 503,
        }
    }
}
