//! What every request and response goes through: an id, the log line, the body
//! of errors, and the headers that all responses carry.

use std::time::{Duration, Instant};

use actix_web::{
    Error as ActixError, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType, StatusCode, Uri,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use contract::paths;
use tracing::{Instrument, Level, Span};
use uuid::Uuid;

use crate::{
    VERSION,
    auth::client_address::{Client, TrustedProxies},
    http::{error::Error, unread::Unread},
    state::State,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const APP_VERSION: HeaderName = HeaderName::from_static("x-app-version");

/// RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

/// What a browser may do with an answer of the API: nothing but read it.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Two years, as the preload list asks; subdomains are not ours to bind.
const STRICT_TRANSPORT: &str = "max-age=63072000";

/// How long a request may take, whatever it waits for: longer than a statement and a connection may
/// together, so that it is met only where those limits fail, as with a server that stands still.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// The middleware.
pub(crate) async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let started = Instant::now();
    let client = client_of(request.request());
    let id = request_id(request.headers());
    request.extensions_mut().insert(client);

    let method = request.method().clone();
    let path = request.path().to_owned();
    // Load balancers and container runtimes ask every few seconds; of that a log need not tell.
    let is_noise = path == paths::PING && !tracing::enabled!(Level::DEBUG);
    let span =
        if is_noise { Span::none() } else { tracing::info_span!("request", request_id = id) };
    // The worker's own: to count it costs nothing.
    let state = request.app_data::<Data<State>>().cloned();
    let metrics = state.as_ref().and_then(|state| state.metrics.clone());
    // Of a request that is cut off nothing is left to ask for it.
    let pattern = metrics.as_ref().and_then(|_| request.match_pattern());
    let unread = Unread::of(&mut request);
    let hold = |answer: BoxBody| match unread {
        Some(unread) => unread.until_sent(answer),
        None => answer,
    };
    let answer = next.call(request).instrument(span.clone());
    let answer = tokio::time::timeout(REQUEST_LIMIT, answer).await;
    let answer = answer.unwrap_or_else(|_| Err(Error::timed_out(REQUEST_LIMIT).into()));
    let note = |answered: Option<&HttpRequest>, status: StatusCode| {
        let took = started.elapsed();
        if let Some(metrics) = &metrics {
            let pattern = answered.map_or(pattern, HttpRequest::match_pattern);
            metrics.request(&method, pattern, status, took);
        }
        if is_noise && status.is_success() {
            return;
        }
        // Outside of the span, whose fields would be written once more.
        tracing::info!(
            request_id = id,
            method = method.as_str(),
            path,
            status = status.as_u16(),
            // Whole microseconds.
            duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3,
            client = %client.address,
            "request"
        );
    };
    let is_last = state.is_some_and(|state| state.connections.end_with_their_answer());
    match answer {
        Ok(response) => {
            let response = response.map_into_boxed_body();
            let mut response = span.in_scope(|| with_problem(response, &id));
            note(Some(response.request()), response.status());
            add_headers(response.headers_mut(), &id, client.https);
            if is_last {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_body(|_, body| hold(body)))
        }
        // No handler's: those come as responses.
        Err(error) => {
            let mut response = span.in_scope(|| problem_of(&error, &id));
            note(None, response.status());
            add_headers(response.headers_mut(), &id, client.https);
            if is_last {
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            let response = response.map_body(|_, body| hold(body));
            Err(InternalError::from_response(error, response).into())
        }
    }
}

/// The response to an error that came without one.
fn problem_of(error: &ActixError, id: &str) -> HttpResponse {
    let mut response = error.as_response_error().error_response();
    let body = match error.as_error::<Error>() {
        Some(error) => body_of(error, id),
        None => body_of(&Error::of_framework(response.status(), Some(error.to_string())), id),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response.set_body(body).map_into_boxed_body()
}

/// Has a path with a trailing slash, or with slashes one after the other, answer like the one
/// without. The framework's own takes a regular expression to each path for that.
pub(crate) async fn normalize_path(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    if let Some(uri) = normalized(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// The address with its path normalised; `None` where it is already.
fn normalized(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !(path.len() > 1 && path.ends_with('/') || path.contains("//")) {
        return None;
    }
    let mut normal = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        normal.push('/');
        normal.push_str(part);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    if let Some(query) = uri.query() {
        normal.push('?');
        normal.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(normal.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Who sent this request, as far as trusted proxies tell.
pub(crate) fn client_of(request: &HttpRequest) -> Client {
    if let Some(client) = request.extensions().get::<Client>() {
        return *client;
    }
    match request.app_data::<Data<State>>() {
        Some(state) => state.config.server.trusted_proxies.client_of(request),
        None => TrustedProxies::default().client_of(request),
    }
}

/// The id that a proxy gave, where it is harmless to repeat; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(harmless)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Gives every error its body: ours, and those that the framework made without one.
fn with_problem(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let ours = response.response().error().and_then(|error| error.as_error::<Error>());
    let body = match ours {
        Some(error) => body_of(error, id),
        None if has_type(&response)
            && status != StatusCode::INTERNAL_SERVER_ERROR
            && response.response().error().is_none() =>
        {
            return response;
        }
        None => {
            let cause = response.response().error().map(ToString::to_string);
            body_of(&Error::of_framework(status, cause), id)
        }
    };
    let (request, old) = response.into_parts();
    let mut new = HttpResponse::build(old.status()).content_type(PROBLEM_JSON).body(body);
    for (name, value) in old.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            new.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, new)
}

fn has_type(response: &ServiceResponse<BoxBody>) -> bool {
    response.headers().contains_key(header::CONTENT_TYPE)
}

fn body_of(error: &Error, id: &str) -> String {
    if let Some(cause) = error.cause() {
        let cause: &(dyn std::error::Error + 'static) = cause;
        match error.code().status() {
            500 => tracing::error!(error = cause, "the request failed"),
            _ => {
                tracing::warn!(error = cause, code = ?error.code(), "the request could not be served");
            }
        }
    }
    serde_json::to_string(&error.problem(id)).unwrap_or_default()
}

fn add_headers(headers: &mut HeaderMap, id: &str, https: bool) {
    // At once: the map would grow several times.
    headers.reserve(7);
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, API_POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    if https {
        set(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    if let Ok(version) = HeaderValue::from_str(VERSION) {
        headers.insert(APP_VERSION, version);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many() {
        for (path, normal) in [
            ("/users/", "/users"),
            ("/users/?limit=2", "/users?limit=2"),
            ("//users//7/", "/users/7"),
            ("/users//", "/users"),
            ("//", "/"),
            ("/users/?q=//", "/users?q=//"),
        ] {
            let uri = normalized(&path.parse().unwrap());
            assert_eq!(uri.unwrap().to_string(), normal, "{path}");
        }
        for path in ["/", "/users", "/users?limit=2", "/users/7", "/users?q=a//b/", "*"] {
            assert_eq!(normalized(&path.parse().unwrap()), None, "{path}");
        }
    }
}
