//! PostgreSQL ends, stands still or is slow.

use std::time::{Duration, Instant};

use crate::{
    link::Link,
    load::Load,
    service::{postgres, serve},
};

/// How many people are at work: more than there are connections to the database.
const PEOPLE: usize = 16;
/// How long all is well before and after.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// How soon all must be right again.
const RECOVERY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again() {
    let mut postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    let mut mended = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(BEFORE).await;
        postgres.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        postgres.start_again().await;
        mended = Instant::now();
    }
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL killed, three times", mended);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// For longer than the service lets a request take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen() {
    let postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    tokio::time::sleep(BEFORE).await;
    postgres.freeze();
    tokio::time::sleep(Duration::from_secs(20)).await;
    postgres.thaw();
    let mended = Instant::now();
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL frozen for 20 s", mended);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// Slow enough for the people to wait for connections, and not so slow that one has to be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    tokio::time::sleep(BEFORE).await;
    link.delay(Duration::from_millis(50));
    tokio::time::sleep(Duration::from_secs(5)).await;
    link.delay(Duration::ZERO);
    let mended = Instant::now();
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL 50 ms away", mended);
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(tally.slowest > Duration::from_millis(100) && recovery < RECOVERY, "{tally}");
}

/// Slower than requests may wait for a connection: some are refused, and none hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_slow() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[("DATABASE_POOL_SIZE", "4")]);
    let load = Load::start(&serving.client(), PEOPLE).await;
    tokio::time::sleep(BEFORE).await;
    link.delay(Duration::from_millis(1500));
    tokio::time::sleep(Duration::from_secs(10)).await;
    link.delay(Duration::ZERO);
    let mended = Instant::now();
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("PostgreSQL 1.5 s away", mended);
    // What was under way when it ended has its own delays left to wait for.
    assert!(tally.unavailable > 0 && recovery < RECOVERY + Duration::from_secs(3), "{tally}");
}
