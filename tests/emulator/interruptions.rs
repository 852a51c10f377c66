//! Ctrl-C, and somebody else who deploys.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use tests::emulator::World;

#[tokio::test]
async fn an_interrupted_rollout_is_taken_back() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let before = world.primary("users").await;
    world.checkout.change("second");
    let mut deploy = world.start(&["deploy", "--on-interrupt", "rollback"]);
    deploy.until("roll ");
    deploy.signal("INT");
    deploy.finish().ends_with(130).says(&format!("PRIMARY is {before} again"));
    assert_eq!(world.ping().await, ("first".to_owned(), first));
}

#[tokio::test]
async fn one_can_leave_a_rollout_alone_and_come_back_to_it() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    let second = world.checkout.change("second");
    let mut deploy = world.start(&["deploy", "--on-interrupt", "detach"]);
    deploy.until("roll ");
    deploy.signal("TERM");
    let left = deploy.finish().ends_with(130);
    let resume = left.output();
    let (_, resume) = resume.split_once("cargo xtask ").expect("the command that resumes");
    let resume: Vec<&str> = resume.lines().next().unwrap().split_whitespace().collect();
    world.run(&resume).ends_with(0);
    assert_eq!(world.ping().await, ("second".to_owned(), second));
}

#[tokio::test]
async fn of_two_deploys_one_is_refused_with_the_name_of_the_other() {
    let world = World::new().await;
    let mut first = world.start(&["deploy"]);
    first.until("register ");
    let second = world.run(&["deploy"]).ends_with(60);
    second.says("is at it: deploy ");
    first.finish().ends_with(0);
    // The lock is gone with its holder.
    world.checkout.change("next");
    world.run(&["deploy"]).ends_with(0);
}

#[tokio::test]
async fn or_waits_for_the_other() {
    let world = World::new().await;
    let mut first = world.start(&["deploy"]);
    first.until("register ");
    let second = world.start(&["deploy", "--wait", "120"]);
    first.finish().ends_with(0);
    second.finish().ends_with(0);
    assert_eq!(world.registered().await, [1, 1]);
}

#[tokio::test]
async fn what_a_killed_deploy_has_left_is_told_and_finished() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    let second = world.checkout.change("second");
    let mut pipeline = world.command(&tests::pipeline::path());
    let mut killed = pipeline.arg("deploy").stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(killed.stderr.take().unwrap()).lines();
    let rolls = lines.map_while(Result::ok).any(|line| line.starts_with("roll "));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(rolls, "it ended before it could be killed");
    world.run(&["plan"]).ends_with(0).says("is at it: deploy ");
    // Nobody renews its lock.
    let mut pipeline = world.command(&tests::pipeline::path());
    let output = pipeline.args(["deploy", "--wait", "240"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("was cut off: ") && said.contains("users was moving"), "{said}");
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    world.run(&["history"]).ends_with(0).says("cut off; replaced by ");
}
