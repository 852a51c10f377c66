//! Faults: what happens around the service while it is under load, and what its clients see of it.
//!
//! Each test runs the built program on a PostgreSQL of its own, breaks something for a while and
//! prints a line of figures. The bar is the same for all: no wrong answer (a right status with a
//! wrong content, a 500, a 401 for a token that is good, an answer that comes later than
//! [`load::LIMIT`] or never), and all right again afterwards, without a restart.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod clock;
mod database;
mod disk;
mod haproxy;
mod link;
mod load;
mod pings;
mod pool;
mod rolling;
mod round_trips;
mod service;
mod shutdown;
mod tally;
