//! `/auth/…`, as people use it; tokens and their abuse have modules of their own.

mod login;
mod logout;
mod password;
mod register;
mod status;
