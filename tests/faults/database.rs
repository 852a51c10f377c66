//! PostgreSQL ends, stands still or is slow.

use std::time::{Duration, Instant};

use crate::{
    link::Link,
    load::Load,
    service::{postgres, serve},
    tally::Fault,
};

/// How many people are at work: more than there are connections to the database.
const PEOPLE: usize = 16;
/// How many right answers come before something breaks, and at least as many after it.
const RIGHT: usize = 1_000;
/// How long is looked for what comes late after it.
const AFTER: Duration = Duration::from_secs(3);
/// How soon all must be right again.
const RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again() {
    let mut postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    let mut faults = Vec::new();
    for _ in 0..3 {
        load.more(RIGHT).await;
        let broke = Instant::now();
        postgres.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        postgres.start_again().await;
        faults.push(Fault::since(broke));
    }
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL killed, three times", &faults);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// For longer than the service lets a request take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen() {
    let postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    load.more(RIGHT).await;
    let broke = Instant::now();
    postgres.freeze();
    tokio::time::sleep(Duration::from_secs(20)).await;
    postgres.thaw();
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL frozen for 20 s", &[fault]);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// Slow enough for the people to wait for connections, and not so slow that they have to be refused;
/// one here and there, where the machine is slow as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    load.more(RIGHT).await;
    let broke = Instant::now();
    link.delay(Duration::from_millis(20));
    tokio::time::sleep(Duration::from_secs(5)).await;
    link.delay(Duration::ZERO);
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL 20 ms away for 5 s", &[fault]);
    assert!(tally.failed() <= PEOPLE, "{tally}");
    assert!(tally.slowest > Duration::from_millis(100) && recovery < RECOVERY, "{tally}");
}

/// Slower than requests may wait for a connection: some are refused, and none hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_slow() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[("DATABASE_POOL_SIZE", "4")]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    load.more(RIGHT).await;
    let broke = Instant::now();
    link.delay(Duration::from_millis(1500));
    tokio::time::sleep(Duration::from_secs(10)).await;
    link.delay(Duration::ZERO);
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL 1.5 s away for 10 s", &[fault]);
    // What was under way when it ended has its own delays left to wait for.
    assert!(tally.unavailable > 0 && recovery < RECOVERY + Duration::from_secs(3), "{tally}");
}
