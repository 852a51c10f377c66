//! The API over HTTP, operation by operation and attack by attack.
//!
//! Each test has a server, a database and a clock of its own. Every answer is also held
//! against the conventions of all answers and against the OpenAPI document (see
//! `tests::http` and `tests::document`), so that the tests say only what is special.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod auth;
mod concurrency;
mod connections;
mod cookies;
mod cors;
mod doc;
mod errors;
mod jwt_attacks;
mod migrations;
mod openapi;
mod outage;
mod ping;
mod refresh;
mod sessions;
mod throttling;
mod users;
