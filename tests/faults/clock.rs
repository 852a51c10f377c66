//! The clock jumps: forwards as after a pause of the machine, back as when it is set right.

use chrono::TimeDelta;
use tests::{PASSWORD, TestApp};

/// Limits that a few tries reach.
const LIMITS: [(&str, &str); 4] = [
    ("THROTTLE", "on"),
    ("THROTTLE_ACCOUNT", "4/60"),
    ("THROTTLE_ADDRESS", "8/60"),
    ("THROTTLE_REGISTER", "1000/60"),
];

#[tokio::test]
async fn forwards_signs_nobody_out() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.advance(TimeDelta::days(13));
    app.get("/auth/status").by(&michael).await.problem(401, "token_expired");
    let tokens = app.refresh(&michael.refresh_token).await.ok(200);
    assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn back_signs_nobody_out_for_good() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let tokens = app.refresh(&michael.refresh_token).await.ok(200);
    app.advance(TimeDelta::hours(-2));
    // The access token is from the future, and good for nothing; the session lives on.
    let problem = app.get("/auth/status").bearer(tokens["access_token"].as_str().unwrap()).await;
    problem.problem(401, "token_invalid");
    let tokens = app.refresh(tokens["refresh_token"].as_str().unwrap()).await.ok(200);
    assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
    let tokens = app.sign_in(&michael.email, PASSWORD).await.ok(200);
    assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
}

/// Two tasks never agree to the millisecond.
#[tokio::test]
async fn back_by_what_clocks_differ_is_not_noticed() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    for seconds in [1, 1, 3] {
        app.advance(TimeDelta::seconds(-seconds));
        app.get("/auth/status").by(&michael).await.ok(200);
    }
    app.refresh(&michael.refresh_token).await.ok(200);
}

/// Tries that were counted in what is now the future must not keep anybody out until then.
#[tokio::test]
async fn back_locks_nobody_out() {
    let app = TestApp::with(&LIMITS).await;
    app.register("michael").await;
    for _ in 0..4 {
        app.sign_in("michael@example.com", "not the password")
            .await
            .problem(401, "incorrect_credentials");
    }
    app.advance(TimeDelta::hours(-2));
    let mut waited = 0;
    // First the address has to wait, and then the account.
    while let answer = app.sign_in("michael@example.com", PASSWORD).await
        && answer.status == 429
    {
        let wait: i64 = answer.expect_header("retry-after").parse().unwrap();
        waited += wait;
        assert!(waited <= 60, "{waited} s to wait");
        app.advance(TimeDelta::seconds(wait));
    }
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
}
