//! The operations, one file each or a small group. Each reads top to bottom:
//! parse, authorise, one or two calls into `db`, answer.
//!
//! Resources are registered with `web::resource`, so that a method that a path
//! doesn't have answers 405 with `Allow`.

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod doc;
pub(crate) mod ping;
pub(crate) mod users;

use actix_web::web::{ServiceConfig, delete, get, head, post, put, resource, scope};
use contract::paths;

/// Registers every operation.
pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .service(resource(paths::PING).route(get().to(ping::ping)).route(head().to(ping::ping)))
        // A scope of its own, so that the pattern is tried for what is below `/users` alone, and
        // over that alone: it takes longer than anything else in finding a route.
        .service(
            scope(paths::USERS)
                .service(
                    resource("")
                        .route(get().to(users::list::list))
                        .route(head().to(users::list::list))
                        .route(post().to(users::create::create)),
                )
                .service(
                    resource("/{id}")
                        .route(get().to(users::show::show))
                        .route(head().to(users::show::show))
                        .route(put().to(users::update::update))
                        .route(delete().to(users::remove::remove)),
                ),
        )
        .service(resource(paths::REGISTER).route(post().to(auth::register::register)))
        .service(resource(paths::LOGIN).route(post().to(auth::login::login)))
        .service(resource(paths::REFRESH).route(post().to(auth::refresh::refresh)))
        .service(
            resource(paths::STATUS)
                .route(get().to(auth::status::status))
                .route(head().to(auth::status::status)),
        )
        .service(resource(paths::LOGOUT).route(post().to(auth::logout::logout)))
        .service(resource(paths::PASSWORD).route(put().to(auth::password::change)))
        .service(
            resource(paths::SESSIONS)
                .route(get().to(auth::sessions::list))
                .route(head().to(auth::sessions::list)),
        )
        .service(resource(paths::SESSION).route(delete().to(auth::sessions::end)))
        .service(resource(paths::DOC).route(get().to(doc::page)).route(head().to(doc::page)))
        .service(
            resource(format!("{}{{file}}", paths::DOC_ASSETS))
                .route(get().to(doc::asset))
                .route(head().to(doc::asset)),
        )
        .service(
            resource(paths::OPENAPI).route(get().to(doc::openapi)).route(head().to(doc::openapi)),
        );
}
