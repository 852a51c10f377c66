//! Limits that all tasks of the service share: a try is one upsert.
//!
//! The generic cell rate algorithm: a key's row holds the moment at which all its
//! tries are there again. A try moves it by one interval; a try that would move
//! it further than the window from now is refused and changes nothing, so that
//! nobody is locked out for longer by somebody else's tries. A moment further away
//! than the window comes from a clock that has been set back since, and counts as
//! the window's end. Keys are hashes: the table says nothing of addresses that are
//! no accounts.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{Binary, Bool, Double, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use sha2::{Digest, Sha256};

use super::{Result, fixed::Fixed, schema::throttle};
use crate::config::Limit;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The tries at the account with this e-mail address, whether there is one or not. The address must
    /// be the very text by which the account is looked up: lower case.
    pub fn account(email: &str) -> Self {
        let mut hash = Sha256::new_with_prefix(b"account\0");
        hash.update(email);
        Self(hash.finalize().into())
    }

    /// The tries of who is signed in as this user to change the password, whatever the address is.
    pub fn password(user: i64) -> Self {
        let mut hash = Sha256::new_with_prefix(b"password\0");
        hash.update(user.to_be_bytes());
        Self(hash.finalize().into())
    }
}

/// Whether a try may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may not; the next one may after so many seconds.
    Refused {
        /// Seconds, rounded up.
        retry_after: u64,
    },
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Timestamptz)]
    rest_date: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    refused: bool,
}

/// Counts a try at `key`.
pub async fn attempt(
    mut conn: &AsyncPgConnection,
    key: &Key,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<Verdict> {
    let count = diesel::sql_query(
        "INSERT INTO throttle AS t (key, rest_date, refused)
         VALUES ($1, $2 + make_interval(secs => $3), false)
         ON CONFLICT (key) DO UPDATE SET
             refused = greatest(t.rest_date, $2) + make_interval(secs => $3)
                 > $2 + make_interval(secs => $4),
             rest_date = CASE
                 WHEN greatest(t.rest_date, $2) + make_interval(secs => $3)
                     > $2 + make_interval(secs => $4)
                     THEN least(t.rest_date, $2 + make_interval(secs => $4))
                 ELSE greatest(t.rest_date, $2) + make_interval(secs => $3)
             END
         RETURNING rest_date, refused",
    )
    .bind::<Binary, _>(key.0.as_slice())
    .bind::<Timestamptz, _>(now)
    .bind::<Double, _>(limit.interval().as_secs_f64())
    .bind::<Double, _>(limit.window.as_secs_f64());
    let row: Row = Fixed(count).get_result(&mut conn).await?;
    if !row.refused {
        return Ok(Verdict::Allowed);
    }
    let window = TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX);
    let interval = TimeDelta::from_std(limit.interval()).unwrap_or(TimeDelta::MAX);
    let wait = (row.rest_date + interval - window - now).num_milliseconds().max(0);
    Ok(Verdict::Refused { retry_after: u64::try_from(wait).unwrap_or(0).div_ceil(1000).max(1) })
}

/// Gives all tries back: the right password was given.
pub async fn reset(mut conn: &AsyncPgConnection, key: &Key) -> Result<()> {
    diesel::delete(throttle::table.find(key.0.as_slice())).execute(&mut conn).await?;
    Ok(())
}

/// Clears the rows of keys that are at rest.
pub async fn sweep(mut conn: &AsyncPgConnection, now: DateTime<Utc>) -> Result<usize> {
    let rested = throttle::table.filter(throttle::rest_date.le(now));
    Ok(diesel::delete(rested).execute(&mut conn).await?)
}
