//! Removing an ECS service, which no deployment does.

use aws_config::SdkConfig;
use aws_sdk_ecs::Client;

use super::error::explain;
use crate::cloud::CloudError;

/// Begins to remove a service with its tasks.
///
/// # Errors
/// AWS does not answer, or refuses.
pub(crate) async fn delete(
    sdk: &SdkConfig,
    cluster: &str,
    service: &str,
) -> Result<(), CloudError> {
    let ask = Client::new(sdk).delete_service().cluster(cluster).service(service).force(true);
    Box::pin(ask.send()).await.map_err(|error| explain("ecs:DeleteService", &error))?;
    Ok(())
}
