//! What all operations share: errors, reading requests, and what every response carries.

pub(crate) mod caller;
pub(crate) mod connections;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod middleware;
pub(crate) mod stream;
mod unread;
