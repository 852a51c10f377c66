//! Headers by which a client pretends to be somebody else, or to have come by HTTPS.

use serde_json::json;
use tests::TestApp;

/// Three tries a minute for an address.
const FEW: [(&str, &str); 3] =
    [("THROTTLE", "on"), ("THROTTLE_ACCOUNT", "1000/60"), ("THROTTLE_ADDRESS", "3/60")];

async fn attempt(app: &TestApp, headers: &[(&str, String)]) -> u16 {
    let mut call = app.post("/auth/login").header("x-forwarded-for", "203.0.113.7");
    for (name, value) in headers {
        call = call.header(name, value);
    }
    call.json(json!({"email": "nobody@example.com", "password": "not the one"})).await.status
}

#[tokio::test]
async fn other_headers_than_the_proxys_name_nobody() {
    let app = TestApp::with(&FEW).await;
    let names = [
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-originating-ip",
        "x-remote-ip",
        "x-forwarded",
    ];
    let mut looked_at = 0;
    for (number, name) in names.into_iter().enumerate() {
        let address = format!("198.51.100.{number}");
        let value =
            if name == "forwarded" { format!("for={address};proto=https") } else { address };
        looked_at += u16::from(attempt(&app, &[(name, value)]).await == 401);
    }
    assert_eq!(looked_at, 3);
}

/// The proxy appends a line; what the client sent comes before, in as many lines as it likes.
#[tokio::test]
async fn lines_before_the_proxys_line_name_nobody() {
    let app = TestApp::with(&FEW).await;
    let mut looked_at = 0;
    for number in 0..9 {
        let mut call = app.post("/auth/login");
        for forged in [format!("198.51.100.{number}"), "10.0.0.1".to_owned(), "\t, ,".to_owned()] {
            call = call.header("x-forwarded-for", forged);
        }
        call = call.header("x-forwarded-for", "203.0.113.7");
        let call = call.json(json!({"email": "nobody@example.com", "password": "not the one"}));
        looked_at += u16::from(call.await.status == 401);
    }
    assert_eq!(looked_at, 3);
}

#[tokio::test]
async fn nobody_comes_by_https_because_of_another_header() {
    let app = TestApp::spawn().await;
    for (name, value) in [
        ("x-forwarded-ssl", "on"),
        ("x-url-scheme", "https"),
        ("front-end-https", "on"),
        ("forwarded", "proto=https"),
        ("x-forwarded-scheme", "https"),
    ] {
        let answer = app.get("/ping").header(name, value).await;
        assert_eq!(answer.header("strict-transport-security"), None, "{name}");
    }
}
