//! GET `/users`: all users, a page at a time.

use actix_web::{HttpResponse, http::header, web::Data};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::{
    FieldCode, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, User, Username, form::Violation, paths,
};
use diesel_async::AsyncPgConnection;
use futures_util::future::try_join;

use crate::{
    db,
    http::{
        caller::{Bearer, Caller, show},
        error::Error,
        extract::{Query, number},
    },
    openapi::{ServerErrors, TokenErrors, ValidationErrors},
    state::State,
};

/// About how many bytes a user is as JSON.
const USER_LENGTH: usize = 160;

/// Which page: at most `limit` users of a listing, from where it says.
struct Page {
    listing: Listing,
    limit: u16,
}

/// What is listed, in which order, and after what. The cursors of one are not the other's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listing {
    /// All users, in the order of their numbers.
    All { after: i64 },
    /// Those whose names begin with the prefix, in the order of the names, which is that of the
    /// index that finds them. Both texts are lower case.
    Named { prefix: String, after: String },
}

impl Page {
    fn parse(query: &Query) -> Result<Self, Error> {
        let mut errors = Vec::new();
        let limit = query.get("limit").and_then(parse_limit);
        let limit = limit.map_err(|violation| errors.push(violation.of("limit")));
        let prefix = query.get("q").and_then(parse_prefix);
        let prefix = prefix.map_err(|violation| errors.push(violation.of("q")));
        let listing = query.get("cursor").and_then(|cursor| match &prefix {
            Ok(Some(prefix)) => Listing::named(prefix, cursor),
            // With a bad prefix, too: all faults are told at once.
            Ok(None) | Err(()) => Listing::all(cursor),
        });
        let listing = listing.map_err(|violation| errors.push(violation.of("cursor")));
        match (limit, listing) {
            (Ok(limit), Ok(listing)) if errors.is_empty() => Ok(Self { listing, limit }),
            _ => Err(Error::validation(errors)),
        }
    }

    /// Its users, and one more than is shown, which tells whether there is a next page.
    async fn users(&self, conn: &AsyncPgConnection) -> Result<Vec<db::users::User>, Error> {
        let limit = i64::from(self.limit) + 1;
        Ok(match &self.listing {
            Listing::All { after } => db::users::page(conn, *after, limit).await?,
            Listing::Named { prefix, after } => {
                db::users::page_by_name(conn, prefix, after, limit).await?
            }
        })
    }
}

impl Listing {
    fn all(cursor: Option<&str>) -> Result<Self, Violation> {
        let Some(cursor) = cursor else { return Ok(Self::All { after: 0 }) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| bytes.try_into().ok());
        let after = bytes.map(i64::from_be_bytes).filter(|after| *after > 0);
        after.map(|after| Self::All { after }).ok_or_else(no_cursor)
    }

    fn named(prefix: &str, cursor: Option<&str>) -> Result<Self, Violation> {
        let prefix = prefix.to_owned();
        let Some(cursor) = cursor else { return Ok(Self::Named { prefix, after: String::new() }) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let after = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.filter(|after| {
            // As it was given: in lower case.
            Username::can_begin_with(after)
                && after.starts_with(&prefix)
                && !after.contains(|c: char| c.is_ascii_uppercase())
        });
        after.map(|after| Self::Named { prefix, after }).ok_or_else(no_cursor)
    }

    /// Where to go on after `last`; opaque to clients, who get it in `Link`.
    fn cursor(&self, last: &db::users::User) -> String {
        self.cursor_after(last.id, &last.username)
    }

    fn cursor_after(&self, id: i64, username: &str) -> String {
        match self {
            Self::All { .. } => URL_SAFE_NO_PAD.encode(id.to_be_bytes()),
            Self::Named { .. } => URL_SAFE_NO_PAD.encode(username.to_ascii_lowercase()),
        }
    }

    /// Its part of a query.
    fn query(&self) -> String {
        match self {
            Self::All { .. } => String::new(),
            // Nothing in a name needs an escape.
            Self::Named { prefix, .. } => format!("q={prefix}&"),
        }
    }
}

/// For `fuzz/`: a query that is accepted has a limit in its bounds, and its cursor written anew
/// leads to the same place.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(query: &str) {
    let Ok(Page { listing, limit }) = Page::parse(&Query::of(query)) else { return };
    assert!((1..=PAGE_LIMIT_MAX).contains(&limit));
    match &listing {
        Listing::All { after: 0 } => {}
        Listing::All { after } => {
            let again = Listing::all(Some(&listing.cursor_after(*after, "")));
            assert!(again.is_ok_and(|again| again == listing));
        }
        Listing::Named { after, .. } if after.is_empty() => {}
        Listing::Named { prefix, after } => {
            let again = Listing::named(prefix, Some(&listing.cursor_after(0, after)));
            assert!(again.is_ok_and(|again| again == listing));
        }
    }
}

fn no_cursor() -> Violation {
    Violation::new(
        FieldCode::InvalidFormat,
        "This is no cursor of this list; take it from the Link header of the page before.",
    )
}

fn parse_prefix(text: Option<&str>) -> Result<Option<String>, Violation> {
    let Some(text) = text else { return Ok(None) };
    if !Username::can_begin_with(text) {
        let max = Username::MAX;
        let message = format!(
            "This takes the beginning of a username: 1 to {max} letters, digits, “_”, “.” or “-”."
        );
        return Err(Violation::new(FieldCode::InvalidFormat, message));
    }
    Ok(Some(text.to_ascii_lowercase()))
}

fn parse_limit(text: Option<&str>) -> Result<u16, Violation> {
    let Some(text) = text else { return Ok(PAGE_LIMIT_DEFAULT) };
    number(text).filter(|limit| (1..=PAGE_LIMIT_MAX).contains(limit)).ok_or_else(|| {
        let message = format!("This takes a number from 1 to {PAGE_LIMIT_MAX}.");
        Violation::new(FieldCode::OutOfRange, message)
    })
}

/// All users in the order of their numbers, or, with `q`, those whose usernames begin so, in the
/// order of the names. `Link` names the next page while there is one.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    operation_id = "list_users",
    summary = "List users",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "The most users on the page; 50 by default"),
        ("q" = Option<String>, Query, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$", description = "The beginning of the username, ignoring case"),
        ("cursor" = Option<String>, Query, min_length = 1, pattern = "^[A-Za-z0-9_-]+$", description = "Where the page begins; from the `Link` header of the page before"),
    ),
    security((), ("bearer" = [])),
    responses(
        (
            status = 200,
            description = "A page of users; e-mail and is_admin are null unless they are the caller's own or the caller is an administrator.",
            body = Vec<User>,
            headers(("Link" = Option<String>, description = "`<…>; rel=\"next\"` while there is more (RFC 8288)")),
        ),
        TokenErrors,
        ValidationErrors,
        ServerErrors,
    ),
)]
pub(crate) async fn list(
    state: Data<State>,
    bearer: Bearer,
    query: Query,
) -> Result<HttpResponse, Error> {
    let claims = bearer.optional()?;
    let page = Page::parse(&query);
    if claims.is_none()
        && let Err(error) = page
    {
        return Err(error);
    }

    let caller =
        async |conn: &AsyncPgConnection| Caller::of_optional(claims.as_ref(), &state, conn).await;
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            state.read(caller).await?;
            return Err(error);
        }
    };
    let (caller, mut users) =
        state.read(async |conn| try_join(caller(conn), page.users(conn)).await).await?;

    let more = users.len() > usize::from(page.limit);
    users.truncate(usize::from(page.limit));
    let mut response = HttpResponse::Ok();
    if more && let Some(last) = users.last() {
        let Page { listing, limit } = &page;
        let (path, query, cursor) = (paths::USERS, listing.query(), listing.cursor(last));
        let next = format!("<{path}?{query}limit={limit}&cursor={cursor}>; rel=\"next\"");
        response.insert_header((header::LINK, next));
    }
    let users: Vec<User> = users.into_iter().map(|user| show(user, caller.as_ref())).collect();
    // At once as long as it will be: growing would copy it over and over.
    let mut body = Vec::with_capacity(users.len() * USER_LENGTH);
    serde_json::to_writer(&mut body, &users).map_err(Error::internal)?;
    Ok(response.content_type(header::ContentType::json()).body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64, username: &str) -> db::users::User {
        db::users::User {
            id,
            username: username.to_owned(),
            email: String::new(),
            is_admin: false,
            created_date: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_cursor_is_read_back() {
        for after in [1, 42, i64::MAX] {
            let cursor = Listing::All { after: 0 }.cursor(&user(after, "michael"));
            assert_eq!(Listing::all(Some(&cursor)), Ok(Listing::All { after }));
        }
        assert_eq!(Listing::all(None), Ok(Listing::All { after: 0 }));

        let start = Listing::named("mi", None).unwrap();
        let cursor = start.cursor(&user(1, "Michael"));
        let next = Listing::Named { prefix: "mi".to_owned(), after: "michael".to_owned() };
        assert_eq!(Listing::named("mi", Some(&cursor)), Ok(next));
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list() {
        let of_all = Listing::All { after: 0 }.cursor(&user(1, "michael"));
        let of_mi = Listing::named("mi", None).unwrap().cursor(&user(1, "michael"));
        assert!(Listing::named("mi", Some(&of_all)).is_err());
        assert!(Listing::named("x", Some(&of_mi)).is_err());
        assert!(Listing::all(Some(&of_mi)).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "AAAAAAAAAAA", "_________-8", "AAAAAAAAAAE=", "AAAA AAAAAE", "\0"] {
            assert!(Listing::all(Some(text)).is_err(), "{text:?}");
            assert!(Listing::named("mi", Some(text)).is_err(), "{text:?}");
        }
        let long = "a".repeat(65);
        for text in ["", " ", "a b", "ä", "%", "a\0", &long] {
            assert!(parse_prefix(Some(text)).is_err(), "{text:?}");
        }
        assert_eq!(parse_prefix(Some("Mi_")), Ok(Some("mi_".to_owned())));
        assert_eq!(parse_prefix(None), Ok(None));
        for text in ["", "0", "101", "-1", "+5", "5.0", "1e1", "ten", " 5"] {
            assert!(parse_limit(Some(text)).is_err(), "{text:?}");
        }
        assert_eq!(parse_limit(Some("100")), Ok(100));
    }
}
