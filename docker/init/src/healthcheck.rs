//! Whether the service of this container answers.

use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// The longest that each step may take; shorter than what an image allows the whole check.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest status line that is read, in bytes.
const LONGEST_LINE: u64 = 1024;

/// Asks for `path` on the port that `SERVER_PORT` names (80 where it names none), as the static web
/// server reads it. Exits with 0 where the answer is 200, and with 1 otherwise, which are the two that
/// Docker knows: <https://docs.docker.com/reference/dockerfile/#healthcheck>.
pub(crate) fn run(path: Option<&OsStr>) -> ExitCode {
    let Some(path) = path.and_then(OsStr::to_str).filter(|path| path.starts_with('/')) else {
        eprintln!("init: which path? usage: init --healthcheck PATH");
        return ExitCode::from(2);
    };
    let port = env::var("SERVER_PORT").unwrap_or_else(|_| "80".to_owned());
    let answer = port.parse().map_err(io::Error::other).and_then(|port| ask(port, path));
    match answer.as_deref().map(str::trim_end) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => ExitCode::SUCCESS,
        Ok("") => complain(&port, path, "nothing came back"),
        Ok(line) => complain(&port, path, line),
        Err(error) => complain(&port, path, &error.to_string()),
    }
}

fn complain(port: &str, path: &str, what: &str) -> ExitCode {
    eprintln!("init: GET {path} on port {port}: {what}");
    ExitCode::FAILURE
}

/// The first line of the answer.
fn ask(port: u16, path: &str) -> io::Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line)?;
    Ok(line)
}
