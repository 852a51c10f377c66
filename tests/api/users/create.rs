//! `POST /users`.

use serde_json::json;
use tests::{PASSWORD, TestApp};

#[tokio::test]
async fn an_admin_adds_a_user_who_can_then_sign_in() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let body = json!({"username": "michael", "email": "michael@mherman.org", "password": PASSWORD});
    let answer = app.post("/users").by(&admin).json(body).await;
    let added = answer.ok(201);
    assert_eq!(added["message"], "michael@mherman.org was added!");
    assert_eq!(added["user"]["email"], "michael@mherman.org");
    let location = answer.expect_header("location");
    assert!(location.ends_with(&format!("/users/{}", added["user"]["id"])), "{location}");
    app.sign_in("michael@mherman.org", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn nobody_else_may() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let body = json!({"username": "another", "email": "a@example.com", "password": PASSWORD});
    let call = || app.post("/users").json(body.clone());
    call().await.problem(401, "token_required");
    call().by(&michael).await.problem(403, "forbidden");
    app.database.execute("UPDATE users SET is_admin = true").await;
    call().by(&michael).await.ok(201);
}

#[tokio::test]
async fn an_address_or_a_name_in_use_is_a_conflict_in_any_case() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    app.register("michael").await;
    let rows = [
        ("another", "MICHAEL@Example.com", "email_taken", "Sorry. That email already exists."),
        ("MiChAeL", "b@example.com", "username_taken", "Sorry. That username already exists."),
    ];
    for (username, email, code, detail) in rows {
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let problem = app.post("/users").by(&admin).json(body).await.problem(409, code);
        assert_eq!(problem["detail"], detail);
    }
}

#[tokio::test]
async fn who_asks_is_checked_before_what_is_asked() {
    let app = TestApp::spawn().await;
    app.post("/users").body("not json").await.problem(401, "token_required");
    let michael = app.person("michael").await;
    app.post("/users").by(&michael).json(json!({})).await.problem(403, "forbidden");
    let admin = app.admin().await;
    app.post("/users").by(&admin).json(json!({})).await.problem(422, "validation_failed");
}
