//! `buildspec.yml`, as CodeBuild runs it: what of it is the pipeline's runs on the emulator.

use std::{fs, path::Path};

use tests::emulator::World;

#[tokio::test]
async fn the_commands_of_the_buildspec_release_the_commit() {
    let buildspec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../buildspec.yml");
    let buildspec = fs::read_to_string(buildspec).unwrap();
    let commands: Vec<&str> = buildspec
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- cargo xtask "))
        // These are the other suites' subject.
        .filter(|command| !["ci", "setup"].contains(command))
        .collect();
    assert_eq!(commands.last().map(|last| last.split(' ').next()), Some(Some("deploy")));
    let world = World::new().await;
    let commit = world.checkout.change("built");
    for command in commands {
        world.run(&command.split(' ').collect::<Vec<_>>()).ends_with(0);
    }
    assert_eq!(world.ping().await, ("built".to_owned(), commit));
}
