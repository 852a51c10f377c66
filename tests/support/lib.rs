//! What the black-box suites share: databases, servers, the API in this process,
//! the `users` program as a process, HTTP calls, a browser and an emulator of AWS.
//!
//! Everything here fails loudly: a fixture that can't be made is a failed test that
//! says which command makes it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

pub mod app;
pub mod browser;
pub mod database;
pub mod document;
pub mod emulator;
pub mod guard;
pub mod http;
pub mod images;
pub mod pipeline;
pub mod postgres;
pub mod program;

pub use app::{Person, TestApp};
pub use database::Database;
pub use http::{Answer, Client};

/// A password that satisfies the rules; every person of the suites has it at first.
pub const PASSWORD: &str = "greaterthaneight";

/// The signing key of the API under test: known, so that tokens can be forged with it.
pub const SECRET_KEY: &str = "the key that the black-box suites sign with";
