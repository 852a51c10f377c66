//! Sessions and their refresh tokens.
//!
//! A session lives at most [`ABSOLUTE`] and at most [`IDLE`] without a refresh. It
//! ends by deletion, and its tokens go with it. The clock is the caller's.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use futures_util::future::{try_join, try_join3};

use super::{
    Error, Result,
    fixed::{Fixed, Sql},
    schema::{refresh_tokens, sessions, users},
    throttle,
    users::User,
};
use crate::auth::refresh_token::RefreshToken;

/// How long a session lives (NIST SP 800-63B-4, 2.1.3: at most 30 days).
pub const ABSOLUTE: TimeDelta = TimeDelta::days(30);
/// How long a session lives without a refresh.
pub const IDLE: TimeDelta = TimeDelta::days(14);
/// How long a used token may be replayed while its successor is unused: two tabs
/// that refresh at once, or an answer that got lost.
pub const REPLAY: TimeDelta = TimeDelta::seconds(30);
/// The most sessions that a user has at once; one more ends the one that was used the longest ago.
pub const MAX: i64 = 100;
/// The most characters of a user agent that are kept.
const USER_AGENT_MAX: usize = 256;

/// A row of `sessions`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub struct Session {
    /// The session's number.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// When the person signed in.
    pub created_date: DateTime<Utc>,
    /// When it was last refreshed.
    pub last_used_date: DateTime<Utc>,
    /// The program that signed in, as it named itself.
    pub user_agent: Option<String>,
}

impl Session {
    fn is_expired(&self, now: DateTime<Utc>) -> bool {
        now >= self.created_date + ABSOLUTE || now >= self.last_used_date + IDLE
    }
}

/// The user of a live session: one look-up by primary key.
pub async fn live_user(
    mut conn: &AsyncPgConnection,
    session: i64,
    user: i64,
    now: DateTime<Utc>,
) -> Result<Option<User>> {
    static SQL: Sql = Sql::new();
    let user = users::table
        .inner_join(sessions::table)
        .select(User::as_select())
        .filter(sessions::id.eq(session).and(users::id.eq(user)).and(users::active))
        .filter(sessions::created_date.gt(now - ABSOLUTE))
        .filter(sessions::last_used_date.gt(now - IDLE))
        .limit(1);
    Ok(SQL.of(user).get_result(&mut conn).await.optional()?)
}

/// Begins a session of who has given the password that `hash` is of, and gives back the tries that
/// were counted against `account`; the user's expired sessions are cleared on the way.
///
/// `None` where the user has another hash by now, or is gone or deactivated: a sign-in must not
/// outlive a change of the password that came while it was under way.
pub async fn create(
    conn: &mut AsyncPgConnection,
    user: i64,
    hash: Option<&str>,
    account: &throttle::Key,
    token: &RefreshToken,
    user_agent: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let user_agent = user_agent.map(|text| text.chars().take(USER_AGENT_MAX).collect::<String>());
    conn.transaction(async |conn| {
        let proven = users::table
            .find(user)
            .filter(users::active.and(users::password_hash.is_not_distinct_from(hash)))
            .select(users::id)
            .for_no_key_update();
        if proven.first::<i64>(conn).await.optional()?.is_none() {
            return Ok(None);
        }
        let theirs = sessions::table.filter(sessions::user_id.eq(user));
        diesel::delete(theirs.filter(expired(now).or(sessions::id.eq_any(beyond(user, MAX - 1)))))
            .execute(conn)
            .await?;
        let id = diesel::insert_into(sessions::table)
            .values((
                sessions::user_id.eq(user),
                sessions::created_date.eq(now),
                sessions::last_used_date.eq(now),
                sessions::user_agent.eq(user_agent),
            ))
            .returning(sessions::id)
            .get_result(conn)
            .await?;
        insert_token(conn, id, token).await?;
        throttle::reset(conn, account).await?;
        Ok::<_, Error>(Some(id))
    })
    .await
}

diesel::alias! {
    const NEWEST: Alias<Newest> = sessions as newest;
}

/// A user's sessions, but for so many of those that were used last.
#[diesel::dsl::auto_type(no_type_alias)]
fn beyond(user: i64, kept: i64) -> _ {
    NEWEST
        .filter(NEWEST.field(sessions::user_id).eq(user))
        .order((NEWEST.field(sessions::last_used_date).desc(), NEWEST.field(sessions::id).desc()))
        .offset(kept)
        .select(NEWEST.field(sessions::id))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn expired(now: DateTime<Utc>) -> _ {
    let too_old: DateTime<Utc> = now - ABSOLUTE;
    let too_idle: DateTime<Utc> = now - IDLE;
    sessions::created_date.le(too_old).or(sessions::last_used_date.le(too_idle))
}

async fn insert_token(
    mut conn: &AsyncPgConnection,
    session: i64,
    token: &RefreshToken,
) -> Result<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::token_hash.eq(token.hash().to_vec()),
            refresh_tokens::session_id.eq(session),
        ))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// How the exchange of a refresh token ended. Each outcome is committed.
#[derive(Debug)]
pub enum Exchange {
    /// The token was unused: the session goes on with the successor.
    Rotated(Session, RefreshToken),
    /// The token was used moments ago and its successor is unused: the same successor again.
    Replayed(Session, RefreshToken),
    /// The token was used before: somebody has a copy, so the session has been ended.
    Reused(Session),
    /// The session had lived its time, or lain idle too long; it has been ended.
    Expired(Session),
    /// No live session has, or had, this token.
    Unknown,
}

/// Exchanges `token` for `successor`, or finds out why not.
///
/// Exchanges of one session run one after the other: its row is locked.
pub async fn exchange(
    conn: &mut AsyncPgConnection,
    token: &RefreshToken,
    successor: RefreshToken,
    now: DateTime<Utc>,
) -> Result<Exchange> {
    let hash = token.hash().to_vec();
    conn.transaction(async |conn| {
        let Some(session) = lock_session(conn, &hash).await? else {
            return Ok(Exchange::Unknown);
        };
        if session.is_expired(now) {
            delete_session(conn, session.id).await?;
            return Ok(Exchange::Expired(session));
        }
        // Read behind the lock: another exchange may just have used the token.
        let presented = refresh_tokens::table
            .find(&hash)
            .select((refresh_tokens::used_date, refresh_tokens::sealed_successor));
        let (used_date, sealed) =
            presented.first::<(Option<DateTime<Utc>>, Option<Vec<u8>>)>(conn).await?;
        let Some((used_date, sealed)) = used_date.zip(sealed) else {
            rotate(conn, &session, token, &successor, now).await?;
            return Ok(Exchange::Rotated(session, successor));
        };
        if now - used_date <= REPLAY
            && let Some(unsealed) = unsealed(token, &sealed)
            && is_unused(conn, &unsealed).await?
        {
            return Ok(Exchange::Replayed(session, unsealed));
        }
        delete_session(conn, session.id).await?;
        Ok::<_, Error>(Exchange::Reused(session))
    })
    .await
}

/// The session of an active user that `hash` belongs to, locked.
async fn lock_session(mut conn: &AsyncPgConnection, hash: &[u8]) -> Result<Option<Session>> {
    let owner = refresh_tokens::table
        .filter(refresh_tokens::token_hash.eq(hash))
        .select(refresh_tokens::session_id);
    // Only this row: a removal of the user locks the user first and this one then.
    let session = sessions::table
        .filter(sessions::id.eq_any(owner))
        .select(Session::as_select())
        .for_update()
        .first(&mut conn)
        .await
        .optional()?;
    let Some(session) = session else { return Ok(None) };
    let active = users::table.find(session.user_id).select(users::active);
    let active = active.first::<bool>(&mut conn).await.optional()?.unwrap_or(false);
    Ok(active.then_some(session))
}

async fn rotate(
    mut conn: &AsyncPgConnection,
    session: &Session,
    token: &RefreshToken,
    successor: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<()> {
    let used = diesel::update(refresh_tokens::table.find(token.hash().to_vec())).set((
        refresh_tokens::used_date.eq(now),
        refresh_tokens::sealed_successor.eq(token.seal(successor).to_vec()),
    ));
    Fixed(used).execute(&mut conn).await?;
    insert_token(conn, session.id, successor).await?;
    let used = diesel::update(sessions::table.find(session.id))
        .set(sessions::last_used_date.eq(now.max(session.last_used_date)));
    Fixed(used).execute(&mut conn).await?;
    Ok(())
}

fn unsealed(token: &RefreshToken, sealed: &[u8]) -> Option<RefreshToken> {
    <[u8; 32]>::try_from(sealed).ok().map(|sealed| token.unseal(sealed))
}

async fn is_unused(mut conn: &AsyncPgConnection, token: &RefreshToken) -> Result<bool> {
    let row = refresh_tokens::table
        .find(token.hash().to_vec())
        .filter(refresh_tokens::used_date.is_null());
    Ok(diesel::select(diesel::dsl::exists(row)).get_result(&mut conn).await?)
}

async fn delete_session(mut conn: &AsyncPgConnection, id: i64) -> Result<()> {
    diesel::delete(sessions::table.find(id)).execute(&mut conn).await?;
    Ok(())
}

/// A user's live sessions, the last used first.
pub async fn list(
    mut conn: &AsyncPgConnection,
    user: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Session>> {
    Ok(sessions::table
        .select(Session::as_select())
        .filter(sessions::user_id.eq(user))
        .filter(diesel::dsl::not(expired(now)))
        .order((sessions::last_used_date.desc(), sessions::id.desc()))
        .load(&mut conn)
        .await?)
}

/// Ends one of a user's sessions; false where the user has no such session.
pub async fn end(mut conn: &AsyncPgConnection, user: i64, id: i64) -> Result<bool> {
    let session = sessions::table.filter(sessions::id.eq(id).and(sessions::user_id.eq(user)));
    Ok(diesel::delete(session).execute(&mut conn).await? > 0)
}

/// Ends all of a user's sessions, but not `kept`; says how many.
pub async fn end_all(mut conn: &AsyncPgConnection, user: i64, kept: Option<i64>) -> Result<usize> {
    let theirs = sessions::table.filter(sessions::user_id.eq(user));
    // No session has the number 0.
    let others = theirs.filter(sessions::id.ne(kept.unwrap_or(0)));
    Ok(diesel::delete(others).execute(&mut conn).await?)
}

/// How a change of a password ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The new password counts; so many other sessions have ended.
    Made(usize),
    /// The user has another hash by now than the one that the current password was held against.
    OtherHash,
    /// The session that asked has ended, or the user is gone or deactivated.
    Ended,
}

/// Sets a new password in place of the one that `old` is of, ends the user's sessions but `kept`, and
/// gives back the tries that were counted against `tries`: all or nothing.
///
/// Hashes take their time. What came meanwhile, another change of the password or the end of the
/// session, counts as if this request had come after it.
pub async fn change_password(
    conn: &mut AsyncPgConnection,
    user: i64,
    kept: i64,
    old: Option<&str>,
    new: &str,
    tries: &throttle::Key,
) -> Result<Change> {
    conn.transaction(async |conn| {
        let conn: &AsyncPgConnection = conn;
        let (hash, theirs) = try_join(lock_hash(conn, user), lock_sessions(conn, user)).await?;
        let Some(hash) = hash.filter(|_| theirs.contains(&kept)) else {
            return Ok(Change::Ended);
        };
        if hash.as_deref() != old {
            return Ok(Change::OtherHash);
        }
        let set = super::users::set_password_hash(conn, user, new);
        let (end, reset) = (end_all(conn, user, Some(kept)), throttle::reset(conn, tries));
        let ((), ended, ()) = try_join3(set, end, reset).await?;
        Ok::<_, Error>(Change::Made(ended))
    })
    .await
}

/// The hash of an active user's password; the user is locked.
async fn lock_hash(mut conn: &AsyncPgConnection, user: i64) -> Result<Option<Option<String>>> {
    let hash = users::table.find(user).filter(users::active).select(users::password_hash);
    Ok(hash.for_no_key_update().first(&mut conn).await.optional()?)
}

/// The numbers of a user's sessions, which are locked in the order in which whoever ends them all comes
/// upon them.
async fn lock_sessions(mut conn: &AsyncPgConnection, user: i64) -> Result<Vec<i64>> {
    let theirs = sessions::table.filter(sessions::user_id.eq(user)).select(sessions::id);
    Ok(theirs.for_update().load(&mut conn).await?)
}

/// Clears what expired sessions left; says how many there were.
pub async fn sweep(mut conn: &AsyncPgConnection, now: DateTime<Utc>) -> Result<usize> {
    Ok(diesel::delete(sessions::table.filter(expired(now))).execute(&mut conn).await?)
}
