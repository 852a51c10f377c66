//! What an attacker does to a service that the whole world can reach: wear it out, guess, race,
//! pretend and inject. What belongs to one operation or to tokens is in the suite `api`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod cross_site;
mod forwarded;
mod injection;
mod log_injection;
mod oversized;
mod raw;
mod refresh_races;
mod slow_clients;
mod spraying;
mod timing;
