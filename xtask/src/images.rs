//! Builds the images that production runs, for the tests that look at them. What is shipped is
//! built by the pipeline, from committed files and with the registry's caches.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::layout::Layout;
use crate::port;
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

/// `docker compose up`, with both images under test; all of it goes with the value.
pub(crate) struct Composed {
    project: String,
    port: u16,
}

impl Composed {
    /// Brings the containers up and waits until they are healthy.
    ///
    /// # Errors
    /// One is not; Docker has said which.
    pub(crate) fn up(layout: &Layout) -> Result<Self> {
        let port = port::free()?;
        let composed = Self { project: format!("{}-test", layout.id()), port };
        let mut up = Command::new("docker");
        up.args(["compose", "up", "--detach", "--wait", "--quiet-pull"]);
        composed.hand_over(&mut up);
        process::run(&mut up)?;
        Ok(composed)
    }

    /// Has `docker compose`, and the tests that call it, mean these containers.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("COMPOSE_PROJECT_NAME", &self.project);
        command.env("COMPOSE_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("PORT", self.port.to_string());
        command.env("USERS_IMAGE", USERS).env("CLIENT_IMAGE", CLIENT);
        // More people sign up from one address than it may in ten minutes.
        command.env("THROTTLE", "off");
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let mut down = Command::new("docker");
        down.args(["compose", "down", "--volumes", "--remove-orphans", "--timeout=5"]);
        self.hand_over(&mut down);
        // Also after Ctrl-C, which must not reach it. Docker has said what is left, if something is.
        let _ = down.process_group(0).stdin(Stdio::null()).status();
    }
}
