//! 64 people sign in at once: what does it cost in memory, and does `/ping` suffer?
//!
//! ```text
//! cargo build --release --package users
//! USERS_BIN=target/release/users TEST_DATABASE_URL=postgres://… \
//!     cargo bench --package tests --bench logins --profile dev
//! ```
//!
//! Prints the peak resident memory of the program before and after, and the time
//! that `/ping` takes alone and meanwhile, over several rounds in one run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run must end"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Client, Database, PASSWORD, program::Serving};
use tokio::task::JoinSet;

const LOGINS: usize = 64;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let database = Database::migrated().await;
    let service = Serving::start(&[("DATABASE_URL", &database.url()), ("THROTTLE", "off")]);
    let client = service.client();
    let person =
        json!({"username": "somebody", "email": "somebody@example.com", "password": PASSWORD});
    client.post("/auth/register").json(person).await.ok(201);

    println!("{LOGINS} logins at once; {}", tests::program::path().display());
    println!("peak memory before   {:>7.1} MB", peak(&service));
    let alone = pings(&client, Duration::from_secs(2)).await;
    let mut meanwhile = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (took, pings) = round(&client).await;
        rounds.push(took);
        meanwhile.extend(pings);
    }
    rounds.sort();
    let per_second = LOGINS as f64 / rounds[ROUNDS / 2].as_secs_f64();
    println!("peak memory after    {:>7.1} MB", peak(&service));
    println!("logins per second    {per_second:>7.1} (median of {ROUNDS} rounds of {LOGINS})");
    report("/ping alone", alone);
    report("/ping meanwhile", meanwhile);
}

/// All logins at once, and `/ping` one after the other until the last is done.
async fn round(client: &Client) -> (Duration, Vec<Duration>) {
    let done = Arc::new(AtomicBool::new(false));
    let pinging = {
        let (client, done) = (client.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                times.push(ping(&client).await);
            }
            times
        })
    };
    let start = Instant::now();
    let mut logins = JoinSet::new();
    for _ in 0..LOGINS {
        let login = json!({"email": "somebody@example.com", "password": PASSWORD});
        let call = client.post("/auth/login").json(login);
        logins.spawn(async move { call.await.ok(200) });
    }
    logins.join_all().await;
    let took = start.elapsed();
    done.store(true, Ordering::Relaxed);
    (took, pinging.await.unwrap())
}

async fn pings(client: &Client, duration: Duration) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < duration {
        times.push(ping(client).await);
    }
    times
}

async fn ping(client: &Client) -> Duration {
    let start = Instant::now();
    client.get("/ping").await.ok(200);
    // Somebody who asks a thousand times a second would measure himself.
    let took = start.elapsed();
    tokio::time::sleep(Duration::from_millis(2)).await;
    took
}

/// The most memory that the program has had resident, in MB.
fn peak(service: &Serving) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024.0 / 1e6
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<20} {:>7.2} ms median, {:.2} ms p99, {:.2} ms most ({} requests)",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}
