//! From ECS's JSON to the port's words.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cloud::{
    Container, Deployment, Event, Failure, Host, Rollout, Service, ServiceDeployment,
    ServiceDeploymentStatus, TargetGroup, Task, TaskDefinition,
};

pub(super) fn text(value: &Value, name: &str) -> String {
    optional(value, name).unwrap_or_default()
}

pub(super) fn optional(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn number(value: &Value, name: &str) -> u32 {
    value.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// ECS writes times as seconds since 1970.
fn time(value: &Value, name: &str) -> Option<SystemTime> {
    let seconds = value.get(name)?.as_f64()?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// A list, item by item.
pub(super) fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A list of strings.
pub(super) fn texts(value: &Value, name: &str) -> Vec<String> {
    list(value, name).filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn service(value: &Value) -> Service {
    Service {
        name: text(value, "serviceName"),
        arn: text(value, "serviceArn"),
        status: text(value, "status"),
        task_definition: text(value, "taskDefinition"),
        desired: number(value, "desiredCount"),
        running: number(value, "runningCount"),
        pending: number(value, "pendingCount"),
        deployments: list(value, "deployments").map(deployment).collect(),
        target_groups: list(value, "loadBalancers").filter_map(target_group).collect(),
        events: list(value, "events").map(event).collect(),
        document: value.clone(),
    }
}

fn deployment(value: &Value) -> Deployment {
    Deployment {
        id: text(value, "id"),
        status: text(value, "status"),
        rollout: match value.get("rolloutState").and_then(Value::as_str) {
            Some("COMPLETED") => Rollout::Completed,
            Some("IN_PROGRESS") => Rollout::InProgress,
            Some("FAILED") => Rollout::Failed,
            _ => Rollout::Unknown,
        },
        reason: text(value, "rolloutStateReason"),
        task_definition: text(value, "taskDefinition"),
        desired: number(value, "desiredCount"),
        pending: number(value, "pendingCount"),
        running: number(value, "runningCount"),
        failed: number(value, "failedTasks"),
        created: time(value, "createdAt"),
    }
}

fn target_group(value: &Value) -> Option<TargetGroup> {
    Some(TargetGroup {
        arn: optional(value, "targetGroupArn")?,
        container: text(value, "containerName"),
        port: u16::try_from(number(value, "containerPort")).ok()?,
    })
}

fn event(value: &Value) -> Event {
    Event { id: text(value, "id"), at: time(value, "createdAt"), message: text(value, "message") }
}

/// From DescribeServiceDeployments, with the task definition of the target revision.
pub(super) fn service_deployment(value: &Value, task_definition: String) -> ServiceDeployment {
    use ServiceDeploymentStatus as Status;
    ServiceDeployment {
        arn: text(value, "serviceDeploymentArn"),
        status: match value.get("status").and_then(Value::as_str).unwrap_or_default() {
            "PENDING" => Status::Pending,
            "IN_PROGRESS" => Status::InProgress,
            "SUCCESSFUL" => Status::Successful,
            "STOPPED" => Status::Stopped,
            "STOP_REQUESTED" => Status::StopRequested,
            "ROLLBACK_REQUESTED" => Status::RollbackRequested,
            "ROLLBACK_IN_PROGRESS" => Status::RollbackInProgress,
            "ROLLBACK_SUCCESSFUL" => Status::RollbackSuccessful,
            "ROLLBACK_FAILED" => Status::RollbackFailed,
            other => Status::Unknown(other.to_owned()),
        },
        reason: text(value, "statusReason"),
        task_definition,
        breaker: value
            .get("deploymentCircuitBreaker")
            .map(|breaker| (number(breaker, "failureCount"), number(breaker, "threshold"))),
        created: time(value, "createdAt"),
    }
}

pub(super) fn task_definition(value: &Value) -> TaskDefinition {
    TaskDefinition {
        arn: text(value, "taskDefinitionArn"),
        family: text(value, "family"),
        revision: number(value, "revision"),
        document: value.clone(),
    }
}

pub(super) fn task(value: &Value) -> Task {
    Task {
        arn: text(value, "taskArn"),
        status: text(value, "lastStatus"),
        desired_status: text(value, "desiredStatus"),
        health: text(value, "healthStatus"),
        started_by: text(value, "startedBy"),
        task_definition: text(value, "taskDefinitionArn"),
        command: value
            .get("overrides")
            .into_iter()
            .flat_map(|overrides| list(overrides, "containerOverrides"))
            .flat_map(|container| texts(container, "command"))
            .collect(),
        stop_code: optional(value, "stopCode"),
        stopped_reason: optional(value, "stoppedReason"),
        created: time(value, "createdAt"),
        stopped: time(value, "stoppedAt"),
        containers: list(value, "containers").map(container).collect(),
    }
}

fn container(value: &Value) -> Container {
    let exit_code = value.get("exitCode").and_then(Value::as_i64);
    let ports = list(value, "networkBindings").map(|binding| number(binding, "hostPort"));
    Container {
        name: text(value, "name"),
        exit_code: exit_code.and_then(|code| i32::try_from(code).ok()),
        reason: optional(value, "reason"),
        image_digest: optional(value, "imageDigest"),
        host_ports: ports.filter_map(|port| u16::try_from(port).ok()).collect(),
    }
}

pub(super) fn failure(value: &Value) -> Failure {
    Failure {
        arn: text(value, "arn"),
        reason: text(value, "reason"),
        detail: text(value, "detail"),
    }
}

pub(super) fn host(value: &Value) -> Host {
    let resource = |name: &str| {
        list(value, "remainingResources")
            .find(|resource| resource.get("name").and_then(Value::as_str) == Some(name))
    };
    let left = |name: &str| resource(name).map_or(0, |found| number(found, "integerValue"));
    // Of ports ECS tells those that are taken.
    let ports = resource("PORTS").map(|found| texts(found, "stringSetValue")).unwrap_or_default();
    Host {
        arn: text(value, "containerInstanceArn"),
        instance: text(value, "ec2InstanceId"),
        status: text(value, "status"),
        connected: value.get("agentConnected").and_then(Value::as_bool).unwrap_or(false),
        cpu: left("CPU"),
        memory: left("MEMORY"),
        ports: ports.iter().filter_map(|port| port.parse().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_read_as_ecs_writes_it() {
        let service = service(&json!({
            "serviceName": "shop-users", "status": "ACTIVE", "desiredCount": 2,
            "deployments": [{ "id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": "COMPLETED",
                              "runningCount": 2, "createdAt": 1.5e9 }, { "id": "ecs-svc/0" }],
            "loadBalancers": [{ "targetGroupArn": "arn:t", "containerName": "api",
                                "containerPort": 5000 }],
            "future": { "member": true },
        }));
        let primary = service.primary().unwrap();
        assert_eq!((primary.rollout, primary.running), (Rollout::Completed, 2));
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
        assert_eq!(primary.created, Some(created));
        assert_eq!(service.deployment("ecs-svc/0").unwrap().rollout, Rollout::Unknown);
        assert_eq!(service.target_groups[0].port, 5000);
        assert_eq!(service.document["future"]["member"], true);
    }

    #[test]
    fn what_a_host_has_left_is_found_by_name() {
        let cpu = json!({ "name": "CPU", "type": "INTEGER", "integerValue": 1024 });
        let ports = json!({ "name": "PORTS", "stringSetValue": ["22"] });
        let host = host(&json!({ "agentConnected": true, "remainingResources": [ports, cpu] }));
        assert_eq!((host.cpu, host.memory, host.connected), (1024, 0, true));
        assert_eq!(host.ports, [22]);
    }

    #[test]
    fn an_unknown_status_is_no_success() {
        let status = |name| service_deployment(&json!({ "status": name }), String::new()).status;
        assert_eq!(status("SUCCESSFUL"), ServiceDeploymentStatus::Successful);
        assert_eq!(status("NEW"), ServiceDeploymentStatus::Unknown("NEW".to_owned()));
    }
}
