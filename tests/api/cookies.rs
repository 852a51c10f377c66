//! The refresh token in a cookie, as browsers use it.

use serde_json::{Value, json};
use tests::{Answer, PASSWORD, TestApp, http::Call};

/// The cookie that an answer sets: its name, its value and its attributes in lower case.
#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    attributes: Vec<String>,
}

impl Cookie {
    fn of(answer: &Answer) -> Self {
        let mut parts = answer.expect_header("set-cookie").split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let mut attributes: Vec<_> = parts.map(str::to_lowercase).collect();
        attributes.sort();
        Self { name: name.to_owned(), value: value.to_owned(), attributes }
    }

    fn header(&self) -> String {
        format!("{}={}", self.name, self.value)
    }

    fn max_age(&self) -> i64 {
        let age = self.attributes.iter().find_map(|a| a.strip_prefix("max-age="));
        age.expect("Max-Age").parse().unwrap()
    }
}

fn sign_in_from_anywhere(app: &TestApp) -> Call {
    let body = json!({"email": "michael@example.com", "password": PASSWORD});
    app.post("/auth/login").header("x-auth-transport", "cookie").json(body)
}

fn sign_in(app: &TestApp) -> Call {
    sign_in_from_anywhere(app).header("sec-fetch-site", "same-origin")
}

fn refresh(app: &TestApp, cookie: &Cookie) -> Call {
    app.post("/auth/refresh").header("x-auth-transport", "cookie").header("cookie", cookie.header())
}

/// As a page of this very site sends it.
fn refresh_from_own_page(app: &TestApp, cookie: &Cookie) -> Call {
    refresh(app, cookie).header("sec-fetch-site", "same-origin")
}

#[tokio::test]
async fn the_token_travels_in_the_cookie_and_not_in_the_body() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let answer = sign_in(&app).await;
    let tokens = answer.ok(200);
    assert_eq!(tokens["refresh_token"], Value::Null);
    assert!(tokens.as_object().unwrap().contains_key("refresh_token"), "null, not absent");
    let cookie = Cookie::of(&answer);
    assert!(!answer.text().contains(&cookie.value));

    let answer = refresh_from_own_page(&app, &cookie).await;
    let tokens = answer.ok(200);
    assert_eq!(tokens["refresh_token"], Value::Null);
    assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
    let renewed = Cookie::of(&answer);
    assert_ne!(renewed.value, cookie.value);
    refresh_from_own_page(&app, &renewed).await.ok(200);
}

#[tokio::test]
async fn without_the_header_no_cookie_is_set() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let answer = app.sign_in("michael@example.com", PASSWORD).await;
    assert!(answer.ok(200)["refresh_token"].is_string());
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn over_https_the_cookie_is_bound_to_host_and_scheme() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let cookie = Cookie::of(&sign_in(&app).header("x-forwarded-proto", "https").await);
    assert_eq!(cookie.name, "__Host-refresh");
    for attribute in ["httponly", "secure", "samesite=strict", "path=/"] {
        assert!(cookie.attributes.iter().any(|a| a == attribute), "{attribute}: {cookie:?}");
    }
    assert!(!cookie.attributes.iter().any(|a| a.starts_with("domain")), "{cookie:?}");
    assert!((1..=30 * 24 * 60 * 60).contains(&cookie.max_age()));
    let answer = refresh_from_own_page(&app, &cookie).header("x-forwarded-proto", "https").await;
    answer.ok(200);
    assert_eq!(Cookie::of(&answer).name, "__Host-refresh");
}

#[tokio::test]
async fn over_plain_http_on_this_machine_it_has_no_prefix() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let cookie = Cookie::of(&sign_in(&app).await);
    assert!(!cookie.name.starts_with("__"), "{cookie:?}");
    assert!(!cookie.attributes.contains(&"secure".to_owned()), "{cookie:?}");
    for attribute in ["httponly", "samesite=strict", "path=/"] {
        assert!(cookie.attributes.iter().any(|a| a == attribute), "{attribute}: {cookie:?}");
    }
}

#[tokio::test]
async fn only_pages_of_this_site_may_use_the_cookie() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let own = app.base().to_owned();
    let other_port = "http://127.0.0.1:1".to_owned();
    let rows: [(&[(&str, &str)], bool); 11] = [
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "same-origin"), ("origin", &own)], true),
        (&[("origin", &own)], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "none")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", &own)], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", &other_port)], false),
        (&[("origin", "null")], false),
        (&[], false),
    ];
    for (headers, allowed) in rows {
        let cookie = Cookie::of(&sign_in(&app).await);
        let mut call = refresh(&app, &cookie);
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = call.await;
        if allowed {
            answer.ok(200);
        } else {
            answer.problem(403, "cross_site");
            assert_eq!(answer.header("set-cookie"), None, "{headers:?}");
            refresh_from_own_page(&app, &cookie).await.ok(200);
        }
    }
}

/// Or another site could sign a person in to an account of the attacker's.
#[tokio::test]
async fn no_other_site_signs_a_browser_in() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    for site in ["cross-site", "same-site", "none"] {
        let answer = sign_in_from_anywhere(&app).header("sec-fetch-site", site).await;
        answer.problem(403, "cross_site");
        assert_eq!(answer.header("set-cookie"), None, "{site}");
    }
    sign_in_from_anywhere(&app).header("origin", app.base()).await.ok(200);
}

#[tokio::test]
async fn signing_out_clears_the_cookie() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    for scheme in ["http", "https"] {
        let signed_in = sign_in(&app).header("x-forwarded-proto", scheme).await;
        let cookie = Cookie::of(&signed_in);
        let token = signed_in.ok(200)["access_token"].as_str().unwrap().to_owned();
        let answer = app
            .post("/auth/logout")
            .bearer(&token)
            .header("x-auth-transport", "cookie")
            .header("x-forwarded-proto", scheme)
            .header("sec-fetch-site", "same-origin")
            .header("cookie", cookie.header())
            .await;
        answer.ok(204);
        let cleared = Cookie::of(&answer);
        assert_eq!((cleared.name.as_str(), cleared.value.as_str()), (cookie.name.as_str(), ""));
        assert_eq!(cleared.max_age(), 0);
        assert!(cleared.attributes.contains(&"path=/".to_owned()), "{cleared:?}");
        let again = refresh_from_own_page(&app, &cookie).header("x-forwarded-proto", scheme).await;
        again.problem(401, "token_invalid");
    }
}

#[tokio::test]
async fn a_cookie_that_is_no_token_is_refused() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let mut cookie = Cookie::of(&sign_in(&app).await);
    for value in ["x", "tdr_", "\"quoted\""] {
        cookie.value = value.to_owned();
        refresh_from_own_page(&app, &cookie).await.problem(401, "token_invalid");
    }
    let none = app.post("/auth/refresh").header("x-auth-transport", "cookie");
    let answer = none.header("sec-fetch-site", "same-origin").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test]
async fn a_cookie_alone_signs_nobody_in() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let cookie = Cookie::of(&sign_in(&app).await);
    let call = app.get("/auth/status").header("cookie", cookie.header());
    call.header("sec-fetch-site", "same-origin").await.problem(401, "token_required");
}
