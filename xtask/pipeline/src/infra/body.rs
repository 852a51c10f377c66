//! What CloudFormation is sent: the template without its comments, and the parameters.

use std::collections::BTreeMap;

use super::InfraError;
use crate::config::Config;

/// The template, from the workspace's root.
pub(crate) const PATH: &str = "ecs/stack.yml";
/// What CloudFormation takes with a request.
pub(super) const MOST: usize = 51_200;
/// The parameters that other settings decide, and which.
const DERIVED: [(&str, &str); 2] = [("Name", "name"), ("DatabaseName", "database.name")];

/// A parameter that the template knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: String,
    /// What holds where nothing is said.
    pub(crate) default: Option<String>,
}

/// Reads the template as it is sent.
///
/// # Errors
/// It is not there, or too long even without its comments.
pub(crate) fn read() -> Result<String, InfraError> {
    let text = std::fs::read_to_string(PATH)
        .map_err(|cause| InfraError::NoTemplate { path: PATH, cause })?;
    let body = without_comments(&text);
    if body.len() > MOST {
        return Err(InfraError::TooLarge { path: PATH, bytes: body.len(), most: MOST });
    }
    Ok(body)
}

/// Leaves out the lines that are nothing but a comment. `#!/bin/sh` is none.
pub(super) fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        let line = line.trim_start_matches(' ');
        line != "#" && !line.starts_with("# ")
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The parameters' values: what the configuration says.
///
/// # Errors
/// It says something about a parameter that the template does not know.
pub(crate) fn parameters(
    config: &Config,
    known: &[Parameter],
) -> Result<BTreeMap<String, String>, InfraError> {
    let refuse = |message| Err(InfraError::Parameter { message });
    let mut values = BTreeMap::new();
    for (name, value) in &config.parameters {
        if let Some((_, setting)) = DERIVED.iter().find(|(derived, _)| derived == name) {
            return refuse(format!("{name} is what `{setting}` says: leave it out here"));
        }
        if !known.iter().any(|known| known.name == *name) {
            let names = || known.iter().map(|known| known.name.as_str());
            let nearest = names()
                .map(|known| (strsim::jaro_winkler(name, known), known))
                .filter(|(likeness, _)| *likeness > 0.75)
                .max_by(|(one, _), (other, _)| one.total_cmp(other));
            return refuse(match nearest {
                Some((_, nearest)) => {
                    format!("{PATH} has no parameter {name}; did you mean {nearest}?")
                }
                None => {
                    let names: Vec<_> = names().collect();
                    format!("{PATH} has no parameter {name}; it has {}", names.join(", "))
                }
            });
        }
        values.insert(name.clone(), value.to_string());
    }
    for ((name, _), value) in DERIVED.iter().zip([&config.name, &config.database.name]) {
        if known.iter().any(|known| known.name == *name) {
            values.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(values)
}

/// The values with the defaults of all others.
#[must_use]
pub(crate) fn effective(
    values: &BTreeMap<String, String>,
    known: &[Parameter],
) -> BTreeMap<String, String> {
    let defaults =
        known.iter().filter_map(|known| Some((known.name.clone(), known.default.clone()?)));
    defaults.chain(values.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../../ecs/stack.yml");
    const SMALLEST: &str = "name = \"shop\"\n[services.users]\n[services.client]\n";

    fn known() -> Vec<Parameter> {
        let parameter = |(name, default): (&str, Option<&str>)| Parameter {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        };
        let known = [
            ("Name", None),
            ("DatabaseName", Some("users")),
            ("MinHosts", Some("1")),
            ("MaxHosts", Some("3")),
        ];
        known.map(parameter).to_vec()
    }

    #[test]
    fn the_template_fits_without_its_comments() {
        let body = without_comments(TEMPLATE);
        assert!(body.len() <= MOST, "{} bytes", body.len());
        assert!(body.contains("#!/bin/sh\n"));
        assert!(!body.contains("checkov"));
        let resources =
            |text: &str| text.lines().filter(|line| line.starts_with("    Type: AWS::")).count();
        assert_eq!(resources(&body), resources(TEMPLATE));
    }

    /// What the template says about a resource.
    fn resource(name: &str) -> &'static str {
        let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).unwrap();
        let end = rest.match_indices("\n  ").find(|(at, _)| !rest[at + 3..].starts_with(' '));
        end.map_or(rest, |(at, _)| &rest[..at])
    }

    #[test]
    fn nothing_has_a_public_address_before_the_gateway_or_a_redirect_before_its_goal() {
        for subnet in ["PublicSubnetA", "PublicSubnetB"] {
            assert!(resource(subnet).contains("    DependsOn: InternetGatewayAttachment\n"));
        }
        for public in ["Balancer", "Hosts"] {
            assert!(resource(public).contains("[!Ref PublicSubnetA, !Ref PublicSubnetB]"));
        }
        let after = "    Metadata: { After: !If [HasDomain, !Ref HttpsListener, \"\"] }\n";
        assert!(resource("HttpListener").contains(after));
    }

    #[test]
    fn names_come_from_their_own_settings() {
        let text = format!("{SMALLEST}[parameters]\nMinHosts = 2\n[database]\nname = \"people\"\n");
        let values = parameters(&Config::example(&text), &known()).unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(values, [("DatabaseName", "people"), ("MinHosts", "2"), ("Name", "shop")]);
        let text = format!("{SMALLEST}[parameters]\nName = \"other\"\n");
        let error = parameters(&Config::example(&text), &known()).unwrap_err().to_string();
        assert!(error.contains("Name is what `name` says"), "{error}");
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest() {
        let refused = |name: &str| {
            let text = format!("{SMALLEST}[parameters]\n{name} = \"2\"\n");
            parameters(&Config::example(&text), &known()).unwrap_err().to_string()
        };
        assert!(refused("MinHost").ends_with("did you mean MinHosts?"));
        assert!(refused("Zebra").ends_with("it has Name, DatabaseName, MinHosts, MaxHosts"));
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let values = BTreeMap::from([("MinHosts".to_owned(), "2".to_owned())]);
        let effective = effective(&values, &known());
        assert_eq!((&*effective["MinHosts"], &*effective["MaxHosts"]), ("2", "3"));
        assert!(!effective.contains_key("Name"));
    }
}
