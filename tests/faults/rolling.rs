//! A new release rolls out under load: two tasks behind a proxy, one replaced after the other.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tests::{
    Client,
    guard::free_port,
    program::{QUIET, Serving},
};

use crate::{
    haproxy::Haproxy,
    load::Load,
    service::{postgres, serve},
    tally::Fault,
};

/// How often a new release comes.
const RELEASES: usize = 5;
/// The fewest right answers while tasks are being replaced: from the moment at which one gets no new
/// requests to that at which its successor gets some.
const REQUESTS: usize = 20_000;
/// A replacement's share of them, of which half comes while the old task still runs.
const SHARE: usize = REQUESTS / (2 * RELEASES);
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
    load.more(1_000).await;
    let (mut replacements, mut processes) = (Vec::new(), HashSet::new());
    let mut slowest = Duration::ZERO;
    for _ in 0..RELEASES {
        for (number, task) in tasks.iter_mut().enumerate() {
            let begin = Instant::now();
            // The order of ECS: the load balancer is told first, the task afterwards.
            proxy.drain(number);
            tokio::time::sleep(DRAINED).await;
            load.more(SHARE / 2).await;
            let stop = Instant::now();
            task.terminate();
            task.ended().await;
            slowest = slowest.max(stop.elapsed());
            *task = start(number);
            processes.insert(task.id());
            load.more(SHARE / 2).await;
            proxy.restore(number).await;
            replacements.push(Fault::since(begin));
            // Both at work, as between two releases.
            load.more(200).await;
        }
    }
    load.more(1_000).await;
    let tally = load.finish_and_compare().await;
    tally.report("ten replacements behind HAProxy", &replacements);
    let times = replacements.iter().map(|while_| (while_.broke, while_.mended));
    let meanwhile: usize = times.map(|(from, to)| tally.right_within(from, to)).sum();
    println!(
        "{} replacements: {meanwhile} right answers while they went on, {} failed; the slowest task \
         took {:.2} s to end",
        replacements.len(),
        tally.failed(),
        slowest.as_secs_f64()
    );
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(meanwhile >= REQUESTS, "{meanwhile}");
    assert_eq!((replacements.len(), processes.len()), (2 * RELEASES, 2 * RELEASES));
}
