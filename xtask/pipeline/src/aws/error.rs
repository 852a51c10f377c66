//! What AWS's errors mean to a caller: the several hundred codes, as the few kinds of the port.

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::chain;
use crate::cloud::CloudError;

/// Sorts an error.
pub(super) fn explain<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => {
            CloudError::Lost { operation, cause: "none came in time".to_owned() }
        }
        SdkError::ServiceError(answer) => {
            let code = error.code().unwrap_or("an error without a code");
            let message = error.message().unwrap_or("no message");
            sort(operation, code, message, answer.raw().status().as_u16())
        }
        error => CloudError::Lost { operation, cause: chain(error) },
    }
}

fn sort(operation: &'static str, code: &str, message: &str, status: u16) -> CloudError {
    let said = message.to_owned();
    let absent = code.contains("NotFound")
        || message.contains("does not exist")
        || message.contains("Unable to describe task definition");
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown" => CloudError::Throttled { operation },
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken" => CloudError::Denied { operation, message: said },
        _ if absent => CloudError::NotFound { operation, message: said },
        _ if status >= 500 => {
            CloudError::Lost { operation, cause: format!("{status} {code}: {message}") }
        }
        _ => CloudError::Refused { operation, code: code.to_owned(), message: said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_one_may_do_next() {
        let sort = |code, message, status| sort("ecs:X", code, message, status);
        for (code, message, status, kind) in [
            ("ThrottlingException", "Rate exceeded", 400, "Throttled"),
            ("AccessDeniedException", "not authorized", 400, "Denied"),
            ("ExpiredTokenException", "expired", 403, "Denied"),
            ("ServiceNotFoundException", "", 400, "NotFound"),
            ("ClientException", "Unable to describe task definition.", 400, "NotFound"),
            ("ValidationError", "Stack with id shop does not exist", 400, "NotFound"),
            ("ServerException", "", 500, "Lost"),
            ("an error without a code", "", 502, "Lost"),
            ("InvalidParameterException", "", 400, "Refused"),
            ("UnknownOperationException", "", 400, "Refused"),
        ] {
            let found = format!("{:?}", sort(code, message, status));
            assert!(found.starts_with(kind), "{code}: {found}");
        }
    }
}
