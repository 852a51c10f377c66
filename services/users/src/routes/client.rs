//! The built client, where this process serves it: in development and in tests.
//!
//! In production a server of its own does, behind the same path rules.

use std::path::{Path, PathBuf};

use actix_files::{Files, NamedFile};
use actix_web::{
    dev::{ServiceRequest, ServiceResponse, fn_service},
    guard::fn_guard,
    http::header,
    middleware::DefaultHeaders,
    web,
    web::ServiceConfig,
};
use contract::paths;

/// What the client's page may load: its own files, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Serves the files of `dir` on every path that is not the API's; a path without a
/// file is a page of the client's own, so it gets the client.
pub(crate) fn configure(services: &mut ServiceConfig, dir: &Path) {
    let page: PathBuf = dir.join("index.html");
    let fallback = fn_service(move |request: ServiceRequest| {
        let page = page.clone();
        async move {
            let (request, _) = request.into_parts();
            let response = match NamedFile::open(&page) {
                Ok(file) => file.use_last_modified(false).into_response(&request),
                Err(error) => return Ok(ServiceResponse::from_err(error, request)),
            };
            Ok(ServiceResponse::new(request, response))
        }
    });
    services.service(
        web::scope("")
            .guard(fn_guard(|context| !paths::is_api(context.head().uri.path())))
            .wrap(
                DefaultHeaders::new()
                    .add((header::CONTENT_SECURITY_POLICY, POLICY))
                    .add((header::CACHE_CONTROL, "no-cache")),
            )
            .service(
                Files::new("/", dir)
                    .index_file("index.html")
                    .try_compressed()
                    .default_handler(fallback),
            ),
    );
}
