//! Requests that are malformed: each is refused in the same form, and none is a 500.

use std::io::{Read, Write};

use contract::paths;
use reqwest::Method;
use serde_json::json;
use tests::{PASSWORD, TestApp};

/// The largest body.
const LIMIT: usize = 32 * 1024;

#[tokio::test]
async fn what_is_not_json_is_told_apart_from_what_breaks_a_rule() {
    let app = TestApp::spawn().await;
    let nested = "[".repeat(20_000);
    let rows: [(&[u8], u16, &str); 22] = [
        (b"", 400, "invalid_json"),
        (b" ", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"{]", 400, "invalid_json"),
        (b"{'email': 1}", 400, "invalid_json"),
        (b"{\"email\": 1,}", 400, "invalid_json"),
        (b"{\"email\": NaN}", 400, "invalid_json"),
        (b"{} {}", 400, "invalid_json"),
        (b"\xef\xbb\xbf{}", 400, "invalid_json"),
        (b"{\"email\": \"\xff\xfe\"}", 400, "invalid_json"),
        (b"{\"email\": \"\xc0\xaf\"}", 400, "invalid_json"),
        (b"{\"email\": \"\\ud800\"}", 400, "invalid_json"),
        (b"{\"email\": \"a\", \"email\": \"b\"}", 400, "invalid_json"),
        (b"{\"email\": \"a\", \"\\u0065mail\": \"b\"}", 400, "invalid_json"),
        (b"{\"x\": {\"y\": 1, \"y\": 2}}", 400, "invalid_json"),
        (b"email=a&password=b", 400, "invalid_json"),
        (nested.as_bytes(), 400, "invalid_json"),
        (b"[]", 422, "validation_failed"),
        (b"null", 422, "validation_failed"),
        (b"1.5", 422, "validation_failed"),
        (b"\"text\"", 422, "validation_failed"),
        (b"{}", 422, "validation_failed"),
    ];
    for path in [paths::LOGIN, paths::REGISTER, paths::REFRESH] {
        for (body, status, code) in rows {
            let call = app.post(path).header("content-type", "application/json").body(body);
            call.await.problem(status, code);
        }
    }
}

#[tokio::test]
async fn all_fields_are_judged_at_once() {
    let app = TestApp::spawn().await;
    let body = json!({"username": "a b", "email": "nobody", "password": "short", "x": 1, "y": {}});
    let errors = app.post("/auth/register").json(body).await.field_errors();
    let mut fields: Vec<_> = errors.iter().map(|(field, _)| field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["email", "password", "username", "x", "y"]);
    let body = app.post("/auth/register").json(json!([1])).await.field_errors();
    assert_eq!(body, [(String::new(), "wrong_type".to_owned())], "the body as a whole");
}

#[tokio::test]
async fn a_body_is_json_by_its_type_too() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let body = json!({"email": "michael@example.com", "password": PASSWORD}).to_string();
    let call = || app.post("/auth/login").body(body.clone());
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "Application/JSON",
    ] {
        call().header("content-type", good).await.ok(200);
    }
    call().await.problem(415, "unsupported_media_type");
    for bad in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json+x",
        "text/json",
        "json",
        "\t",
    ] {
        call().header("content-type", bad).await.problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_may_be_thirty_two_kibibytes_and_no_more() {
    let app = TestApp::spawn().await;
    let body_of = |length: usize| {
        let empty = json!({"email": "", "password": "x"}).to_string();
        json!({"email": "x".repeat(length - empty.len()), "password": "x"}).to_string()
    };
    let send = async |length: usize| {
        let call = app.post("/auth/login").header("content-type", "application/json");
        call.body(body_of(length)).await
    };
    send(LIMIT).await.problem(401, "incorrect_credentials");
    send(LIMIT + 1).await.problem(413, "payload_too_large");
    send(20 * LIMIT).await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_without_a_length_is_measured_as_it_comes() {
    let app = TestApp::spawn().await;
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT, " ".repeat(LIMIT));
    let request = format!(
        "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let answer = raw(&app, request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn what_is_hardly_http_gets_no_500() {
    let app = TestApp::spawn().await;
    for line in [
        "GET /users/%ff%fe HTTP/1.1",
        "GET /users/%00 HTTP/1.1",
        "GET /users/../../etc/passwd HTTP/1.1",
        "GET //users HTTP/1.1",
        "GET /users?limit=%ff HTTP/1.1",
        "GET /users?cursor=%00 HTTP/1.1",
        "GET /users? HTTP/1.1",
        "GET /users?&&==&limit HTTP/1.1",
        "GET /swaggerui/..%2f..%2fetc%2fpasswd HTTP/1.1",
        "GET /ping\u{0} HTTP/1.1",
        "BREW /ping HTTP/1.1",
        "GET /ping HTTP/3.7",
    ] {
        let answer = raw(&app, format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{line}: {answer}");
        assert!(!answer.contains("root:"), "{line}: {answer}");
    }
    app.get("/ping").await.ok(200);
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_too() {
    let app = TestApp::spawn().await;
    for path in
        ["/", "/nothing", "/users/1/posts", "/auth", "/auth/nothing", "/docs", "/swaggerui/x"]
    {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = app.call(method, path).await;
            assert!([404, 405].contains(&answer.status), "{path}: {}", answer.status);
        }
        app.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_method_that_a_path_has_not_is_answered_with_those_it_has() {
    let app = TestApp::spawn().await;
    let every = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    for (pattern, item) in app.document().json()["paths"].as_object().unwrap() {
        let item = item.as_object().unwrap();
        let path = pattern.replace("{id}", "1");
        for method in every.clone() {
            if item.contains_key(&method.as_str().to_lowercase()) {
                continue;
            }
            let answer = app.call(method, &path).await;
            answer.problem(405, "method_not_allowed");
            let mut allowed: Vec<_> =
                answer.expect_header("allow").split(',').map(|m| m.trim().to_lowercase()).collect();
            allowed.retain(|method| method != "head");
            allowed.sort();
            let mut documented: Vec<_> = item.keys().cloned().collect();
            documented.retain(|key| every.iter().any(|m| m.as_str().eq_ignore_ascii_case(key)));
            documented.sort();
            assert_eq!(allowed, documented, "{}", answer.request);
        }
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    for path in ["/ping", "/users", "/users/1", "/doc", "/swagger.json", "/auth/status"] {
        let get = app.get(path).by(&michael).await;
        let head = app.call(Method::HEAD, path).by(&michael).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_fault_of_ours_tells_nothing() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    app.spoil().await;
    let answer = app.get("/users").await;
    answer.problem(500, "internal");
    for word in ["bytea", "column", "diesel", "postgres", "SELECT", "panicked"] {
        assert!(!answer.text().contains(word), "{}", answer.text());
    }
}

/// Sends bytes as they are and reads until the server closes the connection.
async fn raw(app: &TestApp, request: impl Into<Vec<u8>>) -> String {
    let address = app.base().trim_start_matches("http://").to_owned();
    let request = request.into();
    let exchange = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        // The server may answer, and close, before it has read all.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    exchange.await.unwrap()
}
