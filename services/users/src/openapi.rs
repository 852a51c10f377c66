//! The OpenAPI document, generated from the handlers.
//!
//! The types here name the errors that groups of operations share, so that each
//! operation lists every status that it can answer.

use contract::{Problem, paths};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        RefOr, Required,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        server::ServerBuilder,
    },
};

use crate::routes::{auth, ping, users};

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident {
        $($status:literal $variant:ident $description:literal $(, $header:literal: $meaning:literal)? ;)+
    })+) => {$(
        $(#[$doc])*
        #[derive(IntoResponses)]
        #[expect(dead_code, reason = "the type is there for its derived schema")]
        pub(crate) enum $name {$(
            #[response(
                status = $status,
                description = $description,
                content_type = "application/problem+json",
                headers($(($header = String, description = $meaning))?),
            )]
            $variant(Problem),
        )+}
    )+};
}

errors! {
    /// Of operations that take a token.
    TokenErrors {
        401 Unauthorized "No token, or one that is no longer good.", "WWW-Authenticate": "Which it is (RFC 6750)";
        500 Internal "Our fault; the request id leads to the cause.";
        503 Unavailable "The database does not answer.", "Retry-After": "When to come again, in seconds";
    }
    /// Of sign-in.
    CredentialErrors {
        401 Unauthorized "No such user, or not this password; the answer does not say which.", "WWW-Authenticate": "Which it is (RFC 6750)";
    }
    /// Of operations that not everybody may do.
    ForbiddenErrors {
        403 Forbidden "The caller may not do this.";
    }
    /// Of the password change.
    IncorrectPasswordErrors {
        403 Forbidden "The current password is another one.";
    }
    /// Of operations that set or read the cookie.
    CrossSiteErrors {
        403 Forbidden "The request wants the cookie and comes from another site.";
    }
    /// Of operations on one thing.
    NotFoundErrors {
        404 NotFound "There is none with this number.";
    }
    /// Of operations that set names.
    ConflictErrors {
        409 Conflict "Somebody else has this e-mail address or user name.";
    }
    /// Of removal.
    LastAdminErrors {
        409 Conflict "Without this user there would be no administrator.";
    }
    /// Of operations with a body.
    BodyErrors {
        400 BadRequest "The body is not JSON, or names a member twice.";
        408 Late "The body did not arrive in time.";
        413 TooLarge "The body is larger than 32 KiB.";
        415 UnsupportedMediaType "The body is not `application/json`.";
        422 Invalid "Fields break rules; `errors` lists them all.";
    }
    /// Of operations with query parameters.
    ValidationErrors {
        422 Invalid "Parameters break rules; `errors` lists them all.";
    }
    /// Of operations that are limited.
    ThrottleErrors {
        429 TooMany "Too many tries.", "Retry-After": "When to come again, in seconds";
    }
    /// Of operations that compute a password's hash.
    OverloadErrors {
        500 Internal "Our fault; the request id leads to the cause.";
        503 Unavailable "The database does not answer, or too many people sign in at once.", "Retry-After": "When to come again, in seconds";
    }
    /// Of operations that need the database.
    ServerErrors {
        500 Internal "Our fault; the request id leads to the cause.";
        503 Unavailable "The database does not answer.", "Retry-After": "When to come again, in seconds";
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Users API",
        description = "Accounts, sessions and sign-in. Errors are `application/problem+json` (RFC 9457).",
    ),
    paths(
        ping::ping,
        users::list::list,
        users::create::create,
        users::show::show,
        users::update::update,
        users::remove::remove,
        auth::register::register,
        auth::login::login,
        auth::refresh::refresh,
        auth::status::status,
        auth::logout::logout,
        auth::password::change,
        auth::sessions::list,
        auth::sessions::end,
    ),
    tags(
        (name = "ping", description = "Is it running?"),
        (name = "users", description = "The accounts"),
        (name = "auth", description = "Signing up, in and out"),
    ),
    components(schemas(Problem)),
    modifiers(&Security, &OptionalBody),
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(format!("The access token that POST {} answers.", paths::LOGIN)))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    }
}

/// A refresh token in the cookie needs no body; the attribute cannot say so.
struct OptionalBody;

impl Modify for OptionalBody {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let refresh = document.paths.paths.get_mut(paths::REFRESH);
        let operation = refresh.and_then(|path| path.post.as_mut());
        let body = operation.and_then(|operation| operation.request_body.as_mut());
        if let Some(RefOr::T(body)) = body {
            body.required = Some(Required::False);
        }
    }
}

/// The document as JSON.
pub fn json() -> String {
    Document::openapi().to_pretty_json().unwrap_or_default()
}
