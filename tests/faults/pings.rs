//! Somebody who asks nothing but `/ping`, as a load balancer does: whatever happens to the database,
//! that is answered at once.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(5);
/// After this time nobody waits any more; far beyond what is asked for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, until it is told to stop. In a thread of its own, so that the load's own work is not what is
/// measured.
pub(crate) struct Pings {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Ping>>,
}

/// One answer: when it was asked for, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
}

impl Pings {
    /// Over one connection, which is kept.
    pub(crate) fn start(base: &str) -> Self {
        let address = base.trim_start_matches("http://").to_owned();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        Self { stop, answered, thread: thread::spawn(move || ask(&address, &stopped, &count)) }
    }

    /// How many answers have come so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// All of them; fails if one was not answered right.
    pub(crate) fn finish(self) -> Vec<Ping> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("/ping is always answered")
    }
}

fn ask(address: &str, stop: &AtomicBool, count: &AtomicUsize) -> Vec<Ping> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut pings = Vec::new();
    let mut piece = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let length = stream.read(&mut piece).expect("an answer to /ping");
            assert!(length > 0, "no answer to /ping: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..length]);
        }
        pings.push(Ping { at, took: at.elapsed() });
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("pong!"), "{answer}");
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    pings
}
