//! How many connections clients may have open at once, and which of them end with an answer.
//!
//! Each takes memory, whatever is asked over it, and more while its request's head comes in: without
//! a limit, whoever opens enough of them has the kernel kill the service. Beyond the limit they wait
//! in the operating system's queue. From three quarters of it on each is closed after its answer, so
//! that those who wait get their turn, and none is held by a client that merely keeps it. When the
//! service ends, all are: no client sends one more request into a connection that is about to go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use actix_web::dev::Extensions;

/// How many are open, and how many may be.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    open: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    of_worker: usize,
    crowd: usize,
}

impl Connections {
    /// So many at most, shared out among the workers.
    pub(crate) fn new(most: usize, workers: usize) -> Self {
        let of_worker = (most / workers.max(1)).max(1);
        let crowd = of_worker * workers / 4 * 3;
        Self { open: Arc::default(), ending: Arc::default(), of_worker, crowd }
    }

    /// How many each worker takes at most.
    pub(crate) fn of_worker(&self) -> usize {
        self.of_worker
    }

    /// From here on each ends with its next answer.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether an answer is its connection's last, and says so.
    pub(crate) fn end_with_their_answer(&self) -> bool {
        self.ending.load(Ordering::Relaxed) || self.open.load(Ordering::Relaxed) >= self.crowd
    }

    /// Counts each connection for as long as it is open: called on connect, with its data.
    pub(crate) fn counter(&self) -> impl Fn(&mut Extensions) + Clone + use<> {
        let open = Arc::clone(&self.open);
        move |extensions| {
            extensions.insert(Open::new(&open));
        }
    }
}

/// An open connection.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_shared_out_and_end_with_an_answer_from_three_quarters_on() {
        let connections = Connections::new(9, 2);
        assert_eq!(connections.of_worker(), 4);
        let connect = connections.counter();
        let mut open: Vec<Extensions> = (0..6)
            .map(|_| {
                assert!(!connections.end_with_their_answer());
                let mut extensions = Extensions::new();
                connect(&mut extensions);
                extensions
            })
            .collect();
        assert!(connections.end_with_their_answer());
        open.pop();
        assert!(!connections.end_with_their_answer());
        connections.clone().end();
        assert!(connections.end_with_their_answer());
    }

    #[test]
    fn every_worker_takes_one_at_least() {
        assert_eq!(Connections::new(1, 4).of_worker(), 1);
    }
}
