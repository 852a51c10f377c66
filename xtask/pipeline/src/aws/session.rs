//! A session inside a running container, by ECS Exec.

use aws_config::SdkConfig;
use aws_sdk_ecs::Client;
use serde_json::{Value, json};

use super::error::explain;
use crate::cloud::CloudError;
use crate::secret::Secret;

/// What the session manager's plugin is told.
#[derive(Debug)]
pub(crate) struct Session {
    /// What ECS answered, with a token that lets its bearer in.
    pub(crate) answer: Secret,
    /// What the session is with.
    pub(crate) target: Value,
}

/// Opens a session in a task's container.
///
/// # Errors
/// AWS does not answer or refuses, or the container does not run.
pub(crate) async fn open(
    sdk: &SdkConfig,
    cluster: &str,
    task: &str,
    container: &str,
    command: &str,
) -> Result<Session, CloudError> {
    const OPERATION: &str = "ecs:ExecuteCommand";
    let client = Client::new(sdk);
    let described = client.describe_tasks().cluster(cluster).tasks(task);
    let described =
        Box::pin(described.send()).await.map_err(|error| explain("ecs:DescribeTasks", &error))?;
    let runtime = described
        .tasks()
        .iter()
        .flat_map(aws_sdk_ecs::types::Task::containers)
        .find(|one| one.name() == Some(container))
        .and_then(|one| one.runtime_id())
        .ok_or_else(|| CloudError::NotFound {
            operation: OPERATION,
            message: format!("no container {container} runs in task {task}"),
        })?
        .to_owned();
    let asked = client
        .execute_command()
        .cluster(cluster)
        .task(task)
        .container(container)
        .command(command)
        .interactive(true);
    let answer = Box::pin(asked.send()).await.map_err(|error| explain(OPERATION, &error))?;
    let session = answer.session().ok_or_else(|| CloudError::Lost {
        operation: OPERATION,
        cause: "the answer has no session".to_owned(),
    })?;
    let answer = json!({
        "SessionId": session.session_id(),
        "StreamUrl": session.stream_url(),
        "TokenValue": session.token_value(),
    });
    let id = task.rsplit('/').next().unwrap_or(task);
    let target = json!({ "Target": format!("ecs:{cluster}_{id}_{runtime}") });
    Ok(Session { answer: Secret::new(answer.to_string()), target })
}
