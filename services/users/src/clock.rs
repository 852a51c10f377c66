//! What time it is.
//!
//! Whatever expires asks a [`Clock`] that it was given, so that a test can let
//! a month pass in no time. Nothing else in this crate but log lines reads the
//! system's time of day (`clippy.toml` sees to it); measuring how long something took is
//! another matter, for [`std::time::Instant`].

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// The digits after the second that PostgreSQL keeps of a time.
const PRECISION: u16 = 6;

/// Tells the time: the system's, or one that a test sets.
///
/// Clones tell the same time, also after [`Clock::advance`].
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `now` until it is told to advance.
    pub fn fixed(now: DateTime<Utc>) -> Self {
        Self(Source::Fixed(Arc::new(Mutex::new(now))))
    }

    /// The time, to the microsecond: what PostgreSQL gives back equals what was stored.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that may")]
                let now = Utc::now();
                now.trunc_subsecs(PRECISION)
            }
            Source::Fixed(now) => {
                now.lock().unwrap_or_else(PoisonError::into_inner).trunc_subsecs(PRECISION)
            }
        }
    }

    /// Moves a fixed clock and its clones, forwards or back. The system's clock goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Fixed(now) = &self.0 {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.checked_add_signed(by).unwrap_or(*now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_fixed_clock_share_its_time() {
        let start = DateTime::UNIX_EPOCH;
        let clock = Clock::fixed(start);
        let clone = clock.clone();
        assert_eq!(clone.now(), start);
        clock.advance(Duration::days(30));
        assert_eq!(clone.now(), start + Duration::days(30));
        clone.advance(Duration::seconds(-1));
        assert_eq!(clock.now(), start + Duration::days(30) - Duration::seconds(1));
    }

    #[test]
    fn an_advance_beyond_all_time_is_none() {
        let clock = Clock::fixed(DateTime::<Utc>::MAX_UTC);
        let before = clock.now();
        clock.advance(Duration::days(1));
        assert_eq!(clock.now(), before);
    }

    #[test]
    fn the_system_clock_runs_on_in_whole_microseconds() {
        let clock = Clock::system();
        let earlier = clock.now();
        clock.advance(Duration::days(1));
        assert!(clock.now() - earlier < Duration::hours(1));
        assert_eq!(clock.now().timestamp_subsec_nanos() % 1_000, 0);
    }
}
