//! Requests that are too large in one way or another: refused early, and nothing is kept of them.

use std::time::{Duration, Instant};

use tests::TestApp;

use crate::raw::{exchange, status};

/// By when the service is rid of each: the longest that it waits for a head or a body is 10 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends each request; an answer must be one of those, or the connection just ends.
async fn refused(app: &TestApp, rows: Vec<(&str, Vec<u8>)>, allowed: &'static [u16]) {
    for (about, request) in rows {
        let begin = Instant::now();
        let address = app.base().trim_start_matches("http://").to_owned();
        let exchange = tokio::task::spawn_blocking(move || exchange(&address, &request));
        let answer = exchange.await.unwrap();
        let shown: String = answer.chars().take(200).collect();
        assert!(status(&answer).is_none_or(|status| allowed.contains(&status)), "{about}: {shown}");
        assert!(begin.elapsed() < PATIENCE, "{about}: {:?}", begin.elapsed());
        app.get("/ping").await.ok(200);
    }
}

fn get(headers: &str) -> Vec<u8> {
    format!("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn heads() {
    let app = TestApp::spawn().await;
    let many: String = (0..2_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = "x".repeat(1024 * 1024);
    let rows = vec![
        ("a long value", get(&format!("X-Long: {long}\r\n"))),
        ("a long name", get(&format!("{long}: y\r\n"))),
        ("many headers", get(&many)),
        ("a long cookie", get(&format!("Cookie: refresh={long}\r\n"))),
        ("a long token", get(&format!("Authorization: Bearer {long}\r\n"))),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()),
        ("a long query", format!("GET /users?q={long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()),
        ("a long method", format!("{long} /ping HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()),
        ("no request at all", long.into_bytes()),
    ];
    refused(&app, rows, &[400, 404, 408, 413, 414, 431]).await;
}

/// What fits in a head is read, whatever it is, and costs little.
#[tokio::test]
async fn heads_as_large_as_they_may_be() {
    let app = TestApp::spawn().await;
    let token = "x".repeat(60_000);
    app.get("/auth/status").bearer(&token).await.problem(401, "token_invalid");
    let hops = ["203.0.113.7"; 3_000].join(",");
    app.get("/users").header("x-forwarded-for", &hops).await.ok(200);
    let cookies = (0..3_000).map(|number| format!("c{number}=x; ")).collect::<String>();
    let refresh = app.post("/auth/refresh").header("x-auth-transport", "cookie");
    let refresh = refresh.header("sec-fetch-site", "same-origin").header("cookie", &cookies);
    refresh.await.problem(401, "token_required");
    let begin = Instant::now();
    for _ in 0..50 {
        app.get("/users").header("x-forwarded-for", &hops).await.ok(200);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// A field that is not known is told of, and thousands of them are not.
#[tokio::test]
async fn an_answer_is_not_longer_than_its_request() {
    let app = TestApp::spawn().await;
    let fields: Vec<_> = (0..3_600).rev().map(|number| format!("\"{number:04}\":0")).collect();
    let body = format!("{{{}}}", fields.join(","));
    let call = app.post("/auth/login").header("content-type", "application/json");
    let answer = call.body(body.clone()).await;
    answer.problem(422, "validation_failed");
    assert!(answer.body.len() < body.len(), "{} of {}", answer.body.len(), body.len());
}

#[tokio::test]
async fn bodies() {
    let app = TestApp::spawn().await;
    let post = |headers: &str, body: &[u8]| {
        let head = format!(
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             {headers}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let megabytes = vec![b' '; 4 * 1024 * 1024];
    let chunk = [format!("{:x}\r\n", megabytes.len()).as_bytes(), &megabytes, b"\r\n"].concat();
    let tiny = "1\r\n \r\n".repeat(40_000);
    let rows = vec![
        ("what it says", post(&format!("Content-Length: {}", megabytes.len()), &megabytes)),
        ("says more than there is", post("Content-Length: 99999999999", &megabytes)),
        ("says more than a number holds", post("Content-Length: 99999999999999999999999", b"{}")),
        ("says less than nothing", post("Content-Length: -1", b"{}")),
        ("one endless chunk", post("Transfer-Encoding: chunked", &chunk)),
        ("endless tiny chunks", post("Transfer-Encoding: chunked", tiny.as_bytes())),
        ("a chunk of absurd size", post("Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n")),
        // Two readers who disagree on where it ends: a request in a request.
        (
            "two lengths",
            post("Content-Length: 2\r\nContent-Length: 200", b"{}GET /users HTTP/1.1\r\n\r\n"),
        ),
        (
            "a length and chunks",
            post("Content-Length: 2\r\nTransfer-Encoding: chunked", b"0\r\n\r\nGET /u"),
        ),
    ];
    refused(&app, rows, &[400, 408, 413]).await;
}
