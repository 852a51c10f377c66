//! Requests that go on while a container is stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::docker::Container;

/// How many ask at once for each path.
const WORKERS: usize = 4;
/// How long they ask before anything else happens.
const BEFORE: Duration = Duration::from_millis(500);

/// Requests for some paths, over and over, each with a connection of its own, until there is no
/// service. Before it is stopped, all are answered with 200; afterwards a request is answered so,
/// too, or not at all. How many the service has accepted, its log tells.
pub(crate) struct Load {
    stopping: Arc<AtomicBool>,
    workers: Vec<JoinHandle<usize>>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Requests that were answered, in full.
    pub(crate) answered: usize,
    /// How long the container took to stop.
    pub(crate) took: Duration,
}

impl Load {
    /// Begins, and goes on for a moment.
    pub(crate) async fn start(base: &str, paths: &[String]) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let workers = paths
            .iter()
            .flat_map(|path| std::iter::repeat_n(format!("{base}{path}"), WORKERS))
            .map(|url| tokio::spawn(ask(url, Arc::clone(&stopping))))
            .collect();
        tokio::time::sleep(BEFORE).await;
        Self { stopping, workers }
    }

    /// Stops the container.
    pub(crate) async fn stop(self, container: &Container) -> Outcome {
        self.stopping.store(true, Ordering::SeqCst);
        let took = tokio::task::block_in_place(|| container.stop());
        let mut answered = 0;
        for worker in self.workers {
            let answers = worker.await.unwrap();
            assert!(answers > 0, "a worker got no answer at all");
            answered += answers;
        }
        Outcome { answered, took }
    }
}

/// Asks until there is no service; how many answers came.
async fn ask(url: String, stopping: Arc<AtomicBool>) -> usize {
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let start = Instant::now();
    let mut answers = 0;
    while start.elapsed() < Duration::from_secs(60) {
        match http.get(&url).send().await {
            Ok(response) => {
                assert_eq!(response.status(), 200, "{url}");
                response.bytes().await.expect("an answer was cut off");
                answers += 1;
            }
            Err(error) => {
                let stopping = stopping.load(Ordering::SeqCst);
                assert!(stopping, "{url} failed before the service was stopped: {error:?}");
                return answers;
            }
        }
    }
    panic!("{url} still answers, a minute after the container was stopped");
}
