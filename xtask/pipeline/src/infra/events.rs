//! CloudFormation's events, as the tree of a stack and its resources.
//!
//! A failed change is told by fifty events, most of them consequences. The root cause is the first
//! resource that failed by itself; it is said first, and the rest is said shortly.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime};

use crate::report::human;

/// Something that CloudFormation did or noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// No other event has it.
    pub(crate) id: String,
    pub(crate) at: SystemTime,
    /// The resource's name in the template, or the stack's.
    pub(crate) resource: String,
    /// Such as `AWS::EC2::VPC`.
    pub(crate) kind: String,
    /// Whether it is about the stack as a whole.
    pub(crate) of_stack: bool,
    /// Such as `CREATE_IN_PROGRESS`.
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    UnderWay,
    Done,
    /// By itself.
    Failed,
    /// Because something else failed.
    Cancelled,
    /// It was to stay, and is not the stack's any longer.
    Kept,
}

impl Event {
    /// How far it is.
    #[must_use]
    pub(crate) fn standing(&self) -> Standing {
        let cancelled = |reason: &String| reason.to_ascii_lowercase().contains("cancelled");
        match self.status.as_str() {
            "DELETE_SKIPPED" => Standing::Kept,
            status if status.ends_with("_IN_PROGRESS") => Standing::UnderWay,
            status if status.ends_with("_FAILED") => {
                if self.reason.as_ref().is_some_and(cancelled) {
                    Standing::Cancelled
                } else {
                    Standing::Failed
                }
            }
            _ => Standing::Done,
        }
    }

    fn words(&self) -> &'static str {
        let (doing, done) = match self.status.as_str() {
            status if status.contains("ROLLBACK") => ("being put back", "as it was before"),
            status if status.starts_with("CREATE") => ("being made", "made"),
            status if status.starts_with("UPDATE") => ("being changed", "changed"),
            status if status.starts_with("DELETE") => ("being removed", "removed"),
            status if status.starts_with("IMPORT") => ("being imported", "imported"),
            _ => ("under way", "done"),
        };
        match self.standing() {
            Standing::UnderWay => doing,
            Standing::Done => done,
            Standing::Failed => "✗ failed",
            Standing::Cancelled => "cancelled",
            Standing::Kept => "kept, outside the stack",
        }
    }
}

/// A line for the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The resource, with its place in the tree.
    pub(crate) who: String,
    pub(crate) text: String,
    /// Whether it is the last one about this, as far as one knows.
    pub(crate) last: bool,
}

/// A stack with its resources, from its events.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    events: Vec<Event>,
    started: BTreeMap<String, SystemTime>,
}

/// How wide the names of most resources are.
const WIDTH: usize = 26;

impl Tree {
    /// Takes an event; the oldest first. Gives what is to be shown.
    pub(crate) fn take(&mut self, event: Event) -> Option<Line> {
        let standing = event.standing();
        let started = *self.started.entry(event.resource.clone()).or_insert(event.at);
        // CloudFormation says twice that it has begun: before it asks the service, and after.
        let again = self.events.iter().rev().find(|one| one.resource == event.resource);
        let news = again.is_none_or(|before| before.status != event.status);
        if standing != Standing::UnderWay {
            self.started.remove(&event.resource);
        }
        let line = (news && !event.of_stack).then(|| {
            let mut text = event.words().to_owned();
            let took = event.at.duration_since(started).unwrap_or(Duration::ZERO);
            match (standing, &event.reason) {
                (Standing::Done, _) if took >= Duration::from_secs(1) => {
                    text.push_str(&format!(" after {}", human(took)));
                }
                (Standing::Failed, Some(reason)) => text.push_str(&format!(": {reason}")),
                _ => {}
            }
            let last = standing != Standing::UnderWay;
            Line { who: format!("├ {:WIDTH$}", event.resource), text, last }
        });
        self.events.push(event);
        line
    }

    /// What failed first, by itself.
    #[must_use]
    pub(crate) fn root_cause(&self) -> Option<&Event> {
        let failed = |event: &&Event| event.standing() == Standing::Failed;
        self.events
            .iter()
            .filter(failed)
            .find(|event| !event.of_stack)
            // A refusal may be the stack's own.
            .or_else(|| self.events.iter().find(failed))
    }

    /// What the stack left where it is.
    #[must_use]
    pub(crate) fn kept(&self) -> Vec<String> {
        let kept = self.events.iter().filter(|event| event.standing() == Standing::Kept);
        kept.map(|event| format!("{} ({})", event.resource, event.kind)).collect()
    }

    /// How it failed, the root cause first.
    #[must_use]
    pub(crate) fn failure<'a>(
        &'a self,
        stack: &'a str,
        status: &'a str,
        reason: Option<&'a str>,
    ) -> Failure<'a> {
        Failure { tree: self, stack, status, reason }
    }
}

/// A failure as a person reads it.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    tree: &'a Tree,
    stack: &'a str,
    status: &'a str,
    reason: Option<&'a str>,
}

impl Display for Failure<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let cause = self.tree.root_cause();
        match cause {
            Some(event) => {
                let reason = event.reason.as_deref().unwrap_or("AWS gives no reason");
                writeln!(f, "{} ({}): {reason}", event.resource, event.kind)?;
            }
            None => writeln!(f, "{}", self.reason.unwrap_or("AWS gives no reason"))?,
        }
        write!(f, "          {} {}", self.stack, self.status)?;
        let others = |standing| {
            let mut names: Vec<&str> = self
                .tree
                .events
                .iter()
                .filter(|event| event.standing() == standing && !event.of_stack)
                .filter(|event| cause.is_none_or(|cause| cause.resource != event.resource))
                .map(|event| event.resource.as_str())
                .collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let mut branches = Vec::new();
        if let Some(event) = cause {
            branches.push(format!("✗ {}: {}", event.resource, event.status));
        }
        let failed = others(Standing::Failed);
        let consequences =
            self.tree.events.iter().filter(|event| failed.contains(&&*event.resource));
        for event in consequences.filter(|event| event.standing() == Standing::Failed) {
            let reason = event.reason.as_deref().unwrap_or("AWS gives no reason");
            branches.push(format!("✗ {}: {}: {reason}", event.resource, event.status));
        }
        let cancelled = others(Standing::Cancelled);
        if !cancelled.is_empty() {
            branches.push(format!("cancelled because of it: {}", cancelled.join(", ")));
        }
        let count = branches.len();
        for (number, branch) in branches.iter().enumerate() {
            let twig = if number + 1 == count { '└' } else { '├' };
            write!(f, "\n          {twig} {branch}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: u64, resource: &str, status: &str, reason: Option<&str>) -> Event {
        Event {
            id: format!("{second}-{resource}"),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            resource: resource.to_owned(),
            kind: if resource == "shop" { "AWS::CloudFormation::Stack" } else { "AWS::X::Y" }
                .to_owned(),
            of_stack: resource == "shop",
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn each_resource_is_told_once_as_it_begins_and_once_as_it_ends() {
        let mut tree = Tree::default();
        let mut lines = Vec::new();
        for event in [
            event(0, "shop", "CREATE_IN_PROGRESS", None),
            event(1, "Vpc", "CREATE_IN_PROGRESS", None),
            event(2, "Vpc", "CREATE_IN_PROGRESS", Some("Resource creation Initiated")),
            event(13, "Vpc", "CREATE_COMPLETE", None),
            event(14, "Old", "DELETE_SKIPPED", None),
            event(15, "shop", "CREATE_COMPLETE", None),
        ] {
            lines.extend(
                tree.take(event).map(|line| (line.who.trim().to_owned(), line.text, line.last)),
            );
        }
        let line = |who: &str, text: &str, last| (who.to_owned(), text.to_owned(), last);
        assert_eq!(
            lines,
            [
                line("├ Vpc", "being made", false),
                line("├ Vpc", "made after 12 s", true),
                line("├ Old", "kept, outside the stack", true),
            ]
        );
        assert_eq!(tree.kept(), ["Old (AWS::X::Y)"]);
        assert!(tree.root_cause().is_none());
    }

    #[test]
    fn a_failure_says_the_root_cause_first() {
        let mut tree = Tree::default();
        for event in [
            event(0, "shop", "UPDATE_IN_PROGRESS", None),
            event(1, "Hosts", "UPDATE_IN_PROGRESS", None),
            event(2, "Database", "UPDATE_FAILED", Some("DB instance class db.x1 is not supported")),
            event(3, "Hosts", "UPDATE_FAILED", Some("Resource update cancelled")),
            event(4, "Alarms", "CREATE_FAILED", Some("Internal failure")),
            event(
                5,
                "shop",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                Some("The following resource(s) failed: …"),
            ),
            event(6, "Hosts", "UPDATE_COMPLETE", None),
            event(7, "shop", "UPDATE_ROLLBACK_COMPLETE", None),
        ] {
            tree.take(event);
        }
        insta::assert_snapshot!(tree.failure("shop", "UPDATE_ROLLBACK_COMPLETE", None).to_string(), @r"
        Database (AWS::X::Y): DB instance class db.x1 is not supported
                  shop UPDATE_ROLLBACK_COMPLETE
                  ├ ✗ Database: UPDATE_FAILED
                  ├ ✗ Alarms: CREATE_FAILED: Internal failure
                  └ cancelled because of it: Hosts
        ");
    }

    #[test]
    fn without_a_resource_the_stack_itself_is_the_cause() {
        let mut tree = Tree::default();
        tree.take(event(1, "shop", "CREATE_FAILED", Some("No such certificate")));
        let text = tree.failure("shop", "CREATE_FAILED", None).to_string();
        assert!(
            text.starts_with("shop (AWS::CloudFormation::Stack): No such certificate\n"),
            "{text}"
        );
        let text = Tree::default().failure("shop", "CREATE_FAILED", Some("Denied")).to_string();
        assert!(text.starts_with("Denied\n"), "{text}");
    }
}
