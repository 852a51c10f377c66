//! Task definitions, compared: whether a registered one is what is wanted, and if not, in what
//! they differ. Nothing here talks to AWS.
//!
//! ECS answers with more than it was told (defaults, its own record keeping) and with lists in
//! another order. Both sides are brought to one form first, so that an unchanged task definition
//! has no differences and is not registered again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::secret::Secret;

/// What ECS adds to describe a revision.
const RECORDS: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Parts of names of variables whose values are nobody's business.
const SENSITIVE: [&str; 11] = [
    "SECRET",
    "KEY",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE",
    "AUTH",
    "SALT",
];

/// The same of variables with addresses, which may have a password in them.
const ADDRESSES: [&str; 3] = ["DSN", "URL", "URI"];

/// Whether a registered task definition is what is wanted.
#[must_use]
pub(crate) fn same(wanted: &Value, registered: &Value) -> bool {
    normalise(wanted) == normalise(registered)
}

/// A task definition in the one form that can be compared.
#[must_use]
pub(crate) fn normalise(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !RECORDS.contains(&name.as_str()));
        // Tags are no part of a revision: the answer has them beside it.
        members.remove("tags");
        // Some answer with an empty text for what is not set.
        members.retain(|_, value| value.as_str() != Some(""));
        members.entry("networkMode").or_insert_with(|| "bridge".into());
        sort(members.get_mut("requiresCompatibilities"));
        for container in array(members.get_mut("containerDefinitions")) {
            if let Some(container) = container.as_object_mut() {
                normalise_container(container);
            }
        }
        for list in ["containerDefinitions", "volumes"] {
            sort_by_key(members.get_mut(list), "name");
        }
    }
    prune(&mut document);
    document
}

fn normalise_container(container: &mut Map<String, Value>) {
    let essential = container.remove("essential").and_then(|value| value.as_bool());
    if essential == Some(false) {
        // As a text: an absent member means true, and a plain `false` would be dropped.
        container.insert("essential".to_owned(), "false".into());
    }
    for mapping in array(container.get_mut("portMappings")) {
        if let Some(mapping) = mapping.as_object_mut() {
            mapping.entry("protocol").or_insert_with(|| "tcp".into());
            mapping.entry("hostPort").or_insert_with(|| 0.into());
        }
    }
    if let Some(check) = container.get_mut("healthCheck").and_then(Value::as_object_mut) {
        for (name, default) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
            check.entry(name).or_insert_with(|| default.into());
        }
    }
    for list in ["environment", "secrets", "ulimits", "extraHosts", "systemControls"] {
        sort_by_key(
            container.get_mut(list),
            if list == "extraHosts" { "hostname" } else { "name" },
        );
    }
    sort_by_key(container.get_mut("mountPoints"), "containerPath");
    if let Some(options) = container.get_mut("logConfiguration").and_then(Value::as_object_mut) {
        sort_by_key(options.get_mut("secretOptions"), "name");
    }
    let capabilities = container
        .get_mut("linuxParameters")
        .and_then(|parameters| parameters.get_mut("capabilities"))
        .and_then(Value::as_object_mut);
    for list in capabilities.into_iter().flat_map(Map::values_mut) {
        sort(Some(list));
    }
}

fn array(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

fn sort(value: Option<&mut Value>) {
    if let Some(list) = value.and_then(Value::as_array_mut) {
        list.sort_by_key(ToString::to_string);
    }
}

fn sort_by_key(value: Option<&mut Value>, key: &str) {
    if let Some(list) = value.and_then(Value::as_array_mut) {
        list.sort_by_key(|item| item.get(key).map(ToString::to_string));
    }
}

/// Drops what says nothing: null, false, nought, and what is empty. Everywhere in a task
/// definition that is the same as to leave a member out; only the texts of variables mean
/// themselves when they are empty, and texts stay.
fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(prune);
            members.retain(|_, value| !is_nothing(value));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// What differs: `image`, `environment.LOG_FORMAT`; with the container's name before it where
    /// there are several.
    pub(crate) what: String,
    /// As it is registered; absent if it is new. Never a secret.
    pub(crate) before: Option<String>,
    /// As it is wanted; absent if it goes away. Never a secret.
    pub(crate) after: Option<String>,
    /// Whether the values were left out because they are secret.
    pub(crate) redacted: bool,
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        // A variable is known by its name.
        let what = ["environment.", "secrets."]
            .iter()
            .find_map(|list| self.what.strip_prefix(list))
            .unwrap_or(&self.what);
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        match (before, after, self.redacted) {
            (Some(_), Some(_), true) => write!(f, "{what} <redacted, changed>"),
            (None, _, true) => write!(f, "{what} <redacted, new>"),
            (_, None, true) => write!(f, "{what} <redacted, removed>"),
            (before, after, false) => {
                let value = |value: Option<&str>, none: &str| {
                    value.map_or_else(|| none.to_owned(), |value| shorten(what, value))
                };
                write!(f, "{what} {} → {}", value(before, "(none)"), value(after, "(removed)"))
            }
        }
    }
}

/// Enough of a value to know it again.
fn shorten(what: &str, value: &str) -> String {
    if what.ends_with("image")
        && let Some((_, digest)) = value.split_once("@sha256:")
    {
        return format!("sha256:{}…", digest.chars().take(12).collect::<String>());
    }
    // ARNs differ at their ends.
    let length = value.chars().count();
    if length > 60 {
        return format!("…{}", value.chars().skip(length - 59).collect::<String>());
    }
    value.to_owned()
}

/// What `wanted` changes about `registered`; nothing if they are the same. The `secrets` are texts
/// that must not be shown wherever they occur.
#[must_use]
pub(crate) fn diff(wanted: &Value, registered: &Value, secrets: &[Secret]) -> Vec<Change> {
    let (before, after) = (flatten(&normalise(registered)), flatten(&normalise(wanted)));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes: Vec<Change> = names
        .into_iter()
        .filter_map(|what| {
            let (before, after) = (before.get(what), after.get(what));
            if before == after {
                return None;
            }
            let hidden = [before, after].into_iter().flatten().any(|value| {
                is_secret_at(what, value) || secrets.iter().any(|secret| contains(value, secret))
            });
            let shown = |value: Option<&String>| {
                value.map(|value| if hidden { "<redacted>".to_owned() } else { value.clone() })
            };
            let (before, after) = (shown(before), shown(after));
            Some(Change { what: what.clone(), before, after, redacted: hidden })
        })
        .collect();
    // The image first: that is what a deployment is about.
    changes.sort_by_key(|change| !change.what.ends_with("image"));
    changes
}

fn contains(value: &str, secret: &Secret) -> bool {
    // Values of a few characters occur in anything.
    secret.expose().len() >= 4 && value.contains(secret.expose()) || value == secret.expose()
}

/// Whether what stands at a place must not be shown. A reference to a secret is none.
fn is_secret_at(what: &str, value: &str) -> bool {
    match what.rsplit_once("environment.") {
        Some((_, name)) => is_secret(name, value),
        None => has_password(value),
    }
}

/// Whether a variable's value must not be shown, by its name or by what it looks like.
#[must_use]
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    is_sensitive(name) || ADDRESSES.iter().any(|part| upper.contains(part)) || has_password(value)
}

/// The same for what is no secret by right: only what looks very much like one is hidden.
#[must_use]
pub(crate) fn looks_secret(name: &str, value: &str) -> bool {
    has_password(value) || (is_sensitive(name) && !value.starts_with("arn:"))
}

fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SENSITIVE.iter().any(|part| name.contains(part))
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', '"']).next().unwrap_or(rest);
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// Every value with the way to it. A list whose items have names is walked by them.
fn flatten(document: &Value) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let Some(members) = document.as_object() else { return flat };
    for (name, value) in members {
        if name != "containerDefinitions" {
            walk(name, value, &mut flat);
            continue;
        }
        let containers: Vec<&Value> = value.as_array().into_iter().flatten().collect();
        for container in &containers {
            let prefix = match container.get("name").and_then(Value::as_str) {
                Some(name) if containers.len() > 1 => format!("{name}."),
                _ => String::new(),
            };
            for (name, value) in container.as_object().into_iter().flatten() {
                walk(&format!("{prefix}{name}"), value, &mut flat);
            }
        }
    }
    flat
}

fn walk(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                walk(&format!("{path}.{name}"), value, flat);
            }
        }
        Value::Array(items) if path.ends_with("environment") || path.ends_with("secrets") => {
            for item in items {
                let text = |key| item.get(key).and_then(Value::as_str);
                if let (Some(name), Some(value)) =
                    (text("name"), text("value").or(text("valueFrom")))
                {
                    flat.insert(format!("{path}.{name}"), value.to_owned());
                }
            }
        }
        Value::String(text) => {
            flat.insert(path.to_owned(), text.clone());
        }
        other => {
            flat.insert(path.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted() -> Value {
        json!({
            "family": "shop-users-td",
            "containerDefinitions": [{
                "name": "users",
                "image": "host/shop-users@sha256:1f0c11223344556677",
                "memoryReservation": 300,
                "portMappings": [{ "containerPort": 5000 }],
                "environment": [
                    { "name": "APP_ENV", "value": "production" },
                    { "name": "A_KEY", "value": "hunter2" },
                ],
                "secrets": [{ "name": "SECRET_KEY", "valueFrom": "arn:aws:ssm:::x" }],
                "healthCheck": { "command": ["CMD", "/users"], "interval": 10 },
                "linuxParameters": { "capabilities": { "drop": ["ALL"] } },
            }],
        })
    }

    /// As ECS describes it.
    fn registered() -> Value {
        let mut document = wanted();
        let members = document.as_object_mut().unwrap();
        let arn = "arn:aws:ecs:us-west-1:123456789012:task-definition/shop-users-td:41";
        for (name, value) in [
            ("taskDefinitionArn", json!(arn)),
            ("revision", json!(41)),
            ("status", json!("ACTIVE")),
            ("networkMode", json!("bridge")),
            ("volumes", json!([])),
            ("placementConstraints", json!([])),
            ("requiresAttributes", json!([{ "name": "com.amazonaws.ecs.capability" }])),
            ("compatibilities", json!(["EXTERNAL", "EC2"])),
            ("registeredAt", json!(1.7e9)),
            ("registeredBy", json!("arn:aws:iam::123456789012:root")),
            ("enableFaultInjection", json!(false)),
            ("pidMode", json!("")),
        ] {
            members.insert(name.to_owned(), value);
        }
        let container = members["containerDefinitions"][0].as_object_mut().unwrap();
        for (name, value) in [
            ("cpu", json!(0)),
            ("essential", json!(true)),
            ("mountPoints", json!([])),
            ("volumesFrom", json!([])),
            ("systemControls", json!([])),
            ("portMappings", json!([{ "containerPort": 5000, "hostPort": 0, "protocol": "tcp" }])),
        ] {
            container.insert(name.to_owned(), value);
        }
        container["environment"].as_array_mut().unwrap().reverse();
        let check = container["healthCheck"].as_object_mut().unwrap();
        check.insert("timeout".to_owned(), 5.into());
        check.insert("retries".to_owned(), 3.into());
        container["linuxParameters"]["devices"] = json!([]);
        container["linuxParameters"]["capabilities"]["add"] = json!([]);
        document
    }

    #[test]
    fn what_ecs_adds_by_itself_is_no_difference() {
        assert_eq!(diff(&wanted(), &registered(), &[]), []);
        assert!(same(&wanted(), &registered()));
    }

    #[test]
    fn every_single_change_is_seen() {
        let edits: [(&str, Value); 10] = [
            ("/family", json!("other")),
            ("/containerDefinitions/0/image", json!("host/x:1")),
            ("/containerDefinitions/0/memoryReservation", json!(301)),
            ("/containerDefinitions/0/portMappings/0/containerPort", json!(80)),
            ("/containerDefinitions/0/environment/0/value", json!("")),
            ("/containerDefinitions/0/environment/1/name", json!("B_KEY")),
            ("/containerDefinitions/0/secrets/0/valueFrom", json!("arn:aws:ssm:::y")),
            ("/containerDefinitions/0/healthCheck/command", json!(["CMD", "/bin/true"])),
            ("/containerDefinitions/0/healthCheck/interval", json!(30)),
            ("/containerDefinitions/0/linuxParameters/capabilities/drop", json!([])),
        ];
        for (pointer, value) in edits {
            let mut changed = wanted();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(!same(&changed, &registered()), "{pointer}");
            assert!(!diff(&changed, &registered(), &[]).is_empty(), "{pointer}");
        }
        for member in [("essential", json!(false)), ("privileged", json!(true))] {
            let mut changed = wanted();
            changed["containerDefinitions"][0][member.0] = member.1;
            assert_eq!(diff(&changed, &registered(), &[]).len(), 1, "{}", member.0);
        }
    }

    #[test]
    fn a_person_reads_what_changes_and_never_a_secret() {
        let mut changed = wanted();
        let container = &mut changed["containerDefinitions"][0];
        container["image"] = json!("host/shop-users@sha256:9ab4aabbccddeeff0011");
        container["environment"] = json!([
            { "name": "A_KEY", "value": "hunter3" },
            { "name": "LOG_FORMAT", "value": "json" },
            { "name": "NOTE", "value": "see hunter3" },
            { "name": "PEER", "value": "amqp://ada:hunter4@queue/" },
        ]);
        let secrets = [Secret::new("hunter3".to_owned())];
        let changes = diff(&changed, &registered(), &secrets);
        let text: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "image sha256:1f0c11223344… → sha256:9ab4aabbccdd…",
                "APP_ENV production → (removed)",
                "A_KEY <redacted, changed>",
                "LOG_FORMAT (none) → json",
                "NOTE <redacted, new>",
                "PEER <redacted, new>",
            ]
        );
        let json = serde_json::to_string(&changes).unwrap();
        assert!(!json.contains("hunter"), "{json}");
    }

    #[test]
    fn several_containers_are_told_apart() {
        let mut two = wanted();
        let mut second = two["containerDefinitions"][0].clone();
        second["name"] = json!("proxy");
        two["containerDefinitions"].as_array_mut().unwrap().insert(0, second);
        let mut changed = two.clone();
        changed["containerDefinitions"][0]["stopTimeout"] = json!(30);
        let changes = diff(&changed, &two, &[]);
        assert_eq!(changes[0].to_string(), "proxy.stopTimeout (none) → 30");
    }

    #[test]
    fn a_password_in_an_address_is_recognised() {
        assert!(has_password("postgres://ada:x@db:5432/users"));
        assert!(!has_password("https://example.com/a:b@c"));
        assert!(!has_password("postgres://ada@db/users"));
    }
}
