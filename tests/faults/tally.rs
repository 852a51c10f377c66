//! What became of the requests, in figures.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::pings::Ping;

/// The fewest right answers before a fault, and after it: or nothing was proven.
const LEAST: usize = 500;
/// The fewest `/ping` before a fault, and during it.
const PINGS: usize = 50;
/// So many of the slowest are not judged: the machine may have stood still.
const STALLS: usize = 2;
/// How much longer 99 of 100 `/ping` may take during a fault than before it, and how much longer the
/// slowest: a request that waits for the database waits for seconds, and all of them do.
const PING: Duration = Duration::from_millis(100);
const PING_MAX: Duration = Duration::from_secs(1);
/// And so many times as long, since what keeps the machine busy may be more at one time than at another.
const TIMES: u32 = 3;

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

/// A while in which something is broken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) broke: Instant,
    pub(crate) mended: Instant,
}

impl Fault {
    /// One that began then and has just ended.
    pub(crate) fn since(broke: Instant) -> Self {
        Self { broke, mended: Instant::now() }
    }
}

/// The requests of one worker or of all, in figures.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// When right answers came.
    pub(crate) right: Vec<Instant>,
    pub(crate) unavailable: usize,
    pub(crate) unanswered: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// The longest that anybody waited for an answer.
    pub(crate) slowest: Duration,
    /// When requests ended that did not end right.
    failures: Vec<Instant>,
    /// The answers to `/ping`, which somebody asked for all the time.
    pings: Vec<Ping>,
}

impl Tally {
    /// With nothing but the answers to `/ping`.
    pub(crate) fn with(pings: Vec<Ping>) -> Self {
        Self { pings, ..Self::default() }
    }

    pub(crate) fn add(&mut self, outcome: Outcome, took: Duration) {
        let now = Instant::now();
        self.slowest = self.slowest.max(took);
        match outcome {
            Outcome::Right => {
                self.right.push(now);
                return;
            }
            Outcome::Unavailable => self.unavailable += 1,
            Outcome::Unanswered(why) => self.unanswered.push(why),
            Outcome::Wrong(what) => self.wrong.push(what),
        }
        self.failures.push(now);
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.right.extend(other.right);
        self.unavailable += other.unavailable;
        self.unanswered.extend(other.unanswered);
        self.wrong.extend(other.wrong);
        self.slowest = self.slowest.max(other.slowest);
        self.failures.extend(other.failures);
        self.pings.extend(other.pings);
        self
    }

    pub(crate) fn requests(&self) -> usize {
        self.right.len() + self.failed()
    }

    pub(crate) fn failed(&self) -> usize {
        self.unavailable + self.unanswered.len() + self.wrong.len()
    }

    /// How many right answers came in that time.
    pub(crate) fn right_within(&self, from: Instant, to: Instant) -> usize {
        self.right.iter().filter(|at| (from..to).contains(*at)).count()
    }

    /// How long after the end of a fault the last failure before `next` came. Right answers must have
    /// followed it.
    fn recovery(&self, mended: Instant, next: Option<Instant>) -> Duration {
        let before_next = |at: &&Instant| next.is_none_or(|next| **at < next);
        let last = self.failures.iter().filter(before_next).max().copied();
        let last = last.unwrap_or(mended).max(mended);
        let followed = self.right.iter().filter(before_next).any(|right| *right > last);
        assert!(followed, "no recovery: {self}");
        last.duration_since(mended)
    }

    /// Prints the figures, and gives the longest time until all was right again. Fails where an answer
    /// was wrong or missing, where there were too few to prove anything, and where `/ping` took long.
    #[track_caller]
    pub(crate) fn report(&self, about: &str, faults: &[Fault]) -> Duration {
        let nexts = faults.iter().skip(1).map(|fault| Some(fault.broke)).chain([None]);
        let recoveries = faults.iter().zip(nexts);
        let recoveries = recoveries.map(|(fault, next)| self.recovery(fault.mended, next));
        let recoveries: Vec<Duration> = recoveries.collect();
        let recovery = recoveries.iter().max().copied().expect("a fault");
        let (broke, mended) = (faults[0].broke, faults[faults.len() - 1].mended);
        let before = self.right.iter().filter(|at| **at < broke).count();
        let meanwhile = self.right_within(broke, mended);
        let after = self.right.len() - before - meanwhile;
        // Until all was right again.
        let troubled = |ping: &&Ping| {
            let mut times = faults.iter().zip(&recoveries);
            times.any(|(fault, after)| (fault.broke..fault.mended + *after).contains(&ping.at))
        };
        let pings = slowest(self.pings.iter().filter(troubled));
        let pings_before = slowest(self.pings.iter().filter(|ping| ping.at < broke));
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{about}: {self}; right {before} before, {meanwhile} meanwhile, {after} after; /ping, 99 of \
             100 and all but {STALLS}: within {:.1} and {:.1} ms meanwhile, {:.1} and {:.1} before; all \
             right {:.2} s after it ended",
            ms(pings.0),
            ms(pings.1),
            ms(pings_before.0),
            ms(pings_before.1),
            recovery.as_secs_f64()
        );
        assert!(self.wrong.is_empty(), "{about}: wrong answers: {:#?}", first(&self.wrong));
        let unanswered = first(&self.unanswered);
        assert!(self.unanswered.is_empty(), "{about}: unanswered: {unanswered:#?}");
        assert!(before >= LEAST && after >= LEAST, "{about}: {before} before, {after} after");
        assert!(pings.0 <= PING + TIMES * pings_before.0, "{about}: /ping takes {:?}", pings.0);
        assert!(pings.1 <= PING_MAX + TIMES * pings_before.1, "{about}: /ping takes {:?}", pings.1);
        recovery
    }
}

/// What 99 of 100 took at most, and what all did but those that are not judged.
#[track_caller]
fn slowest<'a>(pings: impl Iterator<Item = &'a Ping>) -> (Duration, Duration) {
    let mut pings: Vec<Duration> = pings.map(|ping| ping.took).collect();
    pings.sort_unstable();
    assert!(pings.len() >= PINGS, "{} times /ping", pings.len());
    let judged = pings.len() - STALLS;
    (pings[(pings.len() * 99 / 100).min(judged - 1)], pings[judged - 1])
}

fn first(list: &[String]) -> &[String] {
    &list[..list.len().min(10)]
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests: {} right, {} refused with 503, {} unanswered, {} wrong, the slowest took \
             {:.2} s",
            self.requests(),
            self.right.len(),
            self.unavailable,
            self.unanswered.len(),
            self.wrong.len(),
            self.slowest.as_secs_f64()
        )
    }
}
