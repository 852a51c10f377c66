//! Registering a task definition at most once.
//!
//! RegisterTaskDefinition has no client token: asking twice registers twice. So the newest revision
//! is compared first, and again after an answer that was lost.

use std::time::Duration;

use serde_json::Value;

use crate::cloud::{Cloud, CloudError, TaskDefinition};
use crate::rollout::{PATIENCE, patiently};
use crate::task_definition::same;

/// How often an answer may be lost.
const TRIES: u32 = 6;

/// Gives the task definition, and whether it is new.
///
/// # Errors
/// It can be neither found nor registered.
pub(crate) async fn register<C: Cloud>(
    cloud: &C,
    definition: &Value,
) -> Result<(TaskDefinition, bool), CloudError> {
    let family = definition.get("family").and_then(Value::as_str).unwrap_or_default();
    if let Some(known) = newest(cloud, family).await?.filter(|known| is(known, definition)) {
        return Ok((known, false));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match cloud.register_task_definition(definition).await {
            Ok(registered) => return Ok((registered, true)),
            Err(error) if error.is_passing() && tries < TRIES => {
                tokio::time::sleep(Duration::from_secs(2) * tries).await;
            }
            Err(error) => return Err(error),
        }
        if let Some(known) = newest(cloud, family).await?.filter(|known| is(known, definition)) {
            return Ok((known, true));
        }
    }
}

fn is(known: &TaskDefinition, definition: &Value) -> bool {
    same(definition, &known.document)
}

/// The newest of a family, if there is any.
async fn newest<C: Cloud>(cloud: &C, family: &str) -> Result<Option<TaskDefinition>, CloudError> {
    match patiently(PATIENCE, || cloud.task_definition(family)).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
