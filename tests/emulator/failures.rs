//! Releases that do not come up, and clouds that do not answer.

use serde_json::json;

use tests::emulator::{
    World,
    aws::{ACCOUNT, REGION},
};

use crate::proxy::{Fault, Proxy};

#[tokio::test]
async fn a_migration_that_fails_moves_nothing() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let before = world.primary("users").await;

    world.checkout.write("services/users/migrations/0002_more/up.sql", "SELECT 2;\n");
    world
        .checkout
        .prepend("if [ \"$1\" = migrate ]; then echo 'column \"name\" exists already'; exit 3; fi");
    let deploy = world.run(&["deploy"]).ends_with(30);
    let deploy = deploy.says("column \"name\" exists already").says("3");
    assert!(!deploy.stderr.contains("\nroll "), "{}", deploy.stderr);
    assert_eq!(world.primary("users").await, before);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
}

#[tokio::test]
async fn an_image_that_crashes_at_start_is_taken_back_with_its_last_words() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let before = world.primary("users").await;

    world.checkout.prepend(
        "if [ \"$1\" = serve ]; then echo 'SECRET_KEY has 12 bytes; production needs 32'; exit 7; fi",
    );
    let deploy = world.deploy_in_vain();
    deploy
        .says("SECRET_KEY has 12 bytes; production needs 32")
        .says("exit code 7")
        .says(&format!("PRIMARY is {before} again"));
    assert_eq!(world.primary("users").await, before);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    let (prod, running) = world.prod_and_running("users").await;
    assert_eq!(prod, running, "the tag names what was never seen to serve");
    // What was half done does not stand in the way of the next release.
    let third = world.checkout.change("third");
    world.run(&["deploy"]).ends_with(0);
    assert_eq!(world.ping().await, ("third".to_owned(), third));
}

#[tokio::test]
async fn a_release_that_answers_as_another_is_taken_back() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    world.checkout.prepend("APP_VERSION=0000000000000000000000000000000000000000");
    world.run(&["deploy"]).ends_with(50);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    let (prod, running) = world.prod_and_running("users").await;
    assert_eq!(prod, running, "the tag names what was never seen to serve");
}

#[tokio::test]
async fn names_that_nothing_gives_a_value_are_listed_all_at_once() {
    let world = World::new().await;
    world.configure(&[]);
    world.checkout.commit("Forget the secrets");
    world
        .run(&["deploy"])
        .ends_with(10)
        .says("DATABASE_URL_SECRET_ARN")
        .says("SECRET_KEY_SECRET_ARN");
    assert_eq!(world.registered().await, [0, 0]);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named_and_the_old_release_serves_on() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let gone =
        format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{}-GONE-AbCdEf", world.name);
    let values = |name: &str| (name.to_owned(), gone.clone());
    world.configure(&[values("DATABASE_URL_SECRET_ARN"), values("SECRET_KEY_SECRET_ARN")]);
    world.checkout.commit("Name secrets that nobody made");
    // No migration is new: the service is the first that needs them.
    let deploy = world.run(&["deploy"]).ends_with(40);
    deploy.says("-GONE-").says("again");
    assert_eq!(world.ping().await, ("first".to_owned(), first));
}

#[tokio::test]
async fn a_missing_cluster_is_named_with_what_makes_it() {
    let world = World::new().await;
    world.aws.ecs("DeleteCluster", json!({ "cluster": world.cluster() })).await;
    world.run(&["deploy"]).ends_with(10).says(&world.cluster()).says("infra apply");
}

#[tokio::test]
async fn a_cloud_that_throttles_errs_hangs_up_and_stalls_changes_nothing_in_the_end() {
    let mut world = World::new().await;
    let proxy = Proxy::start(
        world.endpoint(),
        vec![
            ("DescribeServices", Fault::Throttle),
            ("DescribeServices", Fault::ServerError),
            ("RegisterTaskDefinition", Fault::LoseAnswer),
            ("RunTask", Fault::LoseAnswer),
            ("DescribeTasks", Fault::HangUp),
            ("CreateService", Fault::Throttle),
            ("DescribeServices", Fault::Stall),
            ("DescribeServices", Fault::HangUp),
        ],
    )
    .await;
    world.reach_by(&proxy.endpoint());
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    assert_eq!(world.registered().await, [1, 1], "a lost answer must not register twice");
    assert_eq!(proxy.left(), Vec::new(), "faults that did not come to pass");
}
