//! GET `/doc` and `/swagger.json`: the documentation page and what it shows.

use std::sync::{Arc, LazyLock};

use actix_web::{HttpResponse, http::header, web::Path};
use contract::paths;

use crate::{http::error::Error, openapi};

/// Swagger UI sets styles from its scripts; it loads nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The page. All that it loads lies where the load balancer sends it to this service.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Users API</title>
    <link rel="stylesheet" href="/swaggerui/swagger-ui.css">
    <link rel="stylesheet" href="/swaggerui/index.css">
    <link rel="icon" type="image/png" sizes="32x32" href="/swaggerui/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/swaggerui/swagger-ui-bundle.js"></script>
    <script src="/swaggerui/swagger-ui-standalone-preset.js"></script>
    <script src="/swaggerui/swagger-initializer.js"></script>
  </body>
</html>
"#;

static CONFIG: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> =
    LazyLock::new(|| Arc::new(utoipa_swagger_ui::Config::from(paths::OPENAPI).deep_linking(true)));

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::json);

/// The documentation page.
pub(crate) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(PAGE)
}

/// One of Swagger UI's files.
pub(crate) async fn asset(file: Path<String>) -> Result<HttpResponse, Error> {
    match utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)) {
        // Its own page would load its assets from where they are not.
        Ok(Some(_)) if file.as_str() == "index.html" => Err(Error::not_found()),
        Ok(Some(asset)) => {
            let mut response = HttpResponse::Ok();
            // Most are embedded compressed: a third of the size, for a page that browsers load.
            if asset.gzpipped {
                response.insert_header(header::ContentEncoding::Gzip);
            }
            Ok(response.content_type(asset.content_type).body(asset.bytes.into_owned()))
        }
        Ok(None) => Err(Error::not_found()),
        Err(error) => Err(Error::internal(error.to_string())),
    }
}

/// The OpenAPI document.
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}
