//! The end of the stack: what hangs on it first, then itself. The database stays unless somebody
//! names it.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::apply::{Follow, failed, propose_body};
use super::{InfraError, nobody_deploys};
use crate::aws::stack::{Stack, Stacks};
use crate::aws::{Aws, services};
use crate::cloud::{Cloud as _, CloudError};
use crate::config::Config;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::report::human;
use crate::store::s3::Bucket;
use crate::tell::{INDENT, Tell};

/// The time between two looks.
const POLL: Duration = Duration::from_secs(2);

/// What `infra destroy` did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Destroyed {
    stack: String,
    /// The ECS services that were removed.
    services: Vec<String>,
    /// How many versions of objects the bucket had.
    objects: usize,
    /// What stays in the account, and some of it costs.
    kept: Vec<String>,
    seconds: u64,
}

impl Display for Destroyed {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let took = human(Duration::from_secs(self.seconds));
        writeln!(
            f,
            "destroyed {} in {took}: {} services, {} objects, and the stack",
            self.stack,
            self.services.len(),
            self.objects
        )?;
        if self.kept.is_empty() {
            return Ok(());
        }
        writeln!(f, "          kept in the account (docs/aws.md, Taking it down):")?;
        self.kept.iter().try_for_each(|kept| writeln!(f, "          · {kept}"))
    }
}

/// What of a stack has to be emptied before it can go: its own, whatever is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) bucket: Option<String>,
    pub(crate) cluster: Option<String>,
}

impl Own {
    /// Of what a stack has, by its name in the template.
    #[must_use]
    pub(crate) fn of(resources: &BTreeMap<String, String>) -> Self {
        let named = |name| resources.get(name).cloned();
        Self { bucket: named("Releases"), cluster: named("Cluster") }
    }

    /// What goes with the stack, for a question.
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        let bucket = self.bucket.as_ref();
        let bucket = bucket.map(|name| format!("all that is in the bucket {name}"));
        let cluster = self.cluster.as_ref();
        let cluster =
            cluster.map(|name| format!("the application's services in the cluster {name}"));
        let all: Vec<String> = bucket.into_iter().chain(cluster).collect();
        all.join("; ")
    }

    /// What is configured, and not the stack's: it is left alone.
    #[must_use]
    pub(crate) fn spared(&self, config: &Config, account: &str) -> Vec<String> {
        let (bucket, cluster) = (config.bucket(account), &config.cluster);
        let other_bucket = match &self.bucket {
            Some(own) => *own != bucket,
            None => config.bucket.is_some(),
        };
        let other_cluster = self.cluster.as_ref().is_some_and(|own| own != cluster);
        let bucket = other_bucket.then(|| {
            format!("the bucket {bucket} with lock.json and releases/: it is not the stack's")
        });
        let cluster = other_cluster
            .then(|| format!("the cluster {cluster} with its services: it is not the stack's"));
        bucket.into_iter().chain(cluster).collect()
    }
}

/// The end of a stack.
pub(crate) struct Destroy<'a> {
    pub(crate) config: &'a Config,
    pub(crate) stacks: &'a Stacks,
    pub(crate) stack: &'a Stack,
    pub(crate) sdk: &'a aws_config::SdkConfig,
    pub(crate) own: &'a Own,
    /// What is left alone.
    pub(crate) spared: &'a [String],
    /// Where the lock lies that deployments take.
    pub(crate) locks: &'a Bucket,
    /// Whether the database goes, too.
    pub(crate) with_data: bool,
    pub(crate) limit: Duration,
}

impl Destroy<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Something could not be removed; what is left is said.
    pub(crate) async fn run(self, tell: &impl Tell, stop: &Stop) -> Result<Destroyed, InfraError> {
        let start = Instant::now();
        let name = &self.config.stack;
        let bucket = self.own.bucket.clone().map(|name| Bucket::new(self.sdk, name));
        let locks: Vec<&Bucket> = bucket.iter().chain([self.locks]).collect();
        nobody_deploys(&locks).await?;
        for spared in self.spared {
            tell.line(&format!("{INDENT}left alone: {spared}"));
        }
        if self.with_data {
            self.release_database(tell, stop).await?;
        }
        let services = stop.or_interrupted(self.services(tell)).await?;
        let empty = async {
            match &bucket {
                Some(bucket) => Ok::<_, InfraError>(bucket.empty().await?),
                None => Ok(0),
            }
        };
        let objects = stop.or_interrupted(empty).await?;
        let known = self.stacks.newest_events(&self.stack.id).await?;
        self.stacks.delete(&self.stack.id).await?;
        let follow = Follow {
            stacks: self.stacks,
            stack: name,
            id: &self.stack.id,
            stage: "destroy",
            limit: self.limit,
        };
        let (tree, status) = follow.to_the_end(known, tell, stop).await?;
        if status != "DELETE_COMPLETE" {
            let after = self.stacks.describe(&self.stack.id).await?;
            let reason = after.and_then(|stack| stack.reason);
            return Err(failed(&tree, name, &status, reason.as_deref()));
        }
        let (stack, mut kept) = (name.clone(), tree.kept());
        if self.with_data {
            without_database(&stack, &kept)?;
        }
        kept.extend(self.spared.iter().cloned());
        Ok(Destroyed { stack, services, objects, kept, seconds: start.elapsed().as_secs() })
    }

    /// Has the stack itself let go of the database: AWS refuses to delete a protected one, and
    /// CloudFormation one that it is to keep. From the template and the values that the stack was
    /// made of, so that nothing else changes.
    async fn release_database(&self, tell: &impl Tell, stop: &Stop) -> Result<(), InfraError> {
        let name = &self.config.stack;
        if !matches!(
            self.stack.status.as_str(),
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE"
        ) {
            // An update would first make what a half-made stack lacks. What it keeps is told.
            return Ok(());
        }
        let body = let_go(&self.stacks.template(name).await?);
        let mut parameters = self.stack.parameters.clone();
        parameters.extend(self.stack.found.clone());
        parameters.insert("DatabaseProtection".to_owned(), "false".to_owned());
        let proposal = propose_body(self.stacks, name, &body, parameters, stop).await?;
        proposal.execute(self.stacks, "release", self.limit, tell, stop).await?;
        Ok(())
    }

    /// Removes the ECS services: the cluster cannot go before them.
    async fn services(&self, tell: &impl Tell) -> Result<Vec<String>, InfraError> {
        let Some(cluster) = &self.own.cluster else { return Ok(Vec::new()) };
        let aws = Aws::new(self.sdk, cluster);
        let names: Vec<String> =
            self.config.services(None).map(|service| service.ecs_service.clone()).collect();
        let start = Instant::now();
        let mut removed = Vec::new();
        loop {
            let left = match aws.services(&names).await {
                Ok(left) => left,
                // There is no cluster.
                Err(CloudError::NotFound { .. }) => return Ok(removed),
                Err(error) => return Err(error.into()),
            };
            let left: Vec<_> =
                left.into_iter().filter(|service| service.status != "INACTIVE").collect();
            for service in left.iter().filter(|service| service.status == "ACTIVE") {
                services::delete(self.sdk, cluster, &service.name).await?;
                tell.row("remove", &service.name, "its tasks stop");
                removed.push(service.name.clone());
            }
            if left.is_empty() {
                for service in &removed {
                    tell.done("remove", service, "removed");
                }
                return Ok(removed);
            }
            if start.elapsed() > self.limit {
                return Err(InfraError::Failed {
                    text: "the services' tasks do not stop; `cargo xtask status` shows them"
                        .to_owned(),
                    exit_code: exit_code::TIMEOUT,
                });
            }
            sleep(POLL).await;
        }
    }
}

/// Makes sure that the database is not among what a stack has left.
///
/// # Errors
/// It is, although it was to go.
fn without_database(stack: &str, kept: &[String]) -> Result<(), InfraError> {
    if !kept.iter().any(|kept| kept.ends_with("(AWS::RDS::DBInstance)")) {
        return Ok(());
    }
    let kept = kept.join(", ");
    Err(InfraError::Failed {
        text: format!(
            "{stack} is gone, but not the database, which goes on costing: CloudFormation has kept \
             {kept}. Remove it by hand: docs/aws.md, Taking it down"
        ),
        exit_code: exit_code::ERROR,
    })
}

/// The template with nothing that outlives the stack, but for a last snapshot of the database. A
/// policy alone CloudFormation takes for no change: so what is let go says so in its metadata, too.
/// And nothing is looked up anew, lest a newer image replace the hosts first.
fn let_go(template: &str) -> String {
    let mut database = false;
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        // Resources are two spaces deep, what is said about them four.
        if let Some(kind) = line.strip_prefix("    Type: ") {
            database = kind.trim() == "AWS::RDS::DBInstance";
        }
        let policy = if database { "Snapshot" } else { "Delete" };
        if line.trim_end() == "    DeletionPolicy: RetainExceptOnCreate" {
            text.push_str(&format!("    DeletionPolicy: {policy}\n    Metadata: {{ Goes: 1 }}\n"));
            continue;
        }
        match line.split_once("AWS::SSM::Parameter::Value<") {
            Some((before, after)) => {
                let after = after.split_once('>').map_or(after, |(_, after)| after);
                text.push_str(&format!("{before}String{after}"));
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::body::{MOST, without_comments};

    #[test]
    fn only_the_database_leaves_a_snapshot() {
        let template = include_str!("../../../../ecs/stack.yml");
        let text = let_go(template);
        assert!(template.contains("    DeletionPolicy: RetainExceptOnCreate\n"));
        assert!(!text.contains("    DeletionPolicy: RetainExceptOnCreate\n"));
        assert_eq!(text.matches("DeletionPolicy: Snapshot\n").count(), 1);
        let database =
            "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: Snapshot\n    Metadata: {";
        assert!(text.contains(database));
        let released = template.matches("    DeletionPolicy: RetainExceptOnCreate\n").count();
        assert_eq!(text.matches("    Metadata: { Goes: 1 }\n").count(), released);
        let sent = let_go(&without_comments(template));
        assert!(sent.len() <= MOST, "{} bytes", sent.len());
        // A database that is replaced is another matter.
        assert_eq!(
            text.matches("UpdateReplacePolicy: Retain\n").count(),
            template.matches("UpdateReplacePolicy: Retain\n").count()
        );
        assert_eq!(text.lines().count(), template.lines().count() + released);
    }

    #[test]
    fn programs_read_what_went_and_what_stayed() {
        let (stack, kept) = ("shop".to_owned(), vec!["the bucket company-artifacts".to_owned()]);
        let services = vec!["shop-users-service".to_owned()];
        let destroyed = Destroyed { stack, services, objects: 7, kept, seconds: 90 };
        crate::schema_check::holds(&destroyed);
        assert!(destroyed.to_string().contains("· the bucket company-artifacts\n"), "{destroyed}");
    }

    #[test]
    fn only_the_stack_s_own_bucket_and_cluster_are_emptied() {
        let config = |more: &str| {
            let file = format!("name = \"shop\"\n[services.users]\n[services.client]\n{more}");
            Config::example(&file)
        };
        let resources =
            [("Releases", "shop-pipeline-1"), ("Cluster", "shop-cluster"), ("Vpc", "v")];
        let resources = resources.map(|(name, id)| (name.to_owned(), id.to_owned()));
        let own = Own::of(&BTreeMap::from(resources));
        assert_eq!(
            own.sentence(),
            "all that is in the bucket shop-pipeline-1; the application's services in the cluster \
             shop-cluster"
        );
        assert_eq!(own.spared(&config(""), "1"), Vec::<String>::new());
        let strange = config("[aws]\nbucket = \"company-artifacts\"\ncluster = \"company\"\n");
        assert_eq!(
            own.spared(&strange, "1"),
            [
                "the bucket company-artifacts with lock.json and releases/: it is not the stack's",
                "the cluster company with its services: it is not the stack's"
            ]
        );
        // A stack that was never made has nothing, and what is configured is not its.
        let nothing = Own::of(&BTreeMap::new());
        assert_eq!(nothing, Own { bucket: None, cluster: None });
        assert_eq!(
            (nothing.sentence(), nothing.spared(&config(""), "1").len()),
            (String::new(), 0)
        );
        assert_eq!(nothing.spared(&strange, "1").len(), 1);
    }

    #[test]
    fn a_database_that_stays_against_the_order_is_a_failure() {
        let kept = |kind: &str| [format!("Thing ({kind})")];
        assert!(without_database("shop", &kept("AWS::RDS::DBSubnetGroup")).is_ok());
        let error = without_database("shop", &kept("AWS::RDS::DBInstance")).unwrap_err();
        assert_eq!(error.exit_code(), exit_code::ERROR);
        assert!(error.to_string().contains("kept Thing (AWS::RDS::DBInstance)"), "{error}");
    }

    #[test]
    fn nothing_is_looked_up_anew() {
        let text = let_go(
            "  HostImage:\n    { Type: AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>, Default: /aws }\n",
        );
        assert_eq!(text, "  HostImage:\n    { Type: String, Default: /aws }\n");
        assert!(!let_go(include_str!("../../../../ecs/stack.yml")).contains("SSM::Parameter"));
    }
}
