//! `buildspec.yml`, as CodeBuild runs it: what of it is the pipeline's runs on the emulator.

use std::{fs, path::Path};

use tests::emulator::{World, aws::ACCOUNT};

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
    // What the file sets, and what the project and CodeBuild do.
    let mut variables = variables(&buildspec);
    assert!(variables.contains(&("CI", "true")), "{variables:?}");
    variables.extend([("AWS_ACCOUNT_ID", ACCOUNT), ("API_SERVICE_URL", "")]);
    variables.push(("CODEBUILD_BUILD_ID", "shop-build:1"));
    for command in commands {
        let mut pipeline = world.command(&tests::pipeline::path());
        pipeline.args(command.split(' ')).envs(variables.iter().copied());
        let output = pipeline.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
    }
    world.run(&["history"]).ends_with(0).says("shop-build:1");
    // Continuous integration releases commits, and nothing else.
    world.checkout.write("users.sh", "exit 1\n");
    let mut pipeline = world.command(&tests::pipeline::path());
    let output = pipeline.arg("deploy").envs(variables).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the working tree differs from the commit"), "{said}");
    assert_eq!(world.ping().await, ("built".to_owned(), commit));
}

/// `env.variables`.
fn variables(buildspec: &str) -> Vec<(&str, &str)> {
    let lines = buildspec.lines().skip_while(|line| *line != "  variables:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("    "));
    let pairs = lines.filter_map(|line| line.trim().split_once(": "));
    pairs.map(|(name, value)| (name, value.trim_matches('"'))).collect()
}
