//! Users.

use chrono::{DateTime, Utc};
use contract::{Email, Username};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::{
    Error, Result,
    fixed::{Fixed, Sql},
    schema::users,
};

/// A row of `users`, less the password's hash.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct User {
    /// The user's number.
    pub id: i64,
    /// The user's name.
    pub username: String,
    /// The user's e-mail address.
    pub email: String,
    /// Whether this user may do everything.
    pub is_admin: bool,
    /// When the user was added.
    pub created_date: DateTime<Utc>,
}

/// A user to add.
#[derive(Debug, Insertable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct NewUser<'a> {
    /// The user's name.
    pub username: &'a str,
    /// The user's e-mail address.
    pub email: &'a str,
    /// The password's hash as a PHC string; none locks the account.
    pub password_hash: Option<&'a str>,
    /// Whether this user may do everything.
    pub is_admin: bool,
    /// When the user was added.
    pub created_date: DateTime<Utc>,
}

/// What a login is held against.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct Credentials {
    /// The user's number.
    pub id: i64,
    /// The password's hash; none: no password is right.
    pub password_hash: Option<String>,
    /// False: no sign-in.
    pub active: bool,
}

/// The users after the one with number `after`, in order of their numbers.
pub async fn page(mut conn: &AsyncPgConnection, after: i64, limit: i64) -> Result<Vec<User>> {
    static SQL: Sql = Sql::new();
    let page = users::table
        .select(User::as_select())
        .filter(users::id.gt(after))
        .order(users::id)
        .limit(limit);
    Ok(SQL.of(page).load(&mut conn).await?)
}

/// The users whose names begin with `prefix` and come after `after`, in the order of their names.
/// Both texts must be lower case.
pub async fn page_by_name(
    mut conn: &AsyncPgConnection,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<User>> {
    // A range of the index on `lower(username)`. As LIKE, `_` would stand for any character; and
    // no character of a name comes after `z`, so that `{` ends what begins with the prefix.
    let end = format!("{prefix}{{");
    Ok(users::table
        .select(User::as_select())
        .filter(lower(users::username).ge(prefix))
        .filter(lower(users::username).gt(after))
        .filter(lower(users::username).lt(end))
        .order(lower(users::username))
        .limit(limit)
        .load(&mut conn)
        .await?)
}

/// One user.
pub async fn find(mut conn: &AsyncPgConnection, id: i64) -> Result<Option<User>> {
    static SQL: Sql = Sql::new();
    let user = SQL.of(users::table.find(id).select(User::as_select()).limit(1));
    Ok(user.get_result(&mut conn).await.optional()?)
}

/// Adds a user.
pub async fn insert(mut conn: &AsyncPgConnection, user: &NewUser<'_>) -> Result<User> {
    let user = diesel::insert_into(users::table).values(user).returning(User::as_returning());
    Ok(Fixed(user).get_result(&mut conn).await?)
}

/// Adds a user, unless the name or the address is taken; then `None`.
pub async fn insert_if_free(
    mut conn: &AsyncPgConnection,
    user: &NewUser<'_>,
) -> Result<Option<User>> {
    let user = diesel::insert_into(users::table).values(user).on_conflict_do_nothing();
    Ok(Fixed(user.returning(User::as_returning())).get_result(&mut conn).await.optional()?)
}

/// Changes a user's name and address; `None` where there is no such user.
pub async fn update(
    mut conn: &AsyncPgConnection,
    id: i64,
    username: &Username,
    email: &Email,
) -> Result<Option<User>> {
    let change = diesel::update(users::table.find(id))
        .set((users::username.eq(username.as_str()), users::email.eq(email.as_str())))
        .returning(User::as_returning());
    Ok(Fixed(change).get_result(&mut conn).await.optional()?)
}

/// The user with this address, which must be lower case.
pub async fn with_email(mut conn: &AsyncPgConnection, email: &str) -> Result<Option<User>> {
    let user = users::table.select(User::as_select()).filter(lower(users::email).eq(email));
    Ok(user.first(&mut conn).await.optional()?)
}

/// Makes a user an administrator; `None` where there is no such user.
pub async fn make_admin(mut conn: &AsyncPgConnection, id: i64) -> Result<Option<User>> {
    Ok(diesel::update(users::table.find(id))
        .set(users::is_admin.eq(true))
        .returning(User::as_returning())
        .get_result(&mut conn)
        .await
        .optional()?)
}

/// How a removal ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Removal {
    /// The user is gone, with all sessions; this was the address.
    Removed(String),
    /// There is no such user.
    NotFound,
    /// Without this user there would be no administrator.
    LastAdmin,
}

/// Removes a user and all of the user's sessions.
pub async fn delete(conn: &mut AsyncPgConnection, id: i64) -> Result<Removal> {
    conn.transaction(async |conn| {
        // Two administrators who remove each other at once must not both succeed.
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtext('users: administrators'))")
            .execute(conn)
            .await?;
        let user = users::table.find(id).select((users::email, users::is_admin)).for_update();
        let Some((email, is_admin)) = user.first::<(String, bool)>(conn).await.optional()? else {
            return Ok(Removal::NotFound);
        };
        if is_admin {
            let others =
                users::table.filter(users::is_admin.and(users::active).and(users::id.ne(id)));
            if others.count().get_result::<i64>(conn).await? == 0 {
                return Ok(Removal::LastAdmin);
            }
        }
        diesel::delete(users::table.find(id)).execute(conn).await?;
        Ok::<_, Error>(Removal::Removed(email))
    })
    .await
}

/// What a login with this address is held against. It must be lower case already: what PostgreSQL makes
/// of letters beyond ASCII depends on its locale, and no address has any.
pub async fn credentials(mut conn: &AsyncPgConnection, email: &str) -> Result<Option<Credentials>> {
    Ok(users::table
        .select(Credentials::as_select())
        .filter(lower(users::email).eq(email))
        .first(&mut conn)
        .await
        .optional()?)
}

/// The hash of a user's password.
pub async fn password_hash(mut conn: &AsyncPgConnection, id: i64) -> Result<Option<String>> {
    let hash = users::table.find(id).select(users::password_hash);
    Ok(hash.first::<Option<String>>(&mut conn).await.optional()?.flatten())
}

/// Sets the hash of a user's password.
pub async fn set_password_hash(mut conn: &AsyncPgConnection, id: i64, hash: &str) -> Result<()> {
    let change = diesel::update(users::table.find(id)).set(users::password_hash.eq(hash));
    Fixed(change).execute(&mut conn).await?;
    Ok(())
}

/// Replaces a hash by one with newer parameters, unless the password has changed meanwhile.
pub async fn rehash(mut conn: &AsyncPgConnection, id: i64, old: &str, new: &str) -> Result<()> {
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(&mut conn)
        .await?;
    Ok(())
}

diesel::define_sql_function! {
    /// PostgreSQL's `lower`.
    fn lower(text: Text) -> Text;
}
