//! The file as it is written. `config schema` prints these types for editors, so the comments here
//! are what a person reads while they write.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Login, ServiceName};

/// What production is called and made of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ecs/pipeline.toml")]
pub(super) struct File {
    /// Every AWS name derives from this one.
    pub(super) name: String,
    /// What this is a pipeline to, as people call it: `production`.
    pub(super) environment: Option<String>,
    /// The branch whose tip is released.
    pub(super) branch: Option<String>,
    #[serde(default)]
    pub(super) registry: RegistrySection,
    #[serde(default)]
    pub(super) images: ImagesSection,
    #[serde(default)]
    pub(super) aws: AwsSection,
    #[serde(default)]
    pub(super) database: DatabaseSection,
    #[serde(default)]
    pub(super) deploy: DeploySection,
    pub(super) services: ServicesSection,
    /// Values for the placeholders `${NAME}` in the task definitions and services, for names that
    /// neither the stack's outputs nor the environment have. Never secrets.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Scalar>,
    /// What `infra apply` gives to the parameters of ecs/stack.yml. Never secrets.
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, Scalar>,
}

/// Where the images lie.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrySection {
    /// A host other than the account's ECR registry. REGISTRY_HOST goes before it.
    pub(super) host: Option<String>,
    pub(super) login: Option<Login>,
}

/// How the images are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImagesSection {
    /// What they run on, as in `linux/amd64`.
    pub(super) platform: Option<String>,
    /// Whether the stage `builder` goes into the registry too, as a layer cache for other machines.
    pub(super) cache: Option<bool>,
}

/// What things are called in AWS.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AwsSection {
    /// The ECS cluster.
    pub(super) cluster: Option<String>,
    /// The CloudFormation stack whose outputs fill placeholders.
    pub(super) stack: Option<String>,
    /// The S3 bucket with the release records and the lock.
    pub(super) bucket: Option<String>,
    /// The load balancer.
    pub(super) load_balancer: Option<String>,
    /// The application's address, where it is not the load balancer's own. APP_URL goes before it.
    pub(super) url: Option<String>,
    /// The role with which ECS starts tasks.
    pub(super) execution_role: Option<String>,
    /// The role that the application has.
    pub(super) task_role: Option<String>,
}

/// The database that the application keeps its data in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseSection {
    /// Its name, which `recreate_db` must be told.
    pub(super) name: Option<String>,
    /// Whether `recreate_db --on ecs` is refused. It is, unless this says `false`.
    pub(super) protected: Option<bool>,
}

/// How a deployment is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeploySection {
    /// How long it may take, in seconds.
    pub(super) timeout: Option<u64>,
    /// How many releases `prune` keeps.
    pub(super) keep: Option<u32>,
}

/// The services.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServicesSection {
    pub(super) users: ServiceSection,
    pub(super) client: ServiceSection,
}

/// A service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceSection {
    /// Its Dockerfile, from the workspace's root.
    pub(super) dockerfile: Option<String>,
    /// Its repository in the registry.
    pub(super) repository: Option<String>,
    /// Its Dockerfile's arguments besides APP_VERSION. A variable of the same name goes before.
    #[serde(default)]
    pub(super) build_args: BTreeMap<String, String>,
    /// The ECS service.
    pub(super) service: Option<String>,
    /// The family of its task definitions.
    pub(super) family: Option<String>,
    /// The container that the load balancer reaches, and in which commands run.
    pub(super) container: Option<String>,
    /// The load balancer's target group.
    pub(super) target_group: Option<String>,
    /// The CloudWatch log group.
    pub(super) log_group: Option<String>,
    /// The task definition in AWS's shape, from the workspace's root.
    pub(super) task_definition: Option<String>,
    /// The service in AWS's shape, from the workspace's root.
    pub(super) service_definition: Option<String>,
    /// The services that must run the new release before this one moves.
    pub(super) depends_on: Option<Vec<ServiceName>>,
}

/// A text, a whole number or a truth value: what a placeholder may stand for, or a parameter be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// `true` or `false`
    Bool(bool),
    /// A whole number
    Number(i64),
    /// A text
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}
