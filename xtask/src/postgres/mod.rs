//! PostgreSQL, from wherever this machine has it.
//!
//! Development prefers an installed server (it starts in a fraction of a second and its data lie
//! in the checkout); tests prefer a container (the version that production runs, with its data in
//! memory). Either takes the other if it must, and a database that the environment names goes
//! before both.

mod cluster;
pub(crate) mod container;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::claim::Claim;
use crate::interrupt;
use crate::layout::Layout;
use crate::process::{self, Service};
use crate::report::{complain, human, say};

pub(crate) use cluster::Installed;

/// The role that owns the server.
const USER: &str = "postgres";

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `cargo xtask dev`: one database, whose data survive.
    Development,
    /// `cargo xtask test`: fast, many databases, and everything is thrown away.
    Test,
    /// `cargo xtask bench`: as production's, many databases, and everything is thrown away.
    Bench,
    /// `cargo xtask rehearse`: one database, for other containers, and thrown away.
    Rehearsal,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Development => "dev",
            Self::Test => "test",
            Self::Bench => "bench",
            Self::Rehearsal => "rehearsal",
        }
    }

    /// The database that the URL names.
    fn database(self) -> &'static str {
        match self {
            Self::Development => "users_dev",
            Self::Test | Self::Bench => "postgres",
            Self::Rehearsal => "users",
        }
    }

    /// What PostgreSQL is told. The data of a test are worth nothing, so nothing waits for the
    /// disk; and nextest runs many tests at once, each with a pool of its own.
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Development | Self::Bench | Self::Rehearsal => &["log_min_messages=warning"],
            Self::Test => &[
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "autovacuum=off",
                "max_connections=300",
            ],
        }
    }
}

/// A server that takes connections. Dropping it stops what was started for it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where to connect, as the `postgres` superuser unless the environment named the server.
    pub(crate) url: String,
    service: Option<Service>,
    cleanup: Cleanup,
}

/// What is left to remove once the server has stopped.
#[derive(Debug)]
enum Cleanup {
    Nothing,
    Directory(PathBuf),
    Container(String),
}

impl Server {
    /// A server that others run.
    fn external(url: String) -> Self {
        Self { url, service: None, cleanup: Cleanup::Nothing }
    }

    /// Fails if the server has ended, with its last lines.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.service.as_mut().map_or(Ok(()), Service::check)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            if let Cleanup::Container(name) = &self.cleanup {
                container::stop(name);
            }
            service.stop();
        }
        if let Cleanup::Directory(dir) = &self.cleanup {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Starts the database for `cargo xtask dev`.
///
/// # Errors
/// There is no PostgreSQL here, or it does not start.
pub(crate) fn start_dev(layout: &Layout, claim: &Claim, fresh: bool) -> Result<Server> {
    if let Some(url) = from_environment("DATABASE_URL") {
        say("PostgreSQL: the one that DATABASE_URL names");
        if fresh {
            bail!(
                "--fresh would destroy the database that DATABASE_URL names. Unset DATABASE_URL, \
                 or empty that database with `users recreate_db`."
            );
        }
        return Ok(Server::external(url));
    }
    let purpose = Purpose::Development;
    let dir = layout.dev();
    let server = if let Some(installed) = Installed::find() {
        cluster::start(&installed, layout, &dir, purpose, claim, fresh)?
    } else if container::engine_answers() && container::image_is_here() {
        container::start(layout, purpose, claim, fresh)?
    } else {
        bail!("{}", missing());
    };
    Ok(server)
}

/// Starts the server for `cargo xtask test`.
///
/// # Errors
/// There is no PostgreSQL here, or it does not start.
pub(crate) fn start_test(layout: &Layout, claim: &Claim) -> Result<Server> {
    if let Some(url) = from_environment("TEST_DATABASE_URL") {
        say("PostgreSQL: the one that TEST_DATABASE_URL names");
        return Ok(Server::external(url));
    }
    let purpose = Purpose::Test;
    let dir = layout.test();
    if container::engine_answers() && container::image_is_here() {
        match container::start(layout, purpose, claim, true) {
            Err(error) if !error.is::<interrupt::Interrupted>() && Installed::find().is_some() => {
                complain(format_args!("{error:#}"));
                say("Docker answers but runs no PostgreSQL; taking the installed server");
            }
            result => return result,
        }
    }
    let Some(installed) = Installed::find() else { bail!("{}", missing()) };
    cluster::start(&installed, layout, &dir, purpose, claim, true)
}

/// Starts the server for `cargo xtask bench`, which waits for its disk as production's does. Where
/// one is installed it is that: what goes to a container may go through one more program.
///
/// # Errors
/// There is no PostgreSQL here, or it does not start.
pub(crate) fn start_bench(layout: &Layout, claim: &Claim) -> Result<Server> {
    if let Some(url) = from_environment("TEST_DATABASE_URL") {
        say("PostgreSQL: the one that TEST_DATABASE_URL names");
        return Ok(Server::external(url));
    }
    match Installed::find() {
        Some(installed) => {
            cluster::start(&installed, layout, &layout.test(), Purpose::Bench, claim, true)
        }
        None if container::engine_answers() && container::image_is_here() => {
            container::start(layout, Purpose::Bench, claim, true)
        }
        None => bail!("{}", missing()),
    }
}

/// Starts the server for `cargo xtask rehearse`. Its URL is the one that other containers use.
///
/// # Errors
/// It does not start, or containers have no addresses that reach this far.
pub(crate) fn start_rehearsal(layout: &Layout, claim: &Claim) -> Result<Server> {
    container::start(layout, Purpose::Rehearsal, claim, true)
}

fn missing() -> String {
    format!(
        "PostgreSQL is neither installed nor available through Docker. `cargo xtask setup` \
         installs it, or do it yourself: {}",
        crate::packages::advice(crate::packages::POSTGRES)
    )
}

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A password for one server: 128 random bits, as hexadecimal digits.
fn random_password() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("the system gives no random numbers (/dev/urandom)")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The password of a server whose data survive: made once, then kept beside them.
fn kept_password(file: &Path) -> Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Ok(kept) = fs::read_to_string(file) {
        return Ok(kept.trim().to_owned());
    }
    let password = random_password()?;
    let mut kept = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    write!(kept, "{password}")?;
    Ok(password)
}

fn url(password: &str, address: SocketAddr, database: &str) -> String {
    format!("postgres://{USER}:{password}@{address}/{database}")
}

/// Waits until `ready` says so, while the server is alive.
fn wait_until_ready(service: &mut Service, mut ready: impl FnMut() -> bool) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let started = Instant::now();
    while !ready() {
        service.check()?;
        if started.elapsed() > LIMIT {
            bail!("PostgreSQL does not take connections after {}", human(LIMIT));
        }
        interrupt::sleep(Duration::from_millis(20))?;
    }
    Ok(())
}

/// Whether a server says that it takes connections.
fn answers(pg_isready: &Path, port: u16) -> bool {
    let mut command = std::process::Command::new(pg_isready);
    process::succeeds(command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_random_and_safe_in_a_url() {
        let password = random_password().unwrap();
        assert_eq!(password.len(), 32);
        assert!(password.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(password, random_password().unwrap());
    }

    #[test]
    fn a_kept_password_stays_the_same_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::env::temp_dir().join(format!("xtask-password-{}", std::process::id()));
        let _ = fs::remove_file(&file);
        let first = kept_password(&file).unwrap();
        assert_eq!(first, kept_password(&file).unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(file).unwrap();
    }
}
