//! A new release rolls out under load: two tasks behind a proxy, one replaced after the other.

use std::time::{Duration, Instant};

use tests::{
    Client,
    guard::free_port,
    program::{QUIET, Serving},
};

use crate::{
    haproxy::Haproxy,
    load::Load,
    service::{postgres, serve},
};

/// How often a new release comes.
const RELEASES: usize = 5;
/// The fewest requests meanwhile.
const REQUESTS: usize = 20_000;
/// How long a task that gets no new requests goes on. On AWS the deregistration delay, which is
/// longer.
const DRAINED: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replacements() {
    let postgres = postgres().await;
    let ports = [free_port(), free_port()];
    let start = |task: usize| -> Serving {
        serve(&postgres.url(), &[("PORT", &ports[task].to_string()), ("RUST_LOG", QUIET)])
    };
    let mut tasks = [start(0), start(1)];
    let proxy = Haproxy::start(ports).await;
    let load = Load::start(&Client::new(proxy.base()), 24).await;
    let begin = Instant::now();
    let mut replacements = 0;
    let mut drained = Duration::ZERO;
    for _ in 0..RELEASES {
        for (number, task) in tasks.iter_mut().enumerate() {
            load.more(REQUESTS / (2 * RELEASES)).await;
            // The order of ECS: the load balancer is told first, the task afterwards.
            proxy.drain(number);
            tokio::time::sleep(DRAINED).await;
            let stop = Instant::now();
            task.terminate();
            task.ended().await;
            drained = drained.max(stop.elapsed());
            *task = start(number);
            proxy.restore(number).await;
            replacements += 1;
        }
    }
    let mended = Instant::now();
    load.more(1_000).await;
    let tally = load.finish_and_compare().await;
    tally.report("ten replacements behind HAProxy", mended);
    println!(
        "{:34} {replacements} replacements in {:.0} s; the slowest task took {:.2} s to end",
        "",
        begin.elapsed().as_secs_f64(),
        drained.as_secs_f64()
    );
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(tally.requests() >= REQUESTS, "{tally}");
    assert_eq!(replacements, 2 * RELEASES);
}
