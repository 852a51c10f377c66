//! HTTP as far as a rehearsal needs it: one request, one answer, one connection for both.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Which release answered, if it was the application.
    pub(super) version: Option<String>,
    pub(super) body: String,
}

/// Asks the server at a port of this machine. `head` consists of lines that end in CR LF.
///
/// # Errors
/// Nobody answers, or not in HTTP.
pub(super) fn ask(
    port: u16,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {length}\r\n{head}\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no whole answer"))
}

/// Whether a server answers at all, be it with a refusal.
pub(super) fn answers(address: &str) -> bool {
    const LIMIT: Duration = Duration::from_millis(500);
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut beginning = [0; 12];
        stream.read_exact(&mut beginning)?;
        Ok(beginning.starts_with(b"HTTP/1.1 ") && beginning.get(9) != Some(&b'5'))
    };
    asked().unwrap_or(false)
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let version = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-app-version").then(|| value.trim().to_owned())
    });
    Some(Answer { status, version, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_status_and_release() {
        let answer = parse("HTTP/1.1 200 OK\r\nX-App-Version: c0ffee\r\n\r\npong").unwrap();
        assert_eq!((answer.status, answer.version.as_deref()), (200, Some("c0ffee")));
        assert_eq!(answer.body, "pong");
        assert_eq!(parse("HTTP/1.1 502 \r\n\r\n").unwrap().version, None);
        assert_eq!(parse("HTTP/1.1 200 OK\r\n"), None, "cut off");
    }
}
