//! Limits per client address, in this process's memory.
//!
//! They blunt floods from one place; what must hold over all tasks of the service
//! is counted per account in the database. The generic cell rate algorithm keeps
//! one moment a key; keys at rest are forgotten, so memory stays small.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use crate::{
    auth::client_address::Client,
    config::{Limit, ThrottleConfig},
};

/// When this many addresses are known, those at rest are forgotten.
const SWEEP_AT: usize = 10_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Login, refresh and password changes.
    Credentials,
    /// Registrations.
    Register,
}

/// Counts the tries of each client address.
#[derive(Debug)]
pub struct AddressThrottle {
    config: ThrottleConfig,
    rest: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    rest_dates: HashMap<(Kind, IpNet), DateTime<Utc>>,
    sweep_at: usize,
}

impl AddressThrottle {
    /// With the limits of `config`.
    pub fn new(config: ThrottleConfig) -> Self {
        let known = Known { rest_dates: HashMap::new(), sweep_at: SWEEP_AT };
        Self { config, rest: Mutex::new(known) }
    }

    /// Counts a try, or says in how many seconds the next one may come.
    pub fn attempt(&self, kind: Kind, client: &Client, now: DateTime<Utc>) -> Result<(), u64> {
        if !self.config.enabled {
            return Ok(());
        }
        let limit = match kind {
            Kind::Credentials => self.config.address,
            Kind::Register => self.config.register,
        };
        let mut known = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if known.rest_dates.len() >= known.sweep_at {
            known.rest_dates.retain(|_, rest_date| *rest_date > now);
            // Under a flood of addresses, don't sweep at every try.
            known.sweep_at = SWEEP_AT.max(2 * known.rest_dates.len());
        }
        let rest_date = known.rest_dates.entry((kind, client.throttle_key())).or_insert(now);
        advance(rest_date, limit, now)
    }
}

fn advance(rest_date: &mut DateTime<Utc>, limit: Limit, now: DateTime<Utc>) -> Result<(), u64> {
    let interval = TimeDelta::from_std(limit.interval()).unwrap_or(TimeDelta::MAX);
    let window = TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX);
    // Later than a window from now is no key ever at rest, unless the clock has been set back since.
    *rest_date = (*rest_date).min(now + window);
    let next = (*rest_date).max(now) + interval;
    if next > now + window {
        let wait = (next - window - now).num_milliseconds();
        return Err(u64::try_from(wait).unwrap_or(0).div_ceil(1000).max(1));
    }
    *rest_date = next;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_an_interval() {
        let limit = Limit { tries: 3, window: Duration::from_secs(30) };
        let now = DateTime::UNIX_EPOCH;
        let mut rest = now;
        for _ in 0..3 {
            assert_eq!(advance(&mut rest, limit, now), Ok(()));
        }
        assert_eq!(advance(&mut rest, limit, now), Err(10));
        let later = now + TimeDelta::seconds(4);
        assert_eq!(advance(&mut rest, limit, later), Err(6), "a refused try costs nothing");
        let later = now + TimeDelta::seconds(10);
        assert_eq!(advance(&mut rest, limit, later), Ok(()));
        assert_eq!(advance(&mut rest, limit, later), Err(10));
        let set_back = now - TimeDelta::hours(1);
        assert_eq!(advance(&mut rest.clone(), limit, set_back), Err(10), "not an hour");
        let rested = now + TimeDelta::seconds(100);
        for _ in 0..3 {
            assert_eq!(advance(&mut rest, limit, rested), Ok(()));
        }
        assert_eq!(advance(&mut rest, limit, rested), Err(10));
    }
}
