//! Ctrl-C and its relatives.
//!
//! The first signal asks: programs that run are ended politely, and every command cleans up by
//! returning. The second one insists: they are killed, and the cleaning up is the same.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::process::Interrupted;

/// What ends the work. Clones share their state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    polite: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// One that SIGINT, SIGTERM and SIGHUP set.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind)?;
            let stop = stop.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    stop.request();
                }
            });
        }
        Ok(stop)
    }

    /// One that stops with this one, but can be stopped without it.
    #[must_use]
    pub(crate) fn child(&self) -> Self {
        Self { polite: self.polite.child_token(), now: self.now.child_token() }
    }

    /// Asks; the second time, insists.
    pub(crate) fn request(&self) {
        if self.polite.is_cancelled() {
            self.now.cancel();
        }
        self.polite.cancel();
    }

    /// Whether work should end.
    #[must_use]
    pub(crate) fn requested(&self) -> bool {
        self.polite.is_cancelled()
    }

    /// Waits until work should end.
    pub(crate) async fn wait(&self) {
        self.polite.cancelled().await;
    }

    /// Does something that may be dropped at any time, until work should end.
    ///
    /// # Errors
    /// It ended first, or failed.
    pub(crate) async fn or_interrupted<T, E: From<Interrupted>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            done = work => done,
            () = self.wait() => Err(Interrupted.into()),
        }
    }

    /// Waits until it should have ended although something does not answer: so long after the second
    /// request.
    pub(crate) async fn is_late(&self, grace: Duration) {
        self.insisted().await;
        tokio::time::sleep(grace).await;
    }

    /// Waits until it should end without ceremony.
    pub(crate) async fn insisted(&self) {
        self.now.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_insists() {
        let stop = Stop::default();
        stop.request();
        assert!(stop.requested() && !stop.now.is_cancelled());
        stop.request();
        assert!(stop.now.is_cancelled());
    }

    #[test]
    fn a_child_stops_with_its_parent_and_not_the_other_way() {
        let parent = Stop::default();
        let (one, other) = (parent.child(), parent.child());
        one.request();
        assert!(one.requested() && !parent.requested() && !other.requested());
        parent.request();
        assert!(other.requested());
    }
}
