//! Builds the images that production runs, for the tests that look at them. What is shipped is
//! built by the pipeline, from committed files and with the registry's caches.

use std::process::Command;

use anyhow::Result;

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// The API's image under test.
pub(crate) const USERS: &str = "test-driven-users:test";
/// The client's image under test.
pub(crate) const CLIENT: &str = "test-driven-client:test";

/// Builds both from the working tree.
///
/// # Errors
/// One does not build; Docker has said why.
pub(crate) fn build(layout: &Layout) -> Result<()> {
    say("Building the images (about 10 minutes the first time)");
    let version = process::read(Command::new("git").args(["rev-parse", "HEAD"]));
    let version = version.unwrap_or_else(|_| "dev".to_owned());
    for (file, tag) in [("Dockerfile.users", USERS), ("Dockerfile.client", CLIENT)] {
        let mut docker = Command::new("docker");
        docker.args(["build", "--quiet", "--file", file, "--tag", tag]);
        docker.args(["--build-arg", &format!("APP_VERSION={}", version.trim())]);
        // Engines before 23 would build without BuildKit, which these files need.
        process::run(docker.env("DOCKER_BUILDKIT", "1").arg(&layout.root))?;
    }
    Ok(())
}
