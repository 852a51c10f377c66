//! A build that runs beside the loop, one at a time.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::interrupt;

type Work = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Work that is done again whenever it is wanted. Wanting it while it runs means once more
/// afterwards.
pub(super) struct Job {
    work: Work,
    wanted: bool,
    running: Option<(JoinHandle<Result<()>>, Instant)>,
}

impl Job {
    pub(super) fn new(work: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self { work: Arc::new(work), wanted: false, running: None }
    }

    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Starts what is wanted, and gives what has ended: the time that it took, or why it failed.
    pub(super) fn poll(&mut self) -> Option<Result<Duration>> {
        let ended = self.running.take_if(|(thread, _)| thread.is_finished());
        if self.running.is_none() && std::mem::take(&mut self.wanted) {
            let work = Arc::clone(&self.work);
            self.running = Some((std::thread::spawn(move || work()), Instant::now()));
        }
        let (thread, started) = ended?;
        let result = thread.join().unwrap_or_else(|_| Err(anyhow!("the build broke off")));
        Some(result.map(|()| started.elapsed()))
    }
}

impl Drop for Job {
    /// A build must not outlive the command that started it.
    fn drop(&mut self) {
        if let Some((thread, _)) = self.running.take() {
            interrupt::request();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn ended(job: &mut Job) -> Result<Duration> {
        loop {
            if let Some(result) = job.poll() {
                return result;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn work_runs_once_for_each_time_it_is_wanted() {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let mut job = Job::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(job.poll().is_none());
        job.want();
        job.want();
        ended(&mut job).unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        job.want();
        ended(&mut job).unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn failures_are_handed_over() {
        let mut job = Job::new(|| Err(anyhow!("it does not compile")));
        job.want();
        assert_eq!(ended(&mut job).unwrap_err().to_string(), "it does not compile");
    }
}
