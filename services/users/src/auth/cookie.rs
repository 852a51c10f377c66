//! The refresh token's cookie, for browsers, and who may use it.
//!
//! A script can't read the cookie, other sites can't have it sent
//! (`SameSite=Strict`), and its name's prefix `__Host-` makes the browser
//! insist on `Secure`, on the exact host and on the path `/`, so that no
//! neighbouring subdomain can plant one (RFC 6265bis, 4.1.3).
//!
//! Such a cookie needs HTTPS. During development there is none, and not every
//! browser makes an exception for local addresses. So over plain HTTP to
//! `localhost`, `127.0.0.1` or `[::1]` the cookie is called `refresh` and goes
//! without `Secure`. Over plain HTTP to any other host it stays the strict one:
//! the browser drops it, and that is right, for the network could read it.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time},
    http::{
        header::{HOST, HeaderName, ORIGIN},
        uri::Authority,
    },
};
use chrono::Duration;

const STRICT_NAME: &str = "__Host-refresh";
const LOCAL_NAME: &str = "refresh";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The kind of refresh cookie that fits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshCookie {
    /// `__Host-refresh`, for HTTPS.
    Strict,
    /// `refresh`, for plain HTTP to this very machine.
    Local,
}

impl RefreshCookie {
    /// The kind for `request`, whose client came by HTTPS or not
    /// ([`Client::https`](super::client_address::Client::https)).
    pub fn for_request(request: &HttpRequest, https: bool) -> Self {
        if !https && host(request).is_some_and(is_local) { Self::Local } else { Self::Strict }
    }

    /// The cookie's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => STRICT_NAME,
            Self::Local => LOCAL_NAME,
        }
    }

    /// Keeps the refresh token `value` in the browser for `max_age`.
    pub fn set(self, value: String, max_age: Duration) -> Cookie<'static> {
        self.build(value, time::Duration::seconds(max_age.num_seconds().max(0)))
    }

    /// Removes the cookie. A browser finds it by name and path, which are those of [`Self::set`].
    pub fn clear(self) -> Cookie<'static> {
        self.build(String::new(), time::Duration::ZERO)
    }

    /// The refresh token that `request` carries in its cookie.
    pub fn read(self, request: &HttpRequest) -> Option<String> {
        let value = request.cookie(self.name())?.value().to_owned();
        (!value.is_empty()).then_some(value)
    }

    fn build(self, value: String, max_age: time::Duration) -> Cookie<'static> {
        Cookie::build(self.name(), value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self == Self::Strict)
            .max_age(max_age)
            .finish()
    }
}

/// Whether a request that uses the cookie comes from our own pages, or from an origin that
/// `CORS_ALLOWED_ORIGINS` lists.
///
/// `Sec-Fetch-Site` says so in every browser of today and no script can set it. Where it is
/// missing, `Origin` must be the request's own origin. A request with neither is refused: no
/// browser sends a POST without both, and other programs need no cookie.
pub fn same_site(request: &HttpRequest, https: bool, allowed_origins: &[String]) -> bool {
    let origin = single(request, &ORIGIN);
    let allowed = || origin.is_some_and(|origin| allowed_origins.iter().any(|one| one == origin));
    if request.headers().contains_key(&SEC_FETCH_SITE) {
        return single(request, &SEC_FETCH_SITE) == Some("same-origin") || allowed();
    }
    allowed() || origin.is_some_and(|origin| is_own(request, https, origin))
}

fn is_own(request: &HttpRequest, https: bool, origin: &str) -> bool {
    let own_scheme = if https { "https" } else { "http" };
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    scheme == own_scheme && host(request).is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

/// The host and port that the request was sent to. `X-Forwarded-Host` is not asked: anybody can send it.
fn host(request: &HttpRequest) -> Option<&str> {
    single(request, &HOST).or_else(|| request.uri().authority().map(Authority::as_str))
}

fn is_local(host: &str) -> bool {
    // What follows the last colon outside brackets is the port.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

/// A header's value, if it is there once and is text.
fn single<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    let mut values = request.headers().get_all(name);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let request = TestRequest::post().uri("/auth/refresh");
        headers
            .iter()
            .fold(request, |request, header| request.append_header(*header))
            .to_http_request()
    }

    #[test]
    fn the_strict_cookie() {
        let cookie = RefreshCookie::Strict.set("tdr_x".to_owned(), Duration::days(14));
        assert_eq!(
            cookie.to_string(),
            "__Host-refresh=tdr_x; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=1209600"
        );
        assert_eq!(
            RefreshCookie::Strict.clear().to_string(),
            "__Host-refresh=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn the_local_cookie() {
        let cookie = RefreshCookie::Local.set("tdr_x".to_owned(), Duration::seconds(-3));
        assert_eq!(
            cookie.to_string(),
            "refresh=tdr_x; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn only_plain_http_to_this_machine_goes_without_secure() {
        use RefreshCookie::{Local, Strict};
        for (host, https, expected) in [
            ("localhost:8080", false, Local),
            ("LOCALHOST", false, Local),
            ("127.0.0.1:5000", false, Local),
            ("[::1]:5000", false, Local),
            ("[::1]", false, Local),
            ("localhost:8080", true, Strict),
            ("example.com", false, Strict),
            ("localhost.example.com", false, Strict),
            ("127.0.0.1.example.com:80", false, Strict),
            ("localhost:80:evil", false, Strict),
            ("192.168.0.7:8080", false, Strict),
            ("::1", false, Strict),
        ] {
            let request = request(&[("host", host)]);
            assert_eq!(RefreshCookie::for_request(&request, https), expected, "{host} {https}");
        }
        assert_eq!(RefreshCookie::for_request(&request(&[]), false), Strict);
        // Not by a header that anybody can send.
        let forwarded = request(&[("host", "example.com"), ("x-forwarded-host", "localhost")]);
        assert_eq!(RefreshCookie::for_request(&forwarded, false), Strict);
        let doubled = request(&[("host", "example.com"), ("host", "localhost")]);
        assert_eq!(RefreshCookie::for_request(&doubled, false), Strict);
    }

    #[test]
    fn each_kind_reads_its_own_cookie() {
        let both = request(&[("cookie", "a=b; refresh=local; __Host-refresh=strict")]);
        assert_eq!(RefreshCookie::Strict.read(&both).as_deref(), Some("strict"));
        assert_eq!(RefreshCookie::Local.read(&both).as_deref(), Some("local"));
        let local = request(&[("cookie", "refresh=local")]);
        assert_eq!(RefreshCookie::Strict.read(&local), None);
        assert_eq!(RefreshCookie::Local.read(&request(&[("cookie", "refresh=")])), None);
        assert_eq!(RefreshCookie::Local.read(&request(&[])), None);
    }

    #[test]
    fn who_may_use_the_cookie() {
        const HOST: (&str, &str) = ("host", "api.example.com");
        let allowed = ["https://app.example.com".to_owned()];
        for (headers, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            // The newer header is the one that counts, also against a right Origin …
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://api.example.com")], false),
            // … except for the origins that the operator lists.
            (&[("sec-fetch-site", "same-site"), ("origin", "https://app.example.com")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://app.example.com")], false),
            (&[("origin", "https://api.example.com")], true),
            (&[("origin", "https://app.example.com")], true),
            (&[("origin", "https://API.example.com")], true),
            (&[("origin", "http://api.example.com")], false),
            (&[("origin", "https://api.example.com:8443")], false),
            (&[("origin", "https://api.example.com.evil.org")], false),
            (&[("origin", "https://evil.org")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "https://evil.org"), ("origin", "https://api.example.com")], false),
            (&[], false),
        ] {
            let headers = [&[HOST], headers].concat();
            assert_eq!(same_site(&request(&headers), true, &allowed), expected, "{headers:?}");
        }
        let plain = request(&[("host", "localhost:8080"), ("origin", "http://localhost:8080")]);
        assert!(same_site(&plain, false, &[]));
        assert!(!same_site(&plain, true, &[]));
    }
}
