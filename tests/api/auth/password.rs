//! `PUT /auth/password`.

use serde_json::json;
use tests::{PASSWORD, Person, TestApp, http::Call};

const NEW: &str = "paper river candle";

fn change(app: &TestApp, person: &Person, current: &str, new: &str) -> Call {
    let body = json!({"current_password": current, "new_password": new});
    app.put("/auth/password").by(person).json(body)
}

#[tokio::test]
async fn the_new_password_counts_and_other_sessions_end() {
    let app = TestApp::spawn().await;
    let here = app.person("michael").await;
    let elsewhere = here.signed_in_anew(&app).await;
    change(&app, &here, PASSWORD, NEW).await.ok(204);
    app.sign_in(&here.email, PASSWORD).await.problem(401, "incorrect_credentials");
    app.sign_in(&here.email, NEW).await.ok(200);
    app.get("/auth/status").by(&here).await.ok(200);
    app.refresh(&here.refresh_token).await.ok(200);
    app.get("/auth/status").by(&elsewhere).await.problem(401, "token_invalid");
    app.refresh(&elsewhere.refresh_token).await.problem(401, "token_invalid");
}

#[tokio::test]
async fn a_stolen_token_is_not_enough() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    change(&app, &michael, "not the password", NEW).await.problem(403, "incorrect_password");
    app.sign_in(&michael.email, PASSWORD).await.ok(200);
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    app.put("/auth/password").json(body).await.problem(401, "token_required");
}

#[tokio::test]
async fn the_new_one_keeps_the_rules() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael.herman").await;
    let rows = [
        ("short", "too_short"),
        ("Password1234", "common_password"),
        ("Michael.Herman", "same_as_identity"),
        ("michael.herman@example.com", "same_as_identity"),
        ("", "required"),
    ];
    for (new, code) in rows {
        let errors = change(&app, &michael, PASSWORD, new).await.field_errors();
        assert_eq!(errors, [("new_password".to_owned(), code.to_owned())], "{new}");
    }
    let errors = app.put("/auth/password").by(&michael).json(json!({})).await.field_errors();
    assert_eq!(errors.len(), 2);
}

/// What could not be done as a whole was not done: nobody is told to come again whose password is
/// another one already.
#[tokio::test]
async fn a_change_that_fails_changes_nothing() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let elsewhere = michael.signed_in_anew(&app).await;
    app.database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN RAISE 'out of memory'; END $$; \
             CREATE TRIGGER fail BEFORE DELETE ON throttle EXECUTE FUNCTION fail()",
        )
        .await;
    change(&app, &michael, PASSWORD, NEW).await.problem(503, "database_unavailable");
    app.database.execute("DROP TRIGGER fail ON throttle").await;
    app.get("/auth/status").by(&elsewhere).await.ok(200);
    app.sign_in(&michael.email, PASSWORD).await.ok(200);
}
