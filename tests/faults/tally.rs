//! What became of the requests, in figures.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// What was asked for.
    Right,
    /// A 503 that says when to come again.
    Unavailable,
    /// No answer: the connection was refused, or closed before one came.
    Unanswered(String),
    /// Anything else.
    Wrong(String),
}

/// The requests of one worker or of all, in figures.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) right: usize,
    pub(crate) unavailable: usize,
    pub(crate) unanswered: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// The longest that anybody waited for an answer.
    pub(crate) slowest: Duration,
    /// When the last request ended that did not end right.
    last_failure: Option<Instant>,
    /// When the last right answer came.
    last_right: Option<Instant>,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: Outcome, took: Duration) {
        let now = Instant::now();
        self.slowest = self.slowest.max(took);
        match outcome {
            Outcome::Right => {
                self.right += 1;
                self.last_right = Some(now);
                return;
            }
            Outcome::Unavailable => self.unavailable += 1,
            Outcome::Unanswered(why) => self.unanswered.push(why),
            Outcome::Wrong(what) => self.wrong.push(what),
        }
        self.last_failure = Some(now);
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.right += other.right;
        self.unavailable += other.unavailable;
        self.unanswered.extend(other.unanswered);
        self.wrong.extend(other.wrong);
        self.slowest = self.slowest.max(other.slowest);
        self.last_failure = self.last_failure.max(other.last_failure);
        self.last_right = self.last_right.max(other.last_right);
        self
    }

    pub(crate) fn requests(&self) -> usize {
        self.right + self.failed()
    }

    pub(crate) fn failed(&self) -> usize {
        self.unavailable + self.unanswered.len() + self.wrong.len()
    }

    /// How long after `mended` the last failure ended. Right answers must have followed it.
    pub(crate) fn recovery(&self, mended: Instant) -> Duration {
        let last = self.last_failure.unwrap_or(mended);
        assert!(self.last_right.is_some_and(|right| right > last), "no recovery: {self}");
        last.saturating_duration_since(mended)
    }

    /// Prints the figures, and fails where an answer was wrong or missing.
    #[track_caller]
    pub(crate) fn report(&self, fault: &str, mended: Instant) -> Duration {
        let recovery = self.recovery(mended);
        println!("{fault:34} {self}, all right {:.2} s after it ended", recovery.as_secs_f64());
        assert!(self.wrong.is_empty(), "{fault}: wrong answers: {:#?}", first(&self.wrong));
        let unanswered = first(&self.unanswered);
        assert!(self.unanswered.is_empty(), "{fault}: unanswered: {unanswered:#?}");
        recovery
    }
}

fn first(list: &[String]) -> &[String] {
    &list[..list.len().min(10)]
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} requests: {:6} right, {:5} refused with 503, {} unanswered, {} wrong; \
             the slowest took {:.2} s",
            self.requests(),
            self.right,
            self.unavailable,
            self.unanswered.len(),
            self.wrong.len(),
            self.slowest.as_secs_f64()
        )
    }
}
