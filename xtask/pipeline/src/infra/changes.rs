//! A change set as a person reads it: what is lost comes last, next to the question, and in
//! capitals.

use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;

/// What would be done with a resource, the harmless first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// A new one is made.
    Add,
    /// One that exists comes under the stack's care.
    Import,
    /// It is changed where it is.
    Change,
    /// CloudFormation finds out only while it works whether it can stay.
    MayReplace,
    /// A new one is made and the old one goes.
    Replace,
    /// It goes.
    Remove,
}

impl Action {
    fn sign(self) -> char {
        match self {
            Self::Add | Self::Import => '+',
            Self::Change => '~',
            Self::MayReplace | Self::Replace => '!',
            Self::Remove => '-',
        }
    }

    /// Whether what is there now may be lost.
    fn endangers(self) -> bool {
        matches!(self, Self::MayReplace | Self::Replace | Self::Remove)
    }
}

/// What would be done with one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Change {
    pub(crate) action: Action,
    /// Its name in the template.
    pub(crate) resource: String,
    /// Such as `AWS::EC2::VPC`.
    pub(crate) kind: String,
    /// Whether the old one stays in the account, without the stack.
    pub(crate) kept: bool,
    /// What about it.
    pub(crate) details: Vec<Detail>,
}

/// A property that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Detail {
    pub(crate) what: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// The longest value that is shown to a person.
const SHORT: usize = 40;

impl Change {
    /// Whether data would be lost to the application.
    #[must_use]
    pub(crate) fn endangers_database(&self) -> bool {
        matches!(self.kind.as_str(), "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster")
            && self.action.endangers()
    }

    fn words(&self) -> String {
        let kept = if self.kept { " (the old one is kept, outside the stack)" } else { "" };
        match self.action {
            Action::Add | Action::Change => String::new(),
            Action::Import => "import".to_owned(),
            Action::MayReplace => format!("MAY REPLACE{kept}"),
            Action::Replace => format!("REPLACE{kept}"),
            Action::Remove => {
                format!("REMOVE{}", if self.kept { " (kept, outside the stack)" } else { "" })
            }
        }
    }
}

impl Display for Detail {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        let short = |value: &Option<String>| {
            let value = value.clone()?;
            let fits = value.chars().count() <= SHORT && !value.chars().any(char::is_control);
            fits.then_some(value)
        };
        match (short(&self.before), short(&self.after)) {
            (Some(before), Some(after)) => write!(f, " {before} → {after}"),
            (None, Some(after)) if self.before.is_none() => write!(f, " {after}"),
            _ => Ok(()),
        }
    }
}

/// Puts changes into the order in which they are read, and their properties, too.
pub(crate) fn arrange(changes: &mut [Change]) {
    for change in changes.iter_mut() {
        change.details.sort_by(|one, other| one.what.cmp(&other.what));
        change.details.dedup_by(|one, other| one.what == other.what);
    }
    // Stable: inside one action, the order is CloudFormation's.
    changes.sort_by_key(|change| change.action);
}

/// All of them, as lines.
pub(crate) struct Lines<'a>(pub(crate) &'a [Change]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let width = self.0.iter().map(|change| change.resource.len()).max().unwrap_or(0);
        let kinds = self.0.iter().map(|change| change.kind.len()).max().unwrap_or(0);
        for change in self.0 {
            let details: Vec<_> = change.details.iter().map(ToString::to_string).collect();
            let mut text = change.words();
            if !details.is_empty() {
                text.push_str(if text.is_empty() { "" } else { ": " });
                text.push_str(&details.join(", "));
            }
            let line = format!(
                "          {} {:width$}  {:kinds$}  {text}",
                change.action.sign(),
                change.resource,
                change.kind
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        let count = |actions: &[Action]| {
            self.0.iter().filter(|change| actions.contains(&change.action)).count()
        };
        let parts = [
            (count(&[Action::Add, Action::Import]), "to add"),
            (count(&[Action::Change]), "to change"),
            (count(&[Action::MayReplace]), "that it MAY REPLACE"),
            (count(&[Action::Replace]), "to REPLACE"),
            (count(&[Action::Remove]), "to REMOVE"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        writeln!(f, "          {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        action: Action,
        resource: &str,
        kind: &str,
        details: &[(&str, Option<&str>, Option<&str>)],
    ) -> Change {
        let details = details.iter().map(|(what, before, after)| Detail {
            what: (*what).to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        });
        let (resource, kind) = (resource.to_owned(), kind.to_owned());
        Change { action, resource, kind, kept: false, details: details.collect() }
    }

    #[test]
    fn what_is_lost_comes_last_and_in_capitals() {
        let mut changes = [
            change(Action::Remove, "Build", "AWS::CodeBuild::Project", &[]),
            change(
                Action::Replace,
                "Database",
                "AWS::RDS::DBInstance",
                &[("DBName", Some("users"), Some("people"))],
            ),
            change(
                Action::Change,
                "Hosts",
                "AWS::AutoScaling::AutoScalingGroup",
                &[("MinSize", Some("1"), Some("2")), ("Tags", None, None), ("MinSize", None, None)],
            ),
            change(Action::Add, "Alarms", "AWS::SNS::Topic", &[]),
        ];
        arrange(&mut changes);
        let text = Lines(&changes).to_string();
        insta::assert_snapshot!(text, @r"
          + Alarms    AWS::SNS::Topic
          ~ Hosts     AWS::AutoScaling::AutoScalingGroup  MinSize 1 → 2, Tags
          ! Database  AWS::RDS::DBInstance                REPLACE: DBName users → people
          - Build     AWS::CodeBuild::Project             REMOVE
          1 to add, 1 to change, 1 to REPLACE, 1 to REMOVE
        ");
    }

    #[test]
    fn only_what_loses_data_endangers_the_database() {
        for (action, endangers) in [
            (Action::Add, false),
            (Action::Change, false),
            (Action::MayReplace, true),
            (Action::Replace, true),
            (Action::Remove, true),
        ] {
            let database = change(action, "Database", "AWS::RDS::DBInstance", &[]);
            assert_eq!(database.endangers_database(), endangers, "{action:?}");
            let group = change(action, "DatabaseGroup", "AWS::EC2::SecurityGroup", &[]);
            assert!(!group.endangers_database());
            let group = change(action, "DatabaseSubnets", "AWS::RDS::DBSubnetGroup", &[]);
            assert!(!group.endangers_database());
        }
    }

    #[test]
    fn long_values_are_left_to_json() {
        let long = "x".repeat(41);
        let detail = change(Action::Change, "A", "B", &[("Policy", Some(&long), Some("short"))]);
        assert_eq!(detail.details[0].to_string(), "Policy");
    }
}
