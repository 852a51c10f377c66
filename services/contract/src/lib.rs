//! What the users API and its clients agree on: paths, data transfer objects,
//! error codes, and the rules for user names, e-mail addresses and passwords.
//!
//! The same types refuse bad input in the browser and on the server, and the
//! OpenAPI document (feature `openapi`) states the limits that they enforce.
//! This crate depends on `serde` alone, so that it compiles for the server and
//! for `wasm32-unknown-unknown`; anything that does I/O lives elsewhere.

mod auth;
mod common_passwords;
mod email;
pub mod form;
mod password;
pub mod paths;
mod problem;
#[cfg(feature = "openapi")]
mod schema;
mod user;
mod username;

pub use auth::{
    ACCESS_TOKEN_TYPE, ChangePassword, Login, REFRESH_TOKEN_PREFIX, Refresh, Registration, Session,
    TRANSPORT_COOKIE, TRANSPORT_HEADER, Tokens,
};
pub use email::Email;
pub use form::{FieldCode, FieldError, Form};
pub use password::{Password, Strength};
pub use problem::{ErrorCode, Problem};
pub use user::{
    Message, NewUser, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, UpdateUser, User, UserMessage,
};
pub use username::Username;
