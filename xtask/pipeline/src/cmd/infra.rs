//! `infra`: what the application runs on.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::Common;
use super::site::Site;
use crate::aws::stack::Stacks;
use crate::config::Config;
use crate::error::Error;
use crate::exit_code;
use crate::infra::apply::{self, Proposal, propose};
use crate::infra::destroy::{Destroy as Destruction, Own};
use crate::infra::{InfraError, ask, drift, is_closed, named, nobody_deploys, somebody_is_there};
use crate::interrupt::Stop;
use crate::report::answer;
use crate::store::Store as _;
use crate::store::s3::Bucket;
use crate::tell::{INDENT, Screen, Tell as _};

/// Make, change, check or remove what the application runs on
///
/// ecs/stack.yml describes it, the parameters in ecs/pipeline.toml set it, and CloudFormation does
/// it. docs/aws.md tells the whole road.
#[derive(Debug, Args)]
pub(crate) struct Infra {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(Plan),
    Apply(Apply),
    /// Print what the stack tells to others: addresses, names, ARNs
    Outputs,
    Drift(Drift),
    Destroy(Destroy),
}

/// Show what an apply would change, and roughly what it costs; change nothing
#[derive(Debug, Args)]
struct Plan {
    /// Exit with 2 if anything would change
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Show the changes, ask, and make them
///
/// Ctrl-C does not stop CloudFormation, only the watching.
#[derive(Debug, Args)]
struct Apply {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The database's name, if the change may lose it and you mean it
    #[arg(long, value_name = "DATABASE")]
    yes_destroy: Option<String>,
    /// Give up watching after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 7200)]
    timeout: u64,
}

/// Show what somebody changed past the stack
#[derive(Debug, Args)]
struct Drift {
    /// Exit with 2 if anything differs
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Remove everything but the database and what it hangs on
#[derive(Debug, Args)]
struct Destroy {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The database's name, to remove it and its data, too; a last snapshot stays
    #[arg(long, value_name = "DATABASE")]
    yes_destroy: Option<String>,
    /// Give up watching after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 7200)]
    timeout: u64,
}

/// What a stack tells to others.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    stack: String,
    outputs: BTreeMap<String, String>,
}

impl Display for Outputs {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let width = self.outputs.keys().map(String::len).max().unwrap_or(0);
        let mut outputs = self.outputs.iter();
        outputs.try_for_each(|(name, value)| writeln!(f, "{name:width$}  {value}"))
    }
}

impl Infra {
    /// Runs it. Gives the exit code.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<u8, Error> {
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let stacks = Stacks::new(&site.sdk);
        match &self.command {
            Command::Plan(plan) => plan.run(common, &config, &site, &stacks, stop).await,
            Command::Apply(apply) => apply.run(common, &config, &site, &stacks, stop).await,
            Command::Outputs => {
                let asked = async { Ok::<_, InfraError>(stacks.describe(&config.stack).await?) };
                let stack = stop.or_interrupted(asked).await?;
                let stack = stack.filter(|stack| stack.status != "REVIEW_IN_PROGRESS");
                let stack = stack.ok_or_else(|| InfraError::NoStack(config.stack.clone()))?;
                let outputs = Outputs { stack: config.stack, outputs: stack.outputs };
                answer(common.output, &outputs)?;
                Ok(exit_code::OK)
            }
            Command::Drift(drift) => drift.run(common, &config, &stacks, stop).await,
            Command::Destroy(destroy) => destroy.run(common, &config, &site, &stacks, stop).await,
        }
    }
}

impl Plan {
    async fn run(
        &self,
        common: &Common,
        config: &Config,
        site: &Site,
        stacks: &Stacks,
        stop: &Stop,
    ) -> Result<u8, Error> {
        let proposal = propose(stacks, config, &site.identity.region, stop).await?;
        proposal.discard(stacks).await?;
        answer(common.output, &proposal.plan)?;
        let pending = self.detailed_exitcode && proposal.is_pending();
        Ok(if pending { exit_code::CHANGES_PENDING } else { exit_code::OK })
    }
}

impl Apply {
    async fn run(
        &self,
        common: &Common,
        config: &Config,
        site: &Site,
        stacks: &Stacks,
        stop: &Stop,
    ) -> Result<u8, Error> {
        let screen = Screen::new();
        let proposal = propose(stacks, config, &site.identity.region, stop).await?;
        if proposal.is_pending() {
            for line in proposal.plan.to_string().lines() {
                screen.line(line);
            }
            let agreed = async {
                unused(site, &proposal, &screen, stop).await?;
                self.confirm(&proposal, stop).await?;
                // It may have been thought about for long.
                unused(site, &proposal, &screen, stop).await
            };
            if let Err(error) = agreed.await {
                proposal.discard(stacks).await?;
                return Err(error.into());
            }
        }
        let limit = Duration::from_secs(self.timeout);
        let applied = proposal.execute(stacks, "apply", limit, &screen, stop).await?;
        answer(common.output, &applied)?;
        Ok(exit_code::OK)
    }

    /// Makes sure that it is meant, and the loss of the database especially.
    async fn confirm(&self, proposal: &Proposal, stop: &Stop) -> Result<(), InfraError> {
        let lost = proposal.plan.changes.iter().find(|change| change.endangers_database());
        if let Some(lost) = lost {
            let what =
                || format!("{} would be replaced or removed, and with it the data", lost.resource);
            return named(&proposal.database, self.yes_destroy.as_deref(), what, "infra apply");
        }
        if self.yes {
            return Ok(());
        }
        if !somebody_is_there() {
            return Err(InfraError::NotConfirmed {
                what: "nobody is there to be asked".to_owned(),
                command: "cargo xtask infra apply --yes".to_owned(),
            });
        }
        let said = stop.or_interrupted(ask("Make these changes? [y/N]")).await?;
        let agreed = matches!(said.to_ascii_lowercase().as_str(), "y" | "yes");
        if agreed { Ok(()) } else { Err(InfraError::Declined) }
    }
}

/// Makes sure that nobody deploys, where that can be seen: new hosts would end tasks that a deploy is
/// about to judge.
async fn unused(
    site: &Site,
    proposal: &Proposal,
    screen: &Screen,
    stop: &Stop,
) -> Result<(), InfraError> {
    if !proposal.is_there() {
        return Ok(());
    }
    let own = proposal.bucket().filter(|name| *name != site.store.name());
    let own = own.map(|name| Bucket::new(&site.sdk, name.to_owned()));
    for bucket in own.iter().chain([&site.store]) {
        match stop.or_interrupted(nobody_deploys(&[bucket])).await {
            Err(error) if is_closed(&error) => {
                screen.line(&format!("{INDENT}! whether somebody deploys cannot be seen: {error}"));
            }
            looked => looked?,
        }
    }
    Ok(())
}

impl Drift {
    async fn run(
        &self,
        common: &Common,
        config: &Config,
        stacks: &Stacks,
        stop: &Stop,
    ) -> Result<u8, Error> {
        let stack = config.stack.clone();
        let looked = async {
            let there = stacks.describe(&stack).await?;
            if !apply::check(&stack, there.as_ref())? {
                return Err(InfraError::NoStack(stack.clone()));
            }
            let detection = stacks.detect_drift(&stack).await?;
            while !stacks.drift_is_known(&detection).await? {
                sleep(Duration::from_secs(2)).await;
            }
            Ok(stacks.drifted(&stack).await?)
        };
        let drifted = stop.or_interrupted(looked).await?;
        let differs = self.detailed_exitcode && !drifted.is_empty();
        answer(common.output, &drift::Report { stack, drifted })?;
        Ok(if differs { exit_code::CHANGES_PENDING } else { exit_code::OK })
    }
}

impl Destroy {
    async fn run(
        &self,
        common: &Common,
        config: &Config,
        site: &Site,
        stacks: &Stacks,
        stop: &Stop,
    ) -> Result<u8, Error> {
        let name = &config.stack;
        let none = || InfraError::NoStack(name.clone());
        let stack = stacks.describe(name).await.map_err(InfraError::from)?.ok_or_else(none)?;
        match stack.status.as_str() {
            "REVIEW_IN_PROGRESS" => {}
            status if status.ends_with("_IN_PROGRESS") => {
                let status = status.to_owned();
                return Err(InfraError::Busy { stack: name.clone(), status }.into());
            }
            _ => {}
        }
        let with_data = match self.yes_destroy.as_deref() {
            None => false,
            given => {
                let database = stack.parameters.get("DatabaseName");
                let database = database.unwrap_or(&config.database.name);
                named(database, given, String::new, "infra destroy")?;
                true
            }
        };
        let resources = stacks.resources(&stack.id).await.map_err(InfraError::from)?;
        let own = Own::of(&resources);
        let spared = own.spared(config, &site.identity.account);
        if !self.yes && !with_data {
            self.confirm(name, &own, &spared, stop).await?;
        }
        let destroy = Destruction {
            config,
            stacks,
            stack: &stack,
            sdk: &site.sdk,
            own: &own,
            spared: &spared,
            locks: &site.store,
            with_data,
            limit: Duration::from_secs(self.timeout),
        };
        let destroyed = destroy.run(&Screen::new(), stop).await?;
        answer(common.output, &destroyed)?;
        Ok(exit_code::OK)
    }

    async fn confirm(
        &self,
        stack: &str,
        own: &Own,
        spared: &[String],
        stop: &Stop,
    ) -> Result<(), InfraError> {
        let what = what_goes(stack, own, spared);
        if !somebody_is_there() {
            return Err(InfraError::NotConfirmed {
                what: format!("this {what}"),
                command: "cargo xtask infra destroy --yes".to_owned(),
            });
        }
        let question = format!("This {what}.\nThe stack's name, to go on:");
        let said = stop.or_interrupted(ask(&question)).await?;
        if said == stack { Ok(()) } else { Err(InfraError::Declined) }
    }
}

/// What a destroy removes, and what not.
fn what_goes(stack: &str, own: &Own, spared: &[String]) -> String {
    let mut text = format!(
        "removes the stack {stack}: services, images, records, hosts, load balancer, roles"
    );
    let own = own.sentence();
    if !own.is_empty() {
        text.push_str(&format!("; {own}"));
    }
    text.push_str(". It keeps the database");
    for spared in spared {
        text.push_str(&format!(", and {spared}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_the_outputs() {
        let outputs = BTreeMap::from([("Cluster".to_owned(), "shop-cluster".to_owned())]);
        crate::schema_check::holds(&Outputs { stack: "shop".to_owned(), outputs });
    }

    #[test]
    fn the_question_names_what_is_emptied_and_what_is_not() {
        let named = |name: &str| Some(name.to_owned());
        let own = Own { bucket: named("shop-pipeline-1"), cluster: named("shop-cluster") };
        let spared = ["the bucket company-artifacts: it is not the stack's".to_owned()];
        assert_eq!(
            what_goes("shop", &own, &spared),
            "removes the stack shop: services, images, records, hosts, load balancer, roles; all \
             that is in the bucket shop-pipeline-1; the application's services in the cluster \
             shop-cluster. It keeps the database, and the bucket company-artifacts: it is not the \
             stack's"
        );
        let nothing = Own { bucket: None, cluster: None };
        assert!(what_goes("shop", &nothing, &[]).ends_with("roles. It keeps the database"));
    }
}
