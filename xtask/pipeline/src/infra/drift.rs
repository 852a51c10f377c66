//! What somebody changed behind the stack's back.

use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;

/// How a resource differs from what the stack made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Drifted {
    /// Its name in the template.
    pub(crate) resource: String,
    /// Such as `AWS::EC2::VPC`.
    pub(crate) kind: String,
    /// What AWS calls it.
    pub(crate) id: String,
    /// Whether it is gone altogether.
    pub(crate) deleted: bool,
    pub(crate) differences: Vec<Difference>,
}

/// A property that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Difference {
    pub(crate) property: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

/// What `infra drift` found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    pub(crate) stack: String,
    pub(crate) drifted: Vec<Drifted>,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.drifted.is_empty() {
            return writeln!(f, "drift     {}: nothing differs from the stack", self.stack);
        }
        writeln!(f, "drift     {}: {} differ from the stack", self.stack, self.drifted.len())?;
        for one in &self.drifted {
            let what = if one.deleted { "DELETED" } else { "changed" };
            writeln!(f, "          {} ({}, {}): {what}", one.resource, one.kind, one.id)?;
            for Difference { property, expected, actual } in &one.differences {
                writeln!(f, "            {property}: {expected} → {actual}")?;
            }
        }
        writeln!(
            f,
            "          Put it back by hand, or write it into ecs/stack.yml: an apply alone does not see it."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_what_is_and_what_should_be() {
        let mut report = Report { stack: "shop".into(), drifted: vec![] };
        assert_eq!(report.to_string(), "drift     shop: nothing differs from the stack\n");
        report.drifted.push(Drifted {
            resource: "UsersTargetGroup".into(),
            kind: "AWS::ElasticLoadBalancingV2::TargetGroup".into(),
            id: "shop-users-tg".into(),
            deleted: false,
            differences: vec![Difference {
                property: "/HealthCheckPath".into(),
                expected: "/ping".into(),
                actual: "/".into(),
            }],
        });
        crate::schema_check::holds(&report);
        let text = report.to_string();
        assert!(text.contains("shop: 1 differ from the stack\n"), "{text}");
        assert!(text.contains("TargetGroup, shop-users-tg): changed\n"), "{text}");
        assert!(text.contains("            /HealthCheckPath: /ping → /\n"), "{text}");
    }
}
