//! `POST /auth/refresh`: rotation, replay and reuse, and how long a session lives.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tests::TestApp;

fn refresh_token(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().expect("a refresh token")
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().expect("an access token")
}

#[tokio::test]
async fn both_tokens_are_new_and_work() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.advance(TimeDelta::minutes(1));
    let tokens = app.refresh(&michael.refresh_token).await.ok(200);
    assert_ne!(refresh_token(&tokens), michael.refresh_token);
    assert_ne!(access_token(&tokens), michael.access_token);
    assert!(app.opens(access_token(&tokens)).await);
    let next = app.refresh(refresh_token(&tokens)).await.ok(200);
    assert!(app.opens(access_token(&next)).await);
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let first = app.refresh(&michael.refresh_token).await.ok(200);
    app.advance(TimeDelta::seconds(29));
    let again = app.refresh(&michael.refresh_token).await.ok(200);
    assert_eq!(refresh_token(&again), refresh_token(&first), "one successor, not two");
    assert!(app.opens(access_token(&again)).await);
    app.refresh(refresh_token(&again)).await.ok(200);
}

#[tokio::test]
async fn a_used_token_whose_successor_was_used_ends_the_session() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let phone = michael.signed_in_anew(&app).await;
    let second = app.refresh(&michael.refresh_token).await.ok(200);
    let third = app.refresh(refresh_token(&second)).await.ok(200);
    let problem = app.refresh(&michael.refresh_token).await.problem(401, "token_invalid");
    assert_eq!(problem["detail"], "Invalid token. Please log in again.");
    for tokens in [&second, &third] {
        app.refresh(refresh_token(tokens)).await.problem(401, "token_invalid");
        assert!(!app.opens(access_token(tokens)).await, "the revocation is committed");
    }
    app.refresh(&phone.refresh_token).await.ok(200);
}

#[tokio::test]
async fn a_used_token_that_comes_late_ends_the_session() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let second = app.refresh(&michael.refresh_token).await.ok(200);
    app.advance(TimeDelta::seconds(31));
    app.refresh(&michael.refresh_token).await.problem(401, "token_invalid");
    app.refresh(refresh_token(&second)).await.problem(401, "token_invalid");
    assert!(!app.opens(access_token(&second)).await);
}

#[tokio::test]
async fn an_idle_session_ends_after_fourteen_days() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.advance(TimeDelta::days(14) - TimeDelta::seconds(1));
    let tokens = app.refresh(&michael.refresh_token).await.ok(200);
    app.advance(TimeDelta::days(14));
    let problem = app.refresh(refresh_token(&tokens)).await.problem(401, "token_expired");
    assert_eq!(problem["detail"], "Signature expired. Please log in again.");
    assert!(!app.opens(access_token(&tokens)).await);
}

#[tokio::test]
async fn a_busy_session_ends_after_thirty_days() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let mut token = michael.refresh_token.clone();
    for _ in 0..29 {
        app.advance(TimeDelta::days(1));
        token = refresh_token(&app.refresh(&token).await.ok(200)).to_owned();
    }
    app.advance(TimeDelta::days(1));
    app.refresh(&token).await.problem(401, "token_expired");
}

#[tokio::test]
async fn an_access_token_is_of_no_use_once_its_session_is_too_old() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.advance(TimeDelta::days(13));
    let second = app.refresh(&michael.refresh_token).await.ok(200);
    app.advance(TimeDelta::days(13));
    let third = app.refresh(refresh_token(&second)).await.ok(200);
    app.advance(TimeDelta::days(4) - TimeDelta::minutes(1));
    let last = app.refresh(refresh_token(&third)).await.ok(200);
    assert!(app.opens(access_token(&last)).await);
    app.advance(TimeDelta::minutes(2));
    assert!(!app.opens(access_token(&last)).await, "the session is thirty days old");
}

#[tokio::test]
async fn nothing_else_is_a_refresh_token() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let real = &michael.refresh_token;
    let flipped =
        format!("{}{}", &real[..real.len() - 2], if real.ends_with("AA") { "BB" } else { "AA" });
    let others = [
        michael.access_token.clone(),
        flipped,
        real.to_uppercase(),
        format!("{real}="),
        format!(" {real}"),
        real.trim_start_matches(contract::REFRESH_TOKEN_PREFIX).to_owned(),
        format!("{}{}", contract::REFRESH_TOKEN_PREFIX, "A".repeat(43)),
        "x".repeat(20_000),
    ];
    for other in others {
        app.refresh(&other).await.problem(401, "token_invalid");
    }
    app.refresh(real).await.ok(200);
}

#[tokio::test]
async fn a_deactivated_user_gets_no_further() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.database.execute("UPDATE users SET active = false").await;
    assert!(!app.opens(&michael.access_token).await);
    app.refresh(&michael.refresh_token).await.problem(401, "token_invalid");
}

#[tokio::test]
async fn the_token_is_needed_in_the_body() {
    let app = TestApp::spawn().await;
    for body in [json!({}), json!({"refresh_token": null}), json!({"refresh_token": ""})] {
        let errors = app.post("/auth/refresh").json(body).await.field_errors();
        assert_eq!(errors, [("refresh_token".to_owned(), "required".to_owned())]);
    }
}

#[tokio::test]
async fn the_database_holds_no_token() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let tokens = app.refresh(&michael.refresh_token).await.ok(200);
    let dump = tests::database::contents(&app.database.client().await).await;
    assert!(dump.contains("michael@example.com"));
    for token in [&michael.refresh_token, refresh_token(&tokens), access_token(&tokens)] {
        assert!(!dump.contains(token.trim_start_matches(contract::REFRESH_TOKEN_PREFIX)));
    }
    assert!(!dump.contains(tests::PASSWORD));
}
