//! HTTP calls as the suites make them, and what must be true of every answer.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{app::Person, document::Document};

/// The policy of every answer but the documentation page and its assets.
const STRICT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Calls one API and checks each answer against the conventions that hold for all.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    document: Option<Arc<Document>>,
}

impl Client {
    /// A client of the API at `base`, such as `http://127.0.0.1:5000`.
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { base: base.into(), http: http.build().unwrap(), document: None }
    }

    /// From here on every answer's status must be one that the API's document lists.
    pub async fn checked_against_its_document(mut self) -> Self {
        let document = self.get(contract::paths::OPENAPI).await.ok(200);
        self.document = Some(Arc::new(Document::new(document)));
        self
    }

    /// A client of another task of the same service, checked against the same document.
    pub fn at(&self, base: impl Into<String>) -> Self {
        Self { base: base.into(), ..self.clone() }
    }

    /// The API's OpenAPI document, which the answers are checked against.
    pub fn document(&self) -> &Document {
        self.document.as_ref().expect("a client that is checked against its document")
    }

    /// The address of the API.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call with any method.
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call {
            client: self.clone(),
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    /// GET.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// POST.
    pub fn post(&self, path: impl Into<String>) -> Call {
        self.call(Method::POST, path)
    }

    /// PUT.
    pub fn put(&self, path: impl Into<String>) -> Call {
        self.call(Method::PUT, path)
    }

    /// DELETE.
    pub fn delete(&self, path: impl Into<String>) -> Call {
        self.call(Method::DELETE, path)
    }
}

/// A request that is sent when awaited.
#[derive(Clone, Debug)]
#[must_use = "a call is sent when it is awaited"]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Call {
    /// With the access token of `person`.
    pub fn by(self, person: &Person) -> Self {
        self.bearer(&person.access_token)
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// With one more header line.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// With a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "calls pass `json!(…)` as it is")]
    pub fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// With these bytes as the body, of no type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends it; an error where no answer came.
    pub async fn send(self) -> Result<Answer, reqwest::Error> {
        let Self { client, method, path, headers, body } = self;
        let mut request = client.http.request(method.clone(), format!("{}{path}", client.base));
        request = request.headers(headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let answer = Answer {
            request: format!("{method} {path}"),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        };
        answer.keeps_the_conventions(&path, headers.get("x-forwarded-proto"));
        if let Some(document) = &client.document {
            document.allows(&method, &path, &answer);
        }
        Ok(answer)
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.expect("an answer") })
    }
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The header `name`, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of ASCII"))
    }

    /// The header `name`, which must be there.
    #[track_caller]
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("{}: no header {name}", self.request))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.text()))
    }

    /// The JSON body of an answer that must have `status`; null where there is no body.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text());
        if self.body.is_empty() {
            return Value::Null;
        }
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.request);
        self.json()
    }

    /// The body of an error that must have `status` and `code`, complete as RFC 9457 asks.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let about = format!("{} → {} {}", self.request, self.status, self.text());
        assert_eq!(self.status, status, "{about}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{about}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{about}");
        assert_eq!(problem["status"], status, "{about}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{about}");
        }
        assert_eq!(problem["message"], problem["detail"], "{about}");
        assert_eq!(problem["request_id"], self.expect_header("x-request-id"), "{about}");
        let of_fields = ["validation_failed", "email_taken", "username_taken"].contains(&code);
        assert_eq!(problem.get("errors").is_some(), of_fields, "{about}");
        match status {
            401 => self.challenges(code),
            405 => assert!(!self.expect_header("allow").is_empty(), "{about}"),
            429 | 503 => {
                let seconds: u64 = self.expect_header("retry-after").parse().expect(&about);
                assert!(seconds > 0, "{about}");
            }
            _ => {}
        }
        problem
    }

    /// The fields of a 422 and the rule that each breaks.
    #[track_caller]
    pub fn field_errors(&self) -> Vec<(String, String)> {
        let problem = self.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().expect("errors").clone();
        assert!(errors.iter().all(|e| e["message"].as_str().is_some_and(|m| !m.is_empty())));
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        errors.iter().map(|error| (word(&error["field"]), word(&error["code"]))).collect()
    }

    /// RFC 6750, 3: a challenge with an `error` only where there were credentials.
    #[track_caller]
    fn challenges(&self, code: &str) {
        let challenge = self.expect_header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{}: {challenge}", self.request);
        let error = challenge.contains(r#"error="invalid_token""#);
        assert_eq!(error, code != "token_required", "{}: {challenge}", self.request);
        assert_eq!(error, challenge.contains("error="), "{}: {challenge}", self.request);
    }

    #[track_caller]
    fn keeps_the_conventions(&self, path: &str, scheme: Option<&HeaderValue>) {
        let about = &self.request;
        assert!(!self.expect_header("x-request-id").is_empty(), "{about}");
        assert!(!self.expect_header("x-app-version").is_empty(), "{about}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{about}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{about}");
        assert_eq!(self.header("referrer-policy"), Some("no-referrer"), "{about}");
        let policy = self.expect_header("content-security-policy");
        if path.starts_with(contract::paths::DOC) || path.starts_with("/swaggerui") {
            assert!(policy.contains("default-src 'none'"), "{about}: {policy}");
        } else {
            assert_eq!(policy, STRICT_POLICY, "{about}");
        }
        let https = scheme.is_some_and(|scheme| scheme == "https");
        assert_eq!(self.header("strict-transport-security").is_some(), https, "{about}");
        if self.status >= 400 && !about.starts_with("HEAD") {
            let kind = self.header("content-type");
            assert_eq!(kind, Some("application/problem+json"), "{about}: {}", self.text());
        }
    }
}
