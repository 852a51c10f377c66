//! Changes: CloudFormation is asked what it would do, somebody agrees, and it is followed to its
//! end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::changes::{Change, Lines, arrange};
use super::cost::Cost;
use super::events::{Line, Standing, Tree};
use super::{InfraError, body};
use crate::aws::stack::{Stack, Stacks, Wanted};
use crate::cloud::CloudError;
use crate::config::Config;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::process::Interrupted;
use crate::report::human;
use crate::tell::{INDENT, Tell};

/// The time between two looks.
const POLL: Duration = Duration::from_secs(2);
/// How long CloudFormation may think about a change.
const THINKING: Duration = Duration::from_secs(300);
/// How many answers may be missed one after the other.
const PATIENCE: u32 = 10;

/// What an apply would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    pub(crate) stack: String,
    region: String,
    /// Whether there is no such stack yet.
    new: bool,
    pub(crate) changes: Vec<Change>,
    cost: Cost,
}

/// What an apply did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Applied {
    pub(crate) stack: String,
    /// Whether there was anything to do.
    pub(crate) changed: bool,
    pub(crate) seconds: u64,
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A change that is only asked for.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) plan: Plan,
    /// What the database is called that is there now, or would be.
    pub(crate) database: String,
    /// The change set; `None` if there is nothing to change.
    change_set: Option<ChangeSet>,
    /// The stack as it was.
    before: Option<Stack>,
}

#[derive(Debug)]
struct ChangeSet {
    id: String,
    stack_id: String,
    token: String,
    /// Whether the stack is there for this only.
    new: bool,
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { stack, region, .. } = self;
        let what = match (self.new, self.changes.is_empty()) {
            (true, _) => "a new stack",
            (false, true) => "unchanged",
            (false, false) => "changes",
        };
        writeln!(f, "infra     {stack} · {region} · {what}")?;
        if self.changes.is_empty() {
            return Ok(());
        }
        write!(f, "{}{}", Lines(&self.changes), self.cost)
    }
}

impl Display for Applied {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let took = human(Duration::from_secs(self.seconds));
        if self.changed {
            writeln!(f, "applied   {} in {took}", self.stack)?;
        } else {
            writeln!(f, "unchanged {}: there was nothing to do", self.stack)?;
        }
        outputs(f, &self.outputs)
    }
}

/// A line each.
pub(crate) fn outputs(
    f: &mut Formatter<'_>,
    outputs: &BTreeMap<String, String>,
) -> std::fmt::Result {
    let width = outputs.keys().map(String::len).max().unwrap_or(0);
    outputs.iter().try_for_each(|(name, value)| writeln!(f, "          {name:width$}  {value}"))
}

/// Refuses a stack that cannot be changed now. Says whether it is there at all.
pub(crate) fn check(name: &str, stack: Option<&Stack>) -> Result<bool, InfraError> {
    let Some(stack) = stack else { return Ok(false) };
    let stuck =
        |advice| InfraError::Stuck { stack: name.to_owned(), status: stack.status.clone(), advice };
    match stack.status.as_str() {
        // What a plan leaves of a stack that was never made.
        "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE" => Ok(false),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
            Err(stuck("`cargo xtask infra destroy` removes what is left of it; then apply again."))
        }
        "UPDATE_ROLLBACK_FAILED" => Err(stuck(
            "Mend what could not be put back, then: aws cloudformation continue-update-rollback \
             --stack-name, with its name.",
        )),
        status if status.ends_with("_IN_PROGRESS") => {
            Err(InfraError::Busy { stack: name.to_owned(), status: status.to_owned() })
        }
        _ => Ok(true),
    }
}

/// Asks CloudFormation what the configuration would change.
///
/// # Errors
/// The configuration is wrong, or CloudFormation does not take it.
pub(crate) async fn propose(
    stacks: &Stacks,
    config: &Config,
    region: &str,
    stop: &Stop,
) -> Result<Proposal, InfraError> {
    let body = body::read()?;
    let known = stacks.parameters(&body).await?;
    let values = body::parameters(config, &known)?;
    let after = body::effective(&values, &known);
    let mut proposal = propose_body(stacks, &config.stack, &body, values, stop).await?;
    let before = proposal.before.as_ref().map(|stack| &stack.parameters);
    let nothing = BTreeMap::new();
    let cost = Cost::of(&proposal.plan.changes, before.unwrap_or(&nothing), &after);
    let database = before.and_then(|parameters| parameters.get("DatabaseName"));
    proposal.database = database.unwrap_or(&config.database.name).clone();
    proposal.plan.cost = cost;
    region.clone_into(&mut proposal.plan.region);
    Ok(proposal)
}

/// Asks CloudFormation what a template and parameters would change.
///
/// # Errors
/// CloudFormation does not take it, or does not answer.
pub(super) async fn propose_body(
    stacks: &Stacks,
    name: &str,
    body: &str,
    parameters: BTreeMap<String, String>,
    stop: &Stop,
) -> Result<Proposal, InfraError> {
    let before = stacks.describe(name).await?;
    let there = check(name, before.as_ref())?;
    let status = before.as_ref().map_or("", |stack| stack.status.as_str());
    // A half-made stack cannot be put back to anything, and a database that it made refuses to go.
    let stay_on_failure = !there || matches!(status, "CREATE_FAILED" | "UPDATE_FAILED");
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let token = format!("infra-{}", seconds.unwrap_or_default().as_millis());
    let wanted =
        Wanted { stack: name, name: &token, body, parameters, new: !there, stay_on_failure };
    let id = match stacks.propose(wanted).await {
        Ok(id) => id,
        Err(CloudError::Refused { message, .. }) => {
            return Err(InfraError::Rejected { reason: message });
        }
        Err(error) => return Err(error.into()),
    };
    let described = stacks.describe(name).await?;
    let stack_id = described.map(|stack| stack.id).unwrap_or_default();
    let change_set = ChangeSet { id, stack_id, token, new: !there };
    let thought = stop.or_interrupted(think(stacks, &change_set)).await;
    let (mut changes, reason) = match thought {
        Ok(thought) => thought,
        Err(error) => {
            change_set.discard(stacks, name).await?;
            return Err(error);
        }
    };
    arrange(&mut changes);
    let change_set = match reason {
        None => Some(change_set),
        Some(reason) => {
            change_set.discard(stacks, name).await?;
            if !is_empty(&reason) {
                return Err(InfraError::Rejected { reason });
            }
            None
        }
    };
    let cost = Cost { cents: 0, items: Vec::new(), unknown: Vec::new() };
    let plan = Plan { stack: name.to_owned(), region: String::new(), new: !there, changes, cost };
    let before = before.filter(|_| there);
    Ok(Proposal { plan, database: String::new(), change_set, before })
}

/// What CloudFormation says about a change set without changes.
fn is_empty(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

/// Waits for the changes. With a reason, there can be none.
async fn think(
    stacks: &Stacks,
    change_set: &ChangeSet,
) -> Result<(Vec<Change>, Option<String>), InfraError> {
    let start = Instant::now();
    loop {
        let seen = stacks.change_set(&change_set.id).await?;
        match seen.status.as_str() {
            "CREATE_COMPLETE" => return Ok((seen.changes, None)),
            "FAILED" => return Ok((Vec::new(), Some(seen.reason))),
            _ if start.elapsed() > THINKING => {
                return Err(InfraError::Failed {
                    text: format!("CloudFormation has no plan after {}", human(THINKING)),
                    exit_code: exit_code::TIMEOUT,
                });
            }
            _ => sleep(POLL / 2).await,
        }
    }
}

impl ChangeSet {
    /// Leaves no trace of it.
    async fn discard(&self, stacks: &Stacks, stack: &str) -> Result<(), InfraError> {
        stacks.forget(&self.id).await?;
        if !self.new {
            return Ok(());
        }
        // Asking made a stack of nothing; somebody else may have begun to fill it.
        let seen = stacks.describe(stack).await?;
        if seen.is_some_and(|seen| seen.status == "REVIEW_IN_PROGRESS") {
            stacks.delete(stack).await?;
        }
        for _ in 0..15 {
            let seen = stacks.describe(stack).await?;
            if seen.is_none_or(|seen| seen.status == "DELETE_COMPLETE") {
                break;
            }
            sleep(POLL / 2).await;
        }
        Ok(())
    }
}

impl Proposal {
    /// Whether there is anything to do.
    #[must_use]
    pub(crate) fn is_pending(&self) -> bool {
        self.change_set.is_some()
    }

    /// The bucket of the stack as it is, if there is one.
    #[must_use]
    pub(crate) fn bucket(&self) -> Option<&str> {
        Some(self.before.as_ref()?.outputs.get("Bucket")?)
    }

    /// Whether there is a stack already.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        self.before.is_some()
    }

    /// Forgets it, without a trace.
    ///
    /// # Errors
    /// AWS does not answer, or refuses.
    pub(crate) async fn discard(&self, stacks: &Stacks) -> Result<(), InfraError> {
        match &self.change_set {
            Some(change_set) => change_set.discard(stacks, &self.plan.stack).await,
            None => Ok(()),
        }
    }

    /// Does it, and follows it to its end.
    ///
    /// # Errors
    /// It failed, or was not done in time.
    pub(crate) async fn execute(
        &self,
        stacks: &Stacks,
        stage: &str,
        limit: Duration,
        tell: &impl Tell,
        stop: &Stop,
    ) -> Result<Applied, InfraError> {
        let stack = self.plan.stack.clone();
        let Some(change_set) = &self.change_set else {
            let outputs = self.before.as_ref().map(|stack| stack.outputs.clone());
            return Ok(Applied {
                stack,
                changed: false,
                seconds: 0,
                outputs: outputs.unwrap_or_default(),
            });
        };
        let start = Instant::now();
        let known = stacks.newest_events(&change_set.stack_id).await?;
        stacks.execute(&change_set.id, &change_set.token).await?;
        let follow = Follow { stacks, stack: &stack, id: &change_set.stack_id, stage, limit };
        let (tree, status) = follow.to_the_end(known, tell, stop).await?;
        let after = stacks.describe(&change_set.stack_id).await?;
        if !matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
            let reason = after.and_then(|stack| stack.reason);
            return Err(failed(&tree, &stack, &status, reason.as_deref()));
        }
        let outputs = after.map(|stack| stack.outputs).unwrap_or_default();
        Ok(Applied { stack, changed: true, seconds: start.elapsed().as_secs(), outputs })
    }
}

/// What a person is told, and the exit code.
pub(super) fn failed(tree: &Tree, stack: &str, status: &str, reason: Option<&str>) -> InfraError {
    let failure = tree.failure(stack, status, reason);
    let (advice, exit_code) = match status {
        "UPDATE_ROLLBACK_COMPLETE" => ("Everything is as it was before.", exit_code::ROLLED_BACK),
        "UPDATE_ROLLBACK_FAILED" => (
            "It could not be put back. Mend what failed, then: aws cloudformation \
             continue-update-rollback --stack-name, with its name.",
            exit_code::ROLLBACK_FAILED,
        ),
        "DELETE_FAILED" => (
            "What is left stays. Mend the cause; `cargo xtask infra destroy` goes on.",
            exit_code::ERROR,
        ),
        _ => (
            "What was made stays. Mend the cause; `cargo xtask infra apply` goes on, and \
             `cargo xtask infra destroy` removes it.",
            exit_code::ERROR,
        ),
    };
    InfraError::Failed { text: format!("{failure}\n          {advice}"), exit_code }
}

/// Watches CloudFormation work.
pub(super) struct Follow<'a> {
    pub(super) stacks: &'a Stacks,
    pub(super) stack: &'a str,
    /// Its ARN.
    pub(super) id: &'a str,
    /// What a person sees before the lines.
    pub(super) stage: &'a str,
    pub(super) limit: Duration,
}

impl Follow<'_> {
    /// Tells every event until the stack rests. Gives them and its status.
    pub(super) async fn to_the_end(
        &self,
        mut known: BTreeSet<String>,
        tell: &impl Tell,
        stop: &Stop,
    ) -> Result<(Tree, String), InfraError> {
        let (start, mut tree, mut missed) = (Instant::now(), Tree::default(), 0);
        tell.line(crate::tell::row(self.stage, self.stack, "").trim_end());
        loop {
            match self.stacks.events(self.id, &known).await {
                Ok(events) => {
                    missed = 0;
                    let (mut end, mut lines) = (None, Vec::<Line>::new());
                    for event in events {
                        known.insert(event.id.clone());
                        if event.of_stack {
                            let rests = event.standing() != Standing::UnderWay;
                            end = rests.then(|| event.status.clone());
                        }
                        if let Some(line) = tree.take(event) {
                            // What began and ended since the last look is said once.
                            lines.retain(|before| before.who != line.who || before.last);
                            lines.push(line);
                        }
                    }
                    for Line { who, text, last } in lines {
                        if last {
                            tell.done("", &who, &text);
                        } else {
                            tell.row("", &who, &text);
                        }
                    }
                    if let Some(status) = end {
                        tell.line(&format!("{INDENT}└ {status}"));
                        return Ok((tree, status));
                    }
                }
                Err(error) if error.is_passing() && missed < PATIENCE => missed += 1,
                Err(error) => return Err(error.into()),
            }
            if start.elapsed() > self.limit {
                return Err(InfraError::Failed {
                    text: format!(
                        "{} is not done after {}. CloudFormation goes on; `aws cloudformation \
                         describe-stack-events --stack-name {}` shows it.",
                        self.stack,
                        human(self.limit),
                        self.stack
                    ),
                    exit_code: exit_code::TIMEOUT,
                });
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = stop.wait() => {
                    tell.line(&format!(
                        "CloudFormation goes on with {0}; `aws cloudformation describe-stack-events \
                         --stack-name {0}` shows it.",
                        self.stack
                    ));
                    return Err(Interrupted.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::changes::{Action, Detail};
    use crate::schema_check;

    fn stack(status: &str) -> Stack {
        Stack {
            id: "arn".to_owned(),
            status: status.to_owned(),
            reason: None,
            parameters: BTreeMap::new(),
            found: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    #[test]
    fn only_a_stack_that_rests_is_changed() {
        assert!(!check("shop", None).unwrap());
        for (status, there) in [
            ("REVIEW_IN_PROGRESS", false),
            ("CREATE_COMPLETE", true),
            ("CREATE_FAILED", true),
            ("UPDATE_ROLLBACK_COMPLETE", true),
        ] {
            assert_eq!(check("shop", Some(&stack(status))).unwrap(), there, "{status}");
        }
        for (status, code) in [
            ("UPDATE_IN_PROGRESS", 60),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", 60),
            ("ROLLBACK_COMPLETE", 1),
            ("UPDATE_ROLLBACK_FAILED", 1),
        ] {
            let error = check("shop", Some(&stack(status))).unwrap_err();
            assert_eq!(error.exit_code(), code, "{status}");
            assert!(error.to_string().contains(status), "{error}");
        }
    }

    #[test]
    fn the_exit_code_says_whether_it_was_put_back() {
        for (status, code) in
            [("UPDATE_ROLLBACK_COMPLETE", 40), ("UPDATE_ROLLBACK_FAILED", 41), ("CREATE_FAILED", 1)]
        {
            let error = failed(&Tree::default(), "shop", status, Some("No room"));
            assert_eq!(error.exit_code(), code, "{status}");
            assert!(error.to_string().starts_with("No room\n          shop "), "{error}");
        }
    }

    #[test]
    fn programs_read_what_would_change_and_what_has() {
        let change = |action| Change {
            action,
            resource: "Hosts".to_owned(),
            kind: "AWS::AutoScaling::AutoScalingGroup".to_owned(),
            kept: false,
            details: vec![Detail {
                what: "MinSize".to_owned(),
                before: None,
                after: Some("2".into()),
            }],
        };
        let changes = vec![change(Action::Add), change(Action::MayReplace)];
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let values = BTreeMap::from([text("InstanceType", "t9.huge"), text("MinHosts", "1")]);
        let cost = Cost::of(&changes, &BTreeMap::new(), &values);
        let (stack, region) = ("shop".to_owned(), "us-west-1".to_owned());
        schema_check::holds(&Plan { stack: stack.clone(), region, new: true, changes, cost });
        let outputs = BTreeMap::from([text("Cluster", "shop-cluster")]);
        schema_check::holds(&Applied { stack, changed: true, seconds: 1, outputs });
    }

    #[test]
    fn an_empty_change_set_is_no_failure() {
        assert!(is_empty(
            "The submitted information didn't contain changes. Submit different information to \
             create a change set."
        ));
        assert!(is_empty("No updates are to be performed."));
        assert!(!is_empty("Parameter MinHosts must be a number"));
    }
}
