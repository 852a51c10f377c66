//! Ctrl-C and its relatives.
//!
//! The first signal asks: programs that run are ended politely, and every command cleans up by
//! returning. The second one insists: they are killed, and the cleaning up is the same.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::process::Interrupted;

/// Within so long of the first signal another one is no second thought.
const ECHO: Duration = Duration::from_secs(1);

/// What ends the work. Clones share their state.
///
/// Not every signal that comes again insists. A terminal that is closed sends two SIGHUPs at once,
/// one by the kernel and one by the shell, so a SIGHUP only ever asks. `timeout` sends its signal to
/// the program and to the program's group: what follows the first within a second is its echo.
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
        let first = Arc::new(OnceLock::new());
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind)?;
            let (stop, first) = (stop.clone(), Arc::clone(&first));
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    stop.hear(kind, &first);
                }
            });
        }
        Ok(stop)
    }

    /// A signal has come; `first` is when the first did that may be followed by one that insists.
    fn hear(&self, kind: SignalKind, first: &OnceLock<Instant>) {
        let is_second = kind != SignalKind::hangup()
            && first.set(Instant::now()).is_err()
            && first.get().is_some_and(|first| first.elapsed() >= ECHO);
        if is_second {
            self.now.cancel();
        }
        self.polite.cancel();
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

    /// Does something that ends in order when it is asked to, and asks it to after so long. `None` if
    /// that was why it came to nothing.
    pub(crate) async fn within<T, E>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let stop = self.child();
        let mut work = pin!(work(&stop));
        tokio::select! {
            done = &mut work => return Some(done),
            () = sleep(limit) => stop.request(),
        }
        let done = work.await;
        (done.is_ok() || self.requested()).then_some(done)
    }

    /// Waits until it should have ended although something does not answer: so long after the second
    /// request.
    pub(crate) async fn is_late(&self, grace: Duration) {
        self.insisted().await;
        sleep(grace).await;
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

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_insists_unless_it_is_an_echo_or_the_terminal_is_gone() {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        let hangup = SignalKind::hangup();
        let (stop, first) = (Stop::default(), OnceLock::new());
        for kind in [hangup, hangup] {
            stop.hear(kind, &first);
            assert!(stop.requested() && !stop.now.is_cancelled());
            sleep(ECHO).await;
        }
        // Whoever ends it by hand afterwards has not asked before.
        for kind in [terminate, terminate, interrupt, hangup] {
            stop.hear(kind, &first);
            assert!(!stop.now.is_cancelled());
        }
        sleep(ECHO).await;
        stop.hear(hangup, &first);
        assert!(!stop.now.is_cancelled());
        stop.hear(interrupt, &first);
        assert!(stop.now.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_asked_to_end_and_told_from_what_somebody_ended() {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let ends = async |stop: &Stop| {
            let waits = async {
                sleep(minute).await;
                Ok::<_, Interrupted>(())
            };
            stop.or_interrupted(waits).await
        };
        let stop = Stop::default();
        assert!(matches!(stop.within(hour, &ends).await, Some(Ok(()))));
        assert!(stop.within(Duration::from_secs(1), &ends).await.is_none());
        assert!(!stop.requested());
        let fails = async |_: &Stop| Err::<(), _>(Interrupted);
        assert!(matches!(stop.within(hour, fails).await, Some(Err(Interrupted))));
        stop.request();
        assert!(matches!(stop.within(hour, &ends).await, Some(Err(Interrupted))));
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
