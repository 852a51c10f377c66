//! SIGTERM under load: whatever the service has taken on, it answers.
//!
//! The clients here are plain sockets, so that each knows when its request was written in full, and
//! what of an answer came: a library would try once more, and hide a loss.

use std::{
    collections::HashSet,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{PASSWORD, program::Serving};

use crate::service::{Person, people, postgres, serve};

/// Connections that are kept, with one request after the other.
const KEPT: usize = 12;
/// Clients that make a connection for each request.
const COMING: usize = 4;
/// People who sign in at once: they queue for the hash function.
const SIGNING_IN: usize = 64;
/// How many of them at least still queue when the signal comes.
const QUEUED: usize = 16;
/// By when they must, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the service may take for what is in flight.
const LIMIT: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// A complete answer with this status.
    Answered(u16),
    /// The connection was closed without a byte of an answer.
    Nothing,
    /// Nobody took the connection.
    Refused,
    /// An answer that ends in the middle.
    Torn(String),
}

#[derive(Clone, Debug)]
struct Request {
    kind: Kind,
    id: String,
    /// When all of it was written.
    written: Instant,
    ended: Instant,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One of many on a connection, and not the first.
    Kept,
    /// The first of a connection.
    First,
    /// A sign-in, on a connection of its own.
    SignIn,
}

/// What the clients share.
#[derive(Default)]
struct Book {
    requests: Mutex<Vec<Request>>,
    answered: AtomicUsize,
    /// How many sign-ins were written.
    signing_in: AtomicUsize,
}

impl Book {
    /// Sends a request and notes what became of it; whether the connection can take another one.
    fn exchange(&self, stream: &mut TcpStream, kind: Kind, head: &str, body: &str) -> bool {
        let id = format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: x\r\nX-Request-Id: {id}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let sent = stream.write_all(request.as_bytes());
        let written = Instant::now();
        if kind == Kind::SignIn {
            self.signing_in.fetch_add(1, Ordering::Relaxed);
        }
        let (fate, closes) = match sent {
            Ok(()) => read_answer(stream),
            Err(_) => (Fate::Nothing, true),
        };
        self.note(Request { kind, id, written, ended: Instant::now(), fate });
        !closes
    }

    fn note(&self, request: Request) {
        if matches!(request.fate, Fate::Answered(_)) {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        self.requests.lock().unwrap().push(request);
    }

    /// A connection; `None`, and a note of it, where there is none any more.
    fn connect(&self, address: &str) -> Option<TcpStream> {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(LIMIT + Duration::from_secs(5))).unwrap();
                Some(stream)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
                let (kind, now) = (Kind::First, Instant::now());
                let (id, fate) = (String::new(), Fate::Refused);
                self.note(Request { kind, id, written: now, ended: now, fate });
                None
            }
        }
    }
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Reads one answer; also whether the connection ends with it.
fn read_answer(stream: &mut TcpStream) -> (Fate, bool) {
    let mut text = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let head = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = head.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return (Fate::Answered(status), head.contains("\r\nconnection: close"));
            }
        }
        match stream.read(&mut piece) {
            Ok(length @ 1..) => text.extend_from_slice(&piece[..length]),
            Ok(_) | Err(_) if text.is_empty() => return (Fate::Nothing, true),
            other => return (Fate::Torn(format!("{other:?} after {head}")), true),
        }
    }
}

/// What those ask who go on: three that read, and one that writes.
fn ask(person: &Person, step: usize) -> (String, String) {
    let token = &person.access_token;
    let id = person.user["id"].as_i64().unwrap();
    match step % 4 {
        0 => (format!("GET /users/{id} HTTP/1.1"), String::new()),
        1 => (format!("GET /auth/status HTTP/1.1\r\nAuthorization: Bearer {token}"), String::new()),
        2 => ("GET /users?limit=20 HTTP/1.1".to_owned(), String::new()),
        _ => {
            let body = json!({"username": person.user["username"], "email": person.email});
            let head = format!("PUT /users/{id} HTTP/1.1\r\nAuthorization: Bearer {token}");
            (head, body.to_string())
        }
    }
}

/// Asks until nobody takes a connection any more.
fn go_on(book: &Book, address: &str, person: &Person, keeps: bool) {
    let mut step = 0;
    while let Some(mut stream) = book.connect(address) {
        let mut kind = Kind::First;
        loop {
            let (mut head, body) = ask(person, step);
            step += 1;
            if !keeps {
                head.push_str("\r\nConnection: close");
            }
            if !book.exchange(&mut stream, kind, &head, &body) {
                break;
            }
            kind = Kind::Kept;
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn sign_in(book: &Book, address: &str, person: &Person) {
    let body = json!({"email": person.email, "password": PASSWORD}).to_string();
    let mut stream = book.connect(address).expect("before the signal");
    book.exchange(&mut stream, Kind::SignIn, "POST /auth/login HTTP/1.1", &body);
}

/// How many passwords wait to be hashed.
async fn queued(metrics: &str) -> usize {
    let text = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("users_password_hashes_waiting "));
    line.unwrap().parse().unwrap()
}

/// Whether enough of them come to queue. What has been sent takes its time until it is read, and to
/// send more at once would be more than the queue takes.
async fn queue(metrics: &str) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        if queued(metrics).await >= QUEUED {
            return true;
        }
    }
    false
}

/// The ids of the requests that the log tells of.
fn logged(lines: &[String]) -> HashSet<String> {
    let entries = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let requests = entries.filter(|entry| entry["message"] == "request");
    let ids = requests.filter_map(|entry| entry["request_id"].as_str().map(str::to_owned));
    ids.filter(|id| id.starts_with("request-")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_flight_is_answered() {
    let postgres = postgres().await;
    let limit = LIMIT.as_secs().to_string();
    let serving = serve(
        &postgres.url(),
        &[("SHUTDOWN_TIMEOUT", &limit), ("METRICS_PORT", "0"), ("RUST_LOG", "info")],
    );
    let (address, metrics) = (serving.address().to_owned(), serving.metrics());
    let people = Arc::new(people(&serving.client(), KEPT + COMING).await);
    let book = Arc::new(Book::default());
    let mut clients = Vec::new();
    for number in 0..KEPT + COMING {
        let (book, address, people) = (Arc::clone(&book), address.clone(), Arc::clone(&people));
        clients.push(thread::spawn(move || {
            go_on(&book, &address, &people[number], number < KEPT);
        }));
    }
    while book.answered.load(Ordering::Relaxed) < 2_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (begin, mut signing_in) = (Instant::now(), 0);
    loop {
        for number in 0..SIGNING_IN {
            let (book, address, people) = (Arc::clone(&book), address.clone(), Arc::clone(&people));
            clients.push(thread::spawn(move || {
                sign_in(&book, &address, &people[number % people.len()]);
            }));
        }
        signing_in += SIGNING_IN;
        // The signal must meet none that has yet to connect.
        while book.signing_in.load(Ordering::Relaxed) < signing_in {
            assert!(begin.elapsed() < PATIENCE, "not all of {signing_in} connect");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Once more, where the machine was so busy that they were hashed before all had come.
        if queue(&metrics).await {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "of {signing_in} too few queue");
    }

    let signal = Instant::now();
    serving.terminate();
    let (code, lines) =
        tokio::task::spawn_blocking(move || Serving::finish(serving)).await.unwrap();
    let took = signal.elapsed();
    for client in clients {
        client.join().unwrap();
    }
    let requests = book.requests.lock().unwrap().clone();
    check(&requests, &logged(&lines), signing_in, signal, took);
    assert_eq!(code, Some(0), "{}", lines.join("\n"));
    assert!(took < LIMIT, "{took:?}");
}

fn check(
    requests: &[Request],
    logged: &HashSet<String>,
    signing_in: usize,
    signal: Instant,
    took: Duration,
) {
    let of = |wanted: &dyn Fn(&Request) -> bool| -> Vec<&Request> {
        requests.iter().filter(|request| wanted(request)).collect()
    };
    let answered = of(&|request| matches!(request.fate, Fate::Answered(_)));
    let in_flight = of(&|request| request.written < signal && request.ended >= signal);
    let slow = of(&|request| request.kind == Kind::SignIn && request.ended >= signal);
    let nothing = of(&|request| request.fate == Fate::Nothing);
    let refused = of(&|request| request.fate == Fate::Refused);
    println!(
        "SIGTERM under load: {} requests answered, {} of them in flight at the signal, {} of those \
         sign-ins; later {} new connections refused, {} requests met a closed connection, {} of them \
         one that was kept; ended after {:.2} s",
        answered.len(),
        in_flight.len(),
        slow.len(),
        refused.len(),
        nothing.len(),
        nothing.iter().filter(|request| request.kind == Kind::Kept).count(),
        took.as_secs_f64()
    );
    let wrong =
        of(&|request| !matches!(request.fate, Fate::Answered(200) | Fate::Nothing | Fate::Refused));
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The service notes a request when it answers it.
    let ids: HashSet<String> = answered.iter().map(|request| request.id.clone()).collect();
    let unheard: Vec<_> = logged.difference(&ids).collect();
    assert!(unheard.is_empty(), "answered, and nobody got the answer: {unheard:?}");
    assert_eq!(ids.len(), logged.len(), "answered without a note");
    let lost = of(&|request| request.fate == Fate::Nothing && request.written < signal);
    assert!(lost.is_empty(), "{} sent before the signal and never answered: {lost:#?}", lost.len());
    assert!(slow.len() >= QUEUED && in_flight.len() >= slow.len(), "nothing was in flight");
    let sign_ins = of(&|request| request.kind == Kind::SignIn);
    assert_eq!(sign_ins.len(), signing_in);
    assert!(sign_ins.iter().all(|request| request.fate == Fate::Answered(200)), "{sign_ins:#?}");
    assert!(refused.len() >= KEPT + COMING, "each client went on until it was refused");
}
