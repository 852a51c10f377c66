//! AWS: how it is reached, and what the pipeline asks it.
//!
//! The SDK waits for an answer without a limit by default. Here every call has one. [`Aws`] is the
//! port [`crate::cloud`] on the SDK.

pub(crate) mod balancer;
mod error;
mod port;
mod raw;
mod read;
pub(crate) mod repository;
pub(crate) mod services;
pub(crate) mod session;
pub(crate) mod stack;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecr::config::ProvideCredentials as _;
use aws_sdk_ecr::error::{ProvideErrorMetadata as _, SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// One cluster's AWS.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    cluster: String,
    region: String,
    ecs: aws_sdk_ecs::Client,
    balancers: aws_sdk_elasticloadbalancingv2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    stacks: aws_sdk_cloudformation::Client,
    sts: aws_sdk_sts::Client,
}

impl Aws {
    /// With the configuration that [`sdk`] found.
    #[must_use]
    pub(crate) fn new(sdk: &SdkConfig, cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            region: sdk.region().map(ToString::to_string).unwrap_or_default(),
            ecs: aws_sdk_ecs::Client::new(sdk),
            balancers: aws_sdk_elasticloadbalancingv2::Client::new(sdk),
            logs: aws_sdk_cloudwatchlogs::Client::new(sdk),
            stacks: aws_sdk_cloudformation::Client::new(sdk),
            sts: aws_sdk_sts::Client::new(sdk),
        }
    }
}

/// One try of a call.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// A call with all its tries.
const OPERATION_LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 5;

/// Why AWS did not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AwsError {
    #[error("no AWS region: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    #[error(
        "no AWS credentials ({0}): sign in with `aws sso login`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
    )]
    NoCredentials(String),
    #[error(
        "AWS gave no answer to {operation}, in {ATTEMPTS} tries of {} s each",
        ATTEMPT_LIMIT.as_secs()
    )]
    TimedOut { operation: &'static str },
    #[error("AWS refused {operation}: {code}: {message}")]
    Refused { operation: &'static str, code: String, message: String },
    #[error("AWS cannot be reached for {operation}: {cause}")]
    Unreachable { operation: &'static str, cause: String },
    #[error("AWS answered {operation} with {what}")]
    Odd { operation: &'static str, what: &'static str },
}

impl AwsError {
    /// Whether nothing was asked yet, because something is not set.
    #[must_use]
    pub(crate) fn is_configuration(&self) -> bool {
        matches!(self, Self::NoRegion | Self::NoCredentials(_))
    }
}

/// Region, credentials and limits, from the usual sources.
///
/// # Errors
/// There is no region, or there are no credentials.
pub(crate) async fn sdk() -> Result<SdkConfig, AwsError> {
    let limits = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(ATTEMPT_LIMIT)
        .operation_timeout(OPERATION_LIMIT)
        .build();
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(limits)
        // Not the adaptive mode: after one refusal it spaces every later call by up to two seconds,
        // and each retry by ten or twenty, the way back included.
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await;
    if sdk.region().is_none() {
        return Err(AwsError::NoRegion);
    }
    let Some(provider) = sdk.credentials_provider() else {
        return Err(AwsError::NoCredentials("no provider".to_owned()));
    };
    // Asked here, because a call without them would fail with a chain of seven causes.
    match tokio::time::timeout(OPERATION_LIMIT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(sdk),
        Ok(Err(error)) => Err(AwsError::NoCredentials(error.to_string())),
        Err(_) => Err(AwsError::NoCredentials("their source did not answer".to_owned())),
    }
}

/// What ECR lets one sign in with.
#[derive(Debug)]
pub(crate) struct RegistryToken {
    /// The account's registry.
    pub(crate) host: String,
    /// `AWS`.
    pub(crate) username: String,
    /// Good for twelve hours.
    pub(crate) password: Secret,
}

/// Asks ECR for a token.
///
/// # Errors
/// There are no credentials, or AWS does not answer or refuses.
pub(crate) async fn registry_token() -> Result<RegistryToken, AwsError> {
    const OPERATION: &str = "ecr:GetAuthorizationToken";
    let odd = |what| AwsError::Odd { operation: OPERATION, what };
    let client = aws_sdk_ecr::Client::new(&sdk().await?);
    let answer = client.get_authorization_token().send().await;
    let answer = answer.map_err(|error| explain(OPERATION, &error))?;
    let data = answer.authorization_data().first().ok_or_else(|| odd("no token"))?;
    let endpoint = data.proxy_endpoint().ok_or_else(|| odd("no registry"))?;
    let token = data.authorization_token().ok_or_else(|| odd("no token"))?;
    let (username, password) = decode(token).ok_or_else(|| odd("a token that is none"))?;
    Ok(RegistryToken { host: host_of(endpoint), username, password })
}

/// The registry's name in image references.
fn host_of(endpoint: &str) -> String {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    host.trim_end_matches('/').to_owned()
}

/// User and password from ECR's token.
fn decode(token: &str) -> Option<(String, Secret)> {
    let text = Secret::new(String::from_utf8(STANDARD.decode(token).ok()?).ok()?);
    let (username, password) = text.expose().split_once(':')?;
    Some((username.to_owned(), Secret::new(password.to_owned())))
}

fn explain<E, R>(operation: &'static str, error: &SdkError<E, R>) -> AwsError
where
    E: aws_sdk_ecr::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::TimeoutError(_) => AwsError::TimedOut { operation },
        SdkError::ServiceError(_) => AwsError::Refused {
            operation,
            code: error.code().unwrap_or("an error without a code").to_owned(),
            message: error.message().unwrap_or("no message").to_owned(),
        },
        error => AwsError::Unreachable { operation, cause: chain(error) },
    }
}

/// An error with its causes, outermost first. The SDK's own errors say little without them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some repeat what they were caused by.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_user_and_password() {
        let (username, password) = decode(&STANDARD.encode("AWS:ey:J")).unwrap();
        assert_eq!((&*username, password.expose()), ("AWS", "ey:J"));
        assert!(decode("%").is_none());
        assert!(decode(&STANDARD.encode("no colon")).is_none());
    }

    #[test]
    fn the_host_is_what_image_names_begin_with() {
        let host = "123456789012.dkr.ecr.us-west-1.amazonaws.com";
        assert_eq!(host_of(&format!("https://{host}")), host);
        assert_eq!(host_of("http://127.0.0.1:4566/"), "127.0.0.1:4566");
    }
}
