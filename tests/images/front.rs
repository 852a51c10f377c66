//! The front of `docker compose up` and the load balancer send the same paths to the API.

use std::{collections::BTreeSet, fs};

use contract::paths::API_PATTERNS;

use crate::docker::root;

#[test]
fn the_front_has_the_load_balancers_path_rules() {
    let settings = fs::read_to_string(root().join("docker/front.conf")).unwrap();
    let (mut to_users, mut to_client) = (BTreeSet::new(), BTreeSet::new());
    for line in settings.lines().map(str::trim).filter(|line| line.starts_with("location ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let (pattern, target) = match words[..] {
            ["location", "=", path, "{", "proxy_pass", target, "}"] => (path.to_owned(), target),
            ["location", prefix, "{", "proxy_pass", target, "}"] => (format!("{prefix}*"), target),
            _ => panic!("not a path rule: {line}"),
        };
        match target {
            "$users;" => to_users.insert(pattern),
            "$client;" => to_client.insert(pattern),
            _ => panic!("to no service: {line}"),
        };
    }
    assert_eq!(to_users, API_PATTERNS.map(str::to_owned).into());
    assert_eq!(to_client, ["/*".to_owned()].into());
}
