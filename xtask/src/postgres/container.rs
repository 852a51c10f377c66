//! PostgreSQL in a container, through the `docker` program with the user's own context.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{Cleanup, Purpose, Server, USER};
use crate::claim::Claim;
use crate::layout::Layout;
use crate::process::{self, Echo, Service};
use crate::report::say;

/// The version that production runs.
const IMAGE: &str = "postgres:17";

/// The image trusts its own socket. The password consists of hexadecimal digits.
const SET_PASSWORD: &str =
    r#"psql -qU postgres -c "ALTER ROLE postgres PASSWORD '$POSTGRES_PASSWORD'""#;

fn docker() -> Command {
    Command::new("docker")
}

/// Whether a Docker engine answers. Asked once; a remote one that is away can take long to refuse.
#[must_use]
pub(crate) fn engine_answers() -> bool {
    const LIMIT: Duration = Duration::from_secs(30);
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let mut command = docker();
        command.args(["version", "--format", "{{.Server.Version}}"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Ok(Some(status)) = child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    })
}

/// Whether the image is here, after pulling it if need be.
#[must_use]
pub(crate) fn image_is_here() -> bool {
    if process::succeeds(docker().args(["image", "inspect", IMAGE])) {
        return true;
    }
    say(format_args!("Pulling the image {IMAGE} (about 150 MB, once)"));
    process::run(docker().args(["pull", "--quiet", IMAGE])).is_ok()
}

/// Stops a container as its image wants it: with PostgreSQL's fast shutdown.
pub(super) fn stop(name: &str) {
    let _ = process::succeeds(docker().args(["stop", "--time", "20", name]));
    remove(name);
}

/// Removes a container with its anonymous volumes, whether or not it is there.
pub(crate) fn remove(name: &str) {
    let _ = process::succeeds(docker().args(["rm", "--force", "--volumes", name]));
}

/// Starts a container of this checkout.
pub(super) fn start(
    layout: &Layout,
    purpose: Purpose,
    claim: &Claim,
    fresh: bool,
) -> Result<Server> {
    let name = name(layout, purpose);
    // What a killed run left; the claim has made sure that no live one has it.
    remove(&name);
    let volume = format!("{name}-data");
    let mut run = docker();
    run.args(["run", "--rm", "--name", &name, "--publish", "127.0.0.1::5432"]);
    match purpose {
        Purpose::Development => {
            if fresh {
                let _ = process::succeeds(docker().args(["volume", "rm", "--force", &volume]));
            }
            say(format_args!("PostgreSQL: the image {IMAGE}, data in the Docker volume {volume}"));
            run.args(["--volume", &format!("{volume}:/var/lib/postgresql/data")]);
        }
        Purpose::Bench => say(format_args!("PostgreSQL: the image {IMAGE}")),
        Purpose::Test | Purpose::Rehearsal => {
            say(format_args!("PostgreSQL: the image {IMAGE}, data in memory"));
            run.args(["--tmpfs", "/var/lib/postgresql/data"]);
        }
    }
    let password = super::random_password()?;
    // By name only: the value would show in the list of processes.
    run.args(["--env", "POSTGRES_PASSWORD"]).env("POSTGRES_PASSWORD", &password);
    run.args(["--env", &format!("POSTGRES_DB={}", purpose.database())]);
    run.arg(IMAGE);
    for setting in purpose.settings() {
        run.args(["-c", setting]);
    }
    let service = Service::start("postgres", &mut run, Echo::Nothing)?
        .stops_with(Signal::INT, Duration::from_secs(20));
    claim.note(service.pid(), Signal::INT)?;
    let mut server = Server {
        url: String::new(),
        service: Some(service),
        cleanup: Cleanup::Container(name.clone()),
    };
    if let Some(service) = &mut server.service {
        // By TCP: during its first start the image runs a server on the socket only.
        super::wait_until_ready(service, || {
            let mut ready = docker();
            ready.args(["exec", &name, "pg_isready", "-q", "-h", "127.0.0.1", "-U", USER]);
            process::succeeds(&mut ready)
        })?;
    }
    // A volume remembers the password of its first start.
    let mut set_password = docker();
    set_password.args(["exec", "--env", "POSTGRES_PASSWORD", &name, "sh", "-c", SET_PASSWORD]);
    process::read(set_password.env("POSTGRES_PASSWORD", &password))?;
    let address = match purpose {
        Purpose::Development | Purpose::Test | Purpose::Bench => published(&name)?,
        Purpose::Rehearsal => own(&name)?,
    };
    server.url = super::url(&password, address, purpose.database());
    Ok(server)
}

/// What a container of this checkout is called.
#[must_use]
pub(crate) fn name(layout: &Layout, purpose: Purpose) -> String {
    format!("users-{}-{}", purpose.word(), layout.id())
}

/// Where this machine reaches it.
fn published(name: &str) -> Result<SocketAddr> {
    let published = process::read(docker().args(["port", name, "5432/tcp"]))?;
    let port = published_port(&published)
        .with_context(|| format!("Docker published no port for {name}: {published}"))?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// Where other containers reach it. This machine does too, if the engine runs on it.
fn own(name: &str) -> Result<SocketAddr> {
    let format = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}\n{{end}}";
    let address = process::read(docker().args(["inspect", format, name]))?;
    let address: IpAddr = address.trim().parse().with_context(|| {
        format!("Docker gave {name} no address of its own, but {:?}", address.trim())
    })?;
    let address = SocketAddr::from((address, 5432));
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).with_context(|| {
        format!(
            "a container at {address} is out of reach from here, and the emulated load balancer \
             needs to reach them. That works where the engine runs on this very Linux; with \
             Docker Desktop or a remote engine, run this inside its virtual machine"
        )
    })?;
    Ok(address)
}

/// The port in, say, `127.0.0.1:49153`.
fn published_port(said: &str) -> Option<u16> {
    said.lines().find_map(|line| line.rsplit_once(':')?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_are_read() {
        assert_eq!(published_port("127.0.0.1:49153\n"), Some(49153));
        assert_eq!(published_port(""), None);
    }
}
