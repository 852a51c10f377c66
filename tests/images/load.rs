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

/// Requests for some paths, over and over. Every one that is sent before the service is stopped
/// must be answered, and no answer may be cut off; afterwards a request is answered as well or
/// finds no service. So that each is one or the other, each has a connection of its own.
pub(crate) struct Load {
    stopping: Arc<AtomicBool>,
    workers: Vec<JoinHandle<u32>>,
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

    /// Stops the container, and gives how long that took.
    pub(crate) async fn stop(self, container: &Container) -> Duration {
        self.stopping.store(true, Ordering::SeqCst);
        // A request that was begun before reaches the service before it is told to stop.
        tokio::time::sleep(BEFORE).await;
        let took = tokio::task::block_in_place(|| container.stop());
        for worker in self.workers {
            assert!(worker.await.unwrap() > 0, "a worker got no answer at all");
        }
        took
    }
}

/// Asks until there is no service; how many answers came.
async fn ask(url: String, stopping: Arc<AtomicBool>) -> u32 {
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let start = Instant::now();
    let mut answers = 0;
    while start.elapsed() < Duration::from_secs(60) {
        let sent_before = !stopping.load(Ordering::SeqCst);
        match http.get(&url).send().await {
            Ok(response) => {
                assert_eq!(response.status(), 200, "{url}");
                response.bytes().await.expect("an answer was cut off");
                answers += 1;
            }
            Err(error) => {
                assert!(!sent_before, "{url} failed before the service was stopped: {error:?}");
                return answers;
            }
        }
    }
    panic!("{url} still answers, a minute after the container was stopped");
}
