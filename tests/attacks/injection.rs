//! Header injection: nothing that a request brings begins a line of the answer's head.

use tests::TestApp;

use crate::raw::exchange;

/// What would show that it worked.
const PLANTED: &str = "x-planted";

/// Sends a request and looks for a planted header in the answer's head.
async fn plants_nothing(app: &TestApp, request: String) -> String {
    let address = app.base().trim_start_matches("http://").to_owned();
    let about = request.clone();
    let exchange = move || exchange(&address, request.as_bytes());
    let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
    let lines: Vec<_> = head.split(['\r', '\n']).map(str::trim_start).collect();
    assert!(!lines.iter().any(|line| line.starts_with(PLANTED)), "{about:?}: {answer}");
    let answers = answer.matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{about:?}: {answers} answers to one request: {answer}");
    answer
}

#[tokio::test]
async fn line_breaks_in_paths_and_queries() {
    let app = TestApp::spawn().await;
    for target in [
        "/users/1%0d%0aX-Planted:%201",
        "/users/1%0aX-Planted:%201",
        "/users/%E5%98%8A%E5%98%8DX-Planted:%201",
        "/users?q=a%0d%0aX-Planted:%201&limit=1",
        "/users?limit=1&cursor=%0d%0aX-Planted:%201",
        "/ping/%0d%0aX-Planted:%201/",
        "/doc/%0d%0aX-Planted:%201",
        "/swaggerui/%0d%0aX-Planted:%201",
        "//evil.example/%0d%0aX-Planted:%201",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = plants_nothing(&app, request).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{target}: {answer}");
    }
}

#[tokio::test]
async fn line_breaks_in_header_values() {
    let app = TestApp::spawn().await;
    // A lone carriage return or line feed, which some readers take for the end of a line.
    for name in ["X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "Origin", "User-Agent"] {
        for line_break in ["\r", "\n ", "\r\n ", "\u{b}", "\u{85}", "\u{2028}"] {
            let request = format!(
                "GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                 {name}: abcdefgh{line_break}X-Planted: 1\r\n\r\n"
            );
            plants_nothing(&app, request).await;
        }
    }
}

/// Where an answer leads is never up to the request's headers.
#[tokio::test]
async fn a_forged_host_leads_nowhere() {
    let app = TestApp::spawn().await;
    for number in 0..3 {
        app.register(&format!("user-{number}")).await;
    }
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ] {
        let answer = app.get("/users?limit=1").header(name, value).await;
        assert!(answer.expect_header("link").contains("rel=\"next\""));
        for (header, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains("evil"), "{name}: {header}: {value}");
        }
        assert!(!answer.text().contains("evil"), "{name}");
    }
}

/// The request's id is repeated in the answer and in the log, and only if it can do no harm there.
#[tokio::test]
async fn only_a_harmless_request_id_is_repeated() {
    let app = TestApp::spawn().await;
    let good = "0192-abc_DEF-7890";
    let answer = app.get("/ping").header("x-request-id", good).await;
    assert_eq!(answer.header("x-request-id"), Some(good));
    for bad in [
        "<script>alert(1)</script>",
        "a b c d e f g",
        "{\"level\":\"ERROR\"}",
        "short",
        "${jndi:ldap://evil}",
        "\u{1b}[31mred-alert",
        &"x".repeat(65),
    ] {
        if bad.contains('\u{1b}') {
            // No client library sends it.
            let request = format!(
                "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: {bad}\r\n\r\n"
            );
            let answer = plants_nothing(&app, request).await;
            assert!(!answer.contains('\u{1b}'), "{answer:?}");
            continue;
        }
        let answer = app.get("/ping").header("x-request-id", bad).await;
        assert_ne!(answer.header("x-request-id"), Some(bad));
    }
}
