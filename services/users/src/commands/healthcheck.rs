//! `users healthcheck`: asks the local `/ping`; for images without a shell.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use contract::paths;

use super::CommandError;
use crate::config::{Env, Environment, ServerConfig};

const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run() -> Result<(), CommandError> {
    let env = Env::from_process();
    let server = ServerConfig::from_env(&env, Environment::from_env(&env)?)?;
    let host = match server.host {
        host if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host,
    };
    let address = SocketAddr::new(host, server.port);
    let status = ask(address).map_err(|error| {
        CommandError::Refused(format!("the service does not answer on {address}: {error}"))
    })?;
    if status == "200" {
        return Ok(());
    }
    Err(CommandError::Refused(format!("the service on {address} answered {status:?}")))
}

/// The status of the local `/ping`.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", paths::PING)?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.split_whitespace().nth(1).unwrap_or_default().to_owned())
}
