//! The load balancer, as it routes: asked by those who look, never changed from here.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, Rule as AwsRule};

use super::Aws;
use super::error::explain;
use crate::cloud::CloudError;

/// A load balancer with its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balancer {
    /// The host's name that it answers to.
    pub(crate) dns: String,
    /// What it listens on, by port.
    pub(crate) listeners: Vec<Listener>,
}

/// A port of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// As in `80`.
    pub(crate) port: u16,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// In the order in which they are tried; the default last.
    pub(crate) rules: Vec<Rule>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The patterns of paths; none for all that is left.
    pub(crate) paths: Vec<String>,
    /// The ARN of the target group; `None` for a redirect or a fixed answer.
    pub(crate) target_group: Option<String>,
}

impl Aws {
    /// A load balancer by its name; `None` if there is none.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn balancer(&self, name: &str) -> Result<Option<Balancer>, CloudError> {
        let asked = self.balancers.describe_load_balancers().names(name);
        let found = match Box::pin(asked.send()).await {
            Ok(answer) => answer.load_balancers.unwrap_or_default().into_iter().next(),
            Err(error) => {
                let error = explain("elasticloadbalancing:DescribeLoadBalancers", &error);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        let Some(found) = found else { return Ok(None) };
        let (Some(arn), Some(dns)) = (found.load_balancer_arn, found.dns_name) else {
            return Ok(None);
        };
        let asked = self.balancers.describe_listeners().load_balancer_arn(arn);
        let answer = Box::pin(asked.send())
            .await
            .map_err(|error| explain("elasticloadbalancing:DescribeListeners", &error))?;
        let mut listeners = Vec::new();
        for listener in answer.listeners.unwrap_or_default() {
            let asked = self.balancers.describe_rules().set_listener_arn(listener.listener_arn);
            let answer = Box::pin(asked.send())
                .await
                .map_err(|error| explain("elasticloadbalancing:DescribeRules", &error))?;
            let mut rules = answer.rules.unwrap_or_default();
            rules.sort_by_key(|rule| {
                rule.priority().and_then(|priority| priority.parse().ok()).unwrap_or(u32::MAX)
            });
            listeners.push(Listener {
                port: listener.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(80),
                tls: listener.protocol.is_some_and(|protocol| protocol.as_str() == "HTTPS"),
                rules: rules.iter().map(read).collect(),
            });
        }
        listeners.sort_by_key(|listener| listener.port);
        Ok(Some(Balancer { dns, listeners }))
    }

    /// The ARNs of target groups, by name. Those that do not exist are left out.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn target_groups(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, CloudError> {
        let mut found = BTreeMap::new();
        // One by one: a single name that is not there fails the question for all.
        for name in names {
            let asked = self.balancers.describe_target_groups().names(name);
            match Box::pin(asked.send()).await {
                Ok(answer) => {
                    let arn = answer
                        .target_groups
                        .unwrap_or_default()
                        .into_iter()
                        .next()
                        .and_then(|group| group.target_group_arn);
                    found.extend(arn.map(|arn| (name.clone(), arn)));
                }
                Err(error) => {
                    let error = explain("elasticloadbalancing:DescribeTargetGroups", &error);
                    if !error.is_not_found() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(found)
    }
}

fn read(rule: &AwsRule) -> Rule {
    let paths =
        rule.conditions().iter().flat_map(|condition| match condition.path_pattern_config() {
            Some(config) => config.values().to_vec(),
            None if condition.field() == Some("path-pattern") => condition.values().to_vec(),
            None => Vec::new(),
        });
    let target_group = rule.actions().iter().find_map(|action: &Action| {
        let forwards = action.r#type() == Some(&ActionTypeEnum::Forward);
        let several = || {
            let groups = action.forward_config()?.target_groups();
            groups.first()?.target_group_arn()
        };
        forwards.then(|| action.target_group_arn().or_else(several)).flatten()
    });
    Rule { paths: paths.collect(), target_group: target_group.map(str::to_owned) }
}
