//! Who may push, and what a person is told who may not.

use std::fs;

use tests::guard::free_port;

use crate::checkout::Checkout;
use crate::registry::Registry;

#[tokio::test]
async fn a_wrong_password_is_one_clear_line() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host).set("REGISTRY_PASSWORD", "open barley");
    let refused = checkout.run(&["push"]);
    assert_eq!(
        refused.only_line(20),
        format!(
            "error: the registry {} does not accept user AWS: \
             check REGISTRY_USERNAME and REGISTRY_PASSWORD",
            registry.host
        )
    );
    assert!(registry.tags(&checkout.repository("users")).await.is_empty());
}

#[tokio::test]
async fn a_missing_password_is_asked_for_by_name() {
    let checkout = Checkout::new("127.0.0.1:1").set("REGISTRY_PASSWORD", "");
    let line = checkout.run(&["push"]).only_line(10).to_owned();
    assert!(line.contains("set REGISTRY_PASSWORD, or"), "{line}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_no_wrong_password() {
    let host = format!("127.0.0.1:{}", free_port());
    let line = Checkout::new(&host).run(&["push"]).only_line(20).to_owned();
    assert!(line.contains("cannot be used") && line.contains("connection refused"), "{line}");
}

#[tokio::test]
async fn the_users_own_docker_configuration_stays_as_it_is() {
    let registry = Registry::start().await;
    let home = tempfile::tempdir().unwrap();
    // A credential store that is not installed: whoever hands it the password fails.
    let original =
        format!("{{\"credsStore\":\"of-another-world\",\"auths\":{{\"{}\":{{}}}}}}", registry.host);
    fs::write(home.path().join("config.json"), &original).unwrap();
    let docker = std::env::var("DOCKER_CONFIG").unwrap_or_else(|_| {
        std::env::home_dir().unwrap().join(".docker").to_string_lossy().into_owned()
    });
    let plugins = std::path::Path::new(&docker).join("cli-plugins");
    if plugins.exists() {
        std::os::unix::fs::symlink(plugins, home.path().join("cli-plugins")).unwrap();
    }
    let path = home.path().to_string_lossy().into_owned();
    let checkout = Checkout::new(&registry.host).set("DOCKER_CONFIG", &path);
    let pushed = checkout.run(&["push", "--service", "users"]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.output());
    assert_eq!(fs::read_to_string(home.path().join("config.json")).unwrap(), original);
}

#[tokio::test]
async fn docker_may_know_the_password_by_itself() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    checkout.configure(&format!("host = \"{}\"\nlogin = \"docker\"", registry.host));
    checkout.commit("Leave the login to docker");
    let checkout = checkout.set("REGISTRY_PASSWORD", "");
    // Nobody has signed in: docker's own answer must come through.
    let refused = checkout.run(&["push", "--service", "users"]);
    assert_eq!(refused.code, Some(20), "{}", refused.output());
    assert!(refused.stderr.contains(&registry.host), "{}", refused.stderr);
}
