//! Somebody else holds what every statement needs, and so the statements hold all connections.

use std::time::{Duration, Instant};

use tests::database;

use crate::{
    load::Load,
    service::{postgres, serve},
    tally::Fault,
};

/// How many right answers come before, and at least as many afterwards.
const RIGHT: usize = 1_000;

/// How soon all must be right again.
const RECOVERY: Duration = Duration::from_secs(5);

/// For longer than a statement may take, so that the server begins to cancel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_wait_for_a_lock() {
    let postgres = postgres().await;
    let serving = serve(&postgres.url(), &[("DATABASE_POOL_SIZE", "4")]);
    let load = Load::start(&serving.client(), 16).await;
    load.more(RIGHT).await;
    let other = database::connect(&postgres.url()).await;
    let broke = Instant::now();
    other.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    other.batch_execute("COMMIT").await.unwrap();
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("all connections wait 12 s for a lock", &[fault]);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// The server has no connection left for us: others have taken them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_takes_no_more_connections() {
    let postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    load.more(RIGHT).await;
    // Ours end, and others are quicker to take their places.
    let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'users'";
    let mut others = vec![database::connect(&postgres.url()).await];
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        others[0].execute(ours, &[]).await.unwrap();
        while let Ok((client, connection)) =
            tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await
        {
            tokio::spawn(connection);
            others.push(client);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = others.len();
    drop(others);
    let fault = Fault::since(begin);
    load.more(RIGHT).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("no connection left for 3 s", &[fault]);
    assert!(taken > 80 && tally.unavailable > 0, "{taken} taken: {tally}");
    assert!(recovery < RECOVERY, "{tally}");
}
