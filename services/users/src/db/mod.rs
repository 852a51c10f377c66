//! The database. All SQL of the service lives below this module; nothing below
//! it knows of HTTP.
//!
//! Functions take `&AsyncPgConnection`, so that independent queries of one
//! request can be joined and travel to the server together.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

mod database;
mod fixed;
mod link;
mod migrations;
pub mod pool;
pub mod reader;
mod schema;
pub mod sessions;
pub mod throttle;
mod tls;
pub mod users;

pub use database::{Database, Databases, Usage};
pub use migrations::{MIGRATIONS, MigrateError, drop_schema, migrate, pending};

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another user has this e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Another user has this name.
    #[error("the user name is taken")]
    UsernameTaken,
    /// It does not answer, or refuses for a while.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answers, and has not our tables.
    #[error("the database has not the schema of this release. Run: users migrate")]
    SchemaMissing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault of ours.
    #[error("a query failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The result of a query.
pub type Result<T> = std::result::Result<T, Error>;

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        if let DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, ref info) = error {
            match info.constraint_name() {
                Some("users_email_key") => return Self::EmailTaken,
                Some("users_username_key") => return Self::UsernameTaken,
                _ => {}
            }
        }
        if pool::is_unavailable(&error) {
            Self::Unavailable(error.into())
        } else if pool::is_schema_missing(&error) {
            Self::SchemaMissing(error.into())
        } else {
            Self::Other(error.into())
        }
    }
}
