//! Slowloris: clients that take their time, and hold a connection each meanwhile.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use tests::{
    Database,
    program::{QUIET, Serving},
};

use crate::raw::{connect, read_to_end, status};

/// How many at once.
const CLIENTS: usize = 500;
/// By when the service has given up on each.
const LIMIT: Duration = Duration::from_secs(16);

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

/// Meanwhile everybody else is served.
async fn others_are_served(serving: &Serving, until: &std::thread::JoinHandle<()>) -> Duration {
    let mut slowest = Duration::ZERO;
    while !until.is_finished() {
        let begin = Instant::now();
        serving.client().get("/ping").await.ok(200);
        serving.client().get("/users").await.ok(200);
        slowest = slowest.max(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    slowest
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
    let slowest = others_are_served(&serving, &attack).await;
    println!("others      : served within {:.3} s", slowest.as_secs_f64());
    attack.join().unwrap();
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
