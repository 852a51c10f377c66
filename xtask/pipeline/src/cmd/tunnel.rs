//! `tunnel`: a port of this machine that leads to the private database, through a host of the
//! cluster and Session Manager.
//!
//! Nothing listens for it in AWS: no SSH, no key, no open port. The AWS CLI and its plugin speak the
//! protocol of the session; here it is found out between which two ends.

use std::str::FromStr;

use clap::Args;
use serde_json::json;

use super::Common;
use super::exec::PLUGIN;
use super::site::Site;
use crate::cloud::{Cloud as _, Host};
use crate::config::Config;
use crate::error::Error;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::process;
use crate::tell::{INDENT, Screen, Tell as _, row};

/// The program that opens the session.
const CLI: &str = "aws";
/// AWS's own document for it: the host only passes bytes on.
const DOCUMENT: &str = "AWS-StartPortForwardingSessionToRemoteHost";

/// Open a port of this machine that leads to the private database
///
/// Through a host of the cluster, by Session Manager, until Ctrl-C. It needs the AWS CLI and its
/// Session Manager plugin here, and the right to ssm:StartSession, which the deploy role has.
#[derive(Debug, Args)]
pub(crate) struct Tunnel {
    /// The port on this machine
    #[arg(long, default_value_t = 15432)]
    port: u16,
    /// Where it leads, as the hosts see it [default: the stack's database]
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<Place>,
    /// Only through this host: its EC2 instance's id
    #[arg(long, value_name = "INSTANCE")]
    through: Option<String>,
}

/// A host's port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    #[error(
        "{} not here. Session Manager's protocol is spoken by the AWS CLI and its plugin; see \
         https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
        missing(.0)
    )]
    NoProgram(Vec<&'static str>),
    #[error("the stack {0} tells no DatabaseHost: say where the database is, as in --to HOST:5432")]
    NoDatabase(String),
    #[error(
        "the cluster {0} has no host that is connected: `cargo xtask doctor` looks at its hosts"
    )]
    NoHost(String),
    #[error("{instance} is no connected host of the cluster; these are: {}", .there.join(", "))]
    OtherHost { instance: String, there: Vec<String> },
    #[error("port {port} of this machine cannot be opened ({cause}): choose another with --port")]
    Port { port: u16, cause: std::io::Error },
}

fn missing(programs: &[&str]) -> String {
    let verb = if programs.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", programs.join(" and "))
}

impl Tunnel {
    /// Opens it, and waits until it is closed. Gives the exit code.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<u8, Error> {
        let config = common.config()?;
        let missing: Vec<_> =
            [CLI, PLUGIN].into_iter().filter(|name| !process::is_here(name)).collect();
        if !missing.is_empty() {
            return Err(TunnelError::NoProgram(missing).into());
        }
        // The plugin would say so only after the session is open.
        let port = self.port;
        let free = std::net::TcpListener::bind(("127.0.0.1", port));
        drop(free.map_err(|cause| TunnelError::Port { port, cause })?);

        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let outputs = async { Ok::<_, Error>(site.aws.outputs(&config.stack).await?) };
        let outputs = stop.or_interrupted(outputs).await?.unwrap_or_default();
        let output = |name: &str| outputs.get(name).map(String::as_str);
        let to = self.to.clone().or_else(|| {
            let port = output("DatabasePort")?.parse().ok()?;
            Some(Place { host: output("DatabaseHost")?.to_owned(), port })
        });
        let to = to.ok_or_else(|| TunnelError::NoDatabase(config.stack.clone()))?;
        let hosts = async { Ok::<_, Error>(site.aws.hosts().await?) };
        let through = self.choose(&config, stop.or_interrupted(hosts).await?)?;

        let screen = Screen::new();
        let Place { host, port: remote } = &to;
        let ends = format!("127.0.0.1:{port} → {host}:{remote} through {through}");
        screen.line(&row("tunnel", "", &ends));
        if self.to.is_none() {
            let database = &config.database.name;
            screen.line(&format!(
                "{INDENT}psql \"host=127.0.0.1 port={port} dbname={database} user=webapp \
                 sslmode=require\""
            ));
            if let Some(secret) = output("DatabasePasswordSecretArn") {
                screen.line(&format!("{INDENT}{}", password(&config.name, secret)));
            }
        }
        screen.line(&format!("{INDENT}Ctrl-C closes it"));
        let mut session = process::command(CLI);
        session.args(arguments(&site.identity.region, &through, &to, port));
        // At our terminal, and in our group: Ctrl-C is for the session.
        let status = session.status().await?;
        if stop.requested() {
            return Ok(exit_code::OK);
        }
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::ERROR))
    }

    /// The host to go through.
    fn choose(&self, config: &Config, hosts: Vec<Host>) -> Result<String, TunnelError> {
        // A host that gives its tasks to others passes bytes on all the same.
        let there: Vec<String> =
            hosts.into_iter().filter(|host| host.connected).map(|host| host.instance).collect();
        match &self.through {
            Some(wanted) if there.contains(wanted) => Ok(wanted.clone()),
            Some(wanted) if !there.is_empty() => {
                Err(TunnelError::OtherHost { instance: wanted.clone(), there })
            }
            _ => {
                there.into_iter().next().ok_or_else(|| TunnelError::NoHost(config.cluster.clone()))
            }
        }
    }
}

/// Where the database's password is, and who may read it.
fn password(name: &str, secret: &str) -> String {
    format!(
        "the password, which the deploy role may not read, is for the role provision-{name} or others \
         with secretsmanager:GetSecretValue: aws secretsmanager get-secret-value --secret-id {secret} \
         --query SecretString --output text"
    )
}

/// What the AWS CLI is told.
fn arguments(region: &str, instance: &str, to: &Place, port: u16) -> Vec<String> {
    let parameters = json!({
        "host": [to.host],
        "portNumber": [to.port.to_string()],
        "localPortNumber": [port.to_string()],
    });
    ["ssm", "start-session", "--region", region, "--target", instance]
        .into_iter()
        .chain(["--document-name", DOCUMENT, "--parameters"])
        .map(str::to_owned)
        .chain([parameters.to_string()])
        .collect()
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
        });
        place.ok_or_else(|| "a host and its port, as in database.internal:5432".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(instance: &str, connected: bool) -> Host {
        Host {
            arn: String::new(),
            instance: instance.to_owned(),
            status: "ACTIVE".to_owned(),
            connected,
            cpu: 0,
            memory: 0,
            ports: Vec::new(),
        }
    }

    fn choose(through: Option<&str>, hosts: Vec<Host>) -> Result<String, String> {
        let config = Config::example("name = \"shop\"\n[services.users]\n[services.client]\n");
        let tunnel = Tunnel { port: 1, to: None, through: through.map(str::to_owned) };
        tunnel.choose(&config, hosts).map_err(|error| error.to_string())
    }

    #[test]
    fn it_goes_through_a_host_that_is_connected() {
        let hosts = || vec![host("i-1", false), host("i-2", true), host("i-3", true)];
        assert_eq!(choose(None, hosts()).as_deref(), Ok("i-2"));
        assert_eq!(choose(Some("i-3"), hosts()).as_deref(), Ok("i-3"));
        let other = choose(Some("i-1"), hosts()).unwrap_err();
        assert!(other.ends_with("these are: i-2, i-3"), "{other}");
        let none = choose(Some("i-1"), vec![host("i-1", false)]).unwrap_err();
        assert!(none.contains("shop-cluster has no host"), "{none}");
    }

    #[test]
    fn the_session_is_asked_for_as_aws_documents_it() {
        let to: Place = "db.example:5432".parse().unwrap();
        let arguments = arguments("us-west-1", "i-1", &to, 15432);
        let (parameters, rest) = arguments.split_last().unwrap();
        assert_eq!(
            rest.join(" "),
            "ssm start-session --region us-west-1 --target i-1 --document-name \
             AWS-StartPortForwardingSessionToRemoteHost --parameters"
        );
        let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap();
        let wanted = json!({
            "host": ["db.example"], "portNumber": ["5432"], "localPortNumber": ["15432"],
        });
        assert_eq!(parameters, wanted);
    }

    #[test]
    fn the_password_s_place_comes_with_who_may_read_it() {
        let said = password("shop", "arn:secret");
        assert!(said.contains("the role provision-shop"), "{said}");
        assert!(said.contains("--secret-id arn:secret "), "{said}");
        assert_eq!(said.lines().count(), 1);
    }

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for wrong in ["db.example", ":5432", "db.example:0", "db.example:http"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let one = TunnelError::NoProgram(vec![PLUGIN]).to_string();
        assert!(one.starts_with("session-manager-plugin is not here."), "{one}");
        let both = TunnelError::NoProgram(vec![CLI, PLUGIN]).to_string();
        assert!(both.starts_with("aws and session-manager-plugin are not here."), "{both}");
    }
}
