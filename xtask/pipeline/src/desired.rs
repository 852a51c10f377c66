//! What is wanted: the documents under `ecs/`, filled in from what is observed, and in AWS's shape.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::{Config, Service, ServiceName};
use crate::images::plan::Image;
use crate::observe::Observed;
use crate::template::{Filled, Filler, Sources, TemplateError};

/// Stands for an image that is not built yet.
pub(crate) const TO_BE_BUILT: &str = "(to be built)";
/// Members of a service that cannot be changed, or are not a deployment's to change: how many
/// tasks there are is for `scale` and for auto scaling once the service is there.
const ONLY_AT_CREATION: [&str; 6] =
    ["serviceName", "desiredCount", "launchType", "schedulingStrategy", "clientToken", "role"];
/// Lists that ECS always tells, even if they are empty. Who leaves them out, as an emulator may,
/// says nothing about them.
const ALWAYS_TOLD: [&str; 2] = ["placementStrategy", "placementConstraints"];

/// The documents of all services.
#[derive(Clone)]
pub(crate) struct Desired {
    services: BTreeMap<ServiceName, Documents>,
}

#[derive(Clone)]
struct Documents {
    task_definition: String,
    sources: Sources,
    /// CreateService, without the task definition.
    create: Value,
}

impl Desired {
    /// Reads and fills in what can be without the images.
    ///
    /// # Errors
    /// A document is not right, or placeholders have no value: all of them are named.
    pub(crate) fn new(
        config: &Config,
        observed: &Observed,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let mut filler = Filler::default();
        let mut services = BTreeMap::new();
        for service in config.services(None) {
            let mut sources = sources(config, service, observed, environment);
            let create = filler.read(&service.service_definition, &sources)?.document;
            sources.own.insert("IMAGE".to_owned(), TO_BE_BUILT.to_owned());
            filler.read(&service.task_definition, &sources)?;
            let task_definition = service.task_definition.clone();
            services.insert(service.name, Documents { task_definition, sources, create });
        }
        filler.finish()?;
        Ok(Self { services })
    }

    /// The task definition of a service with an image: RegisterTaskDefinition in AWS's shape.
    ///
    /// # Errors
    /// The document was changed meanwhile, and is not right any more.
    pub(crate) fn task_definition(
        &self,
        service: ServiceName,
        image: &str,
    ) -> Result<Filled, TemplateError> {
        let mut filler = Filler::default();
        let documents = self.services.get(&service);
        let Some(Documents { task_definition, sources, .. }) = documents else {
            return filler.fill("", "null", &Sources::default());
        };
        let mut sources = sources.clone();
        sources.own.insert("IMAGE".to_owned(), image.to_owned());
        let filled = filler.read(task_definition, &sources)?;
        filler.finish()?;
        Ok(filled)
    }

    /// CreateService in AWS's shape, without the cluster and the task definition.
    #[must_use]
    pub(crate) fn create(&self, service: ServiceName) -> Value {
        self.services.get(&service).map(|documents| documents.create.clone()).unwrap_or_default()
    }

    /// The members of UpdateService that a service needs besides its task definition; null if it
    /// has them all.
    #[must_use]
    pub(crate) fn settings(&self, service: ServiceName, observed: &Observed) -> Value {
        let there = observed.services.get(&service).and_then(|running| running.service.as_ref());
        let Some(there) = there else { return Value::Null };
        let create = self.create(service);
        let members: Map<String, Value> = create
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !ONLY_AT_CREATION.contains(&name.as_str()))
            .filter(|(name, wanted)| {
                let found = there.document.get(name.as_str());
                if *name == "placementStrategy" {
                    return found.is_some_and(|found| strategies(found) != strategies(wanted));
                }
                let told = found.is_some() || !ALWAYS_TOLD.contains(&name.as_str());
                told && !covers(found, wanted)
            })
            .map(|(name, wanted)| (name.clone(), wanted.clone()))
            .collect();
        if members.is_empty() { Value::Null } else { Value::Object(members) }
    }
}

/// Placement strategies in one form: ECS takes `memory` and answers `MEMORY`, and `host` is another
/// word for `instanceId`.
fn strategies(list: &Value) -> Vec<(String, String)> {
    let text = |strategy: &Value, name: &str| {
        let text = strategy.get(name).and_then(Value::as_str).unwrap_or_default();
        text.to_ascii_lowercase()
    };
    let strategies = list.as_array().into_iter().flatten().map(|strategy| {
        let field = text(strategy, "field");
        let field = if field == "host" { "instanceid".to_owned() } else { field };
        (text(strategy, "type"), field)
    });
    strategies.collect()
}

/// Whether a value says all that another one says. ECS answers with more than it was told.
#[must_use]
pub(crate) fn covers(there: Option<&Value>, wanted: &Value) -> bool {
    match (there, wanted) {
        (Some(Value::Object(there)), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| covers(there.get(name), wanted))
        }
        (Some(Value::Array(there)), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| covers(Some(there), wanted))
        }
        (Some(there), wanted) => there == wanted,
        (None, Value::Null | Value::Bool(false)) => true,
        (None, Value::Number(wanted)) => wanted.as_f64() == Some(0.0),
        (None, Value::String(wanted)) => matches!(wanted.as_str(), "" | "NONE"),
        (None, Value::Array(wanted)) => wanted.is_empty(),
        (None, Value::Object(wanted)) => wanted.is_empty(),
        (None, Value::Bool(true)) => false,
    }
}

/// Where the values for a service's placeholders come from.
fn sources(
    config: &Config,
    service: &Service,
    observed: &Observed,
    environment: &BTreeMap<String, String>,
) -> Sources {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let account = &observed.identity.account;
    let region = &observed.identity.region;
    let role = |name: &str| format!("arn:{}:iam::{account}:role/{name}", partition(region));
    let (execution_role, task_role) = (role(&config.execution_role), role(&config.task_role));
    let mut derived: BTreeMap<String, String> =
        pairs(&[("EXECUTION_ROLE_ARN", &execution_role), ("TASK_ROLE_ARN", &task_role)]);
    if let Some(arn) = observed.target_groups.get(&service.target_group) {
        derived.insert("TARGET_GROUP_ARN".to_owned(), arn.clone());
    }
    Sources {
        own: pairs(&[
            ("AWS_ACCOUNT_ID", account),
            ("AWS_REGION", region),
            ("CLUSTER", &config.cluster),
            ("FAMILY", &service.family),
            ("SERVICE", &service.ecs_service),
            ("CONTAINER", &service.container),
            ("LOG_GROUP", &service.log_group),
        ]),
        outputs: observed.outputs.clone().unwrap_or_default(),
        environment: environment.clone(),
        file: config.values.clone(),
        derived,
        service: service.name.to_string(),
    }
}

/// Which of AWS's worlds a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The image of a commit, if it is the one that runs: then neither Docker nor the registry needs to
/// be asked. Of any other release the registry may have lost the image, for instance to `prune`.
#[must_use]
pub(crate) fn known_image(observed: &Observed, image: &Image) -> Option<String> {
    let name = image.service.name;
    let running = observed.services.get(&name)?.service.as_ref()?;
    observed
        .releases
        .iter()
        .filter(|release| image.is_release && release.is_good())
        .filter(|release| release.version_of(name) == Some(&*image.version))
        .filter_map(|release| release.services.get(&name))
        .find(|record| {
            let runs = record.task_definition.as_ref() == Some(&running.task_definition);
            runs && record.inputs == image.inputs
        })
        .map(|record| record.image.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_ecs_adds_is_no_change_and_what_it_lacks_is_one() {
        let there = json!({
            "minimumHealthyPercent": 100, "maximumPercent": 200, "strategy": "ROLLING",
            "deploymentCircuitBreaker": { "enable": true, "rollback": true, "resetOnHealthyTask": true },
        });
        let breaker = |rollback| json!({ "deploymentCircuitBreaker": { "rollback": rollback } });
        assert!(covers(Some(&there), &json!({ "minimumHealthyPercent": 100 })));
        assert!(covers(Some(&there), &breaker(true)));
        assert!(!covers(Some(&there), &breaker(false)));
        assert!(!covers(Some(&there), &json!({ "alarms": { "enable": true } })));
        assert!(covers(None, &json!([])) && covers(None, &json!(false)));
        assert!(!covers(Some(&json!(["a"])), &json!(["a", "b"])));
    }

    #[test]
    fn what_is_not_set_may_be_left_out() {
        assert!(covers(None, &json!(0)) && covers(None, &json!("NONE")));
        assert!(!covers(None, &json!(1)) && !covers(None, &json!("SERVICE")));
        // ECS fills the base in.
        let strategy = json!([{ "capacityProvider": "shop", "weight": 1, "base": 0 }]);
        assert!(covers(Some(&strategy), &json!([{ "capacityProvider": "shop", "weight": 1 }])));
    }

    #[test]
    fn placement_strategies_are_compared_as_ecs_reads_them() {
        let told = json!([{ "type": "binpack", "field": "MEMORY" }, { "type": "spread", "field": "instanceId" }]);
        let wanted = json!([{ "type": "binpack", "field": "memory" }, { "type": "spread", "field": "host" }]);
        assert_eq!(strategies(&told), strategies(&wanted));
        let other = json!([{ "type": "binpack", "field": "cpu" }]);
        assert_ne!(strategies(&told), strategies(&other));
        assert_eq!(
            strategies(&json!([{ "type": "random" }])),
            strategies(&json!([{ "type": "random" }]))
        );
    }

    #[test]
    fn every_region_belongs_to_a_world() {
        assert_eq!(partition("us-west-1"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
    }
}
