//! Slowloris: clients that take their time, and hold a connection each meanwhile.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tests::{
    Database,
    program::{QUIET, Serving},
};

use crate::raw::{connect, read_to_end, status};

/// How many at once.
const CLIENTS: usize = 500;
/// By when the service has given up on each.
const LIMIT: Duration = Duration::from_secs(16);
/// By when it has given up on one that it has answered before.
const HELD_LIMIT: Duration = Duration::from_secs(50);

/// Opens many connections, sends `first` on each and then `more`, a byte a second, until all have
/// been closed. Gives the statuses that were answered and how long the last one lasted.
fn wear_out(serving: &Serving, first: &str, more: &[u8]) -> (Vec<Option<u16>>, Duration) {
    let begin = Instant::now();
    let mut open: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(serving.address())).collect();
    for stream in &mut open {
        stream.write_all(first.as_bytes()).unwrap();
    }
    let dribble: Vec<TcpStream> = open.iter().map(|stream| stream.try_clone().unwrap()).collect();
    let more = more.to_vec();
    let dribbling = std::thread::spawn(move || {
        let mut left = dribble;
        for byte in more {
            // Who was closed needs no more.
            left.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
            std::thread::sleep(Duration::from_secs(1));
            if left.is_empty() {
                break;
            }
        }
    });
    let statuses = open.iter_mut().map(|stream| status(&read_to_end(stream))).collect();
    let took = begin.elapsed();
    drop(open);
    dribbling.join().unwrap();
    (statuses, took)
}

/// Meanwhile everybody else is served; how long 99 of 100 took, and all.
async fn others_are_served(
    serving: &Serving,
    until: &std::thread::JoinHandle<()>,
) -> (Duration, Duration) {
    let mut times = Vec::new();
    while !until.is_finished() {
        let begin = Instant::now();
        serving.client().get("/ping").await.ok(200);
        serving.client().get("/users").await.ok(200);
        times.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    times.sort_unstable();
    // The machine may stand still for once.
    (times[(times.len() * 99 / 100).min(times.len() - 2)], times[times.len() - 1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_bodies_that_do_not_end_are_given_up() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("RUST_LOG", QUIET)]);
    let serving = std::sync::Arc::new(serving);
    let attacked = std::sync::Arc::clone(&serving);
    let attack = std::thread::spawn(move || {
        let head = "GET /ping HTTP/1.1\r\nHost: x\r\nX-";
        let (statuses, took) = wear_out(&attacked, head, &[b'a'; 60]);
        println!("slow heads  : {CLIENTS} connections closed within {:.1} s", took.as_secs_f64());
        assert!(statuses.iter().all(|status| [None, Some(408)].contains(status)), "{statuses:?}");
        assert!(took < LIMIT, "{took:?}");

        let body = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                    Content-Length: 100\r\n\r\n{";
        let (statuses, took) = wear_out(&attacked, body, &[b' '; 60]);
        println!("slow bodies : {CLIENTS} connections closed within {:.1} s", took.as_secs_f64());
        assert!(statuses.iter().all(|status| *status == Some(408)), "{statuses:?}");
        assert!(took < LIMIT, "{took:?}");
    });
    let (most, slowest) = others_are_served(&serving, &attack).await;
    println!(
        "others      : 99 of 100 served within {:.3} s, all within {:.3} s",
        most.as_secs_f64(),
        slowest.as_secs_f64()
    );
    attack.join().unwrap();
    assert!(most < Duration::from_secs(2) && slowest < Duration::from_secs(8), "{slowest:?}");
}

/// Sends what a client begins with and holds the connection; gives how long the service has kept it.
fn hold(address: String, request: String, answered: bool) -> std::thread::JoinHandle<Duration> {
    std::thread::spawn(move || {
        let mut stream = connect(&address);
        stream.set_read_timeout(Some(HELD_LIMIT)).unwrap();
        if answered {
            stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = String::new();
            while !answer.contains("pong!") {
                let mut piece = [0; 1024];
                let length = stream.read(&mut piece).unwrap();
                assert_ne!(length, 0, "{answer}");
                answer.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        }
        let begin = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        read_to_end(&mut stream);
        begin.elapsed()
    })
}

/// How many connections of clients the service has.
fn connections(serving: &Serving) -> usize {
    let sockets = std::fs::read_to_string(format!("/proc/{}/net/tcp", serving.id())).unwrap();
    let (_, port) = serving.address().rsplit_once(':').unwrap();
    let local = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    let established = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&local) && words.nth(1) == Some("01")
    };
    sockets.lines().filter(established).count()
}

/// Clients that were answered once and then neither go on nor leave, and one that does not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_holds_a_connection_that_was_good_once() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("RUST_LOG", QUIET)]);
    let holding = ["G", "GET /ping HTTP/1.1\r\nHost: x\r\nX-"]
        .map(|begun| hold(serving.address().to_owned(), begun.to_owned(), true));

    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = serving.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let request = b"GET /swaggerui/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..16 {
        (&socket).write_all(request).unwrap();
    }

    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(connections(&serving), 3);
    let begin = Instant::now();
    while connections(&serving) > 0 {
        assert!(begin.elapsed() < HELD_LIMIT, "{} are held", connections(&serving));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("held        : closed within {:.1} s", begin.elapsed().as_secs_f64());
    for held in holding {
        assert!(held.join().unwrap() > Duration::from_secs(20), "a slow client has its time");
    }
    serving.client().get("/ping").await.ok(200);
}
