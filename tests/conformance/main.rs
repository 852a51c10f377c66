//! schemathesis against the running API: it makes requests from the OpenAPI document, good and bad
//! ones, and holds the answers against it. As nobody, as a user and as an administrator.
//!
//! `SCHEMATHESIS_BIN` names the program; `cargo xtask test` installs it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod role;
mod run;

use role::Role;
use run::{CHECKS, Schemathesis};

/// What may end the session that is used: on its own, after all else. The last administrator cannot
/// be removed, but a user can, and finds the own number in other answers.
const ENDING: [&str; 3] = ["POST /auth/logout", "DELETE /auth/sessions/{id}", "DELETE /users/{id}"];

#[tokio::test]
async fn as_nobody() {
    let role = Role::nobody().await;
    Schemathesis::new(&role).run("nobody");
}

#[tokio::test]
async fn as_a_user() {
    let role = Role::user().await;
    Schemathesis::new(&role).without(&ENDING).run("a user");
    role.is_signed_in().await;
    Schemathesis::new(&role).only(&ENDING).run("a user, signing out");
}

#[tokio::test]
async fn as_an_administrator() {
    let role = Role::administrator().await;
    Schemathesis::new(&role).without(&ENDING).run("an administrator");
    role.is_signed_in().await;
    Schemathesis::new(&role).only(&ENDING).run("an administrator, signing out");
}

/// Or a typing error would leave a check out.
#[test]
fn the_checks_are_named_once() {
    let mut names = CHECKS.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}
