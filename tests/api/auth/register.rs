//! `POST /auth/register`.

use contract::{Email, Password, Username};
use serde_json::{Value, json};
use tests::{PASSWORD, TestApp};

#[tokio::test]
async fn a_person_signs_up() {
    let app = TestApp::spawn().await;
    let body =
        json!({"username": "michael", "email": " michael@mherman.org ", "password": PASSWORD});
    let user = app.post("/auth/register").json(body).await.ok(201);
    assert_eq!(user["username"], "michael");
    assert_eq!(user["email"], "michael@mherman.org", "without the blanks");
    assert_eq!(user["is_admin"], false);
    assert!(user.get("password").is_none());
    app.sign_in("michael@mherman.org", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_second_account_with_one_address_or_name_is_refused() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let rows = [
        ("another", "MICHAEL@EXAMPLE.COM", "email_taken", "Sorry. That email already exists."),
        ("Michael", "b@example.com", "username_taken", "Sorry. That username already exists."),
    ];
    for (username, email, code, detail) in rows {
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let problem = app.post("/auth/register").json(body).await.problem(409, code);
        assert_eq!(problem["detail"], detail);
    }
}

#[tokio::test]
async fn every_rule_is_kept_by_the_server_too() {
    let long = |length: usize| Value::from("a9-".repeat(length).get(..length).unwrap());
    let rows = [
        ("username", json!("ab"), "too_short"),
        ("username", long(Username::MAX + 1), "too_long"),
        ("username", json!("michael herman"), "invalid_character"),
        ("username", json!("mich\u{0}ael"), "invalid_character"),
        ("username", json!(7), "wrong_type"),
        ("username", json!(null), "required"),
        ("email", json!("nobody"), "invalid_format"),
        ("email", json!(format!("{}@b.c", "a".repeat(Email::MAX))), "too_long"),
        ("email", json!("a@b\u{0}.c"), "invalid_character"),
        ("email", json!(["a@b.c"]), "wrong_type"),
        ("email", json!(""), "required"),
        ("password", json!("greaterthan"), "too_short"),
        ("password", json!("schöne Käse"), "too_short"),
        ("password", long(Password::MAX + 1), "too_long"),
        ("password", json!("Password1234"), "common_password"),
        ("password", json!("great\u{0}erthaneight"), "invalid_character"),
        ("password", json!({"$ne": null}), "wrong_type"),
        ("is_admin", json!(true), "unknown_field"),
    ];
    let app = TestApp::spawn().await;
    for (field, value, code) in rows {
        let mut body = json!({"username": "michael", "email": "m@b.c", "password": PASSWORD});
        body[field] = value;
        let errors = app.post("/auth/register").json(body.clone()).await.field_errors();
        assert_eq!(errors, [(field.to_owned(), code.to_owned())], "{body}");
    }
    let own_name =
        json!({"username": "michael.herman", "email": "m@b.c", "password": "Michael.Herman"});
    let errors = app.post("/auth/register").json(own_name).await.field_errors();
    assert_eq!(errors, [("password".to_owned(), "same_as_identity".to_owned())]);
}

#[tokio::test]
async fn the_limits_themselves_are_allowed() {
    let app = TestApp::spawn().await;
    let rows = [
        ("a".repeat(Username::MIN), "a@b".to_owned(), "äöü €uro 12 x".chars().take(12).collect()),
        (
            "a".repeat(Username::MAX),
            format!("{}@{}.c", "a".repeat(64), "b".repeat(63)),
            "correct horse 7 ".repeat(8),
        ),
    ];
    for (username, email, password) in rows {
        let password: String = password;
        let body = json!({"username": username, "email": email, "password": password});
        app.post("/auth/register").json(body).await.ok(201);
        app.sign_in(&email, &password).await.ok(200);
    }
}
