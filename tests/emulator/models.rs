//! AWS's own word: its published service models, as botocore carries them. Nobody here reaches AWS,
//! so whatever is sent there is held against these.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use tests::emulator::World;

use crate::proxy::Proxy;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn task_definitions_and_services_are_as_aws_wants_them() {
    let checked = models(&["documents", "ecs"], "");
    assert!(checked.status.success(), "{}", text(&checked));
}

#[tokio::test]
async fn every_request_of_a_whole_run_is_as_aws_wants_it() {
    let mut world = World::new().await;
    let proxy = Proxy::start(world.endpoint(), Vec::new()).await;
    world.reach_by(&proxy.endpoint());
    world.run(&["doctor"]);
    world.run(&["deploy"]).ends_with(0);
    world.checkout.change("second");
    world.run(&["deploy"]).ends_with(0);
    world.run(&["rollback"]).ends_with(0);
    world.run(&["seed_db", "--on", "ecs"]).ends_with(0);
    for command in [
        &["status"][..],
        &["history"],
        &["logs", "--service", "users"],
        &["scale", "client", "2"],
        &["exec", "--", "seed_db"],
        &["prune", "--keep", "1", "--yes", "--set", "registry.login=ecr"],
    ] {
        world.run(command).ends_with(0);
    }
    world.checkout.prepend("if [ \"$1\" = serve ]; then echo 'no database'; exit 7; fi");
    world.deploy_in_vain();
    let requests: Vec<String> = proxy.requests().iter().map(ToString::to_string).collect();
    assert!(requests.len() > 50, "{} requests", requests.len());
    let checked = models(&["requests"], &requests.join("\n"));
    assert!(checked.status.success(), "{}", text(&checked));
}

fn models(arguments: &[&str], input: &str) -> Output {
    python(&[&["tests/emulator/aws_models.py"], arguments].concat(), input)
}

/// Runs a script with the Python that has the emulator and botocore.
pub(crate) fn python(arguments: &[&str], input: &str) -> Output {
    let emulator = std::env::var_os("MINISTACK_BIN").expect("`cargo xtask test` installs it");
    let python = Path::new(&emulator).with_file_name("python");
    say(Command::new(python).args(arguments), input)
}

/// What a script says, in the Python of another tool.
pub(crate) fn python_says(python: &Path, script: &str, input: &str) -> String {
    let output = say(Command::new(python).args(["-c", script]), input);
    text(&output)
}

fn say(command: &mut Command, input: &str) -> Output {
    command.current_dir(WORKSPACE);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It reads all of it before it says anything.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
