//! `cargo xtask dev`: the application on this machine, built again at each change.

mod job;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rustix::process::Signal;

use self::job::Job;
use crate::claim::Claim;
use crate::client;
use crate::interrupt;
use crate::layout::Layout;
use crate::packages::Consent;
use crate::postgres::{self, Server};
use crate::process::{self, Echo, Service};
use crate::report::{complain, human, say};
use crate::watch::Watch;

/// Run the application at one address; builds and reloads at each change
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The port on 127.0.0.1 that serves the page and the API
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Start over with an empty database
    #[arg(long)]
    fresh: bool,
    /// Build as for production: slow to build, quick to run
    #[arg(long)]
    release: bool,
}

/// What an open page asks for each second, as the API logs it.
const RELOAD_POLL: &str = "path=/build-id.txt";
/// How often the loop looks around.
const TICK: Duration = Duration::from_millis(50);
/// How often it compares the sources.
const LOOK: Duration = Duration::from_millis(300);

impl Dev {
    /// Runs until it is interrupted or a part of it ends.
    ///
    /// Values are dropped in the reverse order of their making: the builds first, then the API,
    /// then PostgreSQL, then the claim. However this returns, nothing is left running.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let started = Instant::now();
        let claim = Claim::take(&layout.dev(), "dev")?;
        crate::port::require(self.port)?;
        let address = format!("http://127.0.0.1:{}", self.port);
        claim.announce(&address)?;
        let site = layout.dev().join("site");
        crate::site::prepare(&site)?;
        let mut watch = Watch::new(layout);

        super::setup::ensure_database(Consent::Silent)?;
        let mut postgres = postgres::start_dev(layout, &claim, self.fresh)?;
        say("Building the API (about 3 minutes the first time)");
        let release = self.release;
        build_api(release)?;
        let program =
            if release { layout.release_program("users") } else { layout.program("users") };
        let users = Users { program, url: postgres.url.clone() };
        users.run("migrate")?;
        users.run("seed_db")?;
        let mut api = users.serve(self.port, &site, &claim)?;
        wait_until_listening(self.port, &mut api, &mut postgres)?;
        say(format_args!("The API answers after {}: {address}/ping", human(started.elapsed())));

        say(
            "Building the client (about 2 minutes the first time); the page shows it when it is ready",
        );
        let build = client::Build {
            profile: if release { client::Profile::Release } else { client::Profile::Dev },
            site: site.clone(),
            reload: true,
            compress: false,
        };
        let build_layout = layout.clone();
        let mut client_job = Job::new(move || build.run(&build_layout));
        client_job.want();
        let mut api_job = Job::new(move || build_api(release));
        let mut looked = Instant::now();
        let mut is_first = true;
        loop {
            interrupt::sleep(TICK)?;
            api.check()?;
            postgres.check()?;
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                let changes = watch.look();
                if changes.any() {
                    say(match (changes.api, changes.client) {
                        (true, true) => "Changed: building the API and the client",
                        (true, false) => "Changed: building the API",
                        _ => "Changed: building the client",
                    });
                }
                if changes.api {
                    api_job.want();
                }
                if changes.client {
                    client_job.want();
                }
            }
            match client_job.poll() {
                Some(Ok(time)) if is_first => {
                    is_first = false;
                    say(format_args!("The client is ready after {}", human(time)));
                    say(format_args!("Open {address} · Ctrl-C stops everything"));
                }
                Some(Ok(time)) => say(format_args!("The client is ready after {}", human(time))),
                Some(Err(error)) => keep_serving("The client", &error)?,
                None => {}
            }
            match api_job.poll() {
                Some(Ok(time)) => match users.run("migrate") {
                    Ok(()) => {
                        api.stop();
                        api = users.serve(self.port, &site, &claim)?;
                        wait_until_listening(self.port, &mut api, &mut postgres)?;
                        crate::site::renew(&site)?;
                        say(format_args!("The API runs again, built in {}", human(time)));
                    }
                    Err(error) => keep_serving("The API", &error)?,
                },
                Some(Err(error)) => keep_serving("The API", &error)?,
                None => {}
            }
        }
    }
}

/// A change that does not build is no reason to stop.
fn keep_serving(what: &str, error: &anyhow::Error) -> Result<()> {
    interrupt::check()?;
    complain(format_args!("{error:#}"));
    say(format_args!("{what} stays as it was until the next change"));
    Ok(())
}

fn build_api(release: bool) -> Result<()> {
    let mut build = process::cargo();
    build.args(["build", "--package", "users", "--bin", "users"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)
}

/// The `users` program with the settings of development.
#[derive(Debug)]
struct Users {
    program: PathBuf,
    url: String,
}

impl Users {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).env("APP_ENV", "development").env("DATABASE_URL", &self.url);
        command
    }

    fn run(&self, name: &str) -> Result<()> {
        process::run(&mut self.command(name))
    }

    fn serve(&self, port: u16, site: &std::path::Path, claim: &Claim) -> Result<Service> {
        let mut command = self.command("serve");
        command
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("CLIENT_DIR", site)
            .env("SHUTDOWN_TIMEOUT", "2");
        let service = Service::start("api", &mut command, Echo::AllBut(RELOAD_POLL))?
            .stops_with(Signal::TERM, Duration::from_secs(5));
        // Whoever finds it orphaned need not wait for requests that nobody reads the answers of.
        claim.note(service.pid(), Signal::KILL)?;
        Ok(service)
    }
}

fn wait_until_listening(port: u16, api: &mut Service, postgres: &mut Server) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let started = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        api.check()?;
        postgres.check()?;
        if started.elapsed() > LIMIT {
            bail!("the API does not listen after {}", human(LIMIT));
        }
        interrupt::sleep(TICK)?;
    }
    Ok(())
}
