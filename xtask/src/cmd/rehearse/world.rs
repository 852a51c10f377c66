//! What there is in a rehearsal, and the pipeline that works on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::checkout::Checkout;
use super::emulator::{self, Emulator};
use super::front::Front;
use super::http;
use super::images;
use super::load::Load;
use super::tls;
use crate::claim::Claim;
use crate::layout::Layout;
use crate::postgres::{self, Purpose, Server, container};
use crate::process;
use crate::report::say;

/// What the emulator lacks, by the stack's own parameters: capacity providers, and ECS's images of
/// hosts. The rest is the template's own, and nothing of what the user's file may say about a
/// domain, a build project or alarms.
const PARAMETERS: &str = "parameters={ HostScaling = \"fixed\", HostImage = \
    \"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64\" }";

/// All of it. What is made later goes first.
#[derive(Debug)]
pub(super) struct World<'a> {
    layout: &'a Layout,
    claim: &'a Claim,
    pipeline: PathBuf,
    pub(super) checkout: Checkout,
    front: Option<Front>,
    emulator: Option<Emulator>,
    database: Option<Server>,
}

impl<'a> World<'a> {
    /// An empty account, an empty database, and a commit.
    ///
    /// # Errors
    /// Something cannot be installed or started.
    pub(super) fn new(layout: &'a Layout, claim: &'a Claim) -> Result<Self> {
        clear(layout);
        let pipeline = pipeline(layout)?;
        let mut world = Self {
            layout,
            claim,
            pipeline,
            checkout: Checkout::new(layout)?,
            front: None,
            emulator: None,
            database: None,
        };
        world.database = Some(postgres::start_rehearsal(layout, claim)?);
        let emulator = Emulator::start(layout, claim)?;
        world.front = Some(Front::start(emulator.port, world.prefix())?);
        world.emulator = Some(emulator);
        Ok(world)
    }

    /// What all names derive from. Two checkouts can share a Docker engine.
    fn name(&self) -> String {
        name(self.layout)
    }

    /// Below which path the emulator serves the load balancer.
    fn prefix(&self) -> String {
        format!("/_alb/{}-alb", self.name())
    }

    fn emulator(&self) -> Result<&Emulator> {
        self.emulator.as_ref().context("the emulator has ended")
    }

    /// Fails if a part of it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.database.as_mut().map_or(Ok(()), Server::check)?;
        self.emulator.as_mut().map_or(Ok(()), Emulator::check)
    }

    /// Where a person finds the application.
    pub(super) fn url(&self) -> String {
        self.front.as_ref().map(Front::url).unwrap_or_default()
    }

    /// The container that PostgreSQL runs in.
    pub(super) fn database(&self) -> String {
        container::name(self.layout, Purpose::Rehearsal)
    }

    /// Runs a command of the pipeline to its end, and gives its exit code.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<i32> {
        say(format_args!("cargo xtask {}", arguments.join(" ")));
        let mut command = self.command(arguments)?;
        let status =
            process::status_noting(&mut command, |pid| self.claim.note(pid, Signal::TERM))?;
        code(status)
    }

    /// Runs one that must succeed.
    pub(super) fn must(&self, arguments: &[&str]) -> Result<()> {
        let code = self.run(arguments)?;
        ensure!(code == 0, "`cargo xtask {}` ended with exit code {code}", arguments.join(" "));
        Ok(())
    }

    /// The pipeline as a person calls it, with other endpoints.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let emulator = self.emulator()?;
        let mut command = Command::new(&self.pipeline);
        emulator.hand_over(&mut command);
        let url = format!("http://127.0.0.1:{}{}", emulator.port, self.prefix());
        command.env("APP_URL", url).current_dir(&self.checkout.root);
        let scratch = emulator::scratch(self.layout)?;
        command.env("TMPDIR", &scratch).env("XDG_RUNTIME_DIR", &scratch);
        for set in [
            &*format!("name={}", self.name()),
            "registry.login=environment",
            // The layers lie in the engine that builds, and no other machine wants them.
            "images.cache=false",
            PARAMETERS,
        ] {
            command.args(["--set", set]);
        }
        command.args(arguments);
        Ok(command)
    }

    /// Has the application's secret lead to the real database: the emulator makes none. By TLS, as
    /// the stack's own secret says; the release trusts its authority beside those of RDS.
    pub(super) fn connect_the_database(&self) -> Result<()> {
        let mut outputs = self.command(&["infra", "outputs", "--output", "json"])?;
        let outputs = process::read(outputs.stderr(Stdio::null()))?;
        let arn = output(&outputs, "DatabaseUrlSecretArn")
            .context("the stack has no output DatabaseUrlSecretArn")?;
        let database = self.database.as_ref().context("the database has ended")?;
        self.checkout.trust(&tls::switch_on(&self.database(), &database.url)?)?;
        self.emulator()?.put_secret(arn, &format!("{}?sslmode=require", database.url))
    }

    /// Which release answers at a path.
    pub(super) fn serves(&self, path: &str) -> Result<String> {
        let path = format!("{}{path}", self.prefix());
        let answer = http::ask(self.emulator()?.port, "GET", &path, "", "")?;
        Ok(match answer.version {
            Some(version) if answer.status == 200 => version,
            _ => format!("nobody (status {})", answer.status),
        })
    }

    /// Visitors of the application.
    pub(super) fn load(&self) -> Result<Load> {
        let (serving, layout) = (emulator::addresses(self.layout)?, self.layout.clone());
        let containers = move || emulator::addresses(&layout).unwrap_or_default();
        Ok(Load::start(self.emulator()?.port, &self.prefix(), serving, containers))
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        say("Removing containers, images and data of the rehearsal");
        self.front = None;
        self.emulator = None;
        self.database = None;
        clear(self.layout);
    }
}

fn name(layout: &Layout) -> String {
    let id: String = layout.id().chars().take(8).collect();
    format!("rehearsal-{id}")
}

/// Removes what a rehearsal of this checkout has left, if any: containers, images, files. The
/// layers of its builds stay, for the next one.
pub(super) fn clear(layout: &Layout) {
    emulator::clear(layout);
    container::remove(&container::name(layout, Purpose::Rehearsal));
    images::clear(&name(layout));
    for directory in ["checkout", "emulator", "tmp"] {
        let _ = fs::remove_dir_all(layout.rehearse().join(directory));
    }
}

/// The pipeline's program: the one that PIPELINE_BIN names, or the workspace's own.
fn pipeline(layout: &Layout) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("PIPELINE_BIN") {
        return Ok(program.into());
    }
    say("Building the pipeline (a few minutes the first time)");
    process::run(process::cargo().args(["build", "--quiet", "--package", "pipeline"]))?;
    Ok(layout.program("pipeline"))
}

fn code(status: ExitStatus) -> Result<i32> {
    status.code().with_context(|| format!("the pipeline was ended ({status})"))
}

/// A text among the stack's outputs, as JSON says it.
fn output<'o>(outputs: &'o str, name: &str) -> Option<&'o str> {
    let (_, rest) = outputs.split_once(&format!("\"{name}\":"))?;
    rest.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_its_name() {
        let outputs =
            r#"{ "outputs": { "Cluster": "shop", "DatabaseUrlSecretArn": "arn:aws:x" } }"#;
        assert_eq!(output(outputs, "DatabaseUrlSecretArn"), Some("arn:aws:x"));
        assert_eq!(output(outputs, "Url"), None);
    }
}
