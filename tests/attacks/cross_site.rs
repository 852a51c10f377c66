//! The cookie from elsewhere: a request that does not prove to come from our own pages does nothing.

use serde_json::json;
use tests::{PASSWORD, TestApp, http::Call};

/// The cookie's name and value, from a sign-in on our own page.
async fn cookie(app: &TestApp) -> (String, String) {
    let body = json!({"email": "michael@example.com", "password": PASSWORD});
    let call = app.post("/auth/login").header("x-auth-transport", "cookie").json(body);
    let answer = call.header("sec-fetch-site", "same-origin").await;
    let cookie = answer.expect_header("set-cookie").split(';').next().unwrap().to_owned();
    (cookie, answer.ok(200)["access_token"].as_str().unwrap().to_owned())
}

fn with_cookie(call: Call, cookie: &str) -> Call {
    call.header("x-auth-transport", "cookie").header("cookie", cookie)
}

#[tokio::test]
async fn without_sec_fetch_site_and_origin_no_operation_takes_or_gives_the_cookie() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let (cookie, token) = cookie(&app).await;
    let body = json!({"email": "michael@example.com", "password": PASSWORD});
    for call in [
        with_cookie(app.post("/auth/refresh"), &cookie),
        with_cookie(app.post("/auth/login"), &cookie).json(body),
    ] {
        let answer = call.await;
        answer.problem(403, "cross_site");
        assert_eq!(answer.header("set-cookie"), None, "{}", answer.request);
    }
    // To sign out takes the access token, which no other site has.
    let logout = with_cookie(app.post("/auth/logout"), &cookie).await;
    logout.problem(401, "token_required");
    assert!(app.opens(&token).await, "nobody was signed out");
    let own = with_cookie(app.post("/auth/refresh"), &cookie);
    own.header("sec-fetch-site", "same-origin").await.ok(200);
}

#[tokio::test]
async fn what_only_looks_like_a_proof_is_none() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let (cookie, _) = cookie(&app).await;
    let own = app.base().to_owned();
    let host = own.trim_start_matches("http://").to_owned();
    let rows: [&[(&str, String)]; 10] = [
        &[("sec-fetch-site", "same-origin".into()), ("sec-fetch-site", "cross-site".into())],
        &[("sec-fetch-site", "same-origin, same-origin".into())],
        &[("sec-fetch-site", "Same-Origin".into())],
        &[("sec-fetch-site", String::new()), ("origin", own.clone())],
        &[("referer", format!("{own}/"))],
        &[("x-forwarded-host", "evil.example".into()), ("origin", "http://evil.example".into())],
        &[("origin", own.clone()), ("origin", "https://evil.example".into())],
        &[("origin", format!("{own}, https://evil.example"))],
        &[("origin", format!("http://evil.example@{host}"))],
        &[("origin", format!("{own}.evil.example"))],
    ];
    for headers in rows {
        let mut call = with_cookie(app.post("/auth/refresh"), &cookie);
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = call.await;
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
    }
}
