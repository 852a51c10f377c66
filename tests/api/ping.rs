//! `GET /ping`.

use serde_json::json;
use tests::TestApp;

#[tokio::test]
async fn says_pong() {
    let app = TestApp::spawn().await;
    let answer = app.get("/ping").await;
    assert_eq!(answer.ok(200), json!({"message": "pong!", "status": "success"}));
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let app = TestApp::spawn().await;
    for path in ["/ping/", "/users/", "/swagger.json/"] {
        app.get(path).await.ok(200);
    }
    app.get("/auth/status/").await.problem(401, "token_required");
    app.get("/users/1/").await.problem(404, "user_not_found");
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_another_replaced() {
    let app = TestApp::spawn().await;
    let kept = app.get("/ping").header("x-request-id", "0192f3a4-trace_7").await;
    assert_eq!(kept.header("x-request-id"), Some("0192f3a4-trace_7"));
    for odd in ["", "a b", "<script>", &"x".repeat(500)] {
        let replaced = app.get("/ping").header("x-request-id", odd).await;
        assert_ne!(replaced.header("x-request-id"), Some(odd));
    }
}

#[tokio::test]
async fn https_is_told_to_browsers() {
    let app = TestApp::spawn().await;
    let answer = app.get("/ping").header("x-forwarded-proto", "https").await;
    let policy = answer.expect_header("strict-transport-security");
    let seconds = policy.split(';').find_map(|part| part.trim().strip_prefix("max-age="));
    let seconds: u32 = seconds.unwrap().parse().unwrap();
    assert!(seconds >= 365 * 24 * 60 * 60, "{policy}");
}
