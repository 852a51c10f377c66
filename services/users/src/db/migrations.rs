//! The schema: its migrations, compiled into the program.

use std::time::Duration;

use diesel::{migration::Migration, sql_types::BigInt};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::pool;
use crate::config::DatabaseConfig;

/// All migrations, oldest first.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Names the advisory lock under which the schema changes ("users" in ASCII).
const LOCK: i64 = 0x75_73_65_72_73;

/// Why the schema could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] pool::ConnectError),
    /// A query failed.
    #[error("the database refused: {0}")]
    Query(#[from] diesel::result::Error),
    /// A migration failed; it was rolled back, the ones before it were not.
    #[error("a migration failed and was rolled back: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
}

/// Brings the schema up to date and names the migrations that ran.
///
/// Runs at once wait for each other: an advisory lock, which ends with the connection,
/// lets one at a time look what is pending. Needs a multi-threaded runtime.
pub async fn migrate(config: &DatabaseConfig) -> Result<Vec<String>, MigrateError> {
    run(locked(config).await?)
}

/// Drops everything in the schema `public` and builds it anew.
pub async fn drop_schema(config: &DatabaseConfig) -> Result<Vec<String>, MigrateError> {
    let mut conn = locked(config).await?;
    conn.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await?;
    run(conn)
}

/// The migrations that have not run yet.
pub async fn pending(config: &DatabaseConfig) -> Result<Vec<String>, MigrateError> {
    names(&mut AsyncMigrationHarness::new(pool::connect(config, None).await?))
}

fn names(
    harness: &mut AsyncMigrationHarness<AsyncPgConnection>,
) -> Result<Vec<String>, MigrateError> {
    let pending = harness.pending_migrations(MIGRATIONS).map_err(MigrateError::Migration)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

/// A connection that holds the lock, without the time limits of the service's own.
async fn locked(config: &DatabaseConfig) -> Result<AsyncPgConnection, MigrateError> {
    let mut conn = pool::connect(config, Some(Duration::ZERO)).await?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(LOCK)
        .execute(&mut conn)
        .await?;
    Ok(conn)
}

fn run(conn: AsyncPgConnection) -> Result<Vec<String>, MigrateError> {
    let mut harness = AsyncMigrationHarness::new(conn);
    let names = names(&mut harness)?;
    harness.run_pending_migrations(MIGRATIONS).map_err(MigrateError::Migration)?;
    Ok(names)
}
