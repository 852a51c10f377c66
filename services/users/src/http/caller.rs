//! Who calls: the access token of a request, and the person behind it.

use std::convert::Infallible;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::Data,
};
use contract::ErrorCode;
use diesel_async::AsyncPgConnection;

use crate::{
    auth::token::{Claims, TokenError},
    db,
    http::error::Error,
    state::State,
};

/// A request's access token, verified but not yet held against its session.
pub(crate) struct Bearer(Result<Claims, Error>);

impl FromRequest for Bearer {
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(claims(request))))
    }
}

fn claims(request: &HttpRequest) -> Result<Claims, Error> {
    let token = token(request.headers())?;
    let Some(state) = request.app_data::<Data<State>>() else {
        return Err(Error::internal("the application has no state"));
    };
    state.keys.verify(token, state.now()).map_err(|error| match error {
        TokenError::Expired => Error::token_expired(),
        TokenError::Invalid => Error::token_invalid(),
    })
}

/// The token in the `Authorization` header (RFC 6750, 2.1).
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else {
        return Err(Error::token_required());
    };
    if values.next().is_some() {
        return Err(Error::token_invalid());
    }
    let value = value.to_str().map_err(|_| Error::token_invalid())?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::token_required());
    }
    Ok(token.trim_start_matches(' '))
}

impl Bearer {
    /// The claims of the token, which must be there.
    pub(crate) fn required(self) -> Result<Claims, Error> {
        self.0
    }

    /// The claims of the token, if there is one. One that is no good is refused even
    /// where none is needed (RFC 6750, 3.1), so that its holder learns of it.
    pub(crate) fn optional(self) -> Result<Option<Claims>, Error> {
        match self.0 {
            Ok(claims) => Ok(Some(claims)),
            Err(error) if error.code() == ErrorCode::TokenRequired => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A person with a live session.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: db::users::User,
    pub(crate) session: i64,
}

impl Caller {
    /// The person behind `claims`; refused where the session has ended.
    pub(crate) async fn of(
        claims: &Claims,
        state: &State,
        conn: &AsyncPgConnection,
    ) -> Result<Self, Error> {
        let user = db::sessions::live_user(conn, claims.session, claims.user, state.now()).await?;
        let user = user.ok_or_else(Error::token_invalid)?;
        Ok(Self { user, session: claims.session })
    }

    /// Like [`Self::of`], where there may be no token.
    pub(crate) async fn of_optional(
        claims: Option<&Claims>,
        state: &State,
        conn: &AsyncPgConnection,
    ) -> Result<Option<Self>, Error> {
        match claims {
            Some(claims) => Self::of(claims, state, conn).await.map(Some),
            None => Ok(None),
        }
    }

    /// Refuses everybody but administrators.
    pub(crate) fn must_be_admin(&self) -> Result<(), Error> {
        if self.user.is_admin { Ok(()) } else { Err(Error::forbidden()) }
    }

    /// Refuses everybody but the user `id` and administrators.
    pub(crate) fn must_be(&self, id: Option<i64>) -> Result<(), Error> {
        if self.may_see(id) { Ok(()) } else { Err(Error::forbidden()) }
    }

    fn may_see(&self, id: Option<i64>) -> bool {
        self.user.is_admin || id == Some(self.user.id)
    }
}

/// A user as `viewer` may see it.
pub(crate) fn show(user: db::users::User, viewer: Option<&Caller>) -> contract::User {
    let private = viewer.is_some_and(|viewer| viewer.may_see(Some(user.id)));
    contract::User {
        id: user.id,
        username: user.username,
        email: private.then_some(user.email),
        created_date: timestamp(user.created_date),
        is_admin: private.then_some(user.is_admin),
    }
}

/// RFC 3339 in UTC with `Z`.
pub(crate) fn timestamp(date: chrono::DateTime<chrono::Utc>) -> String {
    date.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
