//! `cargo xtask deploy` and its neighbours against an emulator of AWS that runs real containers,
//! with a real registry and real logs. `docs/aws-fidelity.md` says what it leaves out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fixture that cannot be set up must end the test"
)]

mod buildspec;
mod deploys;
mod failures;
mod infra;
mod interruptions;
mod models;
mod policy;
mod proxy;
mod rehearsal;
