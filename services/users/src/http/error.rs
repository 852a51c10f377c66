//! Errors that a request can end in.
//!
//! Which type belongs where: functions of `db` return [`db::Error`](crate::db::Error);
//! the parts of `auth` have error types of their own; handlers return [`Error`],
//! into which all of them convert. It carries what the client may know; the cause
//! of a 5xx is logged by the middleware, once, and never sent. The middleware also
//! writes the body, because only there the request id is known, and gives the
//! errors that the framework makes the same form.

use std::{error::Error as StdError, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use contract::{ErrorCode, FieldError, Problem, form::Violation};

use crate::{auth::password::HashError, db};

/// How long a client should wait before it tries again what a 503 refused.
const RETRY_AFTER_SECONDS: u64 = 2;

const UNANSWERED: &str = "The database does not answer. Please try again in a moment.";

/// An error that a handler ends in.
#[derive(Debug)]
pub(crate) struct Error {
    code: ErrorCode,
    detail: String,
    fields: Vec<FieldError>,
    retry_after: Option<u64>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with the sentence that the person reads.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), fields: Vec::new(), retry_after: None, cause: None }
    }

    /// Fields that break rules.
    pub(crate) fn validation(fields: Vec<FieldError>) -> Self {
        let detail = match fields.as_slice() {
            [only] if only.field.is_empty() => only.message.clone(),
            [only] => format!("{}: {}", only.field, only.message),
            several => format!("{} fields are not valid.", several.len()),
        };
        Self { fields, ..Self::new(ErrorCode::ValidationFailed, detail) }
    }

    /// One field that breaks a rule.
    pub(crate) fn field(name: &str, violation: Violation) -> Self {
        Self::validation(vec![violation.of(name)])
    }

    /// No credentials were sent where some are needed.
    pub(crate) fn token_required() -> Self {
        Self::new(ErrorCode::TokenRequired, "Token required")
    }

    /// The token was good once.
    pub(crate) fn token_expired() -> Self {
        Self::new(ErrorCode::TokenExpired, "Signature expired. Please log in again.")
    }

    /// The token is not good.
    pub(crate) fn token_invalid() -> Self {
        Self::new(ErrorCode::TokenInvalid, "Invalid token. Please log in again.")
    }

    /// The caller may not do this.
    pub(crate) fn forbidden() -> Self {
        Self::new(ErrorCode::Forbidden, "You do not have permission to do that.")
    }

    /// There is no such user; `id` as it stands in the path.
    pub(crate) fn user_not_found(id: impl fmt::Display) -> Self {
        Self::new(ErrorCode::UserNotFound, format!("User {id} does not exist"))
    }

    /// There is nothing at this path.
    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is nothing at this path.")
    }

    /// Too many tries; one is free again in `seconds`.
    pub(crate) fn too_many_requests(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(
                ErrorCode::TooManyRequests,
                format!("Too many tries. Please try again in {}.", in_words(seconds.max(1))),
            )
        }
    }

    /// Our fault.
    pub(crate) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                ErrorCode::Internal,
                "Something went wrong on our side. Please try again later.",
            )
        }
    }

    /// The request took too long. Only the database can keep one waiting: all else has its limits.
    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::unavailable(
            ErrorCode::DatabaseUnavailable,
            UNANSWERED,
            format!("no answer within {} s", limit.as_secs()),
        )
    }

    /// The request did not arrive whole in time.
    pub(crate) fn request_timeout() -> Self {
        Self::new(ErrorCode::RequestTimeout, "The body did not arrive in time.")
    }

    /// For a while this cannot be done.
    fn unavailable(
        code: ErrorCode,
        detail: &str,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            cause: Some(cause.into()),
            ..Self::new(code, detail)
        }
    }

    /// The error that the framework answers with `status`, in our form.
    pub(crate) fn of_framework(status: StatusCode, cause: Option<String>) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                ErrorCode::MethodNotAllowed,
                "This path has other methods; the Allow header names them.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::payload_too_large(),
            StatusCode::REQUEST_TIMEOUT => Self::request_timeout(),
            status if status.is_client_error() => {
                Self::new(ErrorCode::BadRequest, "The request is malformed.")
            }
            _ => Self::internal(cause.unwrap_or_else(|| status.to_string())),
        }
    }

    /// The body is larger than we read.
    pub(crate) fn payload_too_large() -> Self {
        Self::new(ErrorCode::PayloadTooLarge, "The body is larger than 32 KiB.")
    }

    /// The stable word.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the client must not see, for the log.
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The body that the client gets.
    pub(crate) fn problem(&self, request_id: &str) -> Problem {
        let status = self.status_code();
        Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            message: self.detail.clone(),
            code: self.code,
            request_id: request_id.to_owned(),
            errors: self.fields.clone(),
        }
    }
}

fn in_words(seconds: u64) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        2..=119 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Status and headers; the middleware adds the body.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let challenge = match self.code {
            ErrorCode::TokenRequired => Some("Bearer"),
            ErrorCode::TokenExpired => {
                Some(r#"Bearer error="invalid_token", error_description="The token has expired""#)
            }
            ErrorCode::TokenInvalid | ErrorCode::IncorrectCredentials => {
                Some(r#"Bearer error="invalid_token""#)
            }
            _ => None,
        };
        if let Some(challenge) = challenge {
            let value = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl db::reader::Failure for Error {
    fn ends_connection(&self) -> bool {
        let cause = self.cause.as_ref().filter(|_| self.code == ErrorCode::DatabaseUnavailable);
        cause.is_some_and(|cause| db::pool::ends_connection(cause.as_ref()))
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::EmailTaken => {
                taken(ErrorCode::EmailTaken, "email", "Sorry. That email already exists.")
            }
            db::Error::UsernameTaken => {
                taken(ErrorCode::UsernameTaken, "username", "Sorry. That username already exists.")
            }
            db::Error::Unavailable(cause) => {
                Self::unavailable(ErrorCode::DatabaseUnavailable, UNANSWERED, cause)
            }
            db::Error::SchemaMissing(cause) => Self::unavailable(
                ErrorCode::SchemaMissing,
                "The database has not the schema of this release. Run: users migrate",
                cause,
            ),
            db::Error::Other(cause) => Self::internal(cause),
        }
    }
}

fn taken(code: ErrorCode, field: &str, message: &str) -> Error {
    let violation = Violation::new(contract::FieldCode::Taken, message);
    Error { fields: vec![violation.of(field)], ..Error::new(code, message) }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded => Self::unavailable(
                ErrorCode::Overloaded,
                "Too many people are signing in at this moment. Please try again shortly.",
                error,
            ),
            other => Self::internal(other),
        }
    }
}
