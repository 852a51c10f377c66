//! `cargo xtask build` and `push`, as a person or a build server runs them: the program `pipeline`,
//! Docker, and a real image registry that wants a password.
//!
//! The images are tiny: what is tested is how they are built and pushed, not what is in them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod aws;
mod build;
mod checkout;
mod interruption;
mod login;
mod push;
mod registry;
