//! `/users` and `/users/{id}`.

mod create;
mod delete;
mod get;
mod list;
mod search;
mod update;

/// A user whom nobody ever was.
const NOBODY: i64 = 9_007_199_254_740_993;
