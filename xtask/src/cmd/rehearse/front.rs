//! An address whose `/` is the application's.
//!
//! The emulated load balancer is reached by a path, `/_alb/NAME/…`, and pages whose links begin
//! with `/` would lead past it. This puts that prefix before each request's path. It decides
//! nothing: which service answers, with what, and whether at all, is the load balancer's matter.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

/// The longest head of a request.
const HEAD: usize = 64 * 1024;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Front {
    /// Passes requests on to `port` of this machine, below `prefix`.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn start(port: u16, prefix: String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let front = Self { address: listener.local_addr()?, ended: Arc::default() };
        let ended = Arc::clone(&front.ended);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), prefix) = (stream, prefix.clone()) else { continue };
                // A browser that goes away in the middle concerns nobody else.
                std::thread::spawn(move || drop(pass(stream, port, &prefix)));
            }
        });
        Ok(front)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for somebody to come.
        drop(TcpStream::connect(self.address));
    }
}

/// One request and its answer. Whoever comes must come again for the next one.
fn pass(mut client: TcpStream, port: u16, prefix: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut more = [0; 4096];
        let read = client.read(&mut more)?;
        bytes.extend(more.iter().take(read));
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if read == 0 || bytes.len() > HEAD {
            return Ok(());
        }
    };
    let (head, body) = bytes.split_at(end);
    let Some(head) = below(&String::from_utf8_lossy(head), prefix) else { return Ok(()) };
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.write_all(head.as_bytes())?;
    server.write_all(body)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || io::copy(&mut from, &mut to));
    let passed = io::copy(&mut server, &mut client);
    // Ends the thread as well.
    let _ = client.shutdown(Shutdown::Both);
    passed.map(drop)
}

/// The head of a request for the same path below `prefix`, and the last one on its connection.
fn below(head: &str, prefix: &str) -> Option<String> {
    let mut lines = head.lines();
    let (method, rest) = lines.next()?.split_once(" /")?;
    let kept = lines.filter(|line| {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        !line.is_empty() && !["connection", "keep-alive"].contains(&&*name.to_ascii_lowercase())
    });
    let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
    Some(format!("{method} {prefix}/{rest}\r\n{kept}connection: close\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_and_the_connection_change() {
        let head = "GET /users?page=2 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
        let expected =
            "GET /_alb/shop/users?page=2 HTTP/1.1\r\nHost: a\r\nconnection: close\r\n\r\n";
        assert_eq!(below(head, "/_alb/shop").as_deref(), Some(expected));
        assert_eq!(below("CONNECT a:443 HTTP/1.1\r\n\r\n", "/_alb/shop"), None);
    }

    #[test]
    fn requests_and_answers_pass_whole() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with("body") {
                let mut more = [0; 64];
                let read = stream.read(&mut more).unwrap();
                request.push_str(&String::from_utf8_lossy(&more[..read]));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nanswer").unwrap();
            request
        });
        let front = Front::start(port, "/_alb/shop".to_owned()).unwrap();
        let answer = super::super::http::ask(front.address.port(), "PUT", "/x", "", "body");
        assert_eq!(answer.unwrap().body, "answer");
        assert!(server.join().unwrap().starts_with("PUT /_alb/shop/x HTTP/1.1\r\n"));
    }
}
