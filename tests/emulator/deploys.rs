//! Releases that come up.

use std::fs;

use tests::emulator::{SECRETS, World, files};

#[tokio::test]
async fn two_services_come_up_from_nothing_and_follow_each_release() {
    let world = World::new().await;
    world.run(&["plan", "--detailed-exitcode"]).ends_with(2);
    assert_eq!(world.registered().await, [0, 0], "a plan registers nothing");

    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0).says("released");
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    assert_eq!(world.registered().await, [1, 1]);
    let client = world.primary("client").await;

    let second = world.checkout.change("second");
    world.run(&["plan", "--detailed-exitcode"]).ends_with(2);
    world.run(&["deploy"]).ends_with(0).says("released");
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    assert_eq!(world.primary("users").await, format!("{}-users-td:2", world.name));
    // Both carry the commit, which the smoke check looks for.
    assert_ne!(world.primary("client").await, client);
}

#[tokio::test]
async fn what_is_there_already_is_left_alone() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    let registered = world.registered().await;
    world.run(&["deploy"]).ends_with(0).says("unchanged");
    world.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    assert_eq!(world.registered().await, registered);
}

#[tokio::test]
async fn new_migrations_run_before_any_service_moves() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0).says("applied 0001_users");
    world.checkout.write("services/users/migrations/0002_more/up.sql", "SELECT 2;\n");
    world.checkout.change("with more");
    let plan = world.run(&["plan"]).ends_with(0).says("0002_more");
    assert!(!plan.output().contains("0001_users"), "{}", plan.output());
    let deploy = world.run(&["deploy"]).ends_with(0);
    let migrated = deploy.stderr.find("applied 0001_users").unwrap();
    assert!(migrated < deploy.stderr.find("\nroll ").unwrap(), "{}", deploy.stderr);
}

#[tokio::test]
async fn one_goes_back_to_the_release_before() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    world.checkout.change("second");
    world.run(&["deploy"]).ends_with(0);
    world.run(&["rollback"]).ends_with(0);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    let history = world.run(&["history"]).ends_with(0);
    assert!(history.stdout.lines().count() >= 3, "{}", history.stdout);
}

#[tokio::test]
async fn programs_get_json() {
    let world = World::new().await;
    let deploy = world.run(&["deploy", "--output", "json"]).ends_with(0);
    assert_eq!(deploy.report()["exit_code"], 0, "{}", deploy.stdout);
    let status = world.run(&["status", "--output", "json"]).ends_with(0);
    assert!(status.report().is_object(), "{}", status.stdout);
    let schema = world.run(&["config", "schema"]).ends_with(0);
    assert!(schema.report()["$schema"].is_string(), "{}", schema.stdout);
}

#[tokio::test]
async fn a_command_runs_once_on_the_cluster_with_its_lines_and_its_code() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    world.run(&["seed_db", "--on", "ecs"]).ends_with(0).says("seeded");
    // Production's database can be destroyed only where the configuration allows it.
    world.run(&["recreate_db", "--on", "ecs"]).ends_with(10).says("database.protected");
}

#[tokio::test]
async fn no_secret_is_printed_or_kept() {
    let world = World::new().await;
    // `World::run` looks at what is printed, and at the temporary files.
    for command in [&["plan"][..], &["deploy", "--output", "json"], &["status"], &["doctor"]] {
        world.run(command);
    }
    for file in files(&world.checkout.root()) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for (name, secret) in SECRETS {
            assert!(!content.contains(secret), "{name} in {}", file.display());
        }
    }
}
