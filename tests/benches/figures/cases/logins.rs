//! 64 people sign in at once, over and over: how many a second beside the hash function alone,
//! what it costs in memory, and whether `/ping` suffers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tests::{Database, PASSWORD};

use crate::{
    Effort, data,
    load::Wrk,
    process::peak_memory,
    report::{Goal, Report},
    rounds::{alternate, blocking, median, percentile},
    service::{Service, hashes_per_second},
};

const CASE: &str = "logins";
const AT_ONCE: usize = 64;

pub(super) async fn measure(effort: Effort, report: &mut Report) {
    let database = Database::migrated().await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let alone = pings(&service, async || tokio::time::sleep(Duration::from_secs(2)).await).await.1;
    report.tell(CASE, "/ping alone, 99 of 100", percentile(alone, 0.99), "ms");
    let wrk = Wrk {
        threads: 1,
        connections: AT_ONCE,
        ..Wrk::new(effort.seconds, &["login", &data::PERSONS.to_string(), PASSWORD])
    };
    let rounds = alternate(
        effort.rounds,
        async || pings(&service, async || wrk.run(&service, None).await).await,
        async || blocking(move || hashes_per_second(effort.seconds)).await,
    )
    .await;
    report.tell(CASE, "logins", median(rounds.iter().map(|((login, _), _)| login.rate)), "/s");
    report.tell(CASE, "argon2 alone", median(rounds.iter().map(|(_, hashes)| *hashes)), "/s");
    let ratio = median(rounds.iter().map(|((login, _), hashes)| login.rate / hashes));
    report.hold(CASE, "of argon2 alone", (ratio, ""), Goal::AtLeast(0.95));
    let pings: Vec<f64> = rounds.into_iter().flat_map(|((_, pings), _)| pings).collect();
    report.tell(CASE, "/ping meanwhile, median", percentile(pings.clone(), 0.5), "ms");
    let slow = percentile(pings, 0.99);
    report.hold(CASE, "/ping meanwhile, 99 of 100", (slow, "ms"), Goal::AtMost(20.0));
    let memory = peak_memory(service.id());
    report.hold(CASE, "peak memory", (memory, "MB"), Goal::AtMost(80.0));
}

/// The milliseconds that `/ping` takes, one after the other, until `work` is done.
async fn pings<T>(service: &Service, work: impl AsyncFnOnce() -> T) -> (T, Vec<f64>) {
    let done = Arc::new(AtomicBool::new(false));
    let address = service.base.trim_start_matches("http://").to_owned();
    let pinging = {
        let done = Arc::clone(&done);
        thread::spawn(move || ping_until(&address, &done))
    };
    let outcome = work().await;
    done.store(true, Ordering::Relaxed);
    (outcome, blocking(|| pinging.join().unwrap()).await)
}

fn ping_until(address: &str, done: &AtomicBool) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    let mut answer = [0; 4096];
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        // So short an answer comes in one piece.
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // Somebody who asks a thousand times a second would measure himself.
        thread::sleep(Duration::from_millis(2));
    }
    times
}
