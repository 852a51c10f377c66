//! The one error of every call, and what it says to the person.

use std::{fmt, time::Duration};

use contract::{ErrorCode, FieldError, Problem};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// No answer came, or none in time.
    Unreachable,
    /// The API refused, and says why.
    Refused { problem: Box<Problem>, retry_after: Option<u32> },
    /// An answer that the contract does not know: from something between here and the API.
    Unexpected { status: u16, retry_after: Option<u32> },
    /// The person is no longer signed in, and has been told.
    SignedOut,
}

impl Error {
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { problem, .. } => Some(problem.code),
            Self::Unreachable | Self::Unexpected { .. } | Self::SignedOut => None,
        }
    }

    /// Whether the API says that the session is over. Nothing else on the way to it can know.
    pub(crate) fn refuses_token(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::TokenExpired | ErrorCode::TokenInvalid | ErrorCode::TokenRequired)
        )
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            Self::Unexpected { status, .. } => Some(*status),
            Self::Unreachable | Self::SignedOut => None,
        }
    }

    /// Whether the same call may well succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self.status() {
            Some(status) => status == 429 || status >= 500,
            None => matches!(self, Self::Unreachable),
        }
    }

    /// How long the API asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Unexpected { retry_after, .. } => {
                retry_after.map(|seconds| Duration::from_secs(seconds.into()))
            }
            Self::Unreachable | Self::SignedOut => None,
        }
    }

    /// What is wrong with which field: names and messages.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let Self::Refused { problem, .. } = self else { return Vec::new() };
        if !problem.errors.is_empty() {
            let of = |error: &FieldError| (error.field.clone(), error.message.clone());
            return problem.errors.iter().map(of).collect();
        }
        // These name a field by their code alone.
        let field = match problem.code {
            ErrorCode::EmailTaken => "email",
            ErrorCode::UsernameTaken => "username",
            ErrorCode::IncorrectPassword => "current_password",
            _ => return Vec::new(),
        };
        vec![(field.to_owned(), problem.detail.clone())]
    }
}

/// Says what happened and what to do.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => {
                f.write_str("The server does not answer. Check your connection and try again.")
            }
            Self::SignedOut => f.write_str("You are no longer logged in. Please log in again."),
            Self::Refused { problem, retry_after } => match problem.code {
                ErrorCode::TooManyRequests => {
                    write!(f, "Too many tries. {}", Again(*retry_after))
                }
                ErrorCode::Overloaded
                | ErrorCode::DatabaseUnavailable
                | ErrorCode::SchemaMissing => {
                    write!(f, "The service is not available now. {}", Again(*retry_after))
                }
                ErrorCode::UserNotFound => {
                    f.write_str("This user has been removed. Reload the page to see who is there.")
                }
                ErrorCode::Internal => write!(
                    f,
                    "Something went wrong on our side. Please try again. (Request {})",
                    problem.request_id
                ),
                _ => f.write_str(&problem.detail),
            },
            Self::Unexpected { status: 429, retry_after } => {
                write!(f, "Too many tries. {}", Again(*retry_after))
            }
            Self::Unexpected { status, retry_after } if *status >= 500 => {
                write!(f, "The service is not available now. {}", Again(*retry_after))
            }
            Self::Unexpected { status, .. } => {
                write!(f, "Something went wrong (status {status}). Reload the page and try again.")
            }
        }
    }
}

/// When to try again.
struct Again(Option<u32>);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some(0) => f.write_str("Please try again in a moment."),
            Some(1) => f.write_str("Please try again in a second."),
            Some(seconds @ 2..=90) => write!(f, "Please try again in {seconds} seconds."),
            Some(seconds) => {
                write!(f, "Please try again in {} minutes.", seconds.div_ceil(60))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode, retry_after: Option<u32>) -> Error {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status: code.status(),
            detail: "The API's own words.".to_owned(),
            message: "The API's own words.".to_owned(),
            code,
            request_id: "4711".to_owned(),
            errors: Vec::new(),
        };
        Error::Refused { problem: Box::new(problem), retry_after }
    }

    #[test]
    fn says_when_to_come_again() {
        for (seconds, text) in [
            (None, "Too many tries. Please try again in a moment."),
            (Some(1), "Too many tries. Please try again in a second."),
            (Some(30), "Too many tries. Please try again in 30 seconds."),
            (Some(91), "Too many tries. Please try again in 2 minutes."),
        ] {
            assert_eq!(refused(ErrorCode::TooManyRequests, seconds).to_string(), text);
        }
    }

    #[test]
    fn an_answer_from_a_load_balancer_is_temporary() {
        let error = Error::Unexpected { status: 502, retry_after: None };
        assert!(error.is_temporary());
        assert!(error.to_string().starts_with("The service is not available now."));
    }

    #[test]
    fn only_the_api_can_say_that_a_session_is_over() {
        assert!(refused(ErrorCode::TokenInvalid, None).refuses_token());
        assert!(!refused(ErrorCode::CrossSite, None).refuses_token());
        for status in [200, 401, 403, 408] {
            assert!(!Error::Unexpected { status, retry_after: None }.refuses_token(), "{status}");
        }
    }

    #[test]
    fn a_duplicate_belongs_to_its_field() {
        let fields = refused(ErrorCode::EmailTaken, None).fields();
        assert_eq!(fields, [("email".to_owned(), "The API's own words.".to_owned())]);
        assert!(refused(ErrorCode::IncorrectCredentials, None).fields().is_empty());
    }
}
