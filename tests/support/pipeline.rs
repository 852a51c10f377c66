//! The pipeline's program in a checkout of a test's own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The path of the program.
pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("PIPELINE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).expect("target/debug/deps");
    let path = profile.join(format!("pipeline{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "the pipeline is not built: run `cargo xtask test`");
    path
}

/// A program in `root`, which finds no credentials of the person who runs the test, or of the
/// machine.
pub fn command(program: &Path, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name == "CI" || ["AWS_", "REGISTRY_"].iter().any(|ours| name.starts_with(ours)) {
            command.env_remove(&*name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

/// Has git do something in `root`; gives what it says.
pub fn git(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
