//! `GET /auth/status`.

use chrono::TimeDelta;
use tests::TestApp;

#[tokio::test]
async fn tells_a_person_who_is_signed_in() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let user = app.get("/auth/status").by(&michael).await.ok(200);
    assert_eq!(user, app.get(michael.path()).by(&michael).await.ok(200));
    assert_eq!(user["email"], "michael@example.com");
}

#[tokio::test]
async fn each_refusal_has_its_words() {
    let app = TestApp::spawn().await;
    let none = app.get("/auth/status").await.problem(401, "token_required");
    assert_eq!(none["message"], "Token required");
    let invalid = app.get("/auth/status").bearer("x").await.problem(401, "token_invalid");
    assert_eq!(invalid["message"], "Invalid token. Please log in again.");
    let michael = app.person("michael").await;
    app.advance(TimeDelta::minutes(15) - TimeDelta::seconds(1));
    app.get("/auth/status").by(&michael).await.ok(200);
    app.advance(TimeDelta::seconds(1));
    let expired = app.get("/auth/status").by(&michael).await.problem(401, "token_expired");
    assert_eq!(expired["message"], "Signature expired. Please log in again.");
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case_and_no_other() {
    let app = TestApp::spawn().await;
    let token = app.person("michael").await.access_token;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        app.get("/auth/status").header("authorization", format!("{scheme} {token}")).await.ok(200);
    }
    for other in
        [token.clone(), format!("Token {token}"), "Basic bTpw".to_owned(), "Bearer".to_owned()]
    {
        let answer = app.get("/auth/status").header("authorization", &other).await;
        assert_eq!(answer.status, 401, "{other}");
    }
    for elsewhere in
        [format!("/auth/status?access_token={token}"), format!("/auth/status?token={token}")]
    {
        app.get(elsewhere).await.problem(401, "token_required");
    }
}
