//! What `build` makes, and from what.

use std::process::Command;

use crate::checkout::{Checkout, image};

/// Builds without any registry.
const BUILD: [&str; 4] = ["build", "--no-registry", "--output", "json"];

fn inspect(reference: &str, format: &str) -> String {
    let output =
        Command::new("docker").args(["image", "inspect", "--format", format, reference]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn both_images_carry_the_commit_as_their_version() {
    let checkout = Checkout::new("127.0.0.1:1");
    let report = checkout.run(&BUILD).report();
    let head = checkout.head();
    for service in ["users", "client"] {
        let reference = image(&report, service)["reference"].as_str().unwrap();
        assert_eq!(reference, format!("{}:{head}", checkout.repository(service)));
        let label = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
        assert_eq!(inspect(reference, label), head);
        let prod = format!("{}:prod", checkout.repository(service));
        assert_eq!(inspect(&prod, "{{.Id}}"), inspect(reference, "{{.Id}}"));
        inspect(&format!("{}:builder", checkout.repository(service)), "{{.Id}}");
    }
}

#[test]
fn without_the_registrys_password_everything_is_built_here() {
    let checkout = Checkout::new("127.0.0.1:1").set("REGISTRY_PASSWORD", "");
    let built = checkout.run(&["build", "--output", "json"]);
    assert!(
        built.stderr.starts_with("note: built without the registry's help"),
        "{}",
        built.stderr
    );
    assert_eq!(image(&built.report(), "users")["state"], "built");
}

#[test]
fn a_dirty_tree_is_refused_in_continuous_integration() {
    let checkout = Checkout::new("127.0.0.1:1").set("CI", "true");
    checkout.write("new.txt", "new");
    for command in ["build", "push"] {
        let refused = checkout.run(&[command]);
        assert_eq!(refused.code, Some(20), "{}", refused.output());
        assert!(refused.stderr.contains("?? new.txt"), "{}", refused.stderr);
    }
}

#[test]
fn what_git_ignores_is_not_built_from() {
    let checkout = Checkout::new("127.0.0.1:1");
    checkout.write(".gitignore", "users.txt\n");
    checkout.write("Dockerfile.users", "FROM scratch AS builder\nCOPY . /\nFROM builder\n");
    std::fs::write(checkout.root().join(".env"), "SECRET_KEY=x").unwrap();
    checkout.write(".gitignore", ".env\n");
    checkout.commit("Copy everything");
    let report = checkout.run(&BUILD).report();
    let reference = image(&report, "users")["reference"].as_str().unwrap();
    let container = Command::new("docker").args(["create", reference, "none"]).output().unwrap();
    let container = String::from_utf8(container.stdout).unwrap().trim().to_owned();
    let listing = Command::new("sh")
        .args(["-c", "docker export \"$0\" | tar -t", &container])
        .output()
        .unwrap();
    Command::new("docker").args(["rm", &container]).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let files: Vec<_> = listing.lines().collect();
    assert!(files.contains(&"users.txt"), "{files:?}");
    assert!(!files.contains(&".env") && !files.iter().any(|file| file.starts_with(".git/")));
}

#[test]
fn a_broken_build_shows_dockers_last_lines() {
    let checkout = Checkout::new("127.0.0.1:1");
    checkout.write("Dockerfile.users", "FROM scratch AS builder\nCOPY nowhere.txt /\n");
    checkout.commit("Break it");
    let broken = checkout.run(&["build", "--no-registry"]);
    assert_eq!(broken.code, Some(20), "{}", broken.output());
    let (_, error) = broken.stderr.split_once("error: ").expect("an error");
    assert!(error.starts_with("the image of users could not be built from Dockerfile.users"));
    assert!(error.contains("nowhere.txt"), "{error}");
    assert_eq!(broken.stdout, "");
}

#[test]
fn a_dockerfile_that_is_not_committed_is_named() {
    let checkout = Checkout::new("127.0.0.1:1");
    std::fs::remove_file(checkout.root().join("Dockerfile.users")).unwrap();
    checkout.commit("Lose it");
    let line = checkout.run(&["build", "--no-registry"]).only_line(20).to_owned();
    assert!(line.contains("Dockerfile.users is not among the sources"), "{line}");
}

#[test]
fn without_an_engine_a_person_is_told_what_to_do() {
    let checkout =
        Checkout::new("127.0.0.1:1").set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let line = checkout.run(&["build"]).only_line(20).to_owned();
    assert!(line.starts_with("error: no Docker engine answers"), "{line}");
}

#[test]
fn wrong_arguments_and_configurations_have_a_code_of_their_own() {
    let checkout = Checkout::new("127.0.0.1:1");
    assert_eq!(checkout.run(&["build", "--bogus"]).code, Some(10));
    checkout.configure("hots = \"127.0.0.1:1\"");
    let line = checkout.run(&["build"]).only_line(10).to_owned();
    assert_eq!(line, "error: ecs/pipeline.toml:3: unknown key `hots`; did you mean `host`?");
}
