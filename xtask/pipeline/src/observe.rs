//! What there is: AWS and the release records, as plain structs. Nothing is changed here, and
//! nothing is decided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::aws::Aws;
use crate::aws::balancer::Balancer;
use crate::cloud::{Cloud, CloudError, Cluster, Host, Identity, Service, TaskDefinition};
use crate::config::{Config, ServiceName};
use crate::store::lock::{Holder, Lock};
use crate::store::release::{self, Release, ReleaseError};
use crate::store::{Store, StoreError};
use crate::task_definition::same;

/// How many releases are looked back at, if two of them went well.
const RELEASES: usize = 20;

/// How many at most.
pub(crate) const RECORDS: usize = 500;

/// How many task definitions that ran an image are looked at.
const OTHERS: usize = 3;

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(
        "AWS_ACCOUNT_ID is {wanted}, and the AWS credentials belong to account {found} ({arn}): \
         nothing was done. Choose other credentials with AWS_PROFILE, or correct the variable."
    )]
    WrongAccount { wanted: String, found: String, arn: String },
}

/// A service, as it runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Running {
    /// The service; `None` if there is none, or it was deleted.
    pub(crate) service: Option<Service>,
    /// What it runs.
    pub(crate) task_definition: Option<TaskDefinition>,
    /// The newest of its family, if that is another one.
    pub(crate) newest: Option<TaskDefinition>,
    /// Others that could be what is wanted.
    pub(crate) others: Vec<TaskDefinition>,
}

impl Running {
    /// The one that is registered already, if what is wanted is.
    #[must_use]
    pub(crate) fn registered(&self, wanted: &Value) -> Option<&TaskDefinition> {
        let all = self.task_definition.iter().chain(&self.newest).chain(&self.others);
        all.into_iter().find(|known| same(wanted, &known.document))
    }
}

/// Everything that plans are made from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// Who we are.
    pub(crate) identity: Identity,
    /// The cluster; `None` if there is none.
    pub(crate) cluster: Option<Cluster>,
    /// Its hosts.
    pub(crate) hosts: Vec<Host>,
    /// The stack's outputs; `None` if there is no stack.
    pub(crate) outputs: Option<BTreeMap<String, String>>,
    /// The load balancer; `None` if there is none.
    pub(crate) balancer: Option<Balancer>,
    /// The ARNs of the target groups, by name.
    pub(crate) target_groups: BTreeMap<String, String>,
    /// The services.
    pub(crate) services: BTreeMap<ServiceName, Running>,
    /// The newest releases, the newest first.
    pub(crate) releases: Vec<Release>,
    /// Who deploys now, if anybody.
    pub(crate) holder: Option<Holder>,
}

/// Who we are, if that is who we are meant to be.
///
/// # Errors
/// AWS does not answer, or it is another account.
pub(crate) async fn identity(
    cloud: &impl Cloud,
    wanted: Option<&str>,
) -> Result<Identity, ObserveError> {
    let identity = cloud.identity().await?;
    match wanted.filter(|wanted| !wanted.is_empty() && *wanted != identity.account) {
        None => Ok(identity),
        Some(wanted) => Err(ObserveError::WrongAccount {
            wanted: wanted.to_owned(),
            found: identity.account,
            arn: identity.arn,
        }),
    }
}

/// Looks at everything, at once.
///
/// # Errors
/// AWS does not answer one of the questions, or refuses.
pub(crate) async fn observe(
    aws: &Aws,
    store: &impl Store,
    config: &Config,
    identity: Identity,
) -> Result<Observed, ObserveError> {
    let names: Vec<String> =
        config.services(None).map(|service| service.target_group.clone()).collect();
    let (cluster, services, outputs, balancer, target_groups, releases, holder) = tokio::try_join!(
        async {
            let cluster = aws.cluster().await?;
            let hosts = if cluster.as_ref().is_some_and(|cluster| cluster.hosts > 0) {
                aws.hosts().await?
            } else {
                Vec::new()
            };
            Ok::<_, ObserveError>((cluster, hosts))
        },
        async { Ok(services(aws, config).await?) },
        async { Ok(aws.outputs(&config.stack).await?) },
        async { Ok(aws.balancer(&config.load_balancer).await?) },
        async { Ok(aws.target_groups(&names).await?) },
        async { Ok(releases(store).await?) },
        async { Ok(Lock::holder(store).await?) },
    )?;
    let (cluster, hosts) = cluster;
    Ok(Observed {
        identity,
        cluster,
        hosts,
        outputs,
        balancer,
        target_groups,
        services,
        releases,
        holder,
    })
}

/// The newest releases, and before many that came to nothing as many more as it takes: until there
/// are two that went well, and of each service one.
///
/// # Errors
/// The store does not answer, or has something that is no record.
pub(crate) async fn releases(store: &impl Store) -> Result<Vec<Release>, ReleaseError> {
    let mut most = RELEASES;
    loop {
        let found = release::newest(store, most).await?;
        if found.len() < most || most >= RECORDS || is_enough(&found) {
            return Ok(found);
        }
        most = (most * 5).min(RECORDS);
    }
}

fn is_enough(releases: &[Release]) -> bool {
    let known: BTreeSet<&ServiceName> =
        releases.iter().flat_map(|release| release.services.keys()).collect();
    releases.iter().filter(|release| release.is_good()).count() >= 2
        && known.into_iter().all(|who| release::last_good_of(releases, *who).is_some())
}

/// The services with their task definitions.
///
/// # Errors
/// AWS does not answer, or refuses.
pub(crate) async fn services(
    cloud: &impl Cloud,
    config: &Config,
) -> Result<BTreeMap<ServiceName, Running>, CloudError> {
    let names: Vec<String> =
        config.services(None).map(|service| service.ecs_service.clone()).collect();
    let found = match cloud.services(&names).await {
        Ok(found) => found,
        // Without a cluster there are no services.
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error),
    };
    let looked = config.services(None).map(|wanted| {
        let found = found
            .iter()
            .find(|found| found.name == wanted.ecs_service && found.status != "INACTIVE")
            .cloned();
        async {
            let newest = existing(cloud.task_definition(&wanted.family).await)?;
            let arn = found.as_ref().map(|service| service.task_definition.clone());
            let (task_definition, newest) = match (arn, newest) {
                (Some(arn), Some(newest)) if newest.arn == arn => (Some(newest), None),
                (Some(arn), newest) => (existing(cloud.task_definition(&arn).await)?, newest),
                (None, newest) => (None, newest),
            };
            Ok((
                wanted.name,
                Running { service: found, task_definition, newest, others: Vec::new() },
            ))
        }
    });
    futures_util::future::join_all(looked).await.into_iter().collect()
}

/// Finds what ran an image before: it need not be registered once more.
///
/// # Errors
/// AWS does not answer, or refuses.
pub(crate) async fn others(
    cloud: &impl Cloud,
    releases: &[Release],
    who: ServiceName,
    image: &str,
) -> Result<Vec<TaskDefinition>, CloudError> {
    let records = releases.iter().filter_map(|release| release.services.get(&who));
    let mut arns: Vec<&String> = Vec::new();
    for arn in
        records.filter(|one| one.image == image).filter_map(|one| one.task_definition.as_ref())
    {
        if !arns.contains(&arn) && arns.len() < OTHERS {
            arns.push(arn);
        }
    }
    let mut found = Vec::new();
    for arn in arns {
        found.extend(existing(cloud.task_definition(arn).await)?);
    }
    // One that was taken out of use can be looked at, and cannot be run.
    found.retain(|one| one.document.get("status").and_then(Value::as_str) != Some("INACTIVE"));
    Ok(found)
}

fn existing(
    found: Result<TaskDefinition, CloudError>,
) -> Result<Option<TaskDefinition>, CloudError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::release::tests::{draft, record};
    use crate::store::release::{Outcome, Record, ServiceState, last_good, last_good_of};

    /// Adds so many releases, of these services.
    async fn add(store: &Memory, count: usize, outcome: Outcome, services: &[ServiceName]) {
        for _ in 0..count {
            let begun = Record::begin(store, |id, started| {
                let mut draft = draft(id, started);
                let entries = services.iter().map(|who| (*who, record(ServiceState::Rolled)));
                draft.services = entries.collect();
                draft
            });
            let mut begun = begun.await.unwrap();
            begun.finish(outcome, store.now());
            begun.save(store).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_release_is_found_behind_any_number_of_failed_tries() {
        let both = [ServiceName::Users, ServiceName::Client];
        let store = Memory::new();
        add(&store, 3, Outcome::Released, &both).await;
        add(&store, RELEASES - 2, Outcome::NotBegun, &both).await;
        assert_eq!(releases(&store).await.unwrap().len(), RELEASES, "two good ones are enough");
        add(&store, 1, Outcome::RolledBack, &both).await;
        let found = releases(&store).await.unwrap();
        assert_eq!(found.iter().filter(|one| one.is_good()).count(), 3);
        add(&store, 150, Outcome::NotBegun, &both).await;
        let found = releases(&store).await.unwrap();
        let good = last_good(&found, None).unwrap().id.to_string();
        assert!(good.ends_with(".3"), "{good}");
    }

    #[tokio::test(start_paused = true)]
    async fn so_is_that_of_a_service_which_others_have_passed() {
        let (users, client) = (ServiceName::Users, ServiceName::Client);
        let store = Memory::new();
        add(&store, 1, Outcome::Released, &[users, client]).await;
        add(&store, RELEASES, Outcome::Released, &[client]).await;
        add(&store, 1, Outcome::Broken, &[users, client]).await;
        let found = releases(&store).await.unwrap();
        assert!(last_good_of(&found, users).is_some());
    }
}
