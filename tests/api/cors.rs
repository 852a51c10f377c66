//! Other sites' pages and the API.

use reqwest::Method;
use tests::{Answer, TestApp};

const PAGE: &str = "https://app.example.com";

async fn preflight(app: &TestApp, origin: &str) -> Answer {
    app.call(Method::OPTIONS, "/users")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-auth-transport")
        .await
}

#[tokio::test]
async fn no_other_site_is_let_in_unless_asked_for() {
    let app = TestApp::spawn().await;
    let answer = preflight(&app, PAGE).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let answer = app.get("/users").header("origin", PAGE).await;
    answer.ok(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_listed_site_is_let_in_and_no_other() {
    let app =
        TestApp::with(&[("CORS_ALLOWED_ORIGINS", "https://app.example.com, https://b.example")])
            .await;
    for origin in [PAGE, "https://b.example"] {
        let answer = preflight(&app, origin).await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let methods = answer.expect_header("access-control-allow-methods");
        for method in ["GET", "POST", "PUT", "DELETE"] {
            assert!(methods.contains(method), "{methods}");
        }
        let headers = answer.expect_header("access-control-allow-headers").to_lowercase();
        for header in ["authorization", "content-type", "x-auth-transport"] {
            assert!(headers.contains(header), "{headers}");
        }
        let answer = app.get("/users").header("origin", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let exposed = answer.expect_header("access-control-expose-headers").to_lowercase();
        assert!(exposed.contains("link"), "{exposed}");
        assert!(answer.expect_header("vary").to_lowercase().contains("origin"));
    }
    for origin in [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "null",
    ] {
        let answer = preflight(&app, origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        let answer = app.get("/users").header("origin", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test]
async fn an_error_can_be_read_by_a_listed_site() {
    let app = TestApp::with(&[("CORS_ALLOWED_ORIGINS", PAGE)]).await;
    let answer = app.get("/auth/status").header("origin", PAGE).await;
    answer.problem(401, "token_required");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
}
