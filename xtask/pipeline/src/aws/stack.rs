//! CloudFormation, as far as `infra` needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetType, OnStackFailure, Parameter as Sent, PolicyAction,
    PropertyDifference, Replacement, ResourceAttribute, ResourceChange, ResourceStatus,
    StackDriftDetectionStatus, StackEvent, StackResourceDriftStatus,
};

use super::error::explain;
use crate::cloud::CloudError;
use crate::infra::body::Parameter;
use crate::infra::changes::{Action, Change, Detail};
use crate::infra::drift::{Difference, Drifted};
use crate::infra::events::Event;

/// The stacks of an account and region.
#[derive(Debug)]
pub(crate) struct Stacks {
    client: Client,
}

/// A stack as it is.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its ARN, by which it is found even when it is gone.
    pub(crate) id: String,
    /// Such as `UPDATE_COMPLETE`.
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// What was found for those that name an SSM parameter.
    pub(crate) found: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A change that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) stack: &'a str,
    /// The change set's.
    pub(crate) name: &'a str,
    pub(crate) body: &'a str,
    /// What is not in it has its default.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Whether there is no stack yet.
    pub(crate) new: bool,
    /// Whether a failure leaves everything as it is, instead of putting it back.
    pub(crate) stay_on_failure: bool,
}

/// What a change set has come to.
#[derive(Debug)]
pub(crate) struct ChangeSet {
    /// Such as `CREATE_COMPLETE`.
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) changes: Vec<Change>,
}

impl Stacks {
    /// With the configuration that [`super::sdk`] found.
    #[must_use]
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self { client: Client::new(sdk) }
    }

    /// The stack of a name or an ARN.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn describe(&self, stack: &str) -> Result<Option<Stack>, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeStacks";
        let answer = Box::pin(self.client.describe_stacks().stack_name(stack).send()).await;
        let answer = match answer.map_err(|error| explain(OPERATION, &error)) {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(answer.stacks().first().map(|stack| Stack {
            id: stack.stack_id().unwrap_or_default().to_owned(),
            status: stack.stack_status().map_or("", |status| status.as_str()).to_owned(),
            reason: stack.stack_status_reason().map(str::to_owned),
            parameters: stack.parameters().iter().filter_map(pair).collect(),
            found: stack
                .parameters()
                .iter()
                .filter_map(|one| {
                    Some((one.parameter_key()?.to_owned(), one.resolved_value()?.to_owned()))
                })
                .collect(),
            outputs: stack
                .outputs()
                .iter()
                .filter_map(|one| {
                    Some((one.output_key()?.to_owned(), one.output_value()?.to_owned()))
                })
                .collect(),
        }))
    }

    /// What a stack has, as AWS calls it, by its name in the template.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn resources(
        &self,
        stack: &str,
    ) -> Result<BTreeMap<String, String>, CloudError> {
        const OPERATION: &str = "cloudformation:ListStackResources";
        let (mut resources, mut next) = (BTreeMap::new(), None);
        loop {
            let ask = self.client.list_stack_resources().stack_name(stack).set_next_token(next);
            let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
            let there = answer
                .stack_resource_summaries()
                .iter()
                .filter(|one| one.resource_status() != Some(&ResourceStatus::DeleteComplete));
            resources.extend(there.filter_map(|one| {
                let id = one.physical_resource_id().filter(|id| !id.is_empty())?;
                Some((one.logical_resource_id()?.to_owned(), id.to_owned()))
            }));
            next = answer.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(resources);
            }
        }
    }

    /// The parameters that a template has.
    ///
    /// # Errors
    /// It is no template, or AWS does not answer.
    pub(crate) async fn parameters(&self, body: &str) -> Result<Vec<Parameter>, CloudError> {
        let ask = self.client.get_template_summary().template_body(body);
        let answer = Box::pin(ask.send()).await;
        let answer =
            answer.map_err(|error| explain("cloudformation:GetTemplateSummary", &error))?;
        let parameters = answer.parameters().iter().filter_map(|one| {
            let default = one.default_value().map(str::to_owned);
            Some(Parameter { name: one.parameter_key()?.to_owned(), default })
        });
        Ok(parameters.collect())
    }

    /// The template that a stack was made from.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn template(&self, stack: &str) -> Result<String, CloudError> {
        const OPERATION: &str = "cloudformation:GetTemplate";
        let answer = Box::pin(self.client.get_template().stack_name(stack).send()).await;
        let answer = answer.map_err(|error| explain(OPERATION, &error))?;
        answer.template_body().map(str::to_owned).ok_or_else(|| CloudError::Lost {
            operation: OPERATION,
            cause: "the answer has no template".to_owned(),
        })
    }

    /// Has CloudFormation find out what a change would do. Gives the change set's ARN.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn propose(&self, wanted: Wanted<'_>) -> Result<String, CloudError> {
        const OPERATION: &str = "cloudformation:CreateChangeSet";
        let kind = if wanted.new { ChangeSetType::Create } else { ChangeSetType::Update };
        let failure = if wanted.stay_on_failure {
            OnStackFailure::DoNothing
        } else {
            OnStackFailure::Rollback
        };
        let parameters = wanted.parameters.into_iter().map(|(name, value)| {
            Sent::builder().parameter_key(name).parameter_value(value).build()
        });
        let ask = self
            .client
            .create_change_set()
            .stack_name(wanted.stack)
            .change_set_name(wanted.name)
            // So that a second try after a lost answer makes no second one.
            .client_token(wanted.name)
            .change_set_type(kind)
            .template_body(wanted.body)
            .capabilities(Capability::CapabilityNamedIam)
            .on_stack_failure(failure)
            .set_parameters(Some(parameters.collect()));
        let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
        answer.id().map(str::to_owned).ok_or_else(|| CloudError::Lost {
            operation: OPERATION,
            cause: "the answer names no change set".to_owned(),
        })
    }

    /// A change set with all its changes.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn change_set(&self, id: &str) -> Result<ChangeSet, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeChangeSet";
        let (mut changes, mut next) = (Vec::new(), None);
        loop {
            let ask = self.client.describe_change_set().change_set_name(id);
            let ask = ask.include_property_values(true).set_next_token(next);
            let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
            changes.extend(
                answer.changes().iter().filter_map(|one| one.resource_change().and_then(change)),
            );
            next = answer.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(ChangeSet {
                    status: answer.status().map_or("", |status| status.as_str()).to_owned(),
                    reason: answer.status_reason().unwrap_or_default().to_owned(),
                    changes,
                });
            }
        }
    }

    /// Does what a change set says.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn execute(&self, id: &str, token: &str) -> Result<(), CloudError> {
        let ask = self.client.execute_change_set().change_set_name(id).client_request_token(token);
        let answer = Box::pin(ask.send()).await;
        answer.map_err(|error| explain("cloudformation:ExecuteChangeSet", &error))?;
        Ok(())
    }

    /// Forgets a change set.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn forget(&self, id: &str) -> Result<(), CloudError> {
        let answer = Box::pin(self.client.delete_change_set().change_set_name(id).send()).await;
        answer.map_err(|error| explain("cloudformation:DeleteChangeSet", &error))?;
        Ok(())
    }

    /// Begins to delete a stack.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn delete(&self, stack: &str) -> Result<(), CloudError> {
        let answer = Box::pin(self.client.delete_stack().stack_name(stack).send()).await;
        answer.map_err(|error| explain("cloudformation:DeleteStack", &error))?;
        Ok(())
    }

    /// The events that are not known yet, the oldest first.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn events(
        &self,
        stack_id: &str,
        known: &BTreeSet<String>,
    ) -> Result<Vec<Event>, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeStackEvents";
        let (mut events, mut next) = (Vec::new(), None);
        loop {
            let ask = self.client.describe_stack_events().stack_name(stack_id);
            let answer = Box::pin(ask.set_next_token(next).send()).await;
            let answer = answer.map_err(|error| explain(OPERATION, &error))?;
            // The newest first: behind one that is known there is nothing new.
            let page = answer.stack_events();
            let new: Vec<_> = page
                .iter()
                .map(|one| event(one, stack_id))
                .take_while(|event| !known.contains(&event.id))
                .collect();
            let all = new.len() == page.len();
            events.extend(new);
            next = answer.next_token().map(str::to_owned);
            if next.is_none() || !all {
                events.reverse();
                return Ok(events);
            }
        }
    }

    /// The newest events, to know where those of a change begin.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn newest_events(
        &self,
        stack_id: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let ask = self.client.describe_stack_events().stack_name(stack_id);
        let answer = Box::pin(ask.send()).await;
        let answer =
            answer.map_err(|error| explain("cloudformation:DescribeStackEvents", &error))?;
        Ok(answer.stack_events().iter().map(|one| event(one, stack_id).id).collect())
    }

    /// Begins to compare a stack with what is there. Gives what to ask for.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn detect_drift(&self, stack: &str) -> Result<String, CloudError> {
        const OPERATION: &str = "cloudformation:DetectStackDrift";
        let answer = Box::pin(self.client.detect_stack_drift().stack_name(stack).send()).await;
        let answer = answer.map_err(|error| explain(OPERATION, &error))?;
        answer.stack_drift_detection_id().map(str::to_owned).ok_or_else(|| CloudError::Lost {
            operation: OPERATION,
            cause: "the answer names no detection".to_owned(),
        })
    }

    /// Whether it has compared everything.
    ///
    /// # Errors
    /// AWS does not answer, or could not compare.
    pub(crate) async fn drift_is_known(&self, detection: &str) -> Result<bool, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeStackDriftDetectionStatus";
        let ask = self.client.describe_stack_drift_detection_status();
        let answer = Box::pin(ask.stack_drift_detection_id(detection).send()).await;
        let answer = answer.map_err(|error| explain(OPERATION, &error))?;
        match answer.detection_status() {
            Some(StackDriftDetectionStatus::DetectionInProgress) => Ok(false),
            Some(StackDriftDetectionStatus::DetectionFailed) => Err(CloudError::Refused {
                operation: OPERATION,
                code: "DETECTION_FAILED".to_owned(),
                message: answer.detection_status_reason().unwrap_or("no reason").to_owned(),
            }),
            _ => Ok(true),
        }
    }

    /// What differs.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn drifted(&self, stack: &str) -> Result<Vec<Drifted>, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeStackResourceDrifts";
        let (mut drifted, mut next) = (Vec::new(), None);
        loop {
            let ask = self.client.describe_stack_resource_drifts().stack_name(stack);
            let ask = ask
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                .set_next_token(next);
            let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
            drifted.extend(answer.stack_resource_drifts().iter().map(|one| Drifted {
                resource: one.logical_resource_id().unwrap_or_default().to_owned(),
                kind: one.resource_type().unwrap_or_default().to_owned(),
                id: one.physical_resource_id().unwrap_or_default().to_owned(),
                deleted: one.stack_resource_drift_status()
                    == Some(&StackResourceDriftStatus::Deleted),
                differences: one.property_differences().iter().map(difference).collect(),
            }));
            next = answer.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(drifted);
            }
        }
    }
}

fn pair(parameter: &Sent) -> Option<(String, String)> {
    Some((parameter.parameter_key()?.to_owned(), parameter.parameter_value()?.to_owned()))
}

fn difference(one: &PropertyDifference) -> Difference {
    Difference {
        property: one.property_path().unwrap_or_default().to_owned(),
        expected: one.expected_value().unwrap_or_default().to_owned(),
        actual: one.actual_value().unwrap_or_default().to_owned(),
    }
}

fn event(one: &StackEvent, stack_id: &str) -> Event {
    let at = one.timestamp().and_then(|at| SystemTime::try_from(*at).ok());
    Event {
        id: one.event_id().unwrap_or_default().to_owned(),
        at: at.unwrap_or(SystemTime::UNIX_EPOCH),
        resource: one.logical_resource_id().unwrap_or_default().to_owned(),
        kind: one.resource_type().unwrap_or_default().to_owned(),
        of_stack: one.physical_resource_id() == Some(stack_id),
        status: one.resource_status().map_or("", |status| status.as_str()).to_owned(),
        reason: one.resource_status_reason().filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// `None` for what changes nothing but CloudFormation's own notes.
fn change(one: &ResourceChange) -> Option<Change> {
    let action = match (one.action()?, one.replacement()) {
        (ChangeAction::Add, _) => Action::Add,
        (ChangeAction::Import, _) => Action::Import,
        (ChangeAction::Remove, _) => Action::Remove,
        (_, Some(Replacement::True)) => Action::Replace,
        (ChangeAction::Modify, Some(Replacement::False) | None) => Action::Change,
        (ChangeAction::SyncWithActual, _) => return None,
        // Whatever is not known may be the worst.
        _ => Action::MayReplace,
    };
    let kept =
        matches!(one.policy_action(), Some(PolicyAction::Retain | PolicyAction::ReplaceAndRetain));
    let details = one.details().iter().filter_map(|detail| {
        let target = detail.target()?;
        let attribute = target.attribute().map(ResourceAttribute::as_str);
        Some(Detail {
            what: target.name().or(attribute)?.to_owned(),
            before: target.before_value().map(str::to_owned),
            after: target.after_value().map(str::to_owned),
        })
    });
    Some(Change {
        action,
        resource: one.logical_resource_id().unwrap_or_default().to_owned(),
        kind: one.resource_type().unwrap_or_default().to_owned(),
        kept,
        details: details.collect(),
    })
}
