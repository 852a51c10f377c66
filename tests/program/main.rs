//! The `users` program as a process: settings, commands, signals and logs; and `init`, which starts it
//! in its image.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod accounts;
mod help;
mod init;
mod logs;
mod metrics;
mod schema;
mod settings;
mod shutdown;
mod tls;

/// A key that production accepts.
const STRONG_KEY: &str = "wZ7Qm2-a-key-of-more-than-thirty-two-bytes";
