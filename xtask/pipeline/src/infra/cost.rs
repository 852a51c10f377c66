//! Roughly what a change costs a month. The prices are those of docs/aws.md: us-east-1, On-Demand,
//! without what depends on use. Nobody pays by this; it is there so that nobody is surprised.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;

use super::changes::{Action, Change};

/// US cents for 730 hours.
const HOSTS: [(&str, i64); 7] = [
    ("t2.micro", 847),
    ("t2.small", 1679),
    ("t3.micro", 759),
    ("t3.small", 1518),
    ("t3.medium", 3037),
    ("t3a.micro", 686),
    ("t3a.small", 1372),
];
const DATABASES: [(&str, i64); 5] = [
    ("db.t4g.micro", 1168),
    ("db.t4g.small", 2336),
    ("db.t4g.medium", 4745),
    ("db.t3.micro", 1314),
    ("db.t3.small", 2628),
];
/// A public IPv4 address.
const ADDRESS: i64 = 365;
/// A load balancer without its addresses.
const BALANCER: i64 = 1643;
/// A host's 30 GB.
const HOST_DISK: i64 = 240;
const SECRET: i64 = 40;

/// What a change adds to the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Cost {
    /// US cents a month that can be said beforehand.
    pub(crate) cents: i64,
    /// What they are for.
    pub(crate) items: Vec<Item>,
    /// What has a price that is not known here.
    pub(crate) unknown: Vec<String>,
}

/// A line of the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Item {
    what: String,
    /// US cents a month; less than nothing for what is saved.
    cents: i64,
}

impl Cost {
    /// Of these changes, from one set of parameters to another.
    #[must_use]
    pub(crate) fn of(
        changes: &[Change],
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) -> Self {
        let (mut items, mut unknown) = (BTreeMap::<&str, i64>::new(), Vec::new());
        for change in changes {
            let (was, is) = (price(&change.kind, before), price(&change.kind, after));
            let difference = match (change.action, was, is) {
                (Action::Add, _, Some((_, is))) => is,
                (Action::Remove, Some(_), _) if change.kept => Ok(0),
                (Action::Remove, Some((_, was)), _) => was.map(|was| -was),
                (
                    Action::Change | Action::MayReplace | Action::Replace,
                    Some((_, was)),
                    Some((_, is)),
                ) => is.and_then(|is| was.map(|was| is - was)),
                _ => continue,
            };
            let what = price(&change.kind, after).map_or("", |(what, _)| what);
            match difference {
                Ok(0) => {}
                Ok(cents) => *items.entry(what).or_default() += cents,
                Err(class) => unknown.push(format!("{what} {class}")),
            }
        }
        let items: Vec<_> =
            items.into_iter().map(|(what, cents)| Item { what: what.to_owned(), cents }).collect();
        Self { cents: items.iter().map(|item| item.cents).sum(), items, unknown }
    }
}

/// What a resource is to the bill: its name there, and its price, or the class that has none here.
fn price(
    kind: &str,
    parameters: &BTreeMap<String, String>,
) -> Option<(&'static str, Result<i64, String>)> {
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    let number = |name: &str| text(name).parse::<i64>().unwrap_or(0);
    let of = |list: &[(&str, i64)], class: &str| {
        let found = list.iter().find(|(known, _)| *known == class);
        found.map(|(_, cents)| *cents).ok_or_else(|| class.to_owned())
    };
    Some(match kind {
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
            ("load balancer with two addresses", Ok(BALANCER + 2 * ADDRESS))
        }
        "AWS::RDS::DBInstance" => {
            // 11.5 cents a GB.
            let storage = number("DatabaseStorage") * 115 / 10;
            let copies = if text("DatabaseMultiAz") == "true" { 2 } else { 1 };
            let class = of(&DATABASES, text("DatabaseClass"));
            ("database", class.map(|class| (class + storage) * copies))
        }
        // With Spot it is less, by as much as AWS likes.
        "AWS::AutoScaling::AutoScalingGroup" => {
            let one = of(&HOSTS, text("InstanceType")).map(|class| class + HOST_DISK + ADDRESS);
            ("hosts", one.map(|one| one * number("MinHosts")))
        }
        "AWS::SecretsManager::Secret" => ("secrets", Ok(SECRET)),
        _ => return None,
    })
}

/// `12.30`, with its sign.
fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { '-' } else { '+' };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

impl Display for Cost {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.items.is_empty() && self.unknown.is_empty() {
            return writeln!(f, "cost      no change that has a fixed price");
        }
        writeln!(
            f,
            "cost      about {} US dollars a month, at us-east-1's prices (docs/aws.md)",
            dollars(self.cents)
        )?;
        for item in &self.items {
            writeln!(f, "          {:>8}  {}", dollars(item.cents), item.what)?;
        }
        for unknown in &self.unknown {
            writeln!(f, "          {:>8}  {unknown}: not in the list here", "?")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(changed: &[(&str, &str)]) -> BTreeMap<String, String> {
        let defaults = [
            ("InstanceType", "t3.micro"),
            ("MinHosts", "1"),
            ("DatabaseClass", "db.t4g.micro"),
            ("DatabaseStorage", "20"),
            ("DatabaseMultiAz", "false"),
        ];
        let all = defaults.iter().chain(changed);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn change(action: Action, kind: &str) -> Change {
        Change { action, resource: "It".into(), kind: kind.into(), kept: false, details: vec![] }
    }

    #[test]
    fn a_new_stack_costs_what_the_guide_says() {
        let kinds = [
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "AWS::RDS::DBInstance",
            "AWS::AutoScaling::AutoScalingGroup",
            "AWS::SecretsManager::Secret",
            "AWS::SecretsManager::Secret",
            "AWS::SecretsManager::Secret",
            "AWS::EC2::VPC",
        ];
        let changes = kinds.map(|kind| change(Action::Add, kind));
        let cost = Cost::of(&changes, &BTreeMap::new(), &parameters(&[]));
        // docs/aws.md: 54 with about 1 of storage that grows with use.
        assert_eq!((cost.cents, cost.unknown.len()), (5255, 0));
        assert!(cost.to_string().contains("about +52.55 US dollars a month"), "{cost}");
        assert!(cost.to_string().contains("  +1.20  secrets\n"), "{cost}");
    }

    #[test]
    fn a_larger_database_costs_the_difference() {
        let after = parameters(&[("DatabaseMultiAz", "true"), ("MinHosts", "2")]);
        let changes = [change(Action::Change, "AWS::RDS::DBInstance")];
        let cost = Cost::of(&changes, &parameters(&[]), &after);
        assert_eq!(cost.cents, 1398);
        let changes = [change(Action::Change, "AWS::EC2::VPC")];
        assert_eq!(
            Cost::of(&changes, &parameters(&[]), &after).to_string(),
            "cost      no change that has a fixed price\n"
        );
    }

    #[test]
    fn what_goes_is_saved_unless_it_is_kept() {
        let mut gone = change(Action::Remove, "AWS::RDS::DBInstance");
        let cost = |change: &Change| {
            Cost::of(std::slice::from_ref(change), &parameters(&[]), &parameters(&[])).cents
        };
        assert_eq!(cost(&gone), -1398);
        gone.kept = true;
        assert_eq!(cost(&gone), 0);
    }

    #[test]
    fn an_unknown_class_is_said_to_be_one() {
        let after = parameters(&[("InstanceType", "c7i.large")]);
        let changes = [change(Action::Change, "AWS::AutoScaling::AutoScalingGroup")];
        let cost = Cost::of(&changes, &parameters(&[]), &after);
        assert!(cost.to_string().contains("?  hosts c7i.large: not in the list here"), "{cost}");
    }
}
