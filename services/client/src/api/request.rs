//! A request to the API and its answer.

use contract::{Problem, TRANSPORT_COOKIE, TRANSPORT_HEADER};
use leptos::prelude::window;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestCredentials, RequestInit};

use super::{Error, Result, json};

/// The API's origin; empty where it is the page's own.
pub(crate) const BASE_URL: &str = match option_env!("API_SERVICE_URL") {
    Some(url) => url,
    None => "",
};

/// How long to wait for an answer. Longer than the API's own limits, so that its
/// refusal, which says more, comes first.
const TIME_LIMIT_MS: u32 = 20_000;

/// A request that can be sent more than once: again with a fresh token.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    body: Option<String>,
    cookie: bool,
}

impl Request {
    fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), body: None, cookie: false }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body)
            .map_err(|_| Error::Unexpected { status: 0, retry_after: None })?;
        self.body = Some(body);
        Ok(self)
    }

    /// The refresh token is to travel in the `HttpOnly` cookie, out of any script's reach.
    pub(crate) fn with_cookie(mut self) -> Self {
        self.cookie = true;
        self
    }

    /// Sends it, in the name of the access token's owner if there is one.
    ///
    /// # Errors
    /// Whatever is not a success.
    pub(crate) async fn send(&self, access_token: Option<&str>) -> Result<Response> {
        let url = format!("{}{}", BASE_URL.trim_end_matches('/'), self.path);
        let credentials = if BASE_URL.is_empty() {
            RequestCredentials::SameOrigin
        } else {
            RequestCredentials::Include
        };
        let sent = self.fetch(&url, credentials, access_token).await;
        let response = Response(sent.map_err(|_| Error::Unreachable)?);
        if response.0.ok() { Ok(response) } else { Err(response.into_error().await) }
    }

    async fn fetch(
        &self,
        url: &str,
        credentials: RequestCredentials,
        access_token: Option<&str>,
    ) -> std::result::Result<web_sys::Response, JsValue> {
        let headers = Headers::new()?;
        headers.set("accept", "application/json")?;
        if let Some(token) = access_token {
            headers.set("authorization", &format!("Bearer {token}"))?;
        }
        if self.cookie {
            headers.set(TRANSPORT_HEADER, TRANSPORT_COOKIE)?;
        }
        let init = RequestInit::new();
        if let Some(body) = &self.body {
            headers.set("content-type", "application/json")?;
            init.set_body(&body.into());
        }
        init.set_method(self.method);
        init.set_credentials(credentials);
        init.set_headers(&headers);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT_MS)));
        JsFuture::from(window().fetch_with_str_and_init(url, &init)).await?.dyn_into()
    }
}

/// A successful answer.
pub(crate) struct Response(web_sys::Response);

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.0.headers().get(name).ok().flatten()
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.text().await.map_err(|_| Error::Unreachable)?;
        json::read(&text).ok_or_else(|| self.unexpected())
    }

    async fn text(&self) -> std::result::Result<String, JsValue> {
        let text = JsFuture::from(self.0.text()?).await?;
        Ok(text.as_string().unwrap_or_default())
    }

    fn unexpected(&self) -> Error {
        // Only the form in seconds; a date in its place counts as no word at all.
        let retry_after = self.header("retry-after").and_then(|value| value.parse().ok());
        Error::Unexpected { status: self.0.status(), retry_after }
    }

    async fn into_error(self) -> Error {
        match (self.json::<Problem>().await, self.unexpected()) {
            (Ok(problem), Error::Unexpected { retry_after, .. }) => {
                Error::Refused { problem: Box::new(problem), retry_after }
            }
            (_, unexpected) => unexpected,
        }
    }
}
