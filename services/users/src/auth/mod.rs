//! What sign-in is made of. Nothing here knows of the database or of a route:
//! `db` keeps what these modules make, `routes` decides what it is good for.
//!
//! - [`password`]: argon2id hashes, made in a bounded pool of threads
//! - [`token`]: access tokens (JWT)
//! - [`refresh_token`]: refresh tokens and their sealed successors
//! - [`cookie`]: the refresh token's cookie, and who may use it
//! - [`client_address`]: who is asking, behind which proxies
//! - [`throttle`]: limits per client address

pub mod client_address;
pub mod cookie;
pub mod password;
pub mod refresh_token;
pub mod throttle;
pub mod token;
