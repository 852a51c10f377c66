//! The images that production runs, through Docker: what is in them, how they serve, start and
//! stop; and `docker compose up`, which runs all of them.
//!
//! `cargo xtask test --images` builds them and says which ones to test in USERS_IMAGE and CLIENT_IMAGE.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod client;
mod compose;
mod docker;
mod front;
mod load;
mod users;
