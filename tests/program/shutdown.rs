//! SIGTERM: what is in flight is finished, what idles is ended, and the exit code is 0.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Database, PASSWORD, program::Serving};

fn connect(serving: &Serving) -> TcpStream {
    let stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Reads an answer without a closing of the connection: head, and as much body as it says.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    format!("{head}{}", String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("SHUTDOWN_TIMEOUT", "20")]);
    let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
    let body = body.to_string();
    let mut stream = connect(&serving);
    let (first, rest) = body.split_at(20);
    let head = format!(
        "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let signal = Instant::now();
    serving.terminate();
    while TcpStream::connect(serving.address()).is_ok() {
        assert!(signal.elapsed() < Duration::from_secs(5), "new connections are still accepted");
        std::thread::sleep(Duration::from_millis(20));
    }
    stream.write_all(rest.as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0), "{}", lines.join("\n"));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_it_up() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("SHUTDOWN_TIMEOUT", "20")]);
    let mut idle = connect(&serving);
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(read_answer(&mut idle).contains("pong!"));
    let mut silent = connect(&serving);
    let begin = Instant::now();
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0), "{}", lines.join("\n"));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let mut rest = Vec::new();
    for stream in [&mut idle, &mut silent] {
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

/// How long after the signal the service still reads requests on such connections, by its own
/// constant.
const LAST_CALL: Duration = Duration::from_secs(1);

/// A client that sends its next request on a connection that is kept gets an answer, and is told that
/// it is the last: it need not find out by a request that is lost.
#[tokio::test]
async fn a_kept_connection_is_ended_by_an_answer_that_says_so() {
    let database = Database::migrated().await;
    // Where the machine has stood still when the requests had to be sent, once more.
    for _ in 0..5 {
        let serving = Serving::start(&[("DATABASE_URL", &database.url())]);
        if are_asked_in_time(&serving) {
            assert_eq!(serving.finish().0, Some(0));
            return;
        }
    }
    panic!("the machine is too slow");
}

/// Whether the requests were sent in time; what is answered to them is right then.
fn are_asked_in_time(serving: &Serving) -> bool {
    let ask = |stream: &mut TcpStream, path: &str| {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    };
    let paths = ["/ping", "/users", "/auth/status", "/nothing"];
    let mut kept: Vec<_> = paths.iter().map(|path| (connect(serving), *path)).collect();
    for (stream, path) in &mut kept {
        ask(stream, path).unwrap();
        let answer = read_answer(stream).to_ascii_lowercase();
        assert!(!answer.contains("connection: close"), "{path}: {answer}");
    }
    let signal = Instant::now();
    serving.terminate();
    serving.says("stopping");
    let asked: Vec<_> = kept.iter_mut().map(|(stream, path)| ask(stream, path)).collect();
    if signal.elapsed() >= LAST_CALL {
        return false;
    }
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    for (stream, path) in &mut kept {
        let answer = read_answer(stream).to_ascii_lowercase();
        assert!(answer.contains("\r\nconnection: close\r\n"), "{path}: {answer}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "{path}: closed");
    }
    true
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off_at_the_limit() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("SHUTDOWN_TIMEOUT", "1")]);
    let mut stream = connect(&serving);
    let head = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0), "{}", lines.join("\n"));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn control_c_ends_it_as_well() {
    let serving = Serving::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]);
    let id = serving.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(serving.finish().0, Some(0));
}

#[tokio::test]
async fn a_connection_is_kept_for_longer_than_the_load_balancer_does() {
    let serving = Serving::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]);
    let mut stream = connect(&serving);
    for _ in 0..2 {
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).contains("pong!"));
        // actix's own default is 5 s.
        std::thread::sleep(Duration::from_secs(7));
    }
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(read_answer(&mut stream).contains("pong!"));
}
