//! The end of the stack: what hangs on it first, then itself. The database stays unless somebody
//! names it.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::InfraError;
use super::apply::{Follow, failed, propose_body};
use crate::aws::stack::{Stack, Stacks};
use crate::aws::{Aws, services};
use crate::cloud::{Cloud as _, CloudError};
use crate::config::Config;
use crate::interrupt::Stop;
use crate::report::human;
use crate::store::StoreError;
use crate::store::lock::Lock;
use crate::store::s3::Bucket;
use crate::tell::Tell;

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

/// The end of a stack.
pub(crate) struct Destroy<'a> {
    pub(crate) config: &'a Config,
    pub(crate) stacks: &'a Stacks,
    pub(crate) stack: &'a Stack,
    pub(crate) aws: &'a Aws,
    pub(crate) sdk: &'a aws_config::SdkConfig,
    pub(crate) bucket: &'a Bucket,
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
        match Lock::holder(self.bucket).await {
            Ok(Some(holder)) => {
                return Err(InfraError::Locked { who: holder.who, what: holder.what });
            }
            Ok(None) | Err(StoreError::NoBucket { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if self.with_data {
            self.release_database(tell, stop).await?;
        }
        let services = stop.or_interrupted(self.services(tell)).await?;
        let objects =
            stop.or_interrupted(async { Ok::<_, InfraError>(self.bucket.empty().await?) }).await?;
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
        let (stack, kept) = (name.clone(), tree.kept());
        Ok(Destroyed { stack, services, objects, kept, seconds: start.elapsed().as_secs() })
    }

    /// Has the stack itself let go of the database: AWS refuses to delete a protected one, and
    /// CloudFormation one that it is to keep. From the template that the stack was made of, so that
    /// nothing else changes.
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
        for known in self.stacks.parameters(&body).await?.iter().filter(|one| one.looked_up) {
            // The stack may tell what was found instead of the name that it was found by.
            match self.config.parameters.get(&known.name) {
                Some(value) => parameters.insert(known.name.clone(), value.to_string()),
                None => parameters.remove(&known.name),
            };
        }
        parameters.insert("DatabaseProtection".to_owned(), "false".to_owned());
        let proposal = propose_body(self.stacks, name, &body, parameters, stop).await?;
        proposal.execute(self.stacks, "release", self.limit, tell, stop).await?;
        Ok(())
    }

    /// Removes the ECS services: the cluster cannot go before them.
    async fn services(&self, tell: &impl Tell) -> Result<Vec<String>, InfraError> {
        let names: Vec<String> =
            self.config.services(None).map(|service| service.ecs_service.clone()).collect();
        let start = Instant::now();
        let mut removed = Vec::new();
        loop {
            let left = match self.aws.services(&names).await {
                Ok(left) => left,
                // There is no cluster.
                Err(CloudError::NotFound { .. }) => return Ok(removed),
                Err(error) => return Err(error.into()),
            };
            let left: Vec<_> =
                left.into_iter().filter(|service| service.status != "INACTIVE").collect();
            for service in left.iter().filter(|service| service.status == "ACTIVE") {
                services::delete(self.sdk, &self.config.cluster, &service.name).await?;
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
                    exit_code: crate::exit_code::TIMEOUT,
                });
            }
            sleep(POLL).await;
        }
    }
}

/// The template with nothing that outlives the stack, but for a last snapshot of the database.
fn let_go(template: &str) -> String {
    let mut database = false;
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        // Resources are two spaces deep, what is said about them four.
        if let Some(kind) = line.strip_prefix("    Type: ") {
            database = kind.trim() == "AWS::RDS::DBInstance";
        }
        let policy =
            if database { "    DeletionPolicy: Snapshot" } else { "    DeletionPolicy: Delete" };
        let line = if line.trim_end() == "    DeletionPolicy: RetainExceptOnCreate" {
            policy
        } else {
            line
        };
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_leaves_a_snapshot() {
        let template = include_str!("../../../../ecs/stack.yml");
        let text = let_go(template);
        assert!(template.contains("    DeletionPolicy: RetainExceptOnCreate\n"));
        assert!(!text.contains("    DeletionPolicy: RetainExceptOnCreate\n"));
        assert_eq!(text.matches("DeletionPolicy: Snapshot\n").count(), 1);
        let database = "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: Snapshot\n";
        assert!(text.contains(database));
        // A database that is replaced is another matter.
        assert_eq!(
            text.matches("UpdateReplacePolicy: Retain\n").count(),
            template.matches("UpdateReplacePolicy: Retain\n").count()
        );
        assert_eq!(text.lines().count(), template.lines().count());
    }
}
