//! What `push` brings into the registry, and what it leaves out.

use crate::checkout::{Checkout, image};
use crate::registry::Registry;

const PUSH: [&str; 3] = ["push", "--output", "json"];

#[tokio::test]
async fn the_registry_gets_both_images_under_all_their_tags() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    let report = checkout.run(&PUSH).report();
    let head = checkout.head();
    assert_eq!(report["version"], head.as_str());
    assert_eq!(report["source"]["dirty"], false);
    for service in ["users", "client"] {
        let repository = checkout.repository(service);
        let mut tags = vec!["builder".to_owned(), head.clone(), "prod".to_owned()];
        tags.sort();
        assert_eq!(registry.tags(&repository).await, tags);
        let digest = registry.digest(&repository, &head).await;
        assert_eq!(registry.digest(&repository, "prod").await, digest);
        let image = image(&report, service);
        assert_eq!(image["state"], "pushed");
        assert_eq!(image["digest"], digest.as_str());
        assert_eq!(image["reference"], format!("{}/{repository}@{digest}", registry.host));
    }
}

#[tokio::test]
async fn what_the_registry_has_is_neither_built_nor_pushed_again() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    let first = checkout.run(&PUSH).report();
    let second = checkout.run(&PUSH);
    assert!(!second.stderr.contains("[builder"), "{}", second.stderr);
    let second = second.report();
    for service in ["users", "client"] {
        let again = image(&second, service);
        assert_eq!(again["state"], "present");
        assert_eq!(again["digest"], image(&first, service)["digest"]);
        assert_eq!(again["tags"].as_array().unwrap().len(), 0);
    }
    let built = checkout.run(&["build", "--output", "json"]).report();
    assert_eq!(image(&built, "users")["state"], "present");
}

#[tokio::test]
async fn an_older_commit_can_become_the_newest_release_again() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    let first = checkout.run(&PUSH).report();
    checkout.write("users.txt", "changed");
    checkout.commit("Change");
    let second = checkout.run(&PUSH).report();
    let digest = |report, service| image(report, service)["digest"].as_str().unwrap().to_owned();
    assert_ne!(digest(&first, "users"), digest(&second, "users"));

    let old = first["version"].as_str().unwrap();
    let status = std::process::Command::new("git")
        .args(["checkout", "--quiet", old])
        .current_dir(checkout.root())
        .status();
    assert!(status.unwrap().success());
    let third = checkout.run(&PUSH).report();
    assert_eq!(image(&third, "users")["state"], "present");
    assert_eq!(image(&third, "users")["tags"], serde_json::json!(["prod"]));
    let users = checkout.repository("users");
    assert_eq!(registry.digest(&users, "prod").await, digest(&first, "users"));
}

#[tokio::test]
async fn the_same_commit_with_another_address_of_the_api_is_another_image() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    checkout.run(&PUSH).report();
    let checkout = checkout.set("API_SERVICE_URL", "https://api.example.com");
    let report = checkout.run(&PUSH).report();
    assert_eq!(image(&report, "users")["state"], "present");
    assert_eq!(image(&report, "client")["state"], "pushed");
    assert_eq!(image(&checkout.run(&PUSH).report(), "client")["state"], "present");
}

#[tokio::test]
async fn uncommitted_changes_get_a_tag_of_their_own_and_move_no_other() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    checkout.run(&PUSH).report();
    let users = checkout.repository("users");
    let released = registry.digest(&users, "prod").await;
    checkout.write("users.txt", "changed");
    let report = checkout.run(&["push", "--service", "users", "--output", "json"]).report();
    assert_eq!(report["source"]["dirty"], true);
    let marked = format!("{}-dirty", checkout.head());
    assert_eq!(image(&report, "users")["tags"], serde_json::json!([marked]));
    assert_ne!(registry.digest(&users, &marked).await, released);
    assert_eq!(registry.digest(&users, "prod").await, released);
    assert_eq!(report["images"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_forced_push_builds_with_the_layers_of_the_registry() {
    let registry = Registry::start().await;
    let checkout = Checkout::new(&registry.host);
    checkout.run(&PUSH).report();
    let forced = checkout.run(&["push", "--force", "--output", "json"]);
    let import = format!("importing cache manifest from {}", registry.host);
    assert!(forced.stderr.contains(&import), "{}", forced.stderr);
    assert_eq!(image(&forced.report(), "users")["state"], "pushed");
}
