//! Requests byte by byte, as no client library would send them.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The longest that an answer, or the end of a connection, is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to `address`, as in `127.0.0.1:5000`.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the server closes the connection. It may do so before it has read
/// all of them.
pub(crate) fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(request);
    read_to_end(&mut stream)
}

/// Reads until the server closes the connection, which it must.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            // Closed, or closed with something of ours unread.
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => {
                panic!("{error} after {:?}", String::from_utf8_lossy(&answer));
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer; `None` where the connection was closed without one.
pub(crate) fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
