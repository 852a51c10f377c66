//! Reading requests: bodies, path parameters, query parameters.
//!
//! None of these refuses a request by itself: a handler asks for the value when
//! its turn has come, so that a missing token is told before a malformed body.

use std::{convert::Infallible, future::Future, pin::Pin, str::FromStr, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::PayloadError, http::header, web};
use contract::{
    ErrorCode, Form,
    form::{FieldCode, Input, Violation},
};

use crate::http::error::Error;

/// The most bytes of a body.
pub(crate) const BODY_MAX: usize = 32 * 1024;

/// How long a body may take to arrive: who sends it byte by byte only holds a connection up.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A request's body, read but not yet judged.
pub(crate) struct Body(Result<web::Bytes, Error>);

impl FromRequest for Body {
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Infallible>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let Ok(bytes) = tokio::time::timeout(BODY_LIMIT, bytes).await else {
                return Ok(Self(Err(Error::request_timeout())));
            };
            let bytes = match bytes {
                Ok(_) if !is_json => Err(Error::new(
                    ErrorCode::UnsupportedMediaType,
                    "Send the body as JSON, with the header Content-Type: application/json.",
                )),
                Ok(bytes) => Ok(bytes),
                Err(error) => Err(match error.as_error::<PayloadError>() {
                    Some(PayloadError::Overflow) => Error::payload_too_large(),
                    _ => Error::new(ErrorCode::BadRequest, "The body did not arrive whole."),
                }),
            };
            Ok(Self(bytes))
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl Body {
    /// The body as a `T` of the contract, or all that is wrong with it.
    pub(crate) fn parse<T: Input>(self) -> Result<T, Error> {
        let bytes = self.0?;
        let invalid = |why: &str| Error::new(ErrorCode::InvalidJson, why);
        let text =
            std::str::from_utf8(&bytes).map_err(|_| invalid("The body is not valid UTF-8."))?;
        let form: Form = serde_json::from_str(text)
            .map_err(|error| invalid(&format!("The body is not valid JSON: {error}.")))?;
        T::parse(form).map_err(Error::validation)
    }
}

/// A path's `{id}`, as it stands there.
pub(crate) struct Id(String);

impl FromRequest for Id {
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.match_info().query("id").to_owned())))
    }
}

impl Id {
    /// The number; `None` where it is none, and so names nothing.
    pub(crate) fn number(&self) -> Option<i64> {
        number(&self.0).filter(|id| *id > 0)
    }

    /// The text, for a message.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The query parameters, each at most once.
pub(crate) struct Query(Vec<(String, String)>);

impl FromRequest for Query {
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request.query_string())))
    }
}

impl Query {
    /// The parameters of a query string; none where it cannot be read.
    pub(crate) fn of(text: &str) -> Self {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        Self(pairs.map(web::Query::into_inner).unwrap_or_default())
    }

    /// The value of `name`; given twice it is refused, for readers would differ.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Violation> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(String::as_str)),
            _ => Err(Violation::new(FieldCode::InvalidFormat, "Give this parameter only once.")),
        }
    }

    /// Whether the flag `name` is given, as `?name`, `?name=true` or `?name=1`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Violation> {
        match self.get(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Violation::new(FieldCode::InvalidFormat, "This takes true or false.")),
        }
    }
}

/// A number from a query or a path.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    // `FromStr` of the integers takes a leading `+`, which nobody means here.
    if text.starts_with('+') { None } else { text.parse().ok() }
}
