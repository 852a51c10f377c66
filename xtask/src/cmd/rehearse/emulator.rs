//! AWS, for as long as a rehearsal takes: the emulator, on a port of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::http;
use crate::claim::Claim;
use crate::interrupt;
use crate::layout::Layout;
use crate::port;
use crate::postgres::container;
use crate::process::{self, Echo, Service};
use crate::python;
use crate::report::{human, say};

/// The account that the emulator makes of the access key.
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-west-1";
/// The label by which its containers tell whose they are.
const OWNER: &str = "ministack.instance";
/// The same emulator as an image, for machines without Python.
const IMAGE: &str = "ministackorg/ministack:1.5.33";
/// Where the engine listens on this very machine.
const SOCKET: &str = "/var/run/docker.sock";

/// A running emulator. Dropping it removes the containers that it has started, and ends it.
#[derive(Debug)]
pub(super) struct Emulator {
    pub(super) port: u16,
    service: Service,
}

impl Emulator {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be installed, or does not start.
    pub(super) fn start(layout: &Layout, claim: &Claim) -> Result<Self> {
        const LIMIT: Duration = Duration::from_secs(60);
        let port = port::free()?;
        let state = layout.rehearse().join("emulator");
        let settings = settings(layout, port, &state);
        let mut command = if python_is_here() {
            let program = python::MINISTACK.ensure(layout);
            Command::new(program.context("the emulator of AWS cannot be installed")?)
        } else {
            say(format_args!(
                "No Python 3 with venv and pip is here (on Debian: apt-get install python3-venv): \
                 the emulator of AWS runs from its image {IMAGE}, which Docker pulls if need be"
            ));
            fs::create_dir_all(&state)?;
            in_a_container(&owner(layout), &settings, &state)
        };
        command.envs(settings).env("TMPDIR", scratch(layout)?);
        let service = Service::start("emulator", &mut command, Echo::Nothing)?
            .stops_with(Signal::TERM, Duration::from_secs(20));
        claim.note(service.pid(), Signal::TERM)?;
        let mut emulator = Self { port, service };
        let started = Instant::now();
        while !http::ask(port, "GET", "/_ministack/ready", "", "").is_ok_and(|it| it.status == 200)
        {
            emulator.service.check()?;
            if started.elapsed() > LIMIT {
                bail!("the emulator does not answer after {}", human(LIMIT));
            }
            interrupt::sleep(Duration::from_millis(100))?;
        }
        Ok(emulator)
    }

    /// Fails if it has ended, with its last lines.
    pub(super) fn check(&mut self) -> Result<()> {
        self.service.check()
    }

    /// Has a program take it for AWS, and its registry for ECR's.
    pub(super) fn hand_over(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["AWS_", "REGISTRY_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        let host = format!("127.0.0.1:{}", self.port);
        command.env("AWS_ENDPOINT_URL", format!("http://{host}")).env("AWS_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "rehearsal");
        // Nothing of the user's own account may be in play.
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("REGISTRY_HOST", &host);
        command.env("REGISTRY_USERNAME", "AWS").env("REGISTRY_PASSWORD", "rehearsal");
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    }

    /// Writes a secret anew.
    ///
    /// # Errors
    /// There is none of that name.
    pub(super) fn put_secret(&self, arn: &str, value: &str) -> Result<()> {
        // It checks no signature, and finds the service in it.
        let head = format!(
            "authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/\
             secretsmanager/aws4_request, SignedHeaders=host, Signature=0\r\n\
             x-amz-target: secretsmanager.PutSecretValue\r\n\
             content-type: application/x-amz-json-1.1\r\n"
        );
        let body = format!(r#"{{"SecretId": "{arn}", "SecretString": "{value}"}}"#);
        let answer = http::ask(self.port, "POST", "/", &head, &body)?;
        ensure!(answer.status == 200, "the secret {arn} cannot be written: {}", answer.body);
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Its containers. What it does not manage, `clear` will.
        let _ = http::ask(self.port, "POST", "/_ministack/reset", "", "");
        self.service.stop();
    }
}

/// What the emulator is told.
fn settings(layout: &Layout, port: u16, state: &Path) -> Vec<(&'static str, String)> {
    let state = state.display();
    vec![
        ("GATEWAY_PORT", port.to_string()),
        ("BIND_HOST", "127.0.0.1".to_owned()),
        ("IOT_MTLS_ENABLED", "0".to_owned()),
        ("SFTP_ENABLED", "0".to_owned()),
        ("MINISTACK_REGION", REGION.to_owned()),
        ("MINISTACK_ACCOUNT_ID", ACCOUNT.to_owned()),
        ("MINISTACK_HOSTNAME", owner(layout)),
        ("STATE_DIR", state.to_string()),
        ("S3_DATA_DIR", format!("{state}/s3")),
    ]
}

/// Whether there is a Python that can install programs.
fn python_is_here() -> bool {
    process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

/// The emulator in a container, for which nothing but its place is different: it listens on this
/// machine's own loopback, and starts containers in this machine's engine.
fn in_a_container(name: &str, settings: &[(&'static str, String)], state: &Path) -> Command {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--name", name, "--network", "host"]);
    command.args(["--volume", &format!("{SOCKET}:{SOCKET}")]);
    command.args(["--volume", &format!("{0}:{0}", state.display())]);
    for (setting, _) in settings {
        command.args(["--env", setting]);
    }
    command.arg(IMAGE);
    command
}

/// A directory for what programs would else leave in `/tmp` if they are killed.
///
/// # Errors
/// It cannot be made.
pub(super) fn scratch(layout: &Layout) -> Result<PathBuf> {
    let directory = layout.rehearse().join("tmp");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Whose containers are whose: those of this checkout's rehearsal.
fn owner(layout: &Layout) -> String {
    format!("rehearsal-{}", layout.id())
}

/// The containers of this checkout's rehearsal, by their ids.
fn containers(layout: &Layout, more: &[&str]) -> Result<Vec<String>> {
    let mut list = Command::new("docker");
    list.args(["ps", "--filter", &format!("label={OWNER}"), "--format"]);
    list.arg(format!("{{{{.ID}}}} {{{{.Label \"{OWNER}\"}}}}")).args(more);
    let listed = process::read(&mut list)?;
    let ours = format!("{}:", owner(layout));
    let ours = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, owner)| owner.starts_with(&ours))
        .map(|(id, _)| id.to_owned());
    Ok(ours.collect())
}

/// Where those that run can be reached, as `172.17.0.3:5000`. An address alone can soon be another
/// container's.
///
/// # Errors
/// Docker does not say.
pub(super) fn addresses(layout: &Layout) -> Result<BTreeSet<String>> {
    /// The ports that a task definition names, and no others that an image may expose.
    const FORMAT: &str = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}\
        {{range $port, $at := .NetworkSettings.Ports}}{{if $at}} {{$port}}{{end}}{{end}}";
    let mut inspect = Command::new("docker");
    let said = process::read(inspect.args(["inspect", FORMAT]).args(containers(layout, &[])?))?;
    Ok(said.lines().flat_map(at_ports).collect())
}

fn at_ports(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let address = words.next().unwrap_or_default();
    words.map(|port| format!("{address}:{}", port.trim_end_matches("/tcp"))).collect()
}

/// Removes the containers of an emulator that is gone.
pub(super) fn clear(layout: &Layout) {
    container::remove(&owner(layout));
    let left = containers(layout, &["--all"]).unwrap_or_default();
    if !left.is_empty() {
        let mut remove = Command::new("docker");
        let _ = process::succeeds(remove.args(["rm", "--force", "--volumes"]).args(&left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_python_it_runs_from_its_image() {
        let state = Path::new("/checkout/target/rehearse/emulator");
        let settings = [("GATEWAY_PORT", "4567".to_owned()), ("BIND_HOST", "127.0.0.1".to_owned())];
        let command = in_a_container("rehearsal-c0ffee", &settings, state);
        let arguments: Vec<_> = command.get_args().map(|one| one.to_string_lossy()).collect();
        assert_eq!(
            arguments.join(" "),
            "run --rm --name rehearsal-c0ffee --network host --volume \
             /var/run/docker.sock:/var/run/docker.sock --volume \
             /checkout/target/rehearse/emulator:/checkout/target/rehearse/emulator --env \
             GATEWAY_PORT --env BIND_HOST ministackorg/ministack:1.5.33"
        );
    }

    #[test]
    fn a_container_is_known_by_its_address_and_port() {
        assert_eq!(at_ports("172.17.0.3 5000/tcp"), ["172.17.0.3:5000"]);
        assert!(at_ports("172.17.0.3").is_empty());
    }
}
